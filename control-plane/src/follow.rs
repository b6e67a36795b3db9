//! Reads the segment log while it grows: signalling by time across its lanes, media lane by lane.
//!
//! One dialog's messages may lie in several lanes, as the driver spread them. How far apart the lanes were read
//! must not change what the messages say, so they are merged. Media carries its time to the call that had its
//! address then, in whatever order it is read.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use earwitness_ipc::{decode, encode};
use earwitness_segment::limits::{BLOCK_ALIGN, HEADER_BYTES};
use earwitness_segment::{
    Cursor, Follower, LaneId, LaneKind, Log, ReadError, Record, RecordPos, SegmentError,
    SegmentInfo, recover,
};

use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::setup::segments_dir;

/// Under which name the catalog remembers where reading goes on.
pub const CURSORS: &str = "cursors";

/// For so long, time waits for a segment that cannot be opened (too many open files, a disk that hangs). Then what
/// else there is goes on without it.
const UNREADABLE_PATIENCE: Duration = Duration::from_secs(30);

/// How long a message may take from its stamp to where its writer sees it.
const SETTLE_NS: u64 = 25_000_000;

/// For so long, time waits for a writer that does not say how far it is (a core that is busy with something else, a
/// machine that stood still). One that is silent for longer has ended or hangs.
const WRITER_PATIENCE_NS: u64 = 1_000_000_000;

/// How far back REGISTERs are looked for at a start: what is registered for longer is known again when it is renewed.
const REGISTERED_NS: u64 = 2 * 3_600 * 1_000_000_000;

/// Where in the log reading goes on, for every lane.
pub type Cursors = Vec<(LaneId, Cursor)>;

/// Why the log cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error("the segment log cannot be listed")]
    List { source: SegmentError },
    #[error("lane {lane} cannot be read")]
    Read { lane: LaneId, source: ReadError },
    #[error(
        "lane {lane} of the segment log has a part that cannot be read; see the error told before"
    )]
    Unreadable { lane: LaneId },
}

struct Lane {
    id: LaneId,
    kind: LaneKind,
    follower: Follower,
    /// Time of the last record that was taken.
    taken_ns: u64,
    /// Nothing was left to take when it was last looked at.
    exhausted: bool,
    /// Since when its next segment cannot be opened.
    unreadable: Option<Instant>,
}

impl Lane {
    /// When the next record came, if there is one that can be read.
    fn next_ns(&mut self, segments: &Path, metrics: &Metrics) -> Option<u64> {
        loop {
            match self.follower.peek() {
                Ok(next) => {
                    self.unreadable = None;
                    return next.map(|meta| meta.ts_ns);
                }
                Err(error) => {
                    let is_told =
                        matches!(error, ReadError::Segment(_)) && self.unreadable.is_some();
                    if !is_told {
                        tracing::error!(lane = %self.id, %error, "a part of the log cannot be read");
                        metrics.log_errors.inc();
                    }
                    if !self.go_on(segments, &error) {
                        return None;
                    }
                }
            }
        }
    }

    /// Goes on behind what cannot be read; false if that may be readable later.
    fn go_on(&mut self, segments: &Path, error: &ReadError) -> bool {
        match error {
            ReadError::Corrupt { .. } => {
                self.follower.skip_block();
                true
            }
            // Released meanwhile: no unfinished call needs it (S5).
            ReadError::Gone { .. } => Follower::open(segments, self.id, Cursor::default())
                .map(|follower| self.follower = follower)
                .is_ok(),
            ReadError::NoRecord { .. } | ReadError::Segment(_) => {
                self.unreadable.get_or_insert_with(Instant::now);
                let goes_on = !self.is_awaited() && self.follower.skip_segment().unwrap_or(false);
                if goes_on {
                    tracing::error!(lane = %self.id, "a segment is left out: it could not be opened");
                }
                goes_on
            }
        }
    }

    /// It has records that cannot be read, and there is hope still.
    fn is_awaited(&self) -> bool {
        self.unreadable.is_some_and(|since| since.elapsed() < UNREADABLE_PATIENCE)
    }
}

/// All lanes of a data folder.
pub struct LogFollower {
    segments: PathBuf,
    lanes: Vec<Lane>,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for LogFollower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogFollower").field("lanes", &self.lanes.len()).finish_non_exhaustive()
    }
}

