//! The start: everything is opened here, in the order that `design/capture.md` gives, while there are privileges.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use earwitness_abi::record::Class;
use earwitness_ipc::{DoorError, LaneInfo, Listener, SourceInfo};
use earwitness_line::limits::{OVERHEARD_BYTES_MAX, OVERHEARD_TONES_BYTES_MAX};
use earwitness_line::region::{Region, RegionError, Residence};
use earwitness_line::ring::{Receiver, ring};
use earwitness_line::{
    Drain, DrainOptions, Housekeeping, LineError, Producer, RingOptions, SteeringOptions, Unmatched,
};
use earwitness_segment::{Keeper, LaneId, LaneKind, WriterOptions};
use mio::Waker;
use thiserror::Error;

use crate::af_packet::{Fanout, PacketError, PacketSource};
use crate::af_xdp::XdpSocket;
use crate::affinity;
use crate::bpf_ring::BpfRing;
use crate::clock::now_ns;
use crate::interface::{Interface, InterfaceError};
use crate::limits::{FRAGMENT_RING_BYTES, SIGNALLING_SEGMENT_BYTES};
use crate::link::LinkWatch;
use crate::options::{OptionsError, RunOptions, UnmatchedMedia};
use crate::privilege::{self, NEEDED_ALWAYS, PrivilegeError};
use crate::receiver::{Intake, Receiving, Tap};
use crate::source::{self, SourceError, Tapped};
use crate::tapping::Tapping;
use crate::thread::Crew;
use crate::writer::Writer;

