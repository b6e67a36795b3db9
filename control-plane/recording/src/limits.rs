//! Every bound of this crate (S10), and what keeps them consistent.

pub const NS_PER_S: u64 = 1_000_000_000;
pub const NS_PER_MS: u64 = 1_000_000;

/// Longest recording; past it the render is refused, for its arrival times cannot be true.
pub const RECORDING_NS_MAX: u64 = 7 * 24 * 3_600 * NS_PER_S;

/// Streams of one call; a call has a handful, forking and transfers included.
pub const STREAMS_MAX: usize = 1_024;

/// A packet may come this long after one that was sent later, and is still put in its place.
pub const REORDER_NS_MAX: u64 = 10 * NS_PER_S;
/// Packets of one stream whose order is remembered from the first pass to the second: five minutes, 800 KB. That of
/// longer ones is found again.
pub const SLOTS_KEPT_MAX: usize = 1 << 14;
/// Packets held back while waiting for one that is missing.
pub const REORDER_PACKETS_MAX: usize = 1_024;

/// RFC 3550 A.1, MAX_DROPOUT: a larger step forward is a new sequence, not loss.
pub const SEQUENCE_DROPOUT_MAX: u16 = 3_000;
/// RFC 3550 A.1, MAX_MISORDER, wider because nothing is played in real time here.
pub const SEQUENCE_MISORDER_MAX: u16 = 1_000;
/// Two packets of a new sequence must be this close to confirm each other.
pub const SEQUENCE_CONFIRM_MAX: u16 = 16;
/// A held packet waits for its confirmation over this many packets of the old sequence.
pub const SEQUENCE_PATIENCE: u8 = 4;

/// Runs of one stream; hostile timestamps make runs, and each costs memory.
pub const RUNS_MAX: usize = 4_096;
/// Runs of one stream that are rendered at the same time.
pub const VOICES_MAX: usize = 16;
/// Audio that one packet may claim; the longest real one is Opus with 120 ms.
pub const PACKET_NS_MAX: u64 = 500 * NS_PER_MS;
/// Entries of the gap ledger and the digits of one stream; later ones are only counted.
pub const GAPS_MAX: usize = 10_000;
pub const DIGITS_MAX: usize = 10_000;
/// Telephone events whose beginning is remembered.
pub const EVENTS_OPEN_MAX: usize = 16;
/// Meanings of payload types of one stream; the newest count.
pub const CODECS_MAX: usize = 200;
/// Payloads of one run that wait for their decoder, and their bytes.
pub const PIECES_MAX: usize = 1_024;
pub const STORE_BYTES_MAX: usize = 1 << 20;

/// Arrival pause after which the timeline asks whether the sender's clock stood still.
pub const PAUSE_NS: u64 = 150 * NS_PER_MS;
/// Level change over a pause that is no jitter: the run ends and a new one is anchored.
pub const PAUSE_SHIFT_NS: i64 = 40 * NS_PER_MS as i64;
/// Timestamp against arrival, without a pause.
pub const JUMP_NS: i64 = 500 * NS_PER_MS as i64;
/// How far transit may fall while a run has no reference yet: a burst after a stall.
pub const YOUNG_FALL_NS: i64 = 2 * NS_PER_S as i64;
/// Packets and time that make a level trustworthy.
pub const TRIAL_PACKETS: u32 = 16;
pub const TRIAL_NS: u64 = NS_PER_S;

/// Transit minima are taken over windows of this length.
pub const WINDOW_NS: u64 = 10 * NS_PER_S;
/// A stretch without packets that ends a spell: another stream may be heard in it.
pub const SPELL_NS: u64 = NS_PER_S;

/// Clock drift below this is left alone.
pub const DRIFT_NS_MIN: f64 = 20e6;
/// Shortest run in which drift is measured.
pub const DRIFT_RUN_NS_MIN: u64 = 60 * NS_PER_S;
/// No sound card is worse; what is steeper is not drift.
pub const DRIFT_PPM_MAX: f64 = 1_000.0;
/// Drift is a line within a block of this length.
pub const DRIFT_BLOCK_NS: u64 = 1_800 * NS_PER_S;

/// Loss is concealed for this long, fading, then silence.
pub const CONCEAL_MS: u32 = 60;
/// Of that, at full level.
pub const CONCEAL_FULL_MS: u32 = 10;

/// Frames that are rendered at a time.
pub const CHUNK_MS: u32 = 2_000;
/// Runs of one stream may overlap this much without losing their heads.
pub const OVERLAP_MS: u32 = 1_000;

/// An encoded recording that is kept in memory until it is whole; an hour of stereo MP3 is 29 MB.
pub const SPOOL_BYTES_MAX: usize = 256 << 20;

/// Parties in file names, bytes each.
pub const NAME_PART_BYTES_MAX: usize = 48;

/// Rates of codecs and recordings, rising; others would need filters of any size.
pub const SAMPLE_RATES: [u32; 9] =
    [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

const _: () = {
    assert!(SEQUENCE_CONFIRM_MAX < SEQUENCE_MISORDER_MAX);
    assert!(SEQUENCE_MISORDER_MAX as usize <= REORDER_PACKETS_MAX);
    assert!((SEQUENCE_DROPOUT_MAX as u32 + SEQUENCE_MISORDER_MAX as u32) < 0x1_0000);
    assert!(PAUSE_SHIFT_NS < JUMP_NS && JUMP_NS < YOUNG_FALL_NS);
    assert!(TRIAL_NS < WINDOW_NS && WINDOW_NS < DRIFT_RUN_NS_MIN);
    assert!(DRIFT_RUN_NS_MIN < DRIFT_BLOCK_NS);
    assert!(CONCEAL_FULL_MS < CONCEAL_MS && CONCEAL_MS < CHUNK_MS);
    assert!(OVERLAP_MS as u64 * NS_PER_MS >= 2 * PACKET_NS_MAX);
    assert!(JUMP_NS as u64 <= OVERLAP_MS as u64 * NS_PER_MS);
    let mut at = 1;
    while at < SAMPLE_RATES.len() {
        assert!(SAMPLE_RATES[at - 1] < SAMPLE_RATES[at]);
        at += 1;
    }
};
