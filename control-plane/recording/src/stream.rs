//! The media of one call as it is handed to the renderer.
//!
//! The caller of this crate has bound each stream to the call and to a side (CALL-3); foreign and
//! spoofed streams are not among them. Ordering, duplicates and restarts are our work.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;

use earwitness_codec::CodecSpec;
use serde::Serialize;

/// Who spoke. The caller is always the left channel, the callee the right one (REC-1).
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Caller,
    Callee,
}

impl Side {
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Caller => 0,
            Self::Callee => 1,
        }
    }
}

/// One SSRC between two addresses.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    pub src: SocketAddr,
    pub dst: SocketAddr,
    pub ssrc: u32,
}

impl fmt::Display for StreamKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} > {} ssrc 0x{:08x}", self.src, self.dst, self.ssrc)
    }
}

/// What a payload type number meant, and when. A later entry of the same number that also covers
/// the moment wins, so that SDP may be appended as it is seen.
#[derive(Clone, Debug)]
pub struct PayloadType {
    pub number: u8,
    pub codec: CodecSpec,
    /// First arrival for which this holds; 0 for always.
    pub from_ns: u64,
    /// First arrival for which it no longer holds; `None` for as long as the stream lasts.
    pub until_ns: Option<u64>,
}

impl PayloadType {
    /// A mapping that holds for the whole stream.
    pub fn always(number: u8, codec: CodecSpec) -> Self {
        Self { number, codec, from_ns: 0, until_ns: None }
    }

    pub(crate) fn covers(&self, number: u8, arrival_ns: u64) -> bool {
        self.number == number
            && self.from_ns <= arrival_ns
            && self.until_ns.is_none_or(|until_ns| arrival_ns < until_ns)
    }
}

/// One captured datagram.
#[derive(Copy, Clone, Debug)]
pub struct MediaPacket<'a> {
    /// Arrival at the tap, nanoseconds since the epoch.
    pub arrival_ns: u64,
    /// UDP payload: the whole RTP packet, already decrypted.
    pub payload: &'a [u8],
}

/// Why a packet could not be handed over.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// This packet is gone (a corrupt block, a failed authentication). It is counted as unreadable
    /// and rendering goes on.
    #[error("packet {index} is unreadable")]
    Unreadable {
        index: usize,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The source as a whole failed; rendering ends with [`crate::RenderError::Source`].
    #[error("packet source failed at packet {index}")]
    Failed {
        index: usize,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// The packets of one stream, by position in order of arrival.
///
/// Read two times from front to back, the second time with small steps back where packets were
/// reordered. The closure lets the bytes stay where they are (a mapped segment, a scratch buffer
/// of the decryption). Between the two passes the content must not change.
pub trait PacketSource {
    /// How many packets there are. May grow after a render has begun; the first answer counts.
    fn count(&self) -> usize;

    /// Hands packet `index` (below the count) to `visit`, exactly once.
    fn read(&self, index: usize, visit: &mut dyn FnMut(MediaPacket<'_>))
    -> Result<(), SourceError>;
}

/// For tests and small captures: packets that are in memory.
impl PacketSource for Vec<(u64, Vec<u8>)> {
    fn count(&self) -> usize {
        self.len()
    }

    fn read(
        &self,
        index: usize,
        visit: &mut dyn FnMut(MediaPacket<'_>),
    ) -> Result<(), SourceError> {
        let (arrival_ns, payload) = &self[index];
        visit(MediaPacket { arrival_ns: *arrival_ns, payload });
        Ok(())
    }
}

/// One stream of the call.
#[derive(Copy, Clone)]
pub struct StreamInput<'a> {
    pub side: Side,
    pub key: StreamKey,
    pub payload_types: &'a [PayloadType],
    /// Where two streams of one side talk at the same time the higher priority is heard; between
    /// equals the one that began later. They are never mixed: what was not heard is not recorded.
    pub priority: i32,
    pub packets: &'a dyn PacketSource,
}

impl fmt::Debug for StreamInput<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("StreamInput")
            .field("side", &self.side)
            .field("key", &self.key)
            .field("priority", &self.priority)
            .field("packets", &self.packets.count())
            .finish_non_exhaustive()
    }
}
