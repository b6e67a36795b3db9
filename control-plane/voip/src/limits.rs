//! Every bound of this crate (S10) in one place, with the relations between them checked at compile time.

/// Headers of one SIP message; a longer list is an error.
pub const SIP_HEADERS_MAX: usize = 256;
/// Headers kept without allocation: more than nearly every message has.
pub const SIP_HEADERS_INLINE: usize = 32;
/// Bytes of one SIP message. UDP cannot carry more; streams are cut here.
pub const SIP_MESSAGE_BYTES_MAX: usize = 65_536;
/// Parts of one multipart body that are looked at.
pub const SIP_BODY_PARTS_MAX: usize = 16;

const _: () = assert!(SIP_HEADERS_INLINE < SIP_HEADERS_MAX);
const _: () = assert!(SIP_HEADERS_MAX <= u16::MAX as usize);
const _: () = assert!(SIP_MESSAGE_BYTES_MAX < u32::MAX as usize);

/// Bytes of one session description; an offer of a browser with many candidates stays far below.
pub const SDP_BYTES_MAX: usize = 65_536;
/// Media descriptions of one session.
pub const SDP_MEDIA_MAX: usize = 64;
/// Payload types of one media description: as many as there are numbers.
pub const SDP_PAYLOAD_TYPES_MAX: usize = 128;
/// Repeated attributes (candidates, keys, SSRCs, groups) kept of one media description or session.
pub const SDP_REPEATED_MAX: usize = 64;

const _: () = assert!(SDP_MEDIA_MAX <= u16::MAX as usize);

/// Legs that are followed at once; past it the leg that was silent longest is given up, with an event.
pub const LEGS_MAX: usize = 131_072;
/// Dialogs of one INVITE: forks past it are not followed.
pub const FORKS_MAX: usize = 16;
/// Places at which the messages of one leg are seen (before and behind each proxy).
pub const HOPS_MAX: usize = 8;
/// Messages remembered per leg, to know those that come again.
pub const RECENT_MESSAGES_MAX: usize = 64;
/// Legs with the same Call-ID: past it the oldest of them is given up.
pub const LEGS_PER_CALL_ID_MAX: usize = 32;

const _: () = assert!(LEGS_PER_CALL_ID_MAX < LEGS_MAX);
const _: () = assert!(FORKS_MAX <= u8::MAX as usize);
const _: () = assert!(HOPS_MAX <= u8::MAX as usize);

/// Bytes that a stream is searched for the end of a start line before it is taken for something else.
pub const SIP_START_LINE_BYTES_MAX: usize = 8_192;
/// Bytes that a framer holds: one whole message and one segment behind it.
pub const FRAMER_BYTES_MAX: usize = 2 * SIP_MESSAGE_BYTES_MAX;
/// Bytes of one direction of a connection that wait for a hole to close.
pub const TCP_PENDING_BYTES_MAX: usize = 65_536;
/// Segments of one direction that wait for a hole to close.
pub const TCP_PENDING_SEGMENTS_MAX: usize = 64;
/// How far a sequence number may be from the expected one and still belong to the same connection: the
/// largest window that RFC 7323 section 2.3 allows is 1 GiB; signalling never has that in flight.
pub const TCP_WINDOW_BYTES_MAX: u32 = 1 << 24;
/// Directions of connections that are followed at once; past it the one silent longest is given up.
pub const TCP_STREAMS_MAX: usize = 65_536;
/// Bytes that all directions together may hold; past it the one silent longest is given up.
pub const TCP_BYTES_MAX: usize = 256 << 20;
/// Bytes of an HTTP head that may open a WebSocket.
pub const HTTP_HEAD_BYTES_MAX: usize = 16_384;
/// Bytes of one WebSocket message: one SIP message (RFC 7118 section 5).
pub const WEBSOCKET_MESSAGE_BYTES_MAX: usize = SIP_MESSAGE_BYTES_MAX;

const _: () = assert!(SIP_START_LINE_BYTES_MAX < SIP_MESSAGE_BYTES_MAX);
const _: () = assert!(TCP_PENDING_BYTES_MAX < TCP_WINDOW_BYTES_MAX as usize);
const _: () = assert!(TCP_BYTES_MAX > FRAMER_BYTES_MAX + TCP_PENDING_BYTES_MAX);
/// Bytes at the start of a stream that are looked at to say what it carries.
pub const STREAM_PROBE_BYTES_MAX: usize = HTTP_HEAD_BYTES_MAX;
/// Sequence numbers behind the highest one for which it is known whether they came: 20 s of 20 ms packets.
/// Older ones are late.
pub const RTP_WINDOW_PACKETS: usize = 1_024;
/// A jump ahead past this is a restart, not loss (RFC 3550 appendix A.1).
pub const RTP_DROPOUT_MAX: u16 = 3_000;
/// A jump back past this is a restart, not reordering (RFC 3550 appendix A.1; there 100).
pub const RTP_MISORDER_MAX: u16 = RTP_WINDOW_PACKETS as u16;
/// Report blocks, chunks or sub-blocks of one RTCP packet that are read; its count field has five bits.
pub const RTCP_BLOCKS_MAX: usize = 31;
/// Telephone events of one packet that are read.
pub const DTMF_EVENTS_PER_PACKET_MAX: usize = 16;
/// Finished telephone events that are remembered, to know their packets when they come again.
pub const DTMF_RECENT_MAX: usize = 8;

const _: () = assert!(RTP_WINDOW_PACKETS.is_multiple_of(64));
const _: () = assert!(RTP_WINDOW_PACKETS < 1 << 15);
