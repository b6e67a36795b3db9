//! RTP made for these tests: a sender with a clock, and a network with faults.

use std::net::SocketAddr;
use std::sync::Arc;

use earwitness_codec::{CodecSpec, Decoders, WorkerOptions, WorkerPool};
use earwitness_recording::{
    PayloadType, RenderError, RenderOptions, RenderReport, Side, StreamInput, StreamKey, render,
};

/// 2026-11-20 10:00:00 UTC.
pub(crate) const START_NS: u64 = 1_795_168_800_000_000_000;
pub(crate) const MS: u64 = 1_000_000;

/// A codec as SDP names it.
pub(crate) fn codec(name: &str, clock_hz: u32, channels: u8) -> CodecSpec {
    CodecSpec::from_sdp(name, clock_hz, channels, "")
}

/// One stream under way: arrival and datagram, in order of arrival.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) side: Side,
    pub(crate) ssrc: u32,
    pub(crate) priority: i32,
    pub(crate) types: Vec<PayloadType>,
    pub(crate) packets: Vec<(u64, Vec<u8>)>,
}

impl Stream {
    pub(crate) fn new(side: Side, ssrc: u32, types: Vec<PayloadType>) -> Self {
        Self { side, ssrc, priority: 0, types, packets: Vec::new() }
    }

    pub(crate) fn pcmu(side: Side, ssrc: u32) -> Self {
        Self::new(side, ssrc, vec![PayloadType::always(0, codec("PCMU", 8_000, 1))])
    }

    /// Sorts by arrival, as the log has it.
    pub(crate) fn sorted(mut self) -> Self {
        self.packets.sort_by_key(|(arrival_ns, _)| *arrival_ns);
        self
    }
}

/// A sender: writes packets, counts sequence and timestamp.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    /// Arrival of the next packet.
    pub(crate) at_ns: u64,
}

impl Sender {
    pub(crate) fn new(ssrc: u32, at_ns: u64) -> Self {
        Self { ssrc, sequence: 1_000, timestamp: 160_000, at_ns }
    }

    /// One packet; sequence, timestamp and time advance.
    pub(crate) fn send(
        &mut self,
        number: u8,
        payload: &[u8],
        ticks: u32,
        wait_ns: u64,
    ) -> (u64, Vec<u8>) {
        let packet = rtp(number, false, self.sequence, self.timestamp, self.ssrc, payload);
        let sent = (self.at_ns, packet);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(ticks);
        self.at_ns += wait_ns;
        sent
    }

    /// µ-law audio in packets of `ptime_ms`, on the dot.
    pub(crate) fn talk(&mut self, audio: &[u8], ptime_ms: u64) -> Vec<(u64, Vec<u8>)> {
        let samples = ptime_ms as usize * 8;
        audio
            .chunks(samples)
            .map(|payload| self.send(0, payload, payload.len() as u32, ptime_ms * MS))
            .collect()
    }

    /// Time passes; the timestamp goes with it.
    pub(crate) fn pause(&mut self, ms: u64) {
        self.at_ns += ms * MS;
        self.timestamp = self.timestamp.wrapping_add(ms as u32 * 8);
    }
}

