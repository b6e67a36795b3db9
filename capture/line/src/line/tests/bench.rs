//! A line on a temporary folder, ways to give it traffic, and to read back what it wrote.

use std::{path::Path, sync::Arc};

use earwitness_ipc::{Command, Mark, VerdictChange, decode};
use earwitness_segment::{
    Cursor, Follower, LaneId, RecordClass, RecordMeta, RecordPos, WriterOptions,
    disk::{Disk, RealDisk},
};
use earwitness_wire::{Endpoint, LinkType, Steer, Verdict};
use tempfile::TempDir;

use crate::{Line, LineOptions, RingOptions, region::Residence, sample};

pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const A: Endpoint = Endpoint::v4([192, 0, 2, 1], 4000);
pub(super) const B: Endpoint = Endpoint::v4([192, 0, 2, 2], 4002);
pub(super) const SIP_A: Endpoint = A.with_port(5060);
pub(super) const SIP_B: Endpoint = B.with_port(5060);

/// A record as it was read back.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) meta: RecordMeta,
    pub(super) frame: Vec<u8>,
    pub(super) pos: RecordPos,
}

#[derive(Debug)]
pub(super) struct Bench {
    pub(super) line: Line,
    pub(super) dir: TempDir,
    sequence: u16,
}

/// Small rings and segments; the folder is set by the bench.
pub(super) fn options() -> LineOptions {
    let mut options = LineOptions::new("unset".into());
    options.rings = RingOptions {
        media_bytes: 64 << 10,
        signalling_bytes: 64 << 10,
        residence: Residence::Pageable,
    };
    let small = WriterOptions { segment_bytes: 1 << 20, ..WriterOptions::default() };
    options.drain.signalling = small.clone();
    options.drain.media = small;
    options.drain.flush_ns = 0;
    options
}

impl Bench {
    pub(super) fn new(options: LineOptions) -> Self {
        Self::on(&(Arc::new(RealDisk) as Arc<dyn Disk>), options)
    }

    pub(super) fn on(disk: &Arc<dyn Disk>, mut options: LineOptions) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        options.drain.data_dir = dir.path().into();
        let line = Line::open_on(disk, options).expect("a line");
        Self { line, dir, sequence: 0 }
    }

    pub(super) fn offer(&mut self, ts_ns: u64, bytes: &[u8]) -> Steer {
        self.line.offer(&sample::frame(ts_ns, bytes, LinkType::Ethernet))
    }

    pub(super) fn udp(
        &mut self,
        ts_ns: u64,
        src: Endpoint,
        dst: Endpoint,
        payload: &[u8],
    ) -> Steer {
        self.offer(ts_ns, &sample::ethernet(&sample::udp(src, dst, payload)))
    }

    pub(super) fn tcp(
        &mut self,
        ts_ns: u64,
        src: Endpoint,
        dst: Endpoint,
        payload: &[u8],
    ) -> Steer {
        self.offer(ts_ns, &sample::ethernet(&sample::tcp(src, dst, payload)))
    }

    /// An RTP packet with these bytes of sound.
    pub(super) fn media(
        &mut self,
        ts_ns: u64,
        src: Endpoint,
        dst: Endpoint,
        sound: &[u8],
    ) -> Steer {
        self.sequence = self.sequence.wrapping_add(1);
        self.udp(ts_ns, src, dst, &sample::rtp(self.sequence, 0x0102_0304, sound))
    }

    pub(super) fn fragments(&mut self, ts_ns: u64, packet: &[u8], piece: usize, id: u32) {
        for fragment in sample::fragments(packet, piece, id) {
            self.offer(ts_ns, &sample::ethernet(&fragment));
        }
    }

    pub(super) fn verdict(&mut self, dst: Endpoint, verdict: Option<Verdict>) {
        let command = Command::Verdicts(vec![VerdictChange::now(dst, verdict)]);
        self.line.apply(&command).expect("no segments in it");
    }

    pub(super) fn signalling(&self) -> Vec<Seen> {
        records(self.dir.path(), 0)
    }

    pub(super) fn media_records(&self) -> Vec<Seen> {
        records(self.dir.path(), 1)
    }

    /// The sound of each record in the media lane.
    pub(super) fn sounds(&self) -> Vec<Vec<u8>> {
        sounds(self.dir.path())
    }

    pub(super) fn marks(&self) -> Vec<Mark> {
        marks(self.dir.path())
    }

    /// Whether any file in the data folder holds these bytes.
    pub(super) fn disk_holds(&self, bytes: &[u8]) -> bool {
        disk_holds(self.dir.path(), bytes)
    }

    /// Ends the line; what it wrote stays for as long as the folder is kept.
    pub(super) fn finish(self, now_ns: u64) -> TempDir {
        self.line.finish(now_ns).expect("a good end");
        self.dir
    }
}

pub(super) fn records(dir: &Path, lane: u16) -> Vec<Seen> {
    let folder = dir.join("segments");
    let mut follower = Follower::open(&folder, LaneId(lane), Cursor::default()).expect("a lane");
    let mut seen = Vec::new();
    while let Some(record) = follower.next().expect("good blocks") {
        seen.push(Seen { meta: record.meta, frame: record.frame.to_vec(), pos: record.pos });
    }
    seen
}

pub(super) fn sounds(dir: &Path) -> Vec<Vec<u8>> {
    let sound = |seen: Seen| seen.frame[usize::from(seen.meta.payload) + 12..].to_vec();
    records(dir, 1).into_iter().map(sound).collect()
}

pub(super) fn marks<P: AsRef<Path>>(dir: P) -> Vec<Mark> {
    let marks = records(dir.as_ref(), 0).into_iter();
    let marks = marks.filter(|seen| seen.meta.class == RecordClass::Mark);
    marks.map(|seen| decode(&seen.frame).expect("a mark")).collect()
}

pub(super) fn disk_holds(dir: &Path, bytes: &[u8]) -> bool {
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        let found = if path.is_dir() {
            disk_holds(&path, bytes)
        } else {
            let content = std::fs::read(&path).expect("a file");
            let mut begins = content.iter().enumerate().filter(|(_, byte)| **byte == bytes[0]);
            begins.any(|(at, _)| content[at..].starts_with(bytes))
        };
        if found {
            return true;
        }
    }
    false
}
