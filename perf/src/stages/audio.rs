//! From RTP to files, and the encoders alone.

use std::io::{self, Cursor, Write};
use std::sync::Arc;

use earwitness_codec::sink::{AudioShape, Format};
use earwitness_codec::{CodecSpec, Decoders, WorkerOptions, WorkerPool, encode};
use earwitness_recording::{PayloadType, RenderOptions, Side, StreamInput, StreamKey, render};

use super::meter::Round;
use super::{Scale, Stage, samples};

/// Length of the sound of a round.
const SECONDS: u32 = 60;
const PACKET_MS: u32 = 20;

pub const STAGES: &[Stage] = &[
    Stage { name: "RTP to WAV, PCMU", scale: Scale::RealTime, prepare: || to_wav("PCMU", 8_000) },
    Stage { name: "RTP to WAV, PCMA", scale: Scale::RealTime, prepare: || to_wav("PCMA", 8_000) },
    Stage { name: "RTP to WAV, G.722", scale: Scale::RealTime, prepare: || to_wav("G722", 8_000) },
    Stage { name: "RTP to WAV, L16", scale: Scale::RealTime, prepare: || to_wav("L16", 16_000) },
    Stage { name: "RTP to WAV, Opus", scale: Scale::RealTime, prepare: || to_wav("opus", 48_000) },
    Stage { name: "MP3 of stereo", scale: Scale::RealTime, prepare: || encoded(Format::mp3(2)) },
    Stage {
        name: "Opus of stereo",
        scale: Scale::RealTime,
        prepare: || encoded(Format::ogg_opus(2)),
    },
];

/// A voice that is never still: a tone that wanders, with noise.
fn voice(rate: u32, seconds: u32, seed: u64) -> Vec<i16> {
    let mut state = seed;
    (0..rate * seconds)
        .map(|n| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let noise = (state >> 40) as f64 / f64::from(1 << 24) - 0.5;
            let t = f64::from(n) / f64::from(rate);
            let pitch = 140.0 + 40.0 * (t * 1.7 + seed as f64).sin();
            let loud = 0.6 + 0.4 * (t * 4.0).sin();
            ((t * pitch * std::f64::consts::TAU).sin() * loud * 9_000.0 + noise * 900.0) as i16
        })
        .collect()
}

fn workers() -> Arc<WorkerPool> {
    Arc::new(WorkerPool::new(WorkerOptions::default()))
}

/// The packets of one side.
fn packets(spec: &CodecSpec, number: u8, seed: u64) -> anyhow::Result<Vec<(u64, Vec<u8>)>> {
    let mut encoder = encode::open(&workers(), spec)?;
    let rate = encoder.sample_rate();
    let sound = voice(rate, SECONDS, seed);
    let ticks = spec.clock_hz / 1_000 * PACKET_MS;
    let mut packets = Vec::new();
    for (index, samples) in sound.chunks_exact((rate / 1_000 * PACKET_MS) as usize).enumerate() {
        let mut payload = Vec::new();
        encoder.encode(samples, &mut payload)?;
        let packet = samples::rtp(number, index as u16, ticks, seed as u32, &payload);
        packets.push((START_NS + index as u64 * u64::from(PACKET_MS) * 1_000_000, packet));
    }
    Ok(packets)
}

const START_NS: u64 = 1_795_168_800_000_000_000;

/// Both sides of a call, read from memory and written to nowhere.
fn to_wav(name: &'static str, clock_hz: u32) -> anyhow::Result<Round> {
    let number = 96;
    let spec = CodecSpec::from_sdp(name, clock_hz, 1, "");
    let types = [PayloadType::always(number, spec.clone())];
    let sides = [packets(&spec, number, 1)?, packets(&spec, number, 2)?];
    let decoders = Decoders::new(workers());
    Ok(Box::new(move |meter| {
        let streams: Vec<StreamInput<'_>> = [Side::Caller, Side::Callee]
            .into_iter()
            .zip(&sides)
            .zip(1..)
            .map(|((side, packets), call)| StreamInput {
                side,
                key: StreamKey {
                    src: samples::callee(call).to_socket_addr(),
                    dst: samples::caller(call).to_socket_addr(),
                    ssrc: call,
                },
                payload_types: &types,
                priority: 0,
                packets,
            })
            .collect();
        let report = meter.measure(u64::from(SECONDS) * 1_000, || {
            render(&streams, &RenderOptions::default(), &mut Nowhere(0), &decoders)
        })?;
        anyhow::ensure!(report.packets.lost == 0, "packets were not heard");
        Ok(())
    }))
}

struct Nowhere(u64);

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        std::hint::black_box(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// 8 kHz in two channels, as a recording of G.711 has it.
fn encoded(format: Format) -> anyhow::Result<Round> {
    let sides = [voice(8_000, SECONDS, 1), voice(8_000, SECONDS, 2)];
    let sound: Vec<i16> = sides[0].iter().zip(&sides[1]).flat_map(|(a, b)| [*a, *b]).collect();
    let shape = AudioShape { sample_rate: 8_000, channels: 2 };
    Ok(Box::new(move |meter| {
        let mut sink = format.create(shape, Cursor::new(Vec::with_capacity(1 << 22)))?;
        meter.measure(u64::from(SECONDS) * 1_000, || {
            sound.chunks(3_200).try_for_each(|chunk| sink.write(chunk))?;
            sink.finish().map(drop)
        })?;
        Ok(())
    }))
}