#[derive(Debug, Error)]
pub enum SetupError {
    #[error(transparent)]
    Options(#[from] OptionsError),
    #[error(transparent)]
    Privilege(#[from] PrivilegeError),
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    #[error("{text}")]
    Source { text: String },
    #[error(transparent)]
    Packet(#[from] PacketError),
    #[error("ring buffer of CPU {cpu}: {source}")]
    Ring { cpu: u32, source: io::Error },
    #[error("the delay line: {source}; less --ring-mib, or more memory")]
    Region {
        #[from]
        source: RegionError,
    },
    #[error("the log in {dir}: {}", source::chain(error))]
    Log { dir: PathBuf, error: LineError },
    #[error("cannot make {dir}: {error}")]
    Folder { dir: PathBuf, error: io::Error },
    #[error("the door: {}", source::chain(source))]
    Door {
        #[from]
        source: DoorError,
    },
    #[error("cannot {operation}: {source}")]
    Io { operation: &'static str, source: io::Error },
}

impl From<SourceError> for SetupError {
    fn from(error: SourceError) -> Self {
        Self::Source { text: source::chain(&error) }
    }
}

/// Everything that is open when privileges end.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) taps: Vec<Tapping>,
    pub(crate) crew: Crew,
    /// Threads that receive, and threads that write.
    pub(crate) receivers: Vec<usize>,
    pub(crate) writers: Vec<usize>,
    pub(crate) keepers: Vec<Keeper>,
    pub(crate) lanes: Vec<LaneInfo>,
    pub(crate) listener: Listener,
    pub(crate) links: LinkWatch,
    pub(crate) segments: PathBuf,
    pub(crate) run_dir: PathBuf,
}

/// What all lanes share while they are made.
struct Plan<'o> {
    options: &'o RunOptions,
    epoch: u64,
    cores: Vec<usize>,
    sources: Vec<SourceInfo>,
    steering: SteeringOptions,
    crew: Crew,
    receivers: Vec<usize>,
    writers: Vec<usize>,
    keepers: Vec<Keeper>,
    lanes: Vec<LaneInfo>,
}

/// Opens everything.
///
/// # Errors
/// [`SetupError`]: what could not be opened, and the remedy where there is one.
pub(crate) fn open(options: &RunOptions, waker: Arc<Waker>) -> Result<Opened, SetupError> {
    privilege::take(NEEDED_ALWAYS)?;
    let socket = options.socket_path();
    let segments = options.data_dir.join("segments");
    let run_dir = socket.parent().map_or_else(|| PathBuf::from("."), PathBuf::from);
    for dir in [&segments, &run_dir] {
        std::fs::create_dir_all(dir)
            .map_err(|error| SetupError::Folder { dir: dir.clone(), error })?;
    }
    // First of all: two captures on one folder would write the same lanes.
    let listener = Listener::bind(&socket)?;
    let links =
        LinkWatch::open().map_err(|source| SetupError::Io { operation: "watch links", source })?;
    let mut taps = Vec::new();
    let mut sockets = Vec::new();
    for (name, source) in options.interfaces.iter().zip(0..) {
        let interface = Interface::open(name, source)?;
        let (tapped, info) = source::choose(&interface, options)?;
        tracing::info!(interface = name, mode = %info.mode, reason = %info.reason, "source");
        let (program, opened) = match tapped {
            Tapped::Rings(program) => (Some(program), Vec::new()),
            Tapped::Sockets(program, opened) => (Some(program), opened),
            Tapped::Packets => (None, Vec::new()),
        };
        sockets.push(opened);
        taps.push(Tapping::new(interface, info, program));
    }
    let mut plan = Plan {
        options,
        epoch: now_ns(),
        cores: affinity::cores(),
        sources: taps.iter().map(|tap| tap.info.clone()).collect(),
        steering: SteeringOptions { sip_ports: options.sip_ports.clone(), wire: options.wire()? },
        crew: Crew::new(waker),
        receivers: Vec::new(),
        writers: Vec::new(),
        keepers: Vec::new(),
        lanes: Vec::new(),
    };
    plan.ring_lanes(&taps)?;
    plan.copying_lanes(&taps, sockets)?;
    let Plan { crew, receivers, writers, keepers, lanes, .. } = plan;
    let opened = Opened {
        taps,
        crew,
        receivers,
        writers,
        keepers,
        lanes,
        listener,
        links,
        segments,
        run_dir,
    };
    Ok(opened)
}

impl Plan<'_> {
    /// For each CPU a writer of what the program puts into that CPU's rings.
    fn ring_lanes(&mut self, taps: &[Tapping]) -> Result<(), SetupError> {
        let rings_of: Vec<_> = taps
            .iter()
            .filter(|tap| tap.fills_rings())
            .filter_map(|tap| Some((tap.interface.source, tap.program.as_deref()?.rings())))
            .collect();
        let cpus = rings_of.first().map_or(0, |(_, rings)| rings.len());
        for at in 0..cpus {
            let (mut lines, mut cpu) = (Vec::new(), 0);
            // Signalling of all taps is served before media of any.
            for class in [Class::Signalling, Class::Media] {
                for (source, rings) in &rings_of {
                    let Some(rings) = rings.get(at) else { continue };
                    cpu = rings.cpu;
                    let maps = match class {
                        Class::Media => &rings.media,
                        Class::Signalling | Class::Fragment => &rings.signalling,
                    };
                    let ring = BpfRing::map(maps, *source)
                        .map_err(|source| SetupError::Ring { cpu, source })?;
                    lines.push(ring);
                }
            }
            let rings = RingOptions {
                media_bytes: FRAGMENT_RING_BYTES,
                signalling_bytes: FRAGMENT_RING_BYTES,
                residence: Residence::Locked,
            };
            self.writer(format!("writer-{cpu}"), lines, Some(&rings))?;
        }
        Ok(())
    }

    /// Lanes of sources that copy: each with a receiver and a writer.
    fn copying_lanes(
        &mut self,
        taps: &[Tapping],
        mut sockets: Vec<Vec<XdpSocket>>,
    ) -> Result<(), SetupError> {
        let copying: Vec<_> = taps.iter().filter(|tap| !tap.fills_rings()).collect();
        if copying.is_empty() {
            return Ok(());
        }
        let default = (self.cores.len() / 2).max(1);
        let lanes = self.options.lanes.map_or(default, |lanes| lanes as usize);
        for lane in 0..lanes {
            let (mut lines, mut served) = (Vec::new(), Vec::new());
            for tap in &copying {
                let intake = if tap.program.is_some() {
                    let all = &mut sockets[usize::from(tap.interface.source)];
                    // Every lanes-th socket, from what is left of them.
                    let share = all.len().div_ceil(lanes - lane);
                    if share == 0 {
                        continue;
                    }
                    Intake::Xdp(all.drain(..share).collect())
                } else {
                    let group =
                        (std::process::id() as u16).wrapping_add(tap.interface.source.into());
                    let fanout = Fanout { group, sockets: lanes as u32 };
                    let bytes = self.options.media_ring_bytes();
                    let socket = PacketSource::open(&tap.interface, bytes, Some(fanout))?;
                    Intake::Packet(Box::new(socket))
                };
                let (signalling, signalling_end) =
                    ring(self.region(self.options.signalling_ring_bytes())?);
                let (media, media_end) = ring(self.region(self.options.media_ring_bytes())?);
                lines.push(signalling_end);
                lines.push(media_end);
                let producer = Producer::new(signalling, media, &self.steering);
                served.push(Tap { source: tap.interface.source, intake, producer });
            }
            let receiving = Receiving::new(served, self.sources.len() as u8);
            let core = self.core(self.crew.len());
            let thread = self.crew.plan(format!("receiver-{lane}"), core, move |mailbox| {
                receiving.run(&mailbox);
            });
            self.receivers.push(thread);
            self.writer::<Receiver>(format!("writer-c{lane}"), lines, None)?;
        }
        Ok(())
    }

    /// Plans a writer with two lanes of its own.
    fn writer<L>(
        &mut self,
        name: String,
        lines: Vec<L>,
        fragments: Option<&RingOptions>,
    ) -> Result<(), SetupError>
    where
        L: earwitness_line::DelayLine + Send + 'static,
    {
        let dir = self.options.data_dir.clone();
        let failed = |error| SetupError::Log { dir: dir.clone(), error };
        let number = self.lanes.len() as u16;
        let options = self.drain_options(number);
        let mut drain = Drain::open(options).map_err(failed)?;
        if let Some(rings) = fragments {
            drain.assemble_fragments(rings, &self.steering).map_err(failed)?;
        }
        self.keepers.extend(drain.keepers());
        let mut writer = Writer::new(drain, lines, self.sources.len() as u8);
        match writer.begin(self.epoch, self.sources.clone()) {
            // The disk is full: what can still be kept is kept, and what is not is counted.
            Err(LineError::MarkRefused { lane }) => tracing::error!(lane, "the disk is full"),
            other => other.map_err(failed)?,
        }
        for (lane, kind) in [(number, LaneKind::Signalling), (number + 1, LaneKind::Media)] {
            self.lanes.push(LaneInfo { lane: LaneId(lane), kind });
        }
        // Not on the core that fills the rings of this one.
        let core = self.core(self.crew.len() + 1);
        let thread = self.crew.plan(name, core, move |mailbox| writer.run(&mailbox));
        self.writers.push(thread);
        Ok(())
    }

    fn drain_options(&self, number: u16) -> DrainOptions {
        let writer = |segment_bytes| WriterOptions {
            segment_bytes,
            prefault: true,
            recycle_max: self.options.spare_segments(segment_bytes),
            epoch: self.epoch,
            ..WriterOptions::default()
        };
        DrainOptions {
            signalling_lane: LaneId(number),
            media_lane: LaneId(number + 1),
            hold_ns: self.options.hold_ms * 1_000_000,
            unmatched: match self.options.unmatched_media {
                UnmatchedMedia::Drop => Unmatched::Drop,
                UnmatchedMedia::Keep => Unmatched::Keep,
            },
            overheard_bytes: match self.options.tones {
                true => OVERHEARD_TONES_BYTES_MAX,
                false => OVERHEARD_BYTES_MAX,
            },
            housekeeping: Housekeeping::Elsewhere,
            signalling: writer(SIGNALLING_SEGMENT_BYTES),
            media: writer(self.options.segment_mib << 20),
            ..DrainOptions::new(self.options.data_dir.clone())
        }
    }

    fn core(&self, number: usize) -> Option<usize> {
        self.cores.get(number % self.cores.len().max(1)).copied()
    }

    fn region(&self, bytes: usize) -> Result<Region, SetupError> {
        Ok(Region::locked(bytes)?)
    }
}
