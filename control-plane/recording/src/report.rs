//! What a render found: counts, quality, gaps. Part of the sidecar and of the catalog's row.

use serde::Serialize;

use crate::stream::Side;

/// The whole recording.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RenderReport {
    /// Time of the first frame, nanoseconds since the epoch.
    pub start_ns: u64,
    /// Time after the last frame.
    pub end_ns: u64,
    pub duration_ms: u64,
    /// Samples of each channel.
    pub frames: u64,
    pub sample_rate: u32,
    pub channels: u8,
    /// Codecs heard, as in SDP (`PCMU/8000`), by first appearance.
    pub codecs: Vec<String>,
    pub packets: PacketTotals,
    /// The worst stream's MOS (ITU-T G.107), of those with a second of audio at least.
    pub mos: Option<f64>,
    /// DTMF by RFC 4733, in order of time.
    pub digits: Vec<Digit>,
    /// Loss, by side, in order of time.
    pub gaps: Vec<Gap>,
    /// One for each stream given, in the same order.
    pub streams: Vec<StreamReport>,
}

/// Packet counts; of a stream, or summed over the call.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PacketTotals {
    /// Packets offered, duplicates included.
    pub received: u64,
    /// Sent, by sequence number, and never seen.
    pub lost: u64,
    pub duplicate: u64,
    /// Arrived after their place in time had long passed, too late to be used.
    pub late: u64,
    /// Arrived after a packet that was sent later, and put back in order.
    pub reordered: u64,
    /// Single packets that fit no sequence.
    pub stray: u64,
    /// Not RTP of this SSRC.
    pub malformed: u64,
    /// The source could not hand them over.
    pub unreadable: u64,
    /// Of a payload type that no SDP explained, or of a codec that could not be decoded.
    pub undecodable: u64,
}

impl PacketTotals {
    pub(crate) fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.lost += other.lost;
        self.duplicate += other.duplicate;
        self.late += other.late;
        self.reordered += other.reordered;
        self.stray += other.stray;
        self.malformed += other.malformed;
        self.unreadable += other.unreadable;
        self.undecodable += other.undecodable;
    }
}

/// One stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StreamReport {
    pub side: Side,
    pub src: String,
    pub dst: String,
    pub ssrc: u32,
    pub first_arrival_ns: Option<u64>,
    pub last_arrival_ns: Option<u64>,
    pub packets: PacketTotals,
    /// RFC 3550 6.4.1, mean over the stream.
    pub jitter_ms: f64,
    pub jitter_max_ms: f64,
    pub mos: Option<f64>,
    /// Codecs heard, by first appearance.
    pub codecs: Vec<CodecUse>,
    /// Audio that loss concealment made up.
    pub concealed_ms: u64,
    /// Times that its timestamps were tied to the tap's clock anew: restarts, jumps, clocks that
    /// stood still.
    pub restarts: u32,
    /// Sender's clock against the tap's, where it was measured and corrected.
    pub drift_ppm: Option<f64>,
}

/// How much of a stream one codec was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CodecUse {
    /// As in SDP: `opus/48000/2`; `payload type 97` where nothing explained it.
    pub name: String,
    pub payload_type: u8,
    pub packets: u64,
    /// Of those, how many became silence because they could not be decoded.
    pub undecodable: u64,
}

/// A key pressed (RFC 4733).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Digit {
    pub side: Side,
    pub digit: char,
    /// Place on the recording's time line.
    pub at_ns: u64,
    pub duration_ms: u32,
}

/// Packets that were sent and never seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    pub side: Side,
    pub ssrc: u32,
    pub from_ns: u64,
    pub until_ns: u64,
    pub packets: u64,
}
