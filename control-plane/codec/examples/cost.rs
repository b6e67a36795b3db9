//! What codecs cost: times real time on one core, worker included, by batches and packet by packet.
//!
//! `cargo build --release -p earwitness-codec --bins && cargo run --release -p earwitness-codec
//! --example cost`

use std::sync::Arc;
use std::time::Instant;

use earwitness_codec::measure::speech_like;
use earwitness_codec::sink::{AudioShape, Format};
use earwitness_codec::vectors::vector;
use earwitness_codec::{CodecSpec, Decoders, Resampler, Step, WorkerOptions, WorkerPool, encode};

const SECONDS: usize = 60;
const CODECS: &[(&str, u32, &str)] = &[
    ("PCMU", 8_000, ""),
    ("PCMA", 8_000, ""),
    ("L16", 8_000, ""),
    ("G722", 8_000, ""),
    ("opus", 48_000, ""),
    ("G726-32", 8_000, ""),
    ("GSM", 8_000, ""),
    ("speex", 8_000, ""),
    ("speex", 16_000, ""),
    ("G729", 8_000, ""),
    ("iLBC", 8_000, "mode=20"),
    ("iLBC", 8_000, "mode=30"),
    ("AMR", 8_000, ""),
    ("AMR-WB", 16_000, ""),
];

fn main() -> anyhow::Result<()> {
    // Examples lie in a folder below the program.
    let program = std::env::current_exe()?
        .parent()
        .and_then(|folder| folder.parent())
        .map(|folder| folder.join(earwitness_codec::PROGRAM_NAME));
    let workers = Arc::new(WorkerPool::new(WorkerOptions { program, ..Default::default() }));
    println!("| codec | × real time, batched | packet by packet |");
    println!("|---|---|---|");
    for &(name, clock, fmtp) in CODECS {
        let spec = CodecSpec::from_sdp(name, clock, 1, fmtp);
        let payloads = payloads(&workers, &spec)?;
        let steps: Vec<_> = payloads.iter().map(|payload| Step::Packet(payload)).collect();
        let decoders = Decoders::new(Arc::clone(&workers));
        let mut out = Vec::new();
        let mut rates = Vec::new();
        for batch in [steps.len(), 1] {
            let mut decoder = decoders.open(&spec)?;
            out.clear();
            let begun = Instant::now();
            for steps in steps.chunks(batch) {
                decoder.run(steps, &mut out);
            }
            let seconds = out.len() as f64 / f64::from(spec.sample_rate());
            rates.push(seconds / begun.elapsed().as_secs_f64());
        }
        println!("| {name} {clock} {fmtp} | {:.0} | {:.0} |", rates[0], rates[1]);
    }
    sinks()?;
    resamplers();
    Ok(())
}

/// A minute of packets of 20 ms.
fn payloads(workers: &Arc<WorkerPool>, spec: &CodecSpec) -> anyhow::Result<Vec<Vec<u8>>> {
    if let Some(vector) = vector(spec) {
        let spoken = vector.payloads.iter().filter(|payload| payload.len() > 7);
        let count = SECONDS * spec.sample_rate() as usize / vector.frame_samples;
        return Ok(spoken.cycle().take(count).cloned().collect());
    }
    let rate = spec.sample_rate();
    let sound = speech_like(rate, rate as usize * SECONDS, 1);
    let mut encoder = encode::open(workers, spec)?;
    let mut payloads = Vec::new();
    for samples in sound.chunks_exact(rate as usize / 50) {
        let mut payload = Vec::new();
        encoder.encode(samples, &mut payload)?;
        payloads.push(payload);
    }
    Ok(payloads)
}

fn sinks() -> anyhow::Result<()> {
    println!("\n| stereo file, 8 kHz | × real time |\n|---|---|");
    let samples = speech_like(8_000, 16_000 * SECONDS, 1);
    for format in [Format::Wav, Format::mp3(2), Format::ogg_opus(2)] {
        let shape = AudioShape { sample_rate: 8_000, channels: 2 };
        let begun = Instant::now();
        let mut sink = format.create(shape, std::io::Cursor::new(Vec::new()))?;
        samples.chunks(320).try_for_each(|samples| sink.write(samples))?;
        sink.finish()?;
        let rate = SECONDS as f64 / begun.elapsed().as_secs_f64();
        println!("| {} | {rate:.0} |", format.extension());
    }
    Ok(())
}

fn resamplers() {
    println!("\n| resampler | × real time |\n|---|---|");
    for (from, to) in [(8_000, 16_000), (8_000, 48_000), (48_000, 8_000), (44_100, 8_000)] {
        let samples = speech_like(from, from as usize * SECONDS, 1);
        let mut resampler = Resampler::new(from, to);
        let mut out = Vec::new();
        let begun = Instant::now();
        samples.chunks(from as usize / 50).for_each(|samples| resampler.push(samples, &mut out));
        resampler.finish(&mut out);
        println!("| {from} → {to} | {:.0} |", SECONDS as f64 / begun.elapsed().as_secs_f64());
    }
}
