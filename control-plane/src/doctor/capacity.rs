//! What so many packets a second take: memory, disk, cores. Arithmetic only; `perf/CAPACITY.md` shows it step by step,
//! and the tests hold that page to it.
//!
//! Two sizes are not this crate's to define, since it must not know the XDP program: they are repeated here, and a test
//! compares them with `earwitness-abi`.

use earwitness_codec::sink::{MP3_KBPS_PER_CHANNEL, OPUS_KBPS_PER_CHANNEL};
use earwitness_line::limits::{LINE_FREE_DIVISOR, VERDICTS_MAX};
use earwitness_segment::limits::{
    BLOCK_BYTES_DEFAULT, BLOCK_HEADER_BYTES, RECORD_ALIGN, RECORD_HEADER_BYTES,
};

use super::costs;
use crate::config::{FileFormat, RING_MIB_MAX};

/// G.711 of 20 ms over Ethernet and IPv4: 14 + 20 + 8 + 12 + 160.
pub const G711_FRAME_BYTES: u64 = 214;
/// Preamble 8, checksum 4, gap 12: what a frame takes on the line beside its bytes (IEEE 802.3).
pub const LINE_OVERHEAD_BYTES: u64 = 24;
/// Both sides, 50 packets of 20 ms each. RTCP adds a packet for each 250 of them.
pub const PACKETS_A_CALL: u64 = 100;

/// What stands before a frame in a BPF ring.
const RING_HEADER_BYTES: u64 = 40;
/// Longer frames are cut to this.
const RING_FRAME_BYTES_MAX: u64 = 9600;
/// RTP and RTCP of both sides.
const DESTINATIONS_A_CALL: u64 = 4;
/// Calls for which there is room in the table of verdicts.
pub const CALLS_MAX: u64 = VERDICTS_MAX as u64 / DESTINATIONS_A_CALL;

/// 8,000 samples of 16 bits, of two channels.
const WAV_BYTES_S: u64 = 8_000 * 2 * 2;
const CHANNELS: u64 = 2;
const MIB: u64 = 1 << 20;
const NS_A_SECOND: u64 = 1_000_000_000;
const SECONDS_A_DAY: u64 = 86_400;

/// Packets of calls, all of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    pub packets_s: u64,
    /// Of a frame, from its first address to its last byte of payload.
    pub frame_bytes: u64,
}

/// What a delay line has: as many rings as there are queues to fill them, of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rings {
    pub count: u64,
    /// Of each.
    pub mib: u64,
}

/// Thousandths of a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MilliCores(pub u64);

/// Processor time that a load takes, by who takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cores {
    pub kernel: MilliCores,
    pub capture: MilliCores,
    /// From the log to finished recordings.
    pub control: MilliCores,
}

impl Load {
    /// As many frames as a link of this speed can carry, and nothing else on it.
    #[must_use]
    pub const fn line_rate(mbit_s: u64, frame_bytes: u64) -> Self {
        let packets_s = mbit_s * 1_000_000 / 8 / (frame_bytes + LINE_OVERHEAD_BYTES);
        Self { packets_s, frame_bytes }
    }

    #[must_use]
    pub const fn of_calls(calls: u64, frame_bytes: u64) -> Self {
        Self { packets_s: calls * PACKETS_A_CALL, frame_bytes }
    }

    #[must_use]
    pub const fn calls(self) -> u64 {
        self.packets_s / PACKETS_A_CALL
    }

    /// What lies in the rings when every packet stays for `hold`. It may: room is given back in order, so that one
    /// undecided flow keeps everything that came after it.
    #[must_use]
    pub fn held_bytes(self, hold_ms: u64) -> u64 {
        self.packets_s * hold_ms / 1000 * ring_record_bytes(self.frame_bytes)
    }

    /// What the control plane keeps of these calls while they go on.
    #[must_use]
    pub const fn call_bytes(self) -> u64 {
        self.calls() * costs::CALL_BYTES
    }

    /// The size of each of `count` rings that hold that: a power of two, of which an eighth stays free.
    #[must_use]
    pub fn ring_mib(self, hold_ms: u64, count: u64) -> u64 {
        let used = self.held_bytes(hold_ms).div_ceil(count.max(1));
        let ring = used * LINE_FREE_DIVISOR / (LINE_FREE_DIVISOR - 1);
        ring.div_ceil(MIB).next_power_of_two()
    }

    /// How many rings of the largest size hold that.
    #[must_use]
    pub fn rings_least(self, hold_ms: u64) -> u64 {
        let largest = Rings { count: 1, mib: RING_MIB_MAX.into() };
        self.held_bytes(hold_ms).div_ceil(largest.usable_bytes()).max(1)
    }

