//! Every codec, there and back: likeness, length, level of silence, holes.

use std::sync::Arc;

use earwitness_codec::measure::{align, correlation, rms, rms_windows, speech_like};
use earwitness_codec::vectors::{NOISE_RMS, NOISE_SECONDS, vector};
use earwitness_codec::{CodecSpec, Decoders, Step, WorkerOptions, WorkerPool, encode, samples_in};

fn workers() -> Arc<WorkerPool> {
    let program = Some(env!("CARGO_BIN_EXE_earwitness-codec").into());
    Arc::new(WorkerPool::new(WorkerOptions { program, ..WorkerOptions::default() }))
}

fn spec(name: &str, clock_hz: u32, fmtp: &str) -> CodecSpec {
    CodecSpec::from_sdp(name, clock_hz, 1, fmtp)
}

/// Packets of 20 ms.
fn packets(workers: &Arc<WorkerPool>, spec: &CodecSpec, sound: &[i16]) -> Vec<Vec<u8>> {
    let mut encoder = encode::open(workers, spec).expect("encoder");
    assert_eq!(encoder.sample_rate(), spec.sample_rate());
    sound
        .chunks_exact(spec.sample_rate() as usize / 50)
        .map(|samples| {
            let mut payload = Vec::new();
            encoder.encode(samples, &mut payload).expect("encoded");
            payload
        })
        .collect()
}

fn decode(workers: &Arc<WorkerPool>, spec: &CodecSpec, steps: &[Step<'_>]) -> Vec<i16> {
    let mut decoder = Decoders::new(Arc::clone(workers)).open(spec).expect("decoder");
    let mut out = Vec::new();
    let outcomes = decoder.run(steps, &mut out);
    let told: usize = outcomes.into_iter().map(|outcome| outcome.expect("decoded")).sum();
    assert_eq!(told * usize::from(decoder.channels()), out.len());
    assert_eq!(decoder.sample_rate(), spec.sample_rate());
    out
}

fn steps(packets: &[Vec<u8>]) -> Vec<Step<'_>> {
    packets.iter().map(|payload| Step::Packet(payload)).collect()
}

/// The steepest step from sample to sample.
fn steepest(samples: &[i16]) -> i32 {
    samples.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap_or(0)
}

/// Codecs that can be encoded here, with the likeness that they must reach.
const CODECS: &[(&str, u32, &str, f64)] = &[
    ("PCMU", 8_000, "", 0.999),
    ("PCMA", 8_000, "", 0.999),
    ("L16", 8_000, "", 1.0),
    ("L16", 44_100, "", 1.0),
    ("G722", 8_000, "", 0.99),
    ("opus", 48_000, "", 0.9),
    ("opus", 48_000, "useinbandfec=1", 0.9),
    ("G726-16", 8_000, "", 0.8),
    ("G726-24", 8_000, "", 0.9),
    ("G726-32", 8_000, "", 0.94),
    ("G726-40", 8_000, "", 0.94),
    ("AAL2-G726-16", 8_000, "", 0.8),
    ("AAL2-G726-24", 8_000, "", 0.9),
    ("AAL2-G726-32", 8_000, "", 0.94),
    ("AAL2-G726-40", 8_000, "", 0.94),
    ("GSM", 8_000, "", 0.8),
    ("speex", 8_000, "", 0.8),
    ("speex", 16_000, "", 0.8),
    ("speex", 32_000, "", 0.8),
];

/// Codecs of which there are vectors.
const VECTORS: &[(&str, u32, &str, f64)] = &[
    ("G729", 8_000, "", 0.85),
    ("iLBC", 8_000, "mode=20", 0.85),
    ("iLBC", 8_000, "mode=30", 0.85),
    ("AMR", 8_000, "", 0.9),
    ("AMR", 8_000, "octet-align=1", 0.9),
    ("AMR-WB", 16_000, "", 0.95),
    ("AMR-WB", 16_000, "octet-align=1; crc=1", 0.9),
];

