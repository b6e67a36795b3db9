//! Why a capture file could not be read, or not further. Each names the file, the offset and what
//! was expected there.

use thiserror::Error;

#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PcapError {
    #[error("{file}: cannot be opened")]
    Open { file: String, source: std::io::Error },
    #[error("{file}: cannot be read at offset {offset}")]
    Read { file: String, offset: u64, source: std::io::Error },
    #[error("{file}: offset 0: expected the magic number of pcap or pcapng, found {found:02x?}")]
    NotCapture { file: String, found: Vec<u8> },
    #[error("{file}: offset {offset}: expected {expected}, found {found}")]
    Malformed { file: String, offset: u64, expected: &'static str, found: u64 },
    #[error("{file}: offset {offset}: link type {link} is not supported")]
    LinkType { file: String, offset: u64, link: u16 },
    #[error("{file}: offset {offset}: ends within the file header")]
    HeaderTruncated { file: String, offset: u64 },
}
