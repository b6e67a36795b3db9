//! Every bound of control, in one place (S10).

/// Longest body of a command.
pub const BODY_BYTES_MAX: usize = 4096;
/// Longest feature code.
pub const CODE_KEYS_MAX: usize = 16;
/// Calls and parties whose keys are followed; past it, who pressed none for longest is forgotten.
pub const KEYPADS_MAX: usize = 65_536;
/// Keys of a code follow each other within this.
pub const KEY_PAUSE_NS: u64 = 4_000_000_000;
/// An event of which so long nothing came is over, though its end was not seen: three packets would have been due
/// (RFC 4733 section 2.5.1.2 has one every 50 ms).
pub const EVENT_SILENCE_NS: u64 = 150_000_000;
/// The same command of the same party, by another way or seen at another hop, within this is one.
pub const REPEATED_NS: u64 = 1_500_000_000;
/// Commands that are remembered so that their repetitions are known.
pub const RECENT_MAX: usize = 1024;
/// Session ids that are known; past it those of calls to come are not.
pub const SESSIONS_MAX: usize = 1 << 18;
/// Session ids of one call: of each of its legs there may be a few.
pub const SESSIONS_PER_CALL_MAX: usize = 64;
/// Longest session id.
pub const SESSION_BYTES_MAX: usize = 256;
/// Calls to a feature code that are remembered, so that their further messages are no call.
pub const DIALLED_MAX: usize = 1024;
/// Silence kept around a key: what a detector needs to be sure of it.
pub const KEY_MARGIN_NS: u64 = 60_000_000;

const _: () = assert!(SESSIONS_PER_CALL_MAX >= crate::call::limits::INVITES_MAX);
const _: () = assert!(CODE_KEYS_MAX < u8::MAX as usize);
