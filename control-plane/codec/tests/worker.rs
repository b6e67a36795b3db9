//! Workers that crash, hang, answer nonsense, or are fed nonsense: the client stays whole.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use earwitness_codec::vectors::vector;
use earwitness_codec::{
    CodecError, CodecSpec, Death, DecodeError, Decoder, Decoders, Step, WorkerError, WorkerOptions,
    WorkerPool,
};
use proptest::prelude::{ProptestConfig, any, prop, proptest};

fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_earwitness-codec").into()
}

fn pool(program: PathBuf, workers_max: usize) -> Arc<WorkerPool> {
    impatient_pool(program, workers_max, Duration::from_secs(60))
}

fn impatient_pool(
    program: PathBuf,
    workers_max: usize,
    request_timeout: Duration,
) -> Arc<WorkerPool> {
    Arc::new(WorkerPool::new(WorkerOptions {
        program: Some(program),
        workers_max,
        request_timeout,
    }))
}

fn gsm() -> CodecSpec {
    CodecSpec::from_sdp("GSM", 8_000, 1, "")
}

fn kill(pid: u32) {
    // The pool may have reaped it since it was named; then there is nothing left to kill.
    let _ = std::process::Command::new("/bin/kill").args(["-KILL", &pid.to_string()]).status();
}

fn script(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("worker");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode");
    path
}

fn gsm_packet() -> Vec<u8> {
    let mut packet = vec![0; 33];
    packet[0] = 0xd0;
    packet
}

// REC-2, DESIGN idea 4: a worker killed mid-stream costs the stream an error, a retry, no more.
#[test]
fn a_killed_worker_is_replaced() {
    let pool = pool(program(), 1);
    let decoders = Decoders::new(Arc::clone(&pool));
    let mut decoder = decoders.open(&gsm()).expect("decoder");
    let mut out = Vec::new();
    assert_eq!(decoder.decode(&gsm_packet(), &mut out).expect("decoded"), 160);
    kill(pool.pids()[0]);
    let error = decoder.decode(&gsm_packet(), &mut out).expect_err("dead");
    let DecodeError::WorkerDied(died) = error else { panic!("{error}") };
    assert_eq!((died.cause, died.bystander), (Death::Killed { signal: 9 }, false));
    assert_eq!(out.len(), 160);
    // The stream stays dead, whatever is asked of it; concealment still gives its samples.
    let outcomes = decoder.run(&[Step::Packet(&gsm_packet()); 3], &mut out);
    assert!(outcomes.iter().all(|o| matches!(o, Err(DecodeError::WorkerDied(_)))));
    decoder.conceal(160, &mut out);
    assert_eq!(out.len(), 320);
    let mut again = decoders.open(&gsm()).expect("decoder");
    assert_eq!(again.decode(&gsm_packet(), &mut out).expect("decoded"), 160);
    drop((decoder, again));
    let counters = pool.counters();
    assert_eq!((counters.spawned, counters.died, counters.timed_out), (2, 1, 0));
    assert_eq!((counters.workers, counters.streams), (1, 0));
    assert!(counters.requests >= 4 && counters.frames == 2);
}

// DESIGN idea 4: streams that shared a worker with the one that ended it know that.
#[test]
fn bystanders_know() {
    let pool = pool(program(), 1);
    let decoders = Decoders::new(Arc::clone(&pool));
    let open = || decoders.open(&gsm()).expect("decoder");
    let (mut one, mut two) = (open(), open());
    assert_eq!((pool.counters().workers, pool.counters().streams), (1, 2));
    kill(pool.pids()[0]);
    let blame =
        |decoder: &mut Box<dyn Decoder>| match decoder.decode(&gsm_packet(), &mut Vec::new()) {
            Err(DecodeError::WorkerDied(died)) => died.bystander,
            other => panic!("{other:?}"),
        };
    assert!(!blame(&mut one));
    assert!(blame(&mut two));
    assert_eq!(pool.counters().died, 1);
}

// DESIGN idea 4: the program itself is locked in before it reads anything foreign.
#[test]
fn the_worker_has_no_privilege() {
    let pool = pool(program(), 1);
    let held = Decoders::new(Arc::clone(&pool)).open(&gsm()).expect("decoder");
    let status = fs::read_to_string(format!("/proc/{}/status", pool.pids()[0])).expect("status");
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).expect("field");
        line.split_whitespace().nth(1).expect("value").to_owned()
    };
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(field(set).trim_start_matches('0'), "", "{set}");
    }
    assert_eq!((field("NoNewPrivs:"), field("Seccomp:")), ("1".to_owned(), "2".to_owned()));
    drop(held);
}