    /// Receive queues that the kernel's work needs: a queue is served by one core.
    #[must_use]
    pub const fn queues_least(self) -> u64 {
        (self.packets_s * costs::KERNEL_NS).div_ceil(NS_A_SECOND)
    }

    /// What the log takes.
    #[must_use]
    pub const fn log_bytes_s(self) -> u64 {
        let record = (RECORD_HEADER_BYTES + self.frame_bytes).next_multiple_of(RECORD_ALIGN);
        let records_a_block = (BLOCK_BYTES_DEFAULT as u64 - BLOCK_HEADER_BYTES) / record;
        self.packets_s * record + self.packets_s * BLOCK_HEADER_BYTES / records_a_block
    }

    /// How many seconds of it `bytes` hold.
    #[must_use]
    pub const fn log_lasts_s(self, bytes: u64) -> u64 {
        match self.log_bytes_s() {
            0 => u64::MAX,
            a_second => bytes / a_second,
        }
    }

    /// What stereo recordings of these calls take, made as fast as the calls are held.
    #[must_use]
    pub const fn recording_bytes_s(self, format: FileFormat) -> u64 {
        self.calls() * recording_bytes_s(format)
    }

    #[must_use]
    pub const fn cores(self, format: FileFormat) -> Cores {
        let encoding_ns = match format {
            FileFormat::Wav => 0,
            FileFormat::Mp3 => costs::MP3_NS,
            FileFormat::Opus => costs::OPUS_NS,
        };
        let MilliCores(control) = cores(self.packets_s, costs::CONTROL_NS);
        let MilliCores(encoding) = cores(self.calls(), encoding_ns);
        Cores {
            kernel: cores(self.packets_s, costs::KERNEL_NS),
            capture: cores(self.packets_s, costs::PROCESS_NS),
            control: MilliCores(control + encoding),
        }
    }
}

impl Rings {
    /// Without the part of each that is kept free.
    #[must_use]
    pub const fn usable_bytes(self) -> u64 {
        let ring = self.mib.next_power_of_two() * MIB;
        self.count * (ring - ring / LINE_FREE_DIVISOR)
    }

    /// How long every packet of a load can stay, in milliseconds.
    #[must_use]
    pub fn hold_ms_max(self, load: Load) -> u64 {
        let records = self.usable_bytes() / ring_record_bytes(load.frame_bytes);
        (records * 1000).checked_div(load.packets_s).unwrap_or(u64::MAX)
    }

    /// The most packets a second that can all stay for `hold`.
    #[must_use]
    pub fn load_max(self, hold_ms: u64, frame_bytes: u64) -> Load {
        let records = self.usable_bytes() / ring_record_bytes(frame_bytes);
        let packets_s = (records * 1000).checked_div(hold_ms).unwrap_or(u64::MAX);
        Load { packets_s, frame_bytes }
    }
}

impl Cores {
    #[must_use]
    pub const fn total(self) -> MilliCores {
        MilliCores(self.kernel.0 + self.capture.0 + self.control.0)
    }
}

/// The most calls that stay within `available` of something, of which a load takes `needed`.
#[must_use]
pub fn calls_within(load: Load, needed: u64, available: u64) -> u64 {
    let calls = u128::from(load.calls()) * u128::from(available) / u128::from(needed.max(1));
    u64::try_from(calls).unwrap_or(u64::MAX).min(load.calls())
}

/// Packets a second that the thread which follows the log can read.
#[must_use]
pub const fn followed_packets_s() -> u64 {
    NS_A_SECOND / costs::FOLLOW_NS
}

#[must_use]
pub const fn a_day(bytes_s: u64) -> u64 {
    bytes_s * SECONDS_A_DAY
}

/// Bytes of a frame in a BPF ring, on words. Frames longer than any record are cut.
#[must_use]
pub fn ring_record_bytes(frame_bytes: u64) -> u64 {
    (RING_HEADER_BYTES + frame_bytes.min(RING_FRAME_BYTES_MAX)).next_multiple_of(8)
}

/// Of one call, stereo, of a codec with 8,000 samples a second.
#[must_use]
pub const fn recording_bytes_s(format: FileFormat) -> u64 {
    let kbit_s = match format {
        FileFormat::Wav => return WAV_BYTES_S,
        FileFormat::Mp3 => MP3_KBPS_PER_CHANNEL,
        FileFormat::Opus => OPUS_KBPS_PER_CHANNEL,
    };
    kbit_s as u64 * CHANNELS * 1000 / 8
}

const fn cores(items_s: u64, ns: u64) -> MilliCores {
    MilliCores((items_s * ns).div_ceil(NS_A_SECOND / 1000))
}

#[cfg(test)]
mod document;

#[cfg(test)]
mod tests {
    use earwitness_abi::limits::FRAME_BYTES_MAX;
    use earwitness_abi::ring::record_bytes;

    use super::*;

