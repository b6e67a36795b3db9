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
/// The same digit on another leg within this is the same one.
pub const PASSED_ON_NS: u64 = 1_500_000_000;
/// Digits kept of a call.
pub const DIGITS_MAX: usize = 1024;
/// SIP messages of one call whose places are kept.
pub const SIGNALLING_MAX: usize = 4096;
/// SIP hops of one INVITE that are told apart.
pub const HOPS_MAX: usize = 8;
/// Recordings of one call: it may be stopped and started again.
pub const TAKES_PER_CALL_MAX: usize = 64;
/// Pauses, masks and hidden keys of one call.
pub const SPANS_PER_CALL_MAX: usize = 1024;
/// INVITEs of one call; a further one is a call of its own.
pub const INVITES_MAX: usize = 32;
/// Legs of one call.
pub const LEGS_MAX: usize = 64;
/// Who spoke with whom, of one call.
pub const TOGETHER_MAX: usize = 64;
/// Stretches of one call that some of its legs lack.
pub const UNRECORDED_MAX: usize = 256;
/// Stretches on hold of one call.
pub const HOLDS_MAX: usize = 128;
/// Addresses that messages of one INVITE name as their parties'.
pub const IDENTITIES_MAX: usize = 24;
/// Bytes of such an address; a longer one is passed over.
pub const ADDRESS_BYTES_MAX: usize = 256;
/// INVITEs of which one value of a header, or one pair of numbers, is remembered.
pub const HOLDERS_MAX: usize = 4;
/// Voices that a mixer has put into one flow, as far as they are remembered.
pub const VOICES_MAX: usize = 16;
/// Values that one INVITE may be found by.
pub const KEYS_PER_INVITE_MAX: usize = 12;
/// Transfers that were asked for and have not come about, of all calls.
pub const TRANSFERS_MAX: usize = 16_384;
/// Transfers to one number of these.
pub const TRANSFERS_PER_TARGET_MAX: usize = 64;
/// Devices that are registered, of all addresses of record.
pub const REGISTRATIONS_MAX: usize = 1 << 17;
/// Devices of one address of record.
pub const DEVICES_PER_RECORD_MAX: usize = 16;
/// Addresses of record of one place: a gateway has many, and nobody can tell who calls from there.
pub const RECORDS_PER_PLACE_MAX: usize = 256;
/// REGISTERs that are not answered.
pub const REGISTERS_MAX: usize = 16_384;
/// Whom a call came through, as the policies are told.
pub const THROUGH_MAX: usize = 64;

const _: () = assert!(HOPS_MAX * INVITES_MAX <= 1 << u8::BITS);
const _: () = assert!(LEGS_MAX <= u8::MAX as usize && INVITES_MAX <= LEGS_MAX);
const _: () = assert!(FLOWS_PER_CALL_MAX <= STREAMS_PER_CALL_MAX);
const _: () = assert!(HOPS_MAX == earwitness_voip::limits::HOPS_MAX);