impl LogFollower {
    /// Opens every lane at its cursor; a lane without one from its beginning.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn open(
        data_dir: &Path,
        cursors: &Cursors,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, FollowError> {
        let mut this = Self {
            segments: segments_dir(data_dir),
            lanes: Vec::new(),
            metrics: Arc::clone(metrics),
        };
        this.look_for_lanes(cursors)?;
        Ok(this)
    }

    /// Takes in lanes that are new.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn look_for_lanes(&mut self, cursors: &Cursors) -> Result<(), FollowError> {
        let log = Log::open(&self.segments).map_err(|source| FollowError::List { source })?;
        for (id, kind) in log.lanes().map_err(|source| FollowError::List { source })? {
            if self.lanes.iter().any(|lane| lane.id == id) {
                continue;
            }
            let known = cursors.iter().find(|(lane, _)| *lane == id);
            let cursor = known.map_or_else(Cursor::default, |(_, cursor)| *cursor);
            let follower = self.open_lane(id, cursor)?;
            self.lanes.push(Lane {
                id,
                kind,
                follower,
                taken_ns: 0,
                exhausted: false,
                unreadable: None,
            });
        }
        self.lanes.sort_by_key(|lane| lane.id);
        Ok(())
    }

    fn open_lane(&self, lane: LaneId, cursor: Cursor) -> Result<Follower, FollowError> {
        let open = |cursor| Follower::open(&self.segments, lane, cursor);
        // A segment that was released since is needed by no unfinished call (S5).
        open(cursor)
            .or_else(|_| open(Cursor::default()))
            .map_err(|source| FollowError::Read { lane, source })
    }

    /// Up to when every message is in the log, at most `now_ns`: before that time no lane gets an earlier one. To be
    /// asked before what is there is looked at.
    #[must_use]
    pub fn settled_ns(&self, now_ns: u64) -> u64 {
        let signalling = self.lanes.iter().filter(|lane| lane.kind == LaneKind::Signalling);
        let heard = signalling.map(|lane| lane.follower.heard_ns());
        let running = heard.filter(|ns| *ns > now_ns.saturating_sub(WRITER_PATIENCE_NS));
        running.fold(now_ns, u64::min).saturating_sub(SETTLE_NS)
    }

    /// Hands the records of signalling lanes that came before `until_ns` to `intake`, earliest first, `budget` at
    /// most. Returns how many there were.
    pub fn signalling(&mut self, until_ns: u64, budget: usize, intake: &mut Intake) -> usize {
        self.each_of_signalling(until_ns, budget, |lane, record| intake.record(lane, record))
    }

    /// Who was registered in the hours before `note`, from which reading goes on: that is known only from REGISTERs that
    /// may lie far behind any call.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn registrations(
        data_dir: &Path,
        note: &Note,
        mut past: Intake,
        metrics: &Arc<Metrics>,
    ) -> Result<Intake, FollowError> {
        let since_ns = note.at_ns.saturating_sub(REGISTERED_NS);
        let mut follower = Self::open(data_dir, &Self::since(data_dir, since_ns)?, metrics)?;
        follower.each_of_signalling(note.at_ns, usize::MAX, |lane, record| {
            if record.meta.ts_ns >= since_ns {
                past.registration(lane, record);
            }
        });
        Ok(past)
    }

    /// Cursors of signalling lanes at the last segment that begins before this time; a lane in which all that is kept came
    /// later has none.
    fn since(data_dir: &Path, since_ns: u64) -> Result<Cursors, FollowError> {
        const FIRST: u32 = (HEADER_BYTES / BLOCK_ALIGN) as u32;
        let list = |source| FollowError::List { source };
        let mut log = Log::open(&segments_dir(data_dir)).map_err(list)?;
        let mut cursors = Vec::new();
        for (lane, kind) in log.lanes().map_err(list)? {
            if kind != LaneKind::Signalling {
                continue;
            }
            let segments = log.segments(lane).map_err(list)?;
            // One whose first record cannot be read may begin at any time: one before it tells.
            let begins_before = |segment: &&SegmentInfo| {
                let first = RecordPos::signalling(segment.seq, FIRST, 0);
                log.read(lane, first).is_ok_and(|record| record.meta.ts_ns < since_ns)
            };
            let begin = segments.iter().rev().find(begins_before);
            let cursor = |segment: &SegmentInfo| {
                (lane, Cursor { seq: segment.seq, block: FIRST, ordinal: 0 })
            };
            cursors.extend(begin.map(cursor));
        }
        Ok(cursors)
    }

    fn each_of_signalling(
        &mut self,
        until_ns: u64,
        budget: usize,
        mut take: impl FnMut(LaneId, &Record<'_>),
    ) -> usize {
        let Self { segments, lanes, metrics, .. } = self;
        let of_kind = |lane: &&mut Lane| lane.kind == LaneKind::Signalling;
        let mut lanes: Vec<&mut Lane> = lanes.iter_mut().filter(of_kind).collect();
        let mut next: Vec<Option<u64>> =
            lanes.iter_mut().map(|lane| lane.next_ns(segments, metrics)).collect();
        let mut taken = 0;
        // What cannot be read yet may come before everything else.
        while taken < budget && !lanes.iter().any(|lane| lane.is_awaited()) {
            let first = next.iter().enumerate().filter_map(|(at, ns)| ns.map(|ns| (ns, at))).min();
            let Some((ns, at)) = first.filter(|(ns, _)| *ns < until_ns) else { break };
            let lane = &mut *lanes[at];
            if let Ok(Some(record)) = lane.follower.next() {
                take(lane.id, &record);
            }
            lane.taken_ns = ns;
            next[at] = lane.next_ns(segments, metrics);
            taken += 1;
        }
        for (lane, next) in lanes.into_iter().zip(next) {
            lane.exhausted = !lane.is_awaited() && next.is_none_or(|ns| ns >= until_ns);
        }
        taken
    }

    /// Hands at most `budget` records of each media lane to `intake`. Returns how many there were.
    pub fn media(&mut self, budget: usize, intake: &mut Intake) -> usize {
        let Self { segments, lanes, metrics, .. } = self;
        let mut taken = 0;
        for lane in lanes.iter_mut().filter(|lane| lane.kind == LaneKind::Media) {
            lane.exhausted = false;
            for _ in 0..budget {
                match lane.follower.next() {
                    Ok(Some(record)) => {
                        lane.taken_ns = record.meta.ts_ns;
                        intake.record(lane.id, &record);
                        taken += 1;
                    }
                    // An error comes again from here, where it is dealt with.
                    Ok(None) | Err(_) => {
                        if lane.next_ns(segments, metrics).is_none() {
                            lane.exhausted = !lane.is_awaited();
                            break;
                        }
                    }
                }
            }
        }
        taken
    }

    /// Hands all that there is to `intake`.
    ///
    /// # Errors
    /// A part of the log cannot be read now.
    pub fn rest(&mut self, intake: &mut Intake) -> Result<(), FollowError> {
        self.signalling(u64::MAX, usize::MAX, intake);
        self.media(usize::MAX, intake);
        let unreadable = self.lanes.iter().find(|lane| lane.unreadable.is_some());
        unreadable.map_or(Ok(()), |lane| Err(FollowError::Unreadable { lane: lane.id }))
    }

    /// When the latest record came of those that were taken.
    #[must_use]
    pub fn latest_ns(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.taken_ns).max().unwrap_or_default()
    }

    /// The time up to which everything that the log has was read; at most `now_ns`.
    #[must_use]
    pub fn read_until(&self, now_ns: u64) -> u64 {
        let behind = self.lanes.iter().filter(|lane| !lane.exhausted).map(|lane| lane.taken_ns);
        behind.min().map_or(now_ns, |ns| ns.min(now_ns))
    }

    /// Where reading has come to.
    #[must_use]
    pub fn cursors(&self) -> Cursors {
        self.lanes.iter().map(|lane| (lane.id, lane.follower.cursor())).collect()
    }

    /// Cursors behind everything that is in the log now. To be asked before a writer opens it, which makes
    /// segments ahead of what it writes. What a crash left behind its segment's mark is recovered first: the writer would do
    /// so, and it would be taken for news.
    ///
    /// # Errors
    /// The log cannot be read, or has a writer.
    pub fn newest(data_dir: &Path) -> Result<Cursors, FollowError> {
        let list = |source| FollowError::List { source };
        let segments = segments_dir(data_dir);
        if segments.is_dir() {
            recover(&segments).map_err(list)?;
        }
        let log = Log::open(&segments).map_err(list)?;
        let mut cursors = Vec::new();
        for (lane, _) in log.lanes().map_err(list)? {
            let segments = log.segments(lane).map_err(list)?;
            let written = segments.iter().rev().find(|segment| segment.committed > HEADER_BYTES);
            let cursor = written.map(|segment| Cursor {
                seq: segment.seq,
                block: (segment.committed / BLOCK_ALIGN) as u32,
                ordinal: 0,
            });
            cursors.push((lane, cursor.unwrap_or_default()));
        }
        Ok(cursors)
    }
}