// S10: processes are bounded; streams go apart while they can and share when they must.
#[test]
fn workers_are_bounded_and_reused() {
    let pool = pool(program(), 2);
    let decoders = Decoders::new(Arc::clone(&pool));
    let held: Vec<_> = (0..5).map(|_| decoders.open(&gsm()).expect("decoder")).collect();
    assert_eq!((pool.counters().workers, pool.counters().streams), (2, 5));
    drop(held);
    assert_eq!((pool.counters().workers, pool.counters().streams), (2, 0));
    drop(decoders.open(&gsm()).expect("decoder"));
    assert_eq!(pool.counters().spawned, 2);
    let many: Vec<_> = (0..256).map(|_| decoders.open(&gsm()).expect("decoder")).collect();
    let error = decoders.open(&gsm()).err().expect("full");
    assert!(matches!(error, CodecError::Worker { source: WorkerError::Busy { .. }, .. }));
    drop(many);
    drop(decoders.open(&gsm()).expect("decoder"));
}

// S8, S10: many threads share few workers, some of which are killed; all that is said stays whole.
#[test]
fn threads_share_workers() {
    let pool = pool(program(), 2);
    let (pool, done) = (&pool, &std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(move || {
                    let decoders = Decoders::new(Arc::clone(pool));
                    let (mut whole, mut died) = (0, 0);
                    while whole < 20 {
                        // The pool may lose workers faster than a stream opens.
                        let Ok(mut decoder) = decoders.open(&gsm()) else { continue };
                        let packet = gsm_packet();
                        let mut out = Vec::new();
                        let outcomes = decoder.run(&[Step::Packet(&packet); 600], &mut out);
                        if outcomes.iter().all(Result::is_ok) {
                            assert_eq!(out.len(), 600 * 160);
                            whole += 1;
                        } else {
                            died += 1;
                        }
                    }
                    died
                })
            })
            .collect();
        scope.spawn(move || {
            for _ in 0..5 {
                let begun = pool.counters().frames;
                while pool.counters().frames < begun + 2_000 && !done.load(Relaxed) {
                    std::thread::yield_now();
                }
                if let Some(&pid) = pool.pids().first().filter(|_| !done.load(Relaxed)) {
                    kill(pid);
                }
            }
        });
        let died: u64 = threads.into_iter().map(|thread| thread.join().expect("thread")).sum();
        done.store(true, Relaxed);
        assert!(pool.counters().died <= 5, "{died} {:?}", pool.counters());
    });
    assert!(pool.counters().workers <= 2 && pool.counters().streams == 0);
}

// S9: a worker that hangs is killed in time.
#[test]
fn a_hanging_worker_is_killed() {
    let folder = tempfile::tempdir().expect("folder");
    let program = script(folder.path(), "exec sleep 60");
    let pool = impatient_pool(program, 1, Duration::from_millis(200));
    let begun = Instant::now();
    let error = Decoders::new(Arc::clone(&pool)).open(&gsm()).err().expect("hung");
    assert!(begun.elapsed() < Duration::from_secs(30));
    let CodecError::Worker { source: WorkerError::Died(died), .. } = error else {
        panic!("{error}")
    };
    assert_eq!(died.cause, Death::TimedOut);
    assert_eq!((pool.counters().timed_out, pool.counters().workers), (1, 0));
}

// S9: a worker that answers nonsense, echoes, floods, exits or is not there is an error.
#[test]
fn a_strange_worker_is_an_error() {
    let folder = tempfile::tempdir().expect("folder");
    for (text, expected) in [
        ("exec cat", None),
        ("exec yes", None),
        ("printf '\\001\\000\\000\\000o'; exec sleep 60", None),
        ("printf '\\377\\377\\377\\377'; exec sleep 60", None),
        ("exit 3", Some(Death::Exited { code: 3 })),
        ("kill -SEGV $$", Some(Death::Killed { signal: 11 })),
    ] {
        let pool = impatient_pool(script(folder.path(), text), 1, Duration::from_secs(2));
        let died = match Decoders::new(Arc::clone(&pool)).open(&gsm()) {
            Err(CodecError::Worker { source: WorkerError::Died(died), .. }) => died,
            Err(error) => panic!("{text}: {error}"),
            // It said that the stream was open; the first packet finds it out.
            Ok(mut decoder) => match decoder.decode(&gsm_packet(), &mut Vec::new()) {
                Err(DecodeError::WorkerDied(died)) => died,
                other => panic!("{text}: {other:?}"),
            },
        };
        assert!(expected.is_none_or(|expected| expected == died.cause), "{text}: {died:?}");
        assert_eq!(pool.counters().died, 1, "{text}");
    }
    let missing = pool(folder.path().join("nothing"), 1);
    let error = Decoders::new(missing).open(&gsm()).err().expect("missing");
    assert!(matches!(error, CodecError::Worker { source: WorkerError::Missing { .. }, .. }));
}

// OPS-3: a codec that the FFmpeg at hand cannot encode is refused with a reason.
#[test]
fn missing_encoders_say_so() {
    let pool = pool(program(), 1);
    let spec = CodecSpec::from_sdp("G729", 8_000, 1, "");
    let error = earwitness_codec::encode::open(&pool, &spec).err().expect("no encoder");
    let CodecError::Worker { source: WorkerError::Refused { reason }, .. } = error else {
        panic!("{error}")
    };
    assert!(reason.contains("no encoder"), "{reason}");
    assert_eq!(pool.counters().died, 0);
}

