//! Media that policy denies never reaches a disk (CAP-9): after a thousand calls that may not be recorded, no
//! byte of their media is in any file of the data folder.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use earwitness_fixtures::scene::Scene;
use earwitness_fixtures::spec::CallSpec;
use earwitness_tests::program::{Container, Replayed};

/// The part of each packet that is looked for: eight bytes from the middle of its payload.
const NEEDLE_BYTES: usize = 8;
/// Ethernet, IPv4, UDP, RTP, half of 160 bytes of G.711.
const NEEDLE_AT: usize = 14 + 20 + 8 + 12 + 80;
const RTP_FRAME_BYTES: usize = 14 + 20 + 8 + 12 + 160;
/// Fewer distinct bytes are a pause, which is in many files.
const DISTINCT_MIN: usize = 5;

const DENY: &str = "[capture]\ninterfaces = [\"none\"]\n[recording]\ndefault = \"none\"\n";

fn scene() -> Scene {
    let specs = (0..1_000).map(|index| CallSpec {
        start_ms: u64::from(index) * 2,
        talk_ms: 2_500,
        ..CallSpec::new(index)
    });
    Scene::new(specs.collect())
}

fn needles(scene: &Scene) -> HashSet<u64> {
    let mut needles = HashSet::new();
    for frame in scene.frames().filter(|frame| frame.bytes.len() == RTP_FRAME_BYTES) {
        let bytes = &frame.bytes[NEEDLE_AT..][..NEEDLE_BYTES];
        if bytes.iter().collect::<HashSet<_>>().len() >= DISTINCT_MIN {
            needles.insert(u64::from_le_bytes(bytes.try_into().expect("eight bytes")));
        }
    }
    needles
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

/// Places in `bytes` where a needle lies. A filter of one bit for each hash spares most look-ups.
fn hits(bytes: &[u8], needles: &HashSet<u64>, filter: &[u64]) -> usize {
    let mut window = 0_u64;
    let mut found = 0;
    for (place, byte) in bytes.iter().enumerate() {
        window = window >> 8 | u64::from(*byte) << 56;
        let (word, bit) = place_in_filter(window);
        if place + 1 >= NEEDLE_BYTES && filter[word] >> bit & 1 == 1 && needles.contains(&window) {
            found += 1;
        }
    }
    found
}

const FILTER_WORDS: usize = 1 << 18;

fn place_in_filter(window: u64) -> (usize, u32) {
    let hash = window.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    (hash as usize >> 6, (hash & 63) as u32)
}

fn filter(needles: &HashSet<u64>) -> Vec<u64> {
    let mut filter = vec![0; FILTER_WORDS];
    for needle in needles {
        let (word, bit) = place_in_filter(*needle);
        filter[word] |= 1 << bit;
    }
    filter
}

#[test]
fn no_byte_of_denied_media_is_on_disk() {
    let scene = scene();
    let needles = needles(&scene);
    assert!(needles.len() > 100_000, "only {} needles", needles.len());
    let filter = filter(&needles);
    let replayed = Replayed::of(scene.frames(), Container::default(), Some(DENY));
    assert_eq!(replayed.recordings.len(), 0);
    assert_eq!(replayed.calls.len(), 1_000, "calls are listed all the same");
    for call in &replayed.calls {
        assert_eq!(call["decision"]["recorded"], false, "{call}");
        assert!(!call["decision"]["rule"].as_str().unwrap_or_default().is_empty(), "{call}");
    }
    let files = files(&replayed.data_dir());
    assert!(!files.is_empty());
    for path in files {
        let bytes = std::fs::read(&path).expect("a file of the data folder can be read");
        let found = hits(&bytes, &needles, &filter);
        assert_eq!(found, 0, "{}: {found} pieces of denied media", path.display());
    }
}

/// The search finds what is there: the same calls, recorded, are full of needles.
#[test]
fn the_search_finds_media() {
    let scene = Scene::new(vec![CallSpec::new(0)]);
    let needles = needles(&scene);
    let filter = filter(&needles);
    let replayed = Replayed::of(scene.frames(), Container::default(), None);
    let files = files(&replayed.data_dir());
    let found: usize = files
        .iter()
        .map(|path| hits(&std::fs::read(path).expect("readable"), &needles, &filter))
        .sum();
    assert!(found >= needles.len(), "{found} of {} needles", needles.len());
}
