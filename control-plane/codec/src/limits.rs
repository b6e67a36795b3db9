//! Every bound of this crate, with what relates them.

/// Longest RTP payload that is decoded, in bytes; UDP itself allows little more.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 65_535;
/// Sample rates in Hz of audio that is recorded.
pub(crate) const RATE_MIN_HZ: u32 = 8_000;
pub(crate) const RATE_MAX_HZ: u32 = 96_000;
/// Channels of one stream.
pub(crate) const CHANNELS_MAX: u8 = 2;
/// Frames in one request to a worker.
pub(crate) const FRAMES_PER_REQUEST_MAX: usize = 512;
/// Bytes of frames in one request to a worker.
pub(crate) const REQUEST_BYTES_MAX: usize = 128 << 10;
/// Longest message either way; a longer one ends the worker.
pub(crate) const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Longest single frame given to a worker, in bytes.
pub(crate) const FRAME_BYTES_MAX: usize = 4_096;
/// Most samples one frame may decode to: G.726 at 16 kbit/s makes 4 of a byte.
pub(crate) const FRAME_SAMPLES_MAX: usize = 4 * FRAME_BYTES_MAX;
/// Samples that the frames of one request may decode to.
pub(crate) const REQUEST_SAMPLES_MAX: usize = 512 << 10;
/// Streams that share one worker, at most.
pub(crate) const STREAMS_PER_WORKER_MAX: usize = 128;
/// Workers tried for one stream, where they end over others.
pub(crate) const OPENINGS_MAX: u32 = 4;
/// Processor time after which an idle worker is replaced, in milliseconds.
pub(crate) const WORKER_CPU_RETIRE_MS: u64 = 60_000;
/// Processor time after which the kernel ends a worker, in seconds.
pub(crate) const WORKER_CPU_MAX_S: u64 = 3_600;
/// Address space of a worker, in bytes; Debian's libavcodec with all it links takes 160 MiB of it.
pub(crate) const WORKER_MEMORY_BYTES_MAX: u64 = 512 << 20;
/// Longest reason a worker may give, in bytes.
pub(crate) const REASON_BYTES_MAX: usize = 200;
/// Longest Opus packet, in samples per channel at 48 kHz: 120 ms (RFC 6716 section 2.1.4).
pub(crate) const OPUS_PACKET_SAMPLES_MAX: usize = 5_760;
/// Frames in one AMR, G.729, GSM, iLBC or Speex payload.
pub(crate) const FRAMES_PER_PAYLOAD_MAX: usize = 256;

const _: () = assert!(REQUEST_BYTES_MAX + 8 * FRAMES_PER_REQUEST_MAX + 64 < MESSAGE_BYTES_MAX);
const _: () =
    assert!(2 * REQUEST_SAMPLES_MAX + 8 * FRAMES_PER_REQUEST_MAX + 64 < MESSAGE_BYTES_MAX);
const _: () = assert!(FRAME_SAMPLES_MAX <= REQUEST_SAMPLES_MAX);
const _: () = assert!(FRAME_BYTES_MAX <= REQUEST_BYTES_MAX);
const _: () = assert!(FRAMES_PER_PAYLOAD_MAX <= FRAMES_PER_REQUEST_MAX);
const _: () = assert!(WORKER_CPU_RETIRE_MS < 1_000 * WORKER_CPU_MAX_S);
