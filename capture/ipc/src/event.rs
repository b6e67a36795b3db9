//! What capture tells the control plane.

use std::fmt;

use earwitness_segment::{LaneId, LaneKind};
use earwitness_wire::Endpoint;
use serde::{Deserialize, Serialize};

use crate::CaptureStats;
use crate::limits::TEXT_BYTES_MAX;

#[derive(Clone, Eq, PartialEq, Debug, Serialize, Deserialize)]
pub enum Event {
    /// Answers the command of the same name.
    Hello {
        version: u16,
        pid: u32,
        /// SHA-256 of the configuration that capture runs with.
        config_digest: [u8; 32],
        sources: Vec<SourceInfo>,
        lanes: Vec<LaneInfo>,
    },
    /// Undecided flows whose first packet entered the ring.
    FlowsSeen(Vec<FlowSeen>),
    /// Media that is masked, as far as there may be keys in it: what it carries is in no file.
    Overheard(Vec<Overheard>),
    /// Payloads were overwritten, durably.
    Erased(Vec<Erased>),
    /// The counters of one source.
    Stats(Box<CaptureStats>),
    Error {
        fault: Fault,
        /// For people; at most `limits::TEXT_BYTES_MAX` bytes.
        text: String,
    },
}

impl Event {
    /// An `Error` whose text fits.
    pub fn error(fault: Fault, text: &str) -> Self {
        let end = text.floor_char_boundary(TEXT_BYTES_MAX);
        Self::Error { fault, text: text[..end].to_owned() }
    }
}

/// Where packets come from and how.
#[derive(Clone, Eq, PartialEq, Debug, Serialize, Deserialize)]
pub struct SourceInfo {
    /// Interface, or file.
    pub interface: String,
    /// Its number in records and counters.
    pub source: u8,
    pub mode: SourceMode,
    /// Why this mode and none better.
    pub reason: String,
}

#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug, Serialize, Deserialize)]
pub enum SourceMode {
    /// The XDP program in the driver copies into per-core BPF ring buffers.
    BpfRing,
    /// The same, the program run by the kernel behind the driver.
    BpfRingGeneric,
    AfXdpZeroCopy,
    AfXdpCopy,
    AfXdpGeneric,
    /// `TPACKET_V3`.
    AfPacket,
    Pcap,
}

impl SourceMode {
    /// The name that configuration, metrics and logs use.
    pub fn name(self) -> &'static str {
        match self {
            Self::BpfRing => "bpf_ring",
            Self::BpfRingGeneric => "bpf_ring_generic",
            Self::AfXdpZeroCopy => "af_xdp_zero_copy",
            Self::AfXdpCopy => "af_xdp_copy",
            Self::AfXdpGeneric => "af_xdp_generic",
            Self::AfPacket => "af_packet",
            Self::Pcap => "pcap",
        }
    }
}

impl fmt::Display for SourceMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A lane that capture writes.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug, Serialize, Deserialize)]
pub struct LaneInfo {
    #[serde(with = "lane_id")]
    pub lane: LaneId,
    #[serde(with = "lane_kind")]
    pub kind: LaneKind,
}

#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug, Serialize, Deserialize)]
pub struct FlowSeen {
    pub src: Endpoint,
    pub dst: Endpoint,
    pub ts_ns: u64,
    /// Where it looks like RTP.
    pub ssrc: Option<u32>,
}

/// A short packet of masked media.
#[derive(Clone, Eq, PartialEq, Hash, Debug, Serialize, Deserialize)]
pub struct Overheard {
    pub src: Endpoint,
    pub dst: Endpoint,
    pub ts_ns: u64,
    /// The UDP payload.
    pub payload: Vec<u8>,
}

/// An erasure that is done.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug, Serialize, Deserialize)]
pub struct Erased {
    pub number: u64,
    /// How many records had been written with their payload.
    pub records: u64,
}

/// What went wrong in capture, as far as the control plane can act on it.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug, Serialize, Deserialize)]
pub enum Fault {
    /// The other side speaks another version.
    Version,
    /// The other side runs with another configuration.
    Config,
    /// A message could not be read.
    Malformed,
    /// A segment could not be made or synced; what is lost is counted as `disk`.
    Disk,
    /// A source ended or could not be attached.
    Source,
    /// `Release` named a segment that cannot be released.
    Release,
    /// A payload that must go could not be overwritten yet.
    Erase,
    /// A table is full and gave its oldest entries up.
    TableFull,
}

mod lane_id {
    use earwitness_segment::LaneId;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(lane: &LaneId, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u16(lane.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<LaneId, D::Error> {
        u16::deserialize(from).map(LaneId)
    }
}

mod lane_kind {
    use earwitness_segment::LaneKind;
    use serde::de::{Error, Unexpected};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(kind: &LaneKind, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(*kind as u8)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<LaneKind, D::Error> {
        let byte = u8::deserialize(from)?;
        LaneKind::from_u8(byte).ok_or_else(|| {
            D::Error::invalid_value(Unexpected::Unsigned(byte.into()), &"a kind of lane")
        })
    }
}
