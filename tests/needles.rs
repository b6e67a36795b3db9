//! The search for media in files: pieces of it that nothing else has.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use earwitness_fixtures::call::Frame;
use earwitness_fixtures::scene::Scene;

/// The part of each packet that is looked for: eight bytes from the middle of its payload.
const NEEDLE_BYTES: usize = 8;
/// Ethernet, IPv4, UDP, RTP, half of 160 bytes of G.711.
const NEEDLE_AT: usize = 14 + 20 + 8 + 12 + 80;
const RTP_FRAME_BYTES: usize = 14 + 20 + 8 + 12 + 160;
/// Fewer distinct bytes are a pause, which is in many files.
const DISTINCT_MIN: usize = 5;

const FILTER_WORDS: usize = 1 << 18;

/// Pieces of a scene's media. A filter of one bit for each hash spares most look-ups.
#[derive(Debug)]
pub struct Needles {
    pieces: HashSet<u64>,
    filter: Vec<u64>,
}

impl Needles {
    /// Of every packet of G.711 over IPv4 that is not a pause.
    #[must_use]
    pub fn of(scene: &Scene) -> Self {
        Self::of_frames(scene.frames())
    }

    /// The same of some frames.
    pub fn of_frames(frames: impl Iterator<Item = Frame>) -> Self {
        let media = frames.filter(|frame| frame.bytes.len() == RTP_FRAME_BYTES);
        Self::of_pieces(media.map(|frame| {
            let bytes = &frame.bytes[NEEDLE_AT..][..NEEDLE_BYTES];
            bytes.try_into().expect("eight bytes")
        }))
    }

    /// The same of what was encoded, wherever it was put into packets.
    pub fn of_pieces(encoded: impl Iterator<Item = [u8; NEEDLE_BYTES]>) -> Self {
        let distinct = |bytes: &[u8; 8]| bytes.iter().collect::<HashSet<_>>().len();
        let telling = encoded.filter(|bytes| distinct(bytes) >= DISTINCT_MIN);
        let pieces: HashSet<u64> = telling.map(u64::from_le_bytes).collect();
        let mut filter = vec![0; FILTER_WORDS];
        for piece in &pieces {
            let (word, bit) = place_in_filter(*piece);
            filter[word] |= 1 << bit;
        }
        Self { pieces, filter }
    }

    #[must_use]
    pub fn count(&self) -> usize {
        self.pieces.len()
    }

    /// Every file below `dir` with how many pieces lie in it.
    #[must_use]
    pub fn found_below(&self, dir: &Path) -> Vec<(PathBuf, usize)> {
        let in_file = |path: PathBuf| {
            let bytes = std::fs::read(&path).expect("a file of the data folder can be read");
            let found = self.found_in(&bytes);
            (path, found)
        };
        files(dir).into_iter().map(in_file).collect()
    }

    /// How many pieces lie in some bytes.
    #[must_use]
    pub fn found_in(&self, bytes: &[u8]) -> usize {
        let mut window = 0_u64;
        let mut found = 0;
        for (place, byte) in bytes.iter().enumerate() {
            window = window >> 8 | u64::from(*byte) << 56;
            let (word, bit) = place_in_filter(window);
            if place + 1 >= NEEDLE_BYTES
                && self.filter[word] >> bit & 1 == 1
                && self.pieces.contains(&window)
            {
                found += 1;
            }
        }
        found
    }
}

fn place_in_filter(window: u64) -> (usize, u32) {
    let hash = window.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    (hash as usize >> 6, (hash & 63) as u32)
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("the data folder can be read").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}
