//! S4, S6, REC-5: files are durable before they are told of, and failures leave nothing behind.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

use crate::traffic::{MS, START_NS, Sender, Stream, decoders, noise};
use earwitness_recording::disk::{Disk, DiskFile, RealDisk};
use earwitness_recording::finalize::DiskStep;
use earwitness_recording::{
    CallFacts, CaptureGap, Direction, FinalizeError, FinishedRecording, Format, RenderOptions,
    Side, StreamInput, StreamKey, finalize,
};

fn facts() -> CallFacts {
    CallFacts {
        id: "0123456789abcdef".to_owned(),
        call_id: "a84b4c76e66710@pc33\u{1}<&>".to_owned(),
        call: "c1".to_owned(),
        tenant: Some("acme".to_owned()),
        from: Some("sip:+4412@example.com".to_owned()),
        to: Some("sip:\u{0}\u{7f}../x@example.com".to_owned()),
        direction: Direction::Outbound,
        started_at_ns: Some(START_NS),
        capture_gaps: vec![CaptureGap {
            from_ns: START_NS,
            until_ns: START_NS + MS,
            place: "ring".to_owned(),
            packets: 3,
        }],
        decision: serde_json::json!({"recorded": true, "rule": "all"}),
        ..CallFacts::default()
    }
}

fn finish(
    root: &Path,
    disk: &dyn Disk,
    facts: &CallFacts,
) -> Result<FinishedRecording, FinalizeError> {
    finish_as(root, disk, facts, Format::Wav)
}

fn finish_as(
    root: &Path,
    disk: &dyn Disk,
    facts: &CallFacts,
    format: Format,
) -> Result<FinishedRecording, FinalizeError> {
    let stream = Stream::pcmu(Side::Caller, 7);
    let packets = Sender::new(7, START_NS).talk(&noise(1, 800_000), 20);
    let address = SocketAddr::from(([127, 0, 0, 1], 9));
    let input = StreamInput {
        side: Side::Caller,
        key: StreamKey { src: address, dst: address, ssrc: 7 },
        payload_types: &stream.types,
        priority: 0,
        packets: &packets,
    };
    let options = RenderOptions { format, ..RenderOptions::default() };
    finalize(facts, &[input], &options, root, disk, &decoders())
}