// REC-2: what was said is what is heard, its length exact, its delay the codec's own.
#[test]
fn every_codec_there_and_back() {
    let workers = workers();
    for &(name, clock, fmtp, likeness) in CODECS {
        let spec = spec(name, clock, fmtp);
        let rate = spec.sample_rate();
        let sound = speech_like(rate, rate as usize * 3, 1);
        let packets = packets(&workers, &spec, &sound);
        let told: usize = packets.iter().map(|payload| samples_in(&spec, payload)).sum();
        let found = decode(&workers, &spec, &steps(&packets));
        assert_eq!((found.len(), told), (sound.len(), sound.len()), "{name} {fmtp}");
        let alignment = align(&sound, &found, rate as usize / 10);
        println!("{name:14} {clock:6} {fmtp:20} {alignment:?}");
        assert!(alignment.correlation >= likeness, "{name} {fmtp}: {alignment:?}");
        assert!((0..=rate as isize / 25).contains(&alignment.lag), "{name}: {alignment:?}");
        let loudness = rms(&found) / rms(&sound);
        assert!((0.8..1.25).contains(&loudness), "{name}: {loudness}");
    }
}

// REC-2: G.729 with Annex B, iLBC, AMR and AMR-WB with DTX; noise in the pause at its level.
#[test]
fn every_vector_is_understood() {
    let workers = workers();
    for &(name, clock, fmtp, likeness) in VECTORS {
        let spec = spec(name, clock, fmtp);
        let vector = vector(&spec).expect("vector");
        let steps: Vec<Step<'_>> = vector
            .payloads
            .iter()
            .map(|payload| match payload.is_empty() {
                false => Step::Packet(payload),
                true => Step::Noise { payload: &[], samples: vector.frame_samples },
            })
            .collect();
        let found = decode(&workers, &spec, &steps);
        assert_eq!(found.len(), vector.sound.len(), "{name}");
        let rate = spec.sample_rate() as usize;
        let alignment = align(&vector.sound, &found, rate / 10);
        let to = NOISE_SECONDS.1 as usize;
        let first = rms(&found[..rate / 50]);
        assert!(first < 4_000.0, "{name} begins with a burst of {first}");
        // The last second of the pause: by then every encoder has fallen silent.
        let levels = rms_windows(&found[(to - 1) * rate..to * rate - rate / 5], rate / 10);
        println!("{name:8} {fmtp:20} {alignment:?} {levels:.0?}");
        assert!(alignment.correlation >= likeness, "{name} {fmtp}: {alignment:?}");
        for level in levels {
            let ratio = level / NOISE_RMS;
            assert!((0.35..2.0).contains(&ratio), "{name}: noise at {ratio} of what it was");
        }
    }
}

// REC-2: packets one by one give the same as all at once.
#[test]
fn batches_make_no_difference() {
    let workers = workers();
    for (name, clock) in [("PCMU", 8_000), ("GSM", 8_000), ("opus", 48_000), ("G729", 8_000)] {
        let spec = spec(name, clock, "");
        let payloads = match vector(&spec) {
            Some(vector) => vector.payloads[..100].to_vec(),
            None => {
                let rate = spec.sample_rate();
                packets(&workers, &spec, &speech_like(rate, rate as usize, 2))
            }
        };
        let mut steps = steps(&payloads);
        let lost = spec.sample_rate() as usize / 50;
        steps.insert(30, Step::Lost { samples: lost, next: None });
        steps.insert(40, Step::Noise { payload: &[60], samples: lost });
        let whole = decode(&workers, &spec, &steps);
        let mut decoder = Decoders::new(Arc::clone(&workers)).open(&spec).expect("decoder");
        let mut out = Vec::new();
        for step in steps {
            decoder.step(step, &mut out).expect("decoded");
        }
        assert!(whole == out, "{name}");
    }
}

