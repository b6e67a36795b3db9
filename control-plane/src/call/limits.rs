//! Every bound of call tracking, in one place (S10).

/// Announcements kept for one address: the call that has it, and those whose last packets may still come.
pub const BINDINGS_PER_ENDPOINT_MAX: usize = 16;
/// Flows of one call; past that new ones are counted and left out.
pub const FLOWS_PER_CALL_MAX: usize = 64;
/// SSRCs of one flow.
pub const STREAMS_PER_CALL_MAX: usize = 128;
/// Addresses that one call may announce.
pub const ENDPOINTS_PER_CALL_MAX: usize = 64;
/// Addresses of peers behind address translation that one call may have.
pub const ALIASES_PER_CALL_MAX: usize = 8;
/// Gaps noted for one call.
pub const GAPS_MAX: usize = 256;
/// Events of a call's trace; the last says that there were more.
pub const TRACE_EVENTS_MAX: usize = 256;
/// Digits kept of a call.
pub const DIGITS_MAX: usize = 1024;
/// SIP messages of one call whose places are kept.
pub const SIGNALLING_MAX: usize = 4096;
/// SIP hops of one call that are told apart.
pub const HOPS_MAX: usize = 8;
/// Recordings of one call: it may be stopped and started again.
pub const TAKES_PER_CALL_MAX: usize = 64;
/// Pauses, masks and hidden keys of one call.
pub const SPANS_PER_CALL_MAX: usize = 1024;
/// Legs of one call.
pub const LEGS_MAX: usize = 32;

const _: () = assert!(HOPS_MAX <= u8::MAX as usize);
const _: () = assert!(FLOWS_PER_CALL_MAX <= STREAMS_PER_CALL_MAX);
