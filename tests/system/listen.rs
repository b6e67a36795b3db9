//! A call is listened to while it goes on (REC-4).

use std::path::Path;
use std::time::{Duration, Instant};

use earwitness_fixtures::live::{Pace, Sender};
use earwitness_fixtures::scene::Scene;
use earwitness_fixtures::spec::CallSpec;
use earwitness_fixtures::truth::Truth;
use earwitness_tests::check::{Wav, nearest};
use earwitness_tests::program::run;

use crate::daemon::{Daemon, list};
use crate::space::Space;

const TALK_MS: u32 = 9_000;
/// Heard so far: from this much on.
const HEARD_MS: i64 = 3_000;
/// Packets that come late on a busy machine move where a stream is believed to lie: 40 ms.
const REACH_SAMPLES: i64 = 320;
/// 200 ms, which are compared if they are more than a murmur. A slip may lie within.
const PIECE_SAMPLES: usize = 1_600;
const LOUD: i16 = 2_000;
const ALIKE_MIN: f64 = 0.9;
/// How far behind the wire what is heard may be: a block of the log, and starting a program.
const BEHIND_MS: i64 = 2_000;

fn export(data_dir: &Path, id: &str, output: &Path, more: &[&str]) -> std::process::Output {
    let (folder, output) = (data_dir.display().to_string(), output.display().to_string());
    let arguments = ["recordings", "export", id, "--data-dir", &folder, "-o", &output];
    run(&[&arguments, more].concat())
}

/// REC-4: what can be heard of a call in progress is up to moments ago, and is how the recording begins.
#[test]
fn a_call_in_progress_is_heard() {
    let folder = tempfile::tempdir().expect("there is room");
    let daemon = Daemon::start(Space::new("l"), folder.path(), "");
    let spec = CallSpec { talk_ms: TALK_MS, ..CallSpec::new(3) };
    let call_id = Truth::of(&spec).call_id;
    let frames: Vec<_> = Scene::new(vec![spec]).frames().collect();
    let began = Instant::now();
    let sender = daemon.space.sending(move || {
        let sender = Sender::open("span").expect("the span port is there");
        sender.play(frames, Pace::Times(1.0)).expect("frames can be sent")
    });
    let so_far = folder.path().join("so-far.wav");
    let heard = loop {
        std::thread::sleep(Duration::from_millis(300));
        let ago_ms = began.elapsed().as_millis() as i64;
        let output = export(&daemon.data_dir, &call_id, &so_far, &[]);
        if output.status.success() {
            let heard = Wav::read(&so_far).expect("it is a whole file");
            assert!(
                heard.duration_ms() > ago_ms - BEHIND_MS,
                "{} ms behind",
                ago_ms - heard.duration_ms()
            );
            if heard.duration_ms() > HEARD_MS {
                break heard;
            }
        }
        assert!(ago_ms < i64::from(TALK_MS), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let packets = folder.path().join("so-far.pcapng");
    let output = export(&daemon.data_dir, &call_id, &packets, &["--format", "pcapng"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(packets.metadata().is_ok_and(|file| file.len() > 50_000));
    sender.join().expect("all was sent");

    let data_dir = daemon.stop_when_finished();
    let whole = folder.path().join("whole.wav");
    let id = list(&data_dir, "calls")[0]["id"].as_str().expect("an id").to_owned();
    let output = export(&data_dir, &id, &whole, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let whole = Wav::read(&whole).expect("it is a whole file");
    for (heard, whole) in heard.channels.iter().zip(&whole.channels) {
        // The last packet time of what is heard fades into nothing; where each piece lies is known better at the end.
        let begin = REACH_SAMPLES as usize;
        let certain = &heard[begin..heard.len() - heard.len() / 20];
        let pieces = certain.chunks_exact(PIECE_SAMPLES).enumerate();
        let loud = pieces.filter(|(_, piece)| piece.iter().any(|sample| sample.abs() > LOUD));
        let alike = loud.map(|(at, piece)| {
            nearest(whole, piece, (begin + at * PIECE_SAMPLES) as i64, REACH_SAMPLES).1
        });
        let alike: Vec<f64> = alike.collect();
        let least = alike.iter().copied().fold(1.0, f64::min);
        assert!(alike.len() >= 5 && least > ALIKE_MIN, "{alike:?}");
    }
}