// REC-2: a lost packet leaves the length right, no click, and the sound after it as it was.
#[test]
fn holes_are_concealed() {
    let workers = workers();
    let all = CODECS.iter().chain(VECTORS).filter(|codec| !codec.0.starts_with("AAL2"));
    for &(name, clock, fmtp, _) in all {
        let spec = spec(name, clock, fmtp);
        let rate = spec.sample_rate() as usize;
        let payloads = match vector(&spec) {
            Some(vector) => vector.payloads[..rate * 3 / 2 / vector.frame_samples].to_vec(),
            None => packets(&workers, &spec, &speech_like(rate as u32, rate * 3 / 2, 1)),
        };
        let whole = decode(&workers, &spec, &steps(&payloads));
        let (from, to) = (payloads.len() / 3, payloads.len() / 3 + 3);
        let mut holed = steps(&payloads);
        for at in from..to {
            let samples = samples_in(&spec, &payloads[at]);
            holed[at] = Step::Lost { samples, next: None };
        }
        let found = decode(&workers, &spec, &holed);
        assert_eq!(found.len(), whole.len(), "{name}");
        let start = from * samples_in(&spec, &payloads[0]);
        assert_eq!(found[..start], whole[..start], "{name}");
        let settled = start + rate / 3;
        let likeness = correlation(&whole[settled..], &found[settled..]);
        let (natural, concealed) = (steepest(&whole), steepest(&found[start - 10..settled]));
        println!("{name:14} {fmtp:20} {likeness:.3} {natural} {concealed}");
        assert!(likeness > 0.9, "{name} {fmtp}: {likeness}");
        // ADPCM finds its step size again only after a hole.
        let bound = if name.starts_with("G726") { 3.0 } else { 1.5 };
        assert!(f64::from(concealed) <= bound * f64::from(natural), "{name} {concealed}");
    }
}

// REC-2: Opus finds lost audio in the packet after the hole.
#[test]
fn opus_recovers_by_fec() {
    let workers = workers();
    let spec = spec("opus", 48_000, "useinbandfec=1");
    let sound = speech_like(48_000, 96_000, 4);
    let payloads = packets(&workers, &spec, &sound);
    let whole = decode(&workers, &spec, &steps(&payloads));
    let mut likeness = Vec::new();
    for help in [true, false] {
        let mut steps = steps(&payloads);
        for at in (11..payloads.len() - 1).step_by(6) {
            let next = help.then_some(&payloads[at + 1][..]);
            steps[at] = Step::Lost { samples: 960, next };
        }
        let found = decode(&workers, &spec, &steps);
        let (mut lost, mut filled) = (Vec::new(), Vec::new());
        for at in (11..payloads.len() - 1).step_by(6) {
            lost.extend(&whole[at * 960..(at + 1) * 960]);
            filled.extend(&found[at * 960..(at + 1) * 960]);
        }
        likeness.push(correlation(&lost, &filled));
    }
    println!("with FEC {:.3}, without {:.3}", likeness[0], likeness[1]);
    assert!(likeness[0] > 0.85 && likeness[0] > likeness[1] + 0.05, "{likeness:?}");
}

// REC-2: an L16 stream of two channels keeps them apart.
#[test]
fn stereo_stays_apart() {
    let workers = workers();
    let spec = CodecSpec::from_sdp("L16", 44_100, 2, "");
    let payload: Vec<u8> = [(1_i16, -2_i16), (300, -400)]
        .iter()
        .flat_map(|(left, right)| [left.to_be_bytes(), right.to_be_bytes()].concat())
        .collect();
    assert_eq!(samples_in(&spec, &payload), 2);
    assert_eq!(decode(&workers, &spec, &[Step::Packet(&payload)]), [1, -2, 300, -400]);
}

// REC-2: the static payload type 2 and the AAL2 packing differ in the order of codes alone.
#[test]
fn packings_of_g726_are_told_apart() {
    let workers = workers();
    let sound = speech_like(8_000, 8_000, 5);
    let low_first = packets(&workers, &spec("G726-32", 8_000, ""), &sound);
    let high_first = packets(&workers, &spec("AAL2-G726-32", 8_000, ""), &sound);
    for (low, high) in low_first.iter().zip(&high_first) {
        let swapped: Vec<u8> = low.iter().map(|byte| byte.rotate_left(4)).collect();
        assert_eq!(&swapped, high);
    }
    let ours = decode(&workers, &CodecSpec::from_static(2).expect("static"), &steps(&low_first));
    assert!(align(&sound, &ours, 100).correlation > 0.94);
}
