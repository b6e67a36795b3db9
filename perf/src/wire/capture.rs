//! Earwitness as a receiver: started, told its verdicts through the door, and asked what became of each packet.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use earwitness_generator_abi::{NETWORKS, place};
use earwitness_ipc::{
    CaptureStats, Command, ControlDoor, DoorError, Event, SourceMode, VERSION, VerdictChange,
};
use earwitness_segment::{Log, SegmentInfo};
use earwitness_wire::{Endpoint, Verdict};

use super::process::PATIENCE;

/// How long undecided media waits. Verdicts are there before packets come.
pub const HOLD_MS: u64 = 200;
/// Verdicts told at once.
const VERDICTS_AT_ONCE: usize = 1000;
const LOOK: Duration = Duration::from_millis(1);

/// The control plane's end.
#[derive(Debug)]
pub struct Control {
    door: ControlDoor,
    pub mode: SourceMode,
    stats: Option<CaptureStats>,
    faults: Vec<String>,
}

impl Control {
    /// Connects as soon as the door is there.
    ///
    /// # Errors
    /// The door does not open.
    pub fn connect(data_dir: &Path) -> anyhow::Result<Self> {
        let path = data_dir.join("run/capture.sock");
        let deadline = Instant::now() + PATIENCE;
        let door = loop {
            match ControlDoor::connect(&path) {
                Ok(door) => break door,
                Err(_) if Instant::now() < deadline => std::thread::sleep(LOOK),
                Err(error) => return Err(error).context("capture does not open its door"),
            }
        };
        let mode = SourceMode::Pcap;
        let mut control = Self { door, mode, stats: None, faults: Vec::new() };
        control.door.send(Command::Hello { version: VERSION, config_digest: [0; 32] })?;
        loop {
            if let Some(Event::Hello { sources, .. }) = control.next()? {
                control.mode = sources.first().context("capture has no source")?.mode;
                return Ok(control);
            }
        }
    }

    /// The verdict of every address that the generator's calls have media at.
    ///
    /// # Errors
    /// The door closes.
    pub fn decide(&mut self, calls: u64, verdict: Verdict) -> anyhow::Result<()> {
        let endpoints = (0..calls).flat_map(|slot| {
            let (octet, port) = place(slot);
            NETWORKS.into_iter().flat_map(move |[a, b, c]| {
                [0, 1].map(|rtcp| Endpoint::v4([a, b, c, octet as u8], port as u16 + rtcp))
            })
        });
        let changes: Vec<_> = endpoints.map(|dst| VerdictChange::now(dst, Some(verdict))).collect();
        for some in changes.chunks(VERDICTS_AT_ONCE) {
            let mut order = Command::Verdicts(some.to_vec());
            loop {
                match self.door.send(order) {
                    Ok(()) => break,
                    Err(DoorError::Full { .. }) => order = Command::Verdicts(some.to_vec()),
                    Err(error) => return Err(error.into()),
                }
                self.door.flush()?;
                self.next()?;
            }
        }
        while !self.door.flush()? {
            self.next()?;
        }
        // Two reports later all of them were read.
        self.stats = None;
        self.await_stats("verdicts are read", |_| true)?;
        self.stats = None;
        self.await_stats("verdicts are applied", |_| true)?;
        ensure!(self.faults.is_empty(), "capture says: {:?}", self.faults);
        Ok(())
    }

    /// Waits until so many packets have arrived, and nothing is on its way.
    ///
    /// # Errors
    /// That does not come to be, or the sum does not close.
    pub fn settle(&mut self, arrived: u64) -> anyhow::Result<CaptureStats> {
        let stats = self.await_stats("every packet is judged", |stats| {
            stats.received >= arrived && stats.held == 0
        })?;
        ensure!(
            stats.received == arrived && stats.unaccounted() == 0 && stats.lost.unexplained == 0,
            "the sum does not close: {arrived} arrived, {stats:#?}"
        );
        Ok(stats)
    }

    /// Gives every closed segment back, to be written again. Gives the bytes that were in them.
    ///
    /// # Errors
    /// The log cannot be read, or capture does not release it.
    pub fn release(&mut self, data_dir: &Path) -> anyhow::Result<u64> {
        let log = Log::open(&data_dir.join("segments"))?;
        let mut closed = Vec::new();
        for (lane, _) in log.lanes()? {
            closed.extend(log.segments(lane)?.into_iter().filter(|segment| segment.closed));
        }
        let numbers = closed.iter().map(|segment| (segment.lane.0, segment.seq)).collect();
        self.door.send(Command::Release(numbers))?;
        let deadline = Instant::now() + PATIENCE;
        let left = |one: &SegmentInfo| {
            log.segments(one.lane).map(|now| now.iter().any(|other| other.seq == one.seq))
        };
        for one in &closed {
            while left(one)? {
                ensure!(Instant::now() < deadline, "a segment is not released: {:?}", self.faults);
                self.door.flush()?;
                self.next()?;
            }
        }
        Ok(closed.iter().map(|segment| segment.committed).sum())
    }

    fn await_stats(
        &mut self,
        what: &str,
        wanted: impl Fn(&CaptureStats) -> bool,
    ) -> anyhow::Result<CaptureStats> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            self.next()?;
            if let Some(stats) = self.stats.as_ref().filter(|stats| wanted(stats)) {
                return Ok(stats.clone());
            }
        }
        bail!("not in time: {what}: {:#?}, {:?}", self.stats, self.faults)
    }

    /// The next event, if there is one soon.
    fn next(&mut self) -> anyhow::Result<Option<Event>> {
        let event = self.door.receive()?;
        match &event {
            Some(Event::Stats(stats)) => self.stats = Some((**stats).clone()),
            Some(Event::Error { text, .. }) => self.faults.push(text.clone()),
            Some(_) => {}
            None => std::thread::sleep(LOOK),
        }
        Ok(event)
    }
}

/// Bytes of the log that hold something, headers and indexes included.
///
/// # Errors
/// The log cannot be read.
pub fn log_bytes(data_dir: &Path) -> anyhow::Result<u64> {
    let log = Log::open(&data_dir.join("segments"))?;
    let mut bytes = 0;
    for (lane, _) in log.lanes()? {
        bytes += log.segments(lane)?.iter().map(|segment| segment.committed).sum::<u64>();
    }
    Ok(bytes)
}

/// The program, built beside this one.
///
/// # Errors
/// It is not there.
pub fn program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.with_file_name("earwitness-capture");
    ensure!(
        path.is_file(),
        "{} is missing: cargo build --release -p earwitness-capture -p earwitness-perf",
        path.display()
    );
    Ok(path)
}