/// Every format whose payloads are taken apart or decoded.
const FORMATS: &[(&str, u32, &str)] = &[
    ("PCMU", 8_000, ""),
    ("PCMA", 8_000, ""),
    ("L16", 8_000, ""),
    ("G722", 8_000, ""),
    ("opus", 48_000, ""),
    ("G726-16", 8_000, ""),
    ("G726-24", 8_000, ""),
    ("G726-32", 8_000, ""),
    ("G726-40", 8_000, ""),
    ("AAL2-G726-24", 8_000, ""),
    ("G729", 8_000, ""),
    ("GSM", 8_000, ""),
    ("iLBC", 8_000, "mode=20"),
    ("iLBC", 8_000, ""),
    ("speex", 8_000, ""),
    ("speex", 16_000, ""),
    ("speex", 32_000, ""),
    ("AMR", 8_000, ""),
    ("AMR", 8_000, "octet-align=1"),
    ("AMR-WB", 16_000, ""),
    ("AMR-WB", 16_000, "octet-align=1;crc=1"),
];

/// Payloads of the right size, so that nonsense reaches the codecs themselves.
fn shaped(name: &str, mut payload: Vec<u8>) -> Vec<u8> {
    let size = match name {
        "GSM" => 33,
        "iLBC" => 38,
        "G729" => 10,
        _ => return payload,
    };
    payload.resize(payload.len().next_multiple_of(size), 0x5a);
    if name == "GSM" {
        payload.chunks_mut(size).for_each(|frame| frame[0] |= 0xd0);
    }
    payload
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    // S9: any payload makes samples or an error; the worker lives, and the lengths agree.
    #[test]
    fn nonsense_is_survived(
        format in 0..FORMATS.len(),
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..12),
        holes in prop::collection::vec(0_usize..500, 1..12),
    ) {
        thread_local! {
            static POOL: Arc<WorkerPool> = pool(program(), 1);
        }
        let (name, clock, fmtp) = FORMATS[format];
        let spec = CodecSpec::from_sdp(name, clock, 1, fmtp);
        let pool = POOL.with(Arc::clone);
        let mut decoder = Decoders::new(Arc::clone(&pool)).open(&spec).expect("decoder");
        let payloads: Vec<_> = payloads.into_iter().map(|p| shaped(name, p)).collect();
        let mut steps = Vec::new();
        for (payload, &hole) in payloads.iter().zip(holes.iter().cycle()) {
            steps.push(Step::Packet(payload));
            steps.push(Step::Lost { samples: hole, next: Some(payload) });
            steps.push(Step::Noise { payload: &payload[..payload.len().min(9)], samples: hole });
        }
        let mut out = Vec::new();
        let outcomes = decoder.run(&steps, &mut out);
        assert_eq!(outcomes.len(), steps.len());
        let mut told = 0;
        for (outcome, step) in outcomes.iter().zip(&steps) {
            match (outcome, step) {
                (Ok(samples), Step::Packet(payload)) => {
                    told += samples;
                    assert_eq!(*samples, earwitness_codec::samples_in(&spec, payload), "{name}");
                }
                (Ok(samples), Step::Lost { samples: asked, .. } | Step::Noise { samples: asked, .. }) => {
                    told += samples;
                    assert_eq!(samples, asked);
                }
                (Err(DecodeError::WorkerDied(died)), _) => panic!("{name}: {died}"),
                (Err(_), Step::Packet(_)) => {}
                (Err(error), _) => panic!("{name}: {error}"),
            }
        }
        assert_eq!(told, out.len());
        drop(decoder);
        let counters = pool.counters();
        assert!(counters.died == 0 && counters.spawned <= 1, "{counters:?}");
    }
}

// S9: real frames with flipped bits, thousands of them, in one worker.
#[test]
fn damaged_frames_are_survived() {
    let pool = pool(program(), 1);
    let mut seed = 1_u32;
    for &(name, clock, fmtp) in FORMATS {
        let spec = CodecSpec::from_sdp(name, clock, 1, fmtp);
        let Some(vector) = vector(&spec) else { continue };
        let mut payloads = vector.payloads;
        for payload in &mut payloads {
            for byte in payload.iter_mut() {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if seed >> 28 == 0 {
                    *byte ^= 1 << (seed >> 8 & 7);
                }
            }
        }
        let steps: Vec<_> = payloads.iter().map(|payload| Step::Packet(payload)).collect();
        let mut decoder = Decoders::new(Arc::clone(&pool)).open(&spec).expect("decoder");
        let outcomes = decoder.run(&steps, &mut Vec::new());
        assert!(!outcomes.iter().any(|o| matches!(o, Err(DecodeError::WorkerDied(_)))), "{name}");
    }
    assert_eq!(pool.counters().died, 0);
}

// DESIGN idea 4: whoever uses the library does not load FFmpeg.
#[test]
fn users_do_not_load_ffmpeg() {
    let maps = fs::read_to_string("/proc/self/maps").expect("maps");
    assert!(maps.contains("libc.so") && !maps.contains("libav"));
}
