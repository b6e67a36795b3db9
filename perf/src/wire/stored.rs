//! What peers have stored: their files, counted record by record.

use std::fs::{self, File};
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::{Context as _, ensure};

use super::system::Taken;

const PCAP_HEADER_BYTES: i64 = 24;
/// Little-endian, in microseconds or nanoseconds.
const PCAP_MAGIC: [u32; 2] = [0xa1b2_c3d4, 0xa1b2_3c4d];
/// Blocks of stenotype: those of the kernel's ring as they are (packet(7), TPACKET_V3), with the number of their
/// packets here.
const BLOCK_BYTES: u64 = 1 << 20;
const BLOCK_PACKETS_AT: u64 = 12;

/// Records of a capture file.
///
/// # Errors
/// It is not one, or ends within a header.
pub fn pcap(path: &Path) -> anyhow::Result<Taken> {
    let file = File::open(path).with_context(|| format!("{} is missing", path.display()))?;
    let bytes = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut word = [0; 4];
    reader.read_exact(&mut word).context("no header")?;
    ensure!(PCAP_MAGIC.contains(&u32::from_le_bytes(word)), "{}: not pcap", path.display());
    reader.seek_relative(PCAP_HEADER_BYTES - 4)?;
    let (mut packets, mut at) = (0, PCAP_HEADER_BYTES as u64);
    while at + 16 <= bytes {
        let mut header = [0; 16];
        reader.read_exact(&mut header)?;
        let [.., a, b, c, d, _, _, _, _] = header;
        let length = u32::from_le_bytes([a, b, c, d]);
        reader.seek_relative(length.into())?;
        at += 16 + u64::from(length);
        // The last record may have been cut by the signal.
        packets += u64::from(at <= bytes);
    }
    Ok(Taken { packets, bytes, ..Taken::default() })
}

/// Packets in the blocks of stenotype's files. Where a file was allocated further than it was filled, nothing counts.
///
/// # Errors
/// A file cannot be read.
pub fn stenotype(folder: &Path) -> anyhow::Result<Taken> {
    let mut taken = Taken::default();
    for entry in fs::read_dir(folder.join("PKT0"))? {
        let mut file = File::open(entry?.path())?;
        let length = file.metadata()?.len();
        for at in (0..length / BLOCK_BYTES).map(|block| block * BLOCK_BYTES) {
            let mut word = [0; 4];
            file.seek(SeekFrom::Start(at + BLOCK_PACKETS_AT))?;
            file.read_exact(&mut word)?;
            let packets = u64::from(u32::from_le_bytes(word));
            taken.packets += packets;
            taken.bytes += if packets > 0 { BLOCK_BYTES } else { 0 };
        }
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two.pcap");
        let mut bytes = [PCAP_MAGIC[0].to_le_bytes().to_vec(), vec![0; 20]].concat();
        for length in [5_u32, 0, 7] {
            bytes.extend([0; 8]);
            bytes.extend(length.to_le_bytes());
            bytes.extend(length.to_le_bytes());
            bytes.extend(vec![1; length as usize]);
        }
        bytes.pop();
        fs::write(&path, &bytes).unwrap();
        assert_eq!(pcap(&path).unwrap().packets, 2, "the last one is cut");
    }
}