/// Where reading came to at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Note {
    pub at_ns: u64,
    pub cursors: Cursors,
}

/// A note as the catalog remembers it.
#[must_use]
pub fn to_bytes(note: &Note) -> Vec<u8> {
    let numbers: Vec<(u16, u64)> =
        note.cursors.iter().map(|(lane, cursor)| (lane.0, cursor.to_u64())).collect();
    encode(&(note.at_ns, numbers)).unwrap_or_default()
}

/// The reverse; what cannot be read is no cursor, and the log is read from its beginning.
#[must_use]
pub fn from_bytes(bytes: &[u8]) -> Note {
    let (at_ns, numbers): (u64, Vec<(u16, u64)>) = decode(bytes).unwrap_or_default();
    let cursor = |(lane, cursor)| (LaneId(lane), Cursor::from_u64(cursor));
    Note { at_ns, cursors: numbers.into_iter().map(cursor).collect() }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt as _;

    use earwitness_segment::{RecordClass, RecordMeta, SegmentWriter, WriterOptions};

    use super::*;
    use crate::call::Party;
    use crate::call::leg::Said;
    use crate::config::{Config, RecordDefault};
    use crate::rules::Rules;
    use crate::setup;

    const UNTIL_NS: u64 = 1_000;

    fn write(segments: &Path, lane: u16, times: std::ops::Range<u64>) {
        let options = WriterOptions::default();
        let mut writer =
            SegmentWriter::open(segments, LaneId(lane), LaneKind::Signalling, options).unwrap();
        for ts_ns in times {
            let meta = RecordMeta {
                ts_ns,
                prev: RecordPos::NONE,
                flow: 0,
                frame_len: 0,
                wire_len: 10,
                l3: 0,
                payload: 0,
                payload_len: 10,
                class: RecordClass::Signalling,
                link: 0,
                source: 0,
                verdict: 0,
            };
            writer.append(&meta, b"no message").unwrap();
        }
    }

    /// CALL-1: a lane whose writer is slow holds the others, and one whose writer has ended does not.
    #[test]
    fn waits_for_the_slowest_writer() {
        const NOW_NS: u64 = 100_000_000_000;
        let folder = tempfile::tempdir().unwrap();
        let segments = segments_dir(folder.path());
        let lane = |id| {
            let options = WriterOptions::default();
            SegmentWriter::open(&segments, LaneId(id), LaneKind::Signalling, options).unwrap()
        };
        let (mut one, mut other, _silent) = (lane(2), lane(4), lane(6));
        let metrics = Arc::new(Metrics::new());
        let follower = LogFollower::open(folder.path(), &Cursors::new(), &metrics).unwrap();
        one.set_heard(NOW_NS - 1_000);
        other.set_heard(NOW_NS - 300_000_000);
        assert_eq!(follower.settled_ns(NOW_NS), NOW_NS - 300_000_000 - SETTLE_NS);
        other.set_heard(NOW_NS - WRITER_PATIENCE_NS);
        assert_eq!(follower.settled_ns(NOW_NS), NOW_NS - 1_000 - SETTLE_NS);
        other.set_heard(u64::MAX);
        one.set_heard(u64::MAX);
        assert_eq!(follower.settled_ns(NOW_NS), NOW_NS - SETTLE_NS);
    }

    /// A message of a phone to its registrar, or the other way, as IPv4 has it.
    fn say(segments: &Path, ts_ns: u64, is_reply: bool, text: &str) {
        let options = WriterOptions::default();
        let mut writer =
            SegmentWriter::open(segments, LaneId(2), LaneKind::Signalling, options).unwrap();
        let text = text.replace('\n', "\r\n");
        let (phone, registrar) = ([10, 0, 0, 5], [10, 0, 0, 1]);
        let (from, to) = if is_reply { (registrar, phone) } else { (phone, registrar) };
        let [all, udp] = [28, 8].map(|headers| (text.len() + headers) as u16);
        let mut frame = vec![0x45, 0];
        frame.extend(all.to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, 17, 0, 0]);
        frame.extend(from.into_iter().chain(to));
        frame.extend([5060_u16, 5060, udp, 0].into_iter().flat_map(u16::to_be_bytes));
        frame.extend(text.as_bytes());
        let length = frame.len() as u32;
        let meta = RecordMeta {
            ts_ns,
            prev: RecordPos::NONE,
            flow: 0,
            frame_len: length,
            wire_len: length,
            l3: 0,
            payload: 28,
            payload_len: text.len() as u16,
            class: RecordClass::Signalling,
            link: 1,
            source: 0,
            verdict: 0,
        };
        writer.append(&meta, &frame).unwrap();
    }

    /// CALL-6, S2: blocks that a process wrote just before it was killed, and did not commit, are behind the newest cursor: who
    /// reads on from there does not take them for news.
    #[test]
    fn what_a_crash_left_is_no_news() {
        const COMMITTED_AT: u64 = 128;
        const STATE_AT: u64 = 256;
        const SYNCED_AT: u64 = 320;
        let folder = tempfile::tempdir().unwrap();
        let segments = segments_dir(folder.path());
        fs::create_dir_all(&segments).unwrap();
        say(&segments, 1_000_000_000, false, "OPTIONS sip:home SIP/2.0\n\n");
        let whole = LogFollower::newest(folder.path()).unwrap();
        let [(_, cursor)] = whole[..] else { panic!("{whole:?}") };
        assert!(u64::from(cursor.block) * BLOCK_ALIGN > HEADER_BYTES);
        let log = Log::open(&segments).unwrap();
        let written = log.segments(LaneId(2)).unwrap();
        let written = written.iter().find(|segment| segment.committed > HEADER_BYTES).unwrap();
        let file = fs::OpenOptions::new()
            .write(true)
            .open(segments.join(format!("0002-s-{:08}.seg", written.seq)))
            .unwrap();
        for (at, word) in [(COMMITTED_AT, HEADER_BYTES), (STATE_AT, 0), (SYNCED_AT, HEADER_BYTES)] {
            file.write_all_at(&word.to_le_bytes(), at).unwrap();
        }
        assert_eq!(LogFollower::newest(folder.path()).unwrap(), whole);
    }

    /// POL-1, and idea 1: a daemon that starts again knows who had registered before the place in the log where it goes on.
    #[test]
    fn registrations_outlive_the_daemon() {
        const SECOND_NS: u64 = 1_000_000_000;
        let folder = tempfile::tempdir().unwrap();
        let segments = segments_dir(folder.path());
        fs::create_dir_all(&segments).unwrap();
        let fields = "Via: SIP/2.0/UDP h;branch=z9hG4bK1\nFrom: <sip:alice@home>;tag=a\nTo: <sip:alice@home>\nCall-ID: r\n\
                      CSeq: 1 REGISTER\nContact: <sip:alice@10.0.0.5>;expires=600\n\n";
        say(&segments, SECOND_NS, false, &format!("REGISTER sip:home SIP/2.0\n{fields}"));
        say(&segments, 2 * SECOND_NS, true, &format!("SIP/2.0 200 OK\n{fields}"));
        let metrics = Arc::new(Metrics::new());
        let intake = || {
            let rules = Rules::without_policies(RecordDefault::All);
            setup::intake(&Config::default(), rules, &metrics)
        };
        let cursors = LogFollower::newest(folder.path()).unwrap();
        let note = Note { at_ns: 10 * SECOND_NS, cursors };
        say(
            &segments,
            20 * SECOND_NS,
            false,
            "INVITE sip:100@home SIP/2.0\n\
            Via: SIP/2.0/UDP h;branch=z9hG4bK2\nFrom: <sip:anonymous@home>;tag=b\nTo: <sip:100@home>\nCall-ID: c\n\
            CSeq: 1 INVITE\n\n",
        );
        let known = |is_remembered: bool| {
            let mut now = intake();
            if is_remembered {
                let past = LogFollower::registrations(folder.path(), &note, intake(), &metrics);
                now.remember_registrations(past.unwrap());
            }
            let mut follower = LogFollower::open(folder.path(), &note.cursors, &metrics).unwrap();
            assert_eq!(follower.signalling(u64::MAX, usize::MAX, &mut now), 1);
            let call = now.table.iter().next().expect("the INVITE is a call").clone();
            let invite = call.invites.iter().next().expect("it has one").clone();
            invite.said(Said::Registration, Party::Caller).next().map(str::to_owned)
        };
        assert_eq!(known(true).as_deref(), Some("alice@home"));
        assert_eq!(known(false), None, "without what lies before nobody could tell");
    }

    /// POL-1: of the log no more is read for registrations than the segments that may have some of that time.
    #[test]
    fn older_segments_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let segments = segments_dir(folder.path());
        fs::create_dir_all(&segments).unwrap();
        write(&segments, 2, 1..10);
        write(&segments, 2, 100..110);
        write(&segments, 2, 200..210);
        write(&segments, 4, 150..160);
        let since = |ns| {
            let cursors = LogFollower::since(folder.path(), ns).unwrap();
            cursors.iter().map(|(lane, cursor)| (lane.0, cursor.seq)).collect::<Vec<_>>()
        };
        assert_eq!(since(0), []);
        assert_eq!(since(105), [(2, 2)]);
        assert_eq!(since(200), [(2, 2), (4, 1)]);
        assert_eq!(since(1_000), [(2, 3), (4, 1)]);
        let metrics = Arc::new(Metrics::new());
        let cursors = LogFollower::since(folder.path(), 105).unwrap();
        let mut follower = LogFollower::open(folder.path(), &cursors, &metrics).unwrap();
        let mut times = Vec::new();
        follower.each_of_signalling(u64::MAX, usize::MAX, |_, record| {
            times.push(record.meta.ts_ns);
        });
        assert!(times.starts_with(&[100, 101]) && times.len() == 30, "{times:?}");
    }

    /// CAP-3: time does not pass beyond what cannot be read for now, and goes on where it can.
    #[test]
    fn waits_for_a_segment_that_cannot_be_opened() {
        let folder = tempfile::tempdir().unwrap();
        let segments = segments_dir(folder.path());
        fs::create_dir_all(&segments).unwrap();
        write(&segments, 2, 1..10);
        write(&segments, 4, 100..110);
        let metrics = Arc::new(Metrics::new());
        let rules = Rules::without_policies(RecordDefault::All);
        let mut intake = setup::intake(&Config::default(), rules, &metrics);
        let mut follower = LogFollower::open(folder.path(), &Cursors::new(), &metrics).unwrap();
        assert_eq!(follower.signalling(UNTIL_NS, usize::MAX, &mut intake), 19);
        assert_eq!(follower.read_until(UNTIL_NS), UNTIL_NS);

        // The next segment of the first lane is no file for a while.
        write(&segments, 2, 200..210);
        write(&segments, 4, 300..310);
        let next = segments.join("0002-s-00000002.seg");
        let aside = folder.path().join("aside");
        fs::rename(&next, &aside).unwrap();
        fs::create_dir(&next).unwrap();
        for _ in 0..3 {
            assert_eq!(follower.signalling(UNTIL_NS, usize::MAX, &mut intake), 0);
        }
        assert_eq!(follower.read_until(UNTIL_NS), 9);
        assert_eq!(metrics.log_errors.get(), 1, "told once");
        assert!(matches!(
            follower.rest(&mut intake),
            Err(FollowError::Unreadable { lane: LaneId(2) })
        ));

        fs::remove_dir(&next).unwrap();
        fs::rename(&aside, &next).unwrap();
        assert_eq!(follower.signalling(UNTIL_NS, usize::MAX, &mut intake), 20);
        assert_eq!(follower.read_until(UNTIL_NS), UNTIL_NS);
        follower.rest(&mut intake).unwrap();
    }
}
