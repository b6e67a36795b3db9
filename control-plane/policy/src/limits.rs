//! Every bound of policies, in one place (S10).

/// Faults of a set that are named; past that only their number.
pub const FAULTS_MAX: usize = 200;
/// Characters of an id, a name, an identity, a label.
pub const TEXT_CHARACTERS_MAX: usize = 256;
/// Characters of a `url`.
pub const URL_CHARACTERS_MAX: usize = 2048;
/// Longest recording and longest `record_min_sec`, in seconds: a week.
pub const SECONDS_MAX: u32 = 604_800;
/// 001: a recording that a call flow starts is no longer than that, unless it says so.
pub const CALLFLOW_TIME_LIMIT_S: u32 = 3600;
/// Characters of a feature code.
pub const CODE_CHARACTERS_MAX: usize = 16;
/// Digits of a number, with its `+`: E.164 has 15, with room for extensions and carrier codes.
pub const NUMBER_BYTES_MAX: usize = 32;
/// A number of so many digits is one of the public network, whatever is in front of it.
pub const PUBLIC_DIGITS_MIN: usize = 7;
/// Tenants that one call can concern: of the caller, of the callee, of the trunk.
pub const TENANTS_PER_CALL_MAX: usize = 3;

const _: () = assert!(PUBLIC_DIGITS_MIN < NUMBER_BYTES_MAX);