/// All files below, relative to `root`.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let relative = path.strip_prefix(root).expect("below root");
                found.push(relative.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

/// What went through the seam; fails at the given call.
struct Watched {
    calls: Mutex<Vec<(DiskStep, PathBuf)>>,
    fail_at: Option<usize>,
    /// Bytes that files may take in all.
    room: Mutex<u64>,
}

impl Watched {
    fn new(fail_at: Option<usize>) -> Arc<Self> {
        let (calls, room) = (Mutex::new(Vec::new()), Mutex::new(u64::MAX));
        Arc::new(Self { calls, fail_at, room })
    }

    fn call(&self, step: DiskStep, path: &Path) -> io::Result<()> {
        let mut calls = self.calls.lock().expect("one thread");
        calls.push((step, path.to_owned()));
        if Some(calls.len() - 1) == self.fail_at {
            return Err(io::ErrorKind::Other.into());
        }
        Ok(())
    }
}

struct WatchedFile {
    disk: Arc<Watched>,
    path: PathBuf,
    file: Box<dyn DiskFile>,
}

impl Write for WatchedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut room = self.disk.room.lock().expect("one thread");
        let left = room.checked_sub(bytes.len() as u64).ok_or(io::ErrorKind::StorageFull)?;
        *room = left;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for WatchedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl DiskFile for WatchedFile {
    fn sync(&mut self) -> io::Result<()> {
        self.disk.call(DiskStep::Sync, &self.path)?;
        self.file.sync()
    }
}

/// The real disk, watched.
struct Seam(Arc<Watched>);

impl Disk for Seam {
    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        self.0.call(DiskStep::CreateDir, path)?;
        RealDisk.create_dir(path)
    }

    fn create_file(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.call(DiskStep::CreateFile, path)?;
        let file = RealDisk.create_file(path)?;
        Ok(Box::new(WatchedFile { disk: Arc::clone(&self.0), path: path.to_owned(), file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.call(DiskStep::Rename, to)?;
        RealDisk.rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.call(DiskStep::SyncDir, path)?;
        RealDisk.sync_dir(path)
    }

    fn open_file(&self, path: &Path) -> io::Result<Option<Box<dyn Read>>> {
        self.0.call(DiskStep::OpenFile, path)?;
        RealDisk.open_file(path)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_file(path)
    }
}

/// REC-5: three files with one name, and what they say is so.
#[test]
fn recording_has_its_sidecars() {
    let root = tempfile::tempdir().expect("folder");
    let done = finish(root.path(), &RealDisk, &facts()).expect("finished");
    let stem = "recordings/recordout/2026/11/20/20261120-100000_+4412_--..-x_01234567";
    assert_eq!(
        files(root.path()),
        [format!("{stem}.json"), format!("{stem}.wav"), format!("{stem}.xml")]
    );
    let audio = fs::read(root.path().join(&done.path)).expect("audio");
    assert_eq!(done.bytes, audio.len() as u64);
    let json = fs::read(root.path().join(&done.json_path)).expect("sidecar");
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(json["sha256"], done.sha256.as_str());
    assert_eq!(json["call_id"], "a84b4c76e66710@pc33\u{1}<&>");
    assert_eq!(json["started_at"], "2026-11-20T10:00:00.000Z");
    assert_eq!(json["answered_at"], serde_json::Value::Null);
    assert_eq!(json["gaps"]["capture"][0]["place"], "ring");
    assert_eq!(json["packets"]["received"], 5_000);
    assert_eq!(json["duration_ms"], 100_000);
    assert_eq!(json["decision"]["rule"], "all");
    let xml = fs::read_to_string(root.path().join(&done.xml_path)).expect("details");
    assert!(xml.contains("<to>sip:\u{fffd}\u{fffd}../x@example.com</to>"), "{xml}");
    assert!(xml.contains("<direction>out</direction>") && xml.contains("<duration>100</duration>"));
}

/// S4: sync of each file, then names, the audio last, then the folders, lowest first.
#[test]
fn order_is_that_of_s4() {
    let root = tempfile::tempdir().expect("folder");
    let watched = Watched::new(None);
    finish(root.path(), &Seam(Arc::clone(&watched)), &facts()).expect("finished");
    let calls = watched.calls.lock().expect("one thread");
    let steps: Vec<DiskStep> = calls.iter().map(|(step, _)| *step).collect();
    use DiskStep::{CreateDir, CreateFile, OpenFile, Rename, Sync, SyncDir};
    let mut expected = vec![OpenFile];
    expected.extend([CreateDir; 5]);
    expected.extend([CreateFile, Sync, CreateFile, Sync, CreateFile, Sync]);
    expected.extend([Rename; 3]);
    expected.extend([SyncDir; 6]);
    assert_eq!(steps, expected);
    assert!(calls[14].1.extension().is_some_and(|extension| extension == "wav"));
    assert!(calls[15].1.ends_with("20") && calls[20].1 == root.path());
}

/// S6: whichever call fails, nothing is left, the error says where, and the next attempt succeeds.
#[test]
fn any_failure_leaves_nothing() {
    let clean = tempfile::tempdir().expect("folder");
    let whole = finish(clean.path(), &RealDisk, &facts()).expect("finished");
    for fail_at in 0..21 {
        let root = tempfile::tempdir().expect("folder");
        let watched = Watched::new(Some(fail_at));
        let error = finish(root.path(), &Seam(Arc::clone(&watched)), &facts()).expect_err("failed");
        let (step, path) = watched.calls.lock().expect("one thread")[fail_at].clone();
        match error {
            FinalizeError::Disk { step: failed, path: at, .. } => {
                assert_eq!((failed, at), (step, path));
            }
            other => panic!("{other}"),
        }
        assert_eq!(files(root.path()), [""; 0], "after failure {fail_at}");
        let again = finish(root.path(), &RealDisk, &facts()).expect("second attempt");
        assert_eq!(again, whole);
    }
}

/// A full disk in the middle of the audio.
#[test]
fn full_disk_leaves_nothing() {
    for room in [0, 10, 1_000_000, 3_200_040] {
        let root = tempfile::tempdir().expect("folder");
        let watched = Watched::new(None);
        *watched.room.lock().expect("one thread") = room;
        let error = finish(root.path(), &Seam(Arc::clone(&watched)), &facts()).expect_err("failed");
        match error {
            FinalizeError::Disk { step: DiskStep::Write, source, .. } => {
                assert_eq!(source.kind(), io::ErrorKind::StorageFull);
            }
            other => panic!("{other}"),
        }
        assert_eq!(files(root.path()), [""; 0]);
    }
}

/// A second recording of the same second, parties and short id does not replace the first; the
/// same recording, finished again, does.
#[test]
fn names_do_not_collide() {
    let root = tempfile::tempdir().expect("folder");
    let first = finish(root.path(), &RealDisk, &facts()).expect("first");
    let other = CallFacts { id: "01234567ffff".to_owned(), ..facts() };
    let second = finish(root.path(), &RealDisk, &other).expect("second");
    assert_ne!(first.path, second.path);
    let again = finish(root.path(), &RealDisk, &facts()).expect("again");
    assert_eq!(first, again);
    assert_eq!(files(root.path()).len(), 6);
    // A failure while it is finished again leaves what the catalog knows.
    let watched = Watched::new(Some(15));
    finish(root.path(), &Seam(Arc::clone(&watched)), &facts()).expect_err("failed");
    assert_eq!(files(root.path()).len(), 6);
}

/// REC-1, REC-5: every format is named, counted and hashed for what is on disk.
#[test]
fn every_format_is_hashed_as_it_is() {
    for format in [Format::Wav, Format::Mp3, Format::OggOpus] {
        let root = tempfile::tempdir().expect("folder");
        let done = finish_as(root.path(), &RealDisk, &facts(), format).expect("finished");
        let audio = fs::read(root.path().join(&done.path)).expect("audio");
        assert!(done.path.ends_with(format.extension()));
        assert_eq!(done.bytes, audio.len() as u64);
        let digest = Sha256::digest(&audio);
        let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(done.sha256, hash);
        assert_eq!(files(root.path()).len(), 3);
    }
}
