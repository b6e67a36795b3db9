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
    #[error("{file}: offset 0: no capture file: {}", beginning(found))]
    NotCapture { file: String, found: Vec<u8> },
    #[error("{file}: offset {offset}: expected {expected}, found {found}")]
    Malformed { file: String, offset: u64, expected: &'static str, found: u64 },
    #[error("{file}: offset {offset}: link type {link} is not supported")]
    LinkType { file: String, offset: u64, link: u16 },
    #[error("{file}: offset {offset}: ends within the file header")]
    HeaderTruncated { file: String, offset: u64 },
}

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What a file begins with instead of a magic number, and what to do about it.
fn beginning(found: &[u8]) -> String {
    match found {
        [] => "it is empty".to_owned(),
        _ if found.starts_with(&GZIP) => {
            "it is packed with gzip; give it unpacked, by zcat and -".to_owned()
        }
        _ if found.starts_with(&ZSTD) => {
            "it is packed with zstd; give it unpacked, by zstdcat and -".to_owned()
        }
        _ => format!("it begins with {found:02x?}, not with the magic number of pcap or pcapng"),
    }
}

#[cfg(test)]
mod tests {
    use super::PcapError;

    #[test]
    fn what_is_no_capture_is_told_with_the_remedy() {
        let told = |found: &[u8]| {
            PcapError::NotCapture { file: "x".to_owned(), found: found.to_vec() }.to_string()
        };
        assert_eq!(told(&[]), "x: offset 0: no capture file: it is empty");
        assert!(told(&[0x1f, 0x8b, 8, 0]).ends_with("zcat and -"));
        assert!(told(&[0x28, 0xb5, 0x2f, 0xfd]).ends_with("zstdcat and -"));
        assert!(told(b"hell").contains("[68, 65, 6c, 6c]"));
    }
}
