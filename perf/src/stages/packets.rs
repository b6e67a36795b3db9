//! The packet path: parser, ring, drain, segment writer, segment reader.

use std::path::Path;

use anyhow::Context as _;
use earwitness_ipc::{Command, SourceInfo, SourceMode, VerdictChange};
use earwitness_line::region::Residence;
use earwitness_line::{Door, Frame, Housekeeping, Line, LineOptions};
use earwitness_segment::{
    Cursor, Follower, Keeper, LaneId, LaneKind, Log, RecordClass, RecordMeta, RecordPos,
    SegmentWriter, WriterOptions,
};
use earwitness_wire::{LinkType, Verdict};
use tempfile::TempDir;

use super::meter::{Meter, Round};
use super::samples::{self, PACKET_BYTES};
use super::{Scale, Stage};

/// Packets of a round: with their headers less than one segment.
const PACKETS: u64 = 200_000;
const SEGMENT_BYTES: u64 = 64 << 20;
/// Calls whose packets take turns.
const CALLS: u32 = 1_000;
/// Packets between two runs of the drain.
const BATCH: u64 = 64;
/// Time between two packets.
const GAP_NS: u64 = 5_000;
/// How long undecided media waits: 100,000 packets.
const HOLD_NS: u64 = 100_000 * GAP_NS;

pub const STAGES: &[Stage] = &[
    Stage {
        name: "line, recorded",
        scale: Scale::Each("packet"),
        prepare: || line(Some(Verdict::Record)),
    },
    Stage {
        name: "line, ignored",
        scale: Scale::Each("packet"),
        prepare: || line(Some(Verdict::Ignore)),
    },
    Stage { name: "line, unmatched", scale: Scale::Each("packet"), prepare: || line(None) },
    Stage { name: "segment writer", scale: Scale::Each("record"), prepare: write },
    Stage { name: "segment reader", scale: Scale::Each("record"), prepare: read },
];

/// A line over a folder in memory, with calls whose packets it has a verdict for.
pub struct Bench {
    line: Line,
    keepers: [Keeper; 2],
    frames: Vec<Vec<u8>>,
    /// Which frame comes next; calls talk in no order that the cache could know.
    order: Vec<u32>,
    sent: u64,
    _folder: TempDir,
}

/// A folder in memory where there is one: files are measured elsewhere.
pub fn folder() -> anyhow::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::tempdir_in(&parent)
        .with_context(|| format!("{} has no room for a folder", parent.display()))
}

impl Bench {
    pub fn new(calls: u32, verdict: Option<Verdict>) -> anyhow::Result<Self> {
        let folder = folder()?;
        let mut options = LineOptions::new(folder.path().to_owned());
        options.rings.residence = Residence::Pageable;
        options.drain.hold_ns = HOLD_NS;
        options.drain.housekeeping = Housekeeping::Elsewhere;
        options.drain.media.segment_bytes = SEGMENT_BYTES;
        options.drain.media.prefault = true;
        let mut line = Line::open(options)?;
        line.set_door(Door::Connected);
        let source = SourceInfo {
            interface: "bench".to_owned(),
            source: 0,
            mode: SourceMode::Pcap,
            reason: "measured alone".to_owned(),
        };
        line.start(1, 1, vec![source])?;
        let changes: Vec<VerdictChange> =
            (0..calls).map(|call| VerdictChange::now(samples::caller(call), verdict)).collect();
        for changes in changes.chunks(1_000).filter(|_| verdict.is_some()) {
            line.apply(&Command::Verdicts(changes.to_vec()))?;
        }
        let frames = (0..calls).map(|call| samples::media_frame(call, 1)).collect();
        let mut order: Vec<u32> = (0..calls).collect();
        order.sort_unstable_by_key(|call| call.wrapping_mul(0x9e37_79b9));
        let keepers = line.keepers();
        Ok(Self { line, keepers, frames, order, sent: 0, _folder: folder })
    }

    /// Sends `packets` on their way, one call's after the other's.
    pub fn run(&mut self, packets: u64) {
        for _ in 0..packets {
            let call = self.order[(self.sent % self.order.len() as u64) as usize];
            self.sent += 1;
            let bytes = &self.frames[call as usize];
            self.line.offer(&Frame {
                ts_ns: self.sent * GAP_NS,
                bytes,
                wire_len: bytes.len() as u32,
                link: LinkType::Ethernet,
                source: 0,
            });
            if self.sent.is_multiple_of(BATCH) {
                self.line.run(self.sent * GAP_NS);
                self.line.events();
            }
        }
    }