    const TEN: Load = Load::line_rate(10_000, G711_FRAME_BYTES);

    /// OPS-3: what a ring's record is, the program decides.
    #[test]
    fn records_are_the_programs() {
        for frame_bytes in [64, 214, 241, FRAME_BYTES_MAX] {
            let record = u64::from(record_bytes(frame_bytes));
            assert_eq!(ring_record_bytes(frame_bytes.into()), record, "{frame_bytes}");
        }
        assert_eq!(ring_record_bytes(G711_FRAME_BYTES), 256);
        assert_eq!(ring_record_bytes(20_000), ring_record_bytes(FRAME_BYTES_MAX.into()));
    }

    /// OPS-3: the link, the calls on it, and what they leave on disk.
    #[test]
    fn ten_gigabits_of_g711() {
        assert_eq!((TEN.packets_s, TEN.calls()), (5_252_100, 52_521));
        assert_eq!(Load::of_calls(52_521, G711_FRAME_BYTES), TEN);
        // 255 records of 256 bytes and a header of 64 fill a block.
        assert_eq!(TEN.log_bytes_s(), 5_252_100 * 256 + 5_252_100 * 64 / 255);
        assert_eq!(TEN.log_lasts_s(16_384 << 20), 12);
        assert_eq!(TEN.recording_bytes_s(FileFormat::Wav), 52_521 * 32_000);
        assert_eq!(TEN.recording_bytes_s(FileFormat::Mp3), 52_521 * 8_000);
        assert_eq!(TEN.recording_bytes_s(FileFormat::Opus), 52_521 * 6_000);
    }

    /// OPS-3: rings of the size that is asked for hold what they are to hold, and half of them do not.
    #[test]
    fn rings_hold_what_they_were_sized_for() {
        for mbit_s in [100, 1_000, 2_500, 10_000, 25_000, 40_000, 100_000] {
            for hold_ms in [1, 200, 2_000, 60_000] {
                for count in [1, 2, 8, 64] {
                    let load = Load::line_rate(mbit_s, G711_FRAME_BYTES);
                    let rings = Rings { count, mib: load.ring_mib(hold_ms, count) };
                    assert!(rings.usable_bytes() >= load.held_bytes(hold_ms), "{load:?} {rings:?}");
                    assert!(rings.hold_ms_max(load) + 1 >= hold_ms, "{load:?} {rings:?}");
                    let half = Rings { mib: rings.mib / 2, ..rings };
                    let too_small = half.mib > 0 && half.hold_ms_max(load) >= hold_ms;
                    assert!(!too_small, "{load:?} {half:?}");
                    let most = rings.load_max(hold_ms, G711_FRAME_BYTES);
                    assert!(most.held_bytes(hold_ms) <= rings.usable_bytes(), "{most:?} {rings:?}");
                }
            }
        }
        assert_eq!(TEN.held_bytes(2_000), 10_504_200 * 256);
        assert_eq!(TEN.rings_least(2_000), 2);
    }

    /// OPS-3: cores are rounded up, and formats cost what their encoders take.
    #[test]
    fn cores_are_packets_by_nanoseconds() {
        let Cores { kernel, capture, control } = TEN.cores(FileFormat::Wav);
        assert_eq!(kernel, MilliCores((5_252_100 * costs::KERNEL_NS).div_ceil(1_000_000)));
        assert_eq!(capture, MilliCores((5_252_100 * costs::PROCESS_NS).div_ceil(1_000_000)));
        assert_eq!(control, MilliCores((5_252_100 * costs::CONTROL_NS).div_ceil(1_000_000)));
        assert!(TEN.cores(FileFormat::Mp3).total() > TEN.cores(FileFormat::Wav).total());
        assert!(TEN.cores(FileFormat::Opus).total() > TEN.cores(FileFormat::Mp3).total());
        assert_eq!(TEN.queues_least(), kernel.0.div_ceil(1000));
    }

    /// OPS-3: a machine without anything, and nothing to carry, divide by no zero.
    #[test]
    fn nothing_is_no_fault() {
        let none = Load { packets_s: 0, frame_bytes: G711_FRAME_BYTES };
        assert_eq!((none.log_lasts_s(1), none.ring_mib(2_000, 0)), (u64::MAX, 1));
        let rings = Rings { count: 0, mib: 64 };
        assert_eq!((rings.hold_ms_max(TEN), rings.hold_ms_max(none)), (0, u64::MAX));
        assert_eq!(rings.load_max(0, G711_FRAME_BYTES).packets_s, u64::MAX);
        assert_eq!(calls_within(TEN, 0, 0), 0);
        assert_eq!(calls_within(TEN, 2_000, 1_000), TEN.calls() / 2);
        assert_eq!(calls_within(TEN, 1, u64::MAX), TEN.calls());
    }
}