/// RFC 3550 section 5.1.
pub(crate) fn rtp(
    number: u8,
    marker: bool,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    payload: &[u8],
) -> Vec<u8> {
    let mut packet = vec![0x80, number | u8::from(marker) << 7];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

/// A generator whose numbers are the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// µ-law bytes that are no two alike nearby: every sample tells its place. Never silence.
pub(crate) fn noise(seed: u64, samples: usize) -> Vec<u8> {
    let mut dice = Dice(seed);
    (0..samples).map(|_| 0x10 + dice.roll(0x60) as u8 + 0x80 * dice.roll(2) as u8).collect()
}

/// A voice-like wave as µ-law.
pub(crate) fn voice(hz: f64, samples: usize) -> Vec<u8> {
    // A search for each sample would take minutes.
    let table: Vec<u8> = (-8_192..8_192).map(|step: i16| compress(step.wrapping_mul(4))).collect();
    (0..samples)
        .map(|n| {
            let t = std::f64::consts::TAU * hz * n as f64 / 8_000.0;
            let loud = 0.6 + 0.4 * (t / 37.0).sin();
            let sample = (t.sin() + 0.4 * (2.0 * t + 1.0).sin()) * loud * 9_000.0;
            table[(sample as i16 / 4 + 8_192) as usize]
        })
        .collect()
}

/// ITU-T G.711 µ-law, as the standard's text has it.
pub(crate) fn expand(byte: u8) -> i16 {
    let code = !byte;
    let magnitude = ((i16::from(code & 15) << 3) + 132) << ((code >> 4) & 7);
    if code & 0x80 != 0 { 132 - magnitude } else { magnitude - 132 }
}

/// The nearest code.
fn compress(sample: i16) -> u8 {
    (0..=255_u8)
        .min_by_key(|&byte| (i32::from(expand(byte)) - i32::from(sample)).abs())
        .unwrap_or(0xff)
}

pub(crate) fn expanded(audio: &[u8]) -> Vec<i16> {
    audio.iter().map(|&byte| expand(byte)).collect()
}

/// A rendered recording.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) report: RenderReport,
    pub(crate) left: Vec<i16>,
    pub(crate) right: Vec<i16>,
    pub(crate) bytes: Vec<u8>,
}

/// What runs in this process; no others are wanted here.
pub(crate) fn workers() -> Arc<WorkerPool> {
    let program = Some("no-such-program".into());
    Arc::new(WorkerPool::new(WorkerOptions { program, ..WorkerOptions::default() }))
}

pub(crate) fn decoders() -> Decoders {
    Decoders::new(workers())
}

pub(crate) fn hear(streams: &[Stream]) -> Heard {
    hear_as(streams, &RenderOptions::default())
}

/// Renders, in whatever format.
pub(crate) fn render_bytes(streams: &[Stream], options: &RenderOptions) -> (RenderReport, Vec<u8>) {
    try_render(streams, options).expect("rendered")
}

/// The same, or why there is none.
pub(crate) fn try_render(
    streams: &[Stream],
    options: &RenderOptions,
) -> Result<(RenderReport, Vec<u8>), RenderError> {
    let address = |port: u16| SocketAddr::from(([10, 0, 0, 1], port));
    let inputs: Vec<StreamInput<'_>> = streams
        .iter()
        .map(|stream| StreamInput {
            side: stream.side,
            key: StreamKey { src: address(4_000), dst: address(5_000), ssrc: stream.ssrc },
            payload_types: &stream.types,
            priority: stream.priority,
            packets: &stream.packets,
        })
        .collect();
    let mut bytes = Vec::new();
    let report = render(&inputs, options, &mut bytes, &decoders())?;
    Ok((report, bytes))
}

/// Renders to WAV and takes it apart again.
pub(crate) fn hear_as(streams: &[Stream], options: &RenderOptions) -> Heard {
    let (report, bytes) = render_bytes(streams, options);
    let mut reader = hound::WavReader::new(bytes.as_slice()).expect("a WAV file");
    assert_eq!(u64::from(reader.duration()), report.frames);
    assert_eq!(reader.spec().sample_rate, report.sample_rate);
    let samples: Vec<i16> = reader.samples().collect::<Result<_, _>>().expect("samples");
    let channels = usize::from(reader.spec().channels);
    let side = |at: usize| samples.iter().copied().skip(at).step_by(channels).collect();
    let (left, right) = (side(0), if channels == 2 { side(1) } else { Vec::new() });
    Heard { report, left, right, bytes }
}

/// Equality of audio, without printing all of it.
#[track_caller]
pub(crate) fn assert_same(heard: &[i16], sent: &[i16], what: &str) {
    let different = heard.iter().zip(sent).position(|(a, b)| a != b);
    assert_eq!(different, None, "{what}: first different sample");
    assert_eq!(heard.len(), sent.len(), "{what}: samples");
}

/// Normalised correlation at zero lag.
pub(crate) fn correlation(a: &[i16], b: &[i16]) -> f64 {
    let dot = |x: &[i16], y: &[i16]| -> f64 {
        x.iter().zip(y).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1.0)
}
