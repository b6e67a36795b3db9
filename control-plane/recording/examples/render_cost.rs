//! What rendering costs: G.711 both ways, from packets in memory to a WAV file.
//!
//! `cargo run --release --example render_cost [seconds of call] [loss per mille]`

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use earwitness_codec::{CodecSpec, Decoders, WorkerOptions, WorkerPool};
use earwitness_recording::disk::RealDisk;
use earwitness_recording::{
    CallFacts, PayloadType, RenderOptions, Side, StreamInput, StreamKey, finalize, render,
};

const START_NS: u64 = 1_795_168_800_000_000_000;

fn stream(ssrc: u32, seconds: u64, loss_per_mille: u64) -> Vec<(u64, Vec<u8>)> {
    let mut dice = u64::from(ssrc);
    (0..seconds * 50)
        .filter_map(|n| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mut packet = vec![0x80, 0];
            packet.extend((n as u16).to_be_bytes());
            packet.extend((n as u32 * 160).to_be_bytes());
            packet.extend(ssrc.to_be_bytes());
            packet.extend((0..160_u64).map(|at| (dice >> (at % 56)) as u8));
            let lost = (dice >> 33) % 1_000 < loss_per_mille;
            (!lost).then_some((START_NS + n * 20_000_000, packet))
        })
        .collect()
}

/// Processor time and time since a moment.
struct Cost {
    cpu_ns: u64,
    began: Instant,
}

impl Cost {
    fn start() -> Self {
        Self { cpu_ns: cpu_ns(), began: Instant::now() }
    }

    fn spent(&self) -> (f64, f64) {
        (cpu_ns().saturating_sub(self.cpu_ns) as f64 / 1e9, self.began.elapsed().as_secs_f64())
    }
}

/// Time that this thread was on a processor.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments.next().map_or(Ok(600), |text| text.parse())?;
    let loss: u64 = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let packets = [stream(1, seconds, loss), stream(2, seconds, loss)];
    let types = [PayloadType::always(0, CodecSpec::from_sdp("PCMU", 8_000, 1, ""))];
    let address = SocketAddr::from(([127, 0, 0, 1], 4_000));
    let input = |at: usize, side: Side| StreamInput {
        side,
        key: StreamKey { src: address, dst: address, ssrc: at as u32 + 1 },
        payload_types: &types,
        priority: 0,
        packets: &packets[at],
    };
    let streams = [input(0, Side::Caller), input(1, Side::Callee)];
    let options = RenderOptions::default();
    let decoders = Decoders::new(Arc::new(WorkerPool::new(WorkerOptions::default())));
    let speed = |began: Cost| {
        let (cpu_s, wall_s) = began.spent();
        let real = |spent_s: f64| seconds as f64 / spent_s.max(1e-9);
        format!("{:.0} x real time a core, {:.0} by the clock", real(cpu_s), real(wall_s))
    };

    let mut out = io::stdout().lock();
    for round in 1..=3 {
        let began = Cost::start();
        let report = render(&streams, &options, &mut io::sink(), &decoders)?;
        writeln!(out, "{round}: render, {} frames: {}", report.frames, speed(began))?;
        let folder = tempfile::tempdir()?;
        let facts = CallFacts { id: "0123456789".to_owned(), ..CallFacts::default() };
        let began = Cost::start();
        let done = finalize(&facts, &streams, &options, folder.path(), &RealDisk, &decoders)?;
        writeln!(out, "{round}: finalize, {} bytes: {}", done.bytes, speed(began))?;
    }
    Ok(())
}
