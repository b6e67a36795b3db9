//! What the line is told by configuration. Every field states its unit; defaults are DESIGN.md's.

use std::path::PathBuf;

use earwitness_segment::{LaneId, WriterOptions};

use crate::limits::OVERHEARD_BYTES_MAX;
use crate::region::Residence;

/// What becomes of media that no call announced, once `hold` has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unmatched {
    /// Counted and dropped.
    #[default]
    Drop,
    /// Written like recorded media, with the verdict `Undecided`.
    Keep,
}

/// Who allocates segments ahead, and tries again after a refusal by the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Housekeeping {
    /// The drain, between packets.
    #[default]
    Inline,
    /// A thread that may wait, with the [`Keeper`](earwitness_segment::Keeper)s of the drain.
    Elsewhere,
}

/// How frames are steered.
#[derive(Debug, Clone, Default)]
pub struct SteeringOptions {
    /// Ports at which everything is signalling.
    pub sip_ports: Vec<u16>,
    /// How frames are parsed.
    pub wire: earwitness_wire::Options,
}

/// How the line's exit works.
#[derive(Debug, Clone)]
pub struct DrainOptions {
    /// Segments are written to its folder `segments`.
    pub data_dir: PathBuf,
    pub signalling_lane: LaneId,
    pub media_lane: LaneId,
    /// How long undecided media waits, in nanoseconds.
    pub hold_ns: u64,
    pub unmatched: Unmatched,
    /// Longest packet of masked media that is told to who decides, because there may be keys in it.
    pub overheard_bytes: usize,
    /// How often written media becomes visible to readers, in nanoseconds. Signalling is at once.
    pub flush_ns: u64,
    /// So much of a line may be taken by media that waits for others of its flow, with which it is written together;
    /// it then becomes visible when this is used up, or [`Drain::settle`](crate::drain::Drain::settle) is called. 0:
    /// media is written as it is looked at.
    pub gather_bytes: usize,
    pub housekeeping: Housekeeping,
    /// How long after a refusal by the disk the next attempt is, in nanoseconds.
    pub retry_ns: u64,
    /// Segments of the signalling lane. One more than is being written is kept allocated: that is
    /// the reserve which signalling has over media when the disk is full.
    pub signalling: WriterOptions,
    pub media: WriterOptions,
}

impl DrainOptions {
    /// The defaults, for lanes 0 (signalling) and 1 (media) of a data folder.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            signalling_lane: LaneId(0),
            media_lane: LaneId(1),
            hold_ns: 2_000_000_000,
            unmatched: Unmatched::Drop,
            overheard_bytes: OVERHEARD_BYTES_MAX,
            flush_ns: 20_000_000,
            gather_bytes: 0,
            housekeeping: Housekeeping::Inline,
            retry_ns: 1_000_000_000,
            signalling: WriterOptions { segment_bytes: 16 << 20, ..WriterOptions::default() },
            media: WriterOptions::default(),
        }
    }
}

/// The rings of one line.
#[derive(Debug, Clone, Copy)]
pub struct RingOptions {
    /// Of the media ring, a power of two: at least `hold` times the rate.
    pub media_bytes: usize,
    /// Of the signalling ring, a power of two: what arrives while the disk is waited for.
    pub signalling_bytes: usize,
    /// `Locked` fails where the limit forbids it; the caller may then say `Pageable`.
    pub residence: Residence,
}

impl Default for RingOptions {
    fn default() -> Self {
        Self { media_bytes: 64 << 20, signalling_bytes: 4 << 20, residence: Residence::Locked }
    }
}

/// Everything for a [`Line`](crate::line::Line).
#[derive(Debug, Clone)]
pub struct LineOptions {
    pub steering: SteeringOptions,
    pub rings: RingOptions,
    pub drain: DrainOptions,
}

impl LineOptions {
    /// The defaults for a data folder.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            steering: SteeringOptions { sip_ports: vec![5060], ..SteeringOptions::default() },
            rings: RingOptions::default(),
            drain: DrainOptions::new(data_dir),
        }
    }
}
