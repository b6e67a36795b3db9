//! One replay judged: each call against its truth, on all cores, with every fault of every call in one message.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use earwitness_fixtures::codec::decoded;
use earwitness_fixtures::truth::Truth;
use earwitness_tests::check::{
    Expected, Fault, Wav, call_faults, recording_faults, sound_faults, started_ns,
};
use earwitness_tests::program::Replayed;
use serde_json::Value;

/// Every so many calls the neighbour's voice is looked for, too.
const NEIGHBOUR_EVERY: usize = 4;
/// So many faulty calls are spelled out.
const SHOWN_MAX: usize = 40;

/// Fails with all faults of all calls.
pub(crate) fn assert_right(what: &str, truths: &[Truth], replayed: &Replayed) {
    let calls = by_call_id(&replayed.calls);
    let recordings = by_call_id(&replayed.recordings);
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<(usize, Vec<String>)>> = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(truth) = truths.get(index) else { return };
                    let neighbour = &truths[(index + 1) % truths.len()];
                    let near = index.is_multiple_of(NEIGHBOUR_EVERY).then_some(neighbour);
                    let of = |rows: &HashMap<String, Vec<Value>>| {
                        rows.get(&truth.call_id).cloned().unwrap_or_default()
                    };
                    let faults = judge(truth, near, &of(&calls), &of(&recordings), replayed);
                    if !faults.is_empty() {
                        found.lock().expect("no judge panics").push((index, faults));
                    }
                }
            });
        }
    });
    let mut found = found.into_inner().expect("no judge panics");
    found.sort();
    assert!(found.is_empty(), "{what}: {}", told(&found, truths));
}

fn told(found: &[(usize, Vec<String>)], truths: &[Truth]) -> String {
    let mut text = format!("{} of {} calls are wrong\n", found.len(), truths.len());
    for (index, faults) in found.iter().take(SHOWN_MAX) {
        let truth = &truths[*index];
        let codec = truth.sides[0].codec;
        let Truth { scenario, trouble, call_id, .. } = truth;
        writeln!(text, "  {index} {codec:?} {scenario:?} {trouble:?} {call_id}").expect("text");
        for fault in faults {
            writeln!(text, "      {fault}").expect("text");
        }
    }
    text
}

fn by_call_id(rows: &[Value]) -> HashMap<String, Vec<Value>> {
    let mut map: HashMap<String, Vec<Value>> = HashMap::new();
    for row in rows {
        map.entry(row["call_id"].as_str().unwrap_or_default().to_owned())
            .or_default()
            .push(row.clone());
    }
    map
}

fn judge(
    truth: &Truth,
    neighbour: Option<&Truth>,
    calls: &[Value],
    recordings: &[Value],
    replayed: &Replayed,
) -> Vec<String> {
    let mut faults = Vec::new();
    match calls {
        [call] => faults.extend(told_of("call", call_faults(truth, call))),
        calls => faults.push(format!("{} rows of the call", calls.len())),
    }
    match recordings {
        [] if !truth.has_sound() => {}
        [recording] if truth.has_sound() => {
            faults.extend(told_of("recording", recording_faults(truth, recording)));
            faults.extend(sound(truth, neighbour, recording, replayed));
        }
        recordings => faults.push(format!("{} recordings", recordings.len())),
    }
    faults
}

fn told_of(what: &str, faults: Vec<Fault>) -> Vec<String> {
    faults.into_iter().map(|fault| format!("{what}: {fault}")).collect()
}

fn sound(
    truth: &Truth,
    neighbour: Option<&Truth>,
    recording: &Value,
    replayed: &Replayed,
) -> Vec<String> {
    let wav = match Wav::read(&replayed.audio(recording)) {
        Ok(wav) => wav,
        Err(error) => return vec![format!("{error}: {recording}")],
    };
    let Some(started_ns) = started_ns(recording) else {
        return vec![format!("started_at: {}", recording["started_at"])];
    };
    let expected = Expected::new(truth);
    let side = &truth.sides[0];
    let mut strangers = Vec::new();
    if let Some(seed) = truth.stranger {
        let voice = decoded(side.codec, seed, side.packet_ms, &vec![true; side.marks.len()]);
        strangers.push(("the spoofing host".to_owned(), voice));
    }
    let comparable = |other: &&Truth| {
        let codec = other.sides[0].codec;
        codec.voiced() && codec.rate_hz() == side.codec.rate_hz() && other.call_id != truth.call_id
    };
    if let Some(other) = neighbour.filter(comparable) {
        strangers.push((format!("call {}", other.index), other.sides[0].pcm()));
    }
    let strangers: Vec<(String, &[i16])> =
        strangers.iter().map(|(whose, voice)| (whose.clone(), &voice[..])).collect();
    told_of("sound", sound_faults(&expected, &wav, started_ns, &strangers))
}