    /// What other threads do in capture: segments are made ahead, and old ones are used again.
    pub fn keep_house(&mut self) -> anyhow::Result<()> {
        let segments = Log::open(&self._folder.path().join("segments"))?;
        for keeper in &self.keepers {
            let mut live = segments.segments(keeper.lane())?;
            live.pop();
            live.retain(|segment| segment.closed);
            for segment in live {
                keeper.release(segment.seq)?;
            }
            keeper.prepare_next()?;
        }
        Ok(())
    }

    fn round(&mut self, meter: &mut Meter) -> anyhow::Result<()> {
        self.keep_house()?;
        meter.measure(PACKETS, || self.run(PACKETS));
        let stats = self.line.stats();
        anyhow::ensure!(stats.lost.total() == 0, "the line lost {} packets", stats.lost.total());
        Ok(())
    }
}

fn line(verdict: Option<Verdict>) -> anyhow::Result<Round> {
    let mut bench = Bench::new(CALLS, verdict)?;
    // Undecided packets leave the ring, too, while the rounds run.
    bench.run(HOLD_NS / GAP_NS);
    Ok(Box::new(move |meter| bench.round(meter)))
}

fn meta(number: u64) -> RecordMeta {
    RecordMeta {
        ts_ns: number * GAP_NS,
        prev: RecordPos::NONE,
        flow: 1,
        frame_len: PACKET_BYTES as u32,
        wire_len: PACKET_BYTES as u32,
        l3: 14,
        payload: 42,
        payload_len: PACKET_BYTES as u16 - 42,
        class: RecordClass::Media,
        link: 0,
        source: 0,
        verdict: Verdict::Record as u8,
    }
}

const LANE: LaneId = LaneId(1);

fn writer(folder: &TempDir) -> anyhow::Result<SegmentWriter> {
    let options =
        WriterOptions { segment_bytes: SEGMENT_BYTES, prefault: true, ..WriterOptions::default() };
    Ok(SegmentWriter::open(folder.path(), LANE, LaneKind::Media, options)?)
}

fn append(writer: &mut SegmentWriter, frame: &[u8]) -> anyhow::Result<()> {
    for number in 0..PACKETS {
        writer.append(&meta(number), frame)?;
    }
    writer.flush();
    Ok(())
}

fn write() -> anyhow::Result<Round> {
    let frame = samples::media_frame(1, 1);
    Ok(Box::new(move |meter| {
        let folder = folder()?;
        let mut writer = writer(&folder)?;
        meter.measure(PACKETS, || append(&mut writer, &frame))
    }))
}

fn read() -> anyhow::Result<Round> {
    let folder = folder()?;
    append(&mut writer(&folder)?, &samples::media_frame(1, 1))?;
    Ok(Box::new(move |meter| {
        let mut follower = Follower::open(folder.path(), LANE, Cursor::default())?;
        let read = meter.measure(PACKETS, || {
            let mut read = 0;
            while let Some(record) = follower.next()? {
                std::hint::black_box(record.payload());
                read += 1;
            }
            anyhow::Ok(read)
        })?;
        anyhow::ensure!(read == PACKETS, "{read} of {PACKETS} records were read");
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::allocations;

    /// S8: on its way from the parser to the segment a packet allocates nothing, whatever its verdict is.
    #[test]
    fn the_packet_path_does_not_allocate() {
        const SENT: u64 = 20_000;
        for verdict in [Some(Verdict::Record), Some(Verdict::Ignore), None] {
            let mut bench = Bench::new(100, verdict).unwrap();
            // Flows become known, buffers get their size.
            bench.run(HOLD_NS / GAP_NS + SENT);
            bench.keep_house().unwrap();
            let before = allocations::count();
            bench.run(SENT);
            assert_eq!(allocations::count() - before, 0, "{verdict:?}");
            let stats = bench.line.stats();
            let expected = (HOLD_NS / GAP_NS + 2 * SENT) / BATCH * BATCH;
            let counted = match verdict {
                Some(Verdict::Record) => stats.stored,
                Some(_) => stats.ignored,
                None => stats.unmatched + stats.held,
            };
            assert!(counted >= expected, "{verdict:?}: {counted} of {expected}");
        }
    }
}
