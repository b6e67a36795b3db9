//! The check itself checked: a perfect recording has no fault, and each way of spoiling one is found.

use earwitness_fixtures::codec::Codec;
use earwitness_fixtures::spec::{CallSpec, Hold, Party, Quiet, Scenario, Trouble};
use earwitness_fixtures::truth::{Mark, Truth};

use super::fault::Fault;
use super::sound::{Expected, sound_faults};
use super::wav::Wav;

/// What an ideal recorder would write: each stream where its packets arrived, silence where there is none.
fn perfect(expected: &Expected<'_>) -> (Wav, u64) {
    let truth = expected.truth;
    let rate_hz = truth.sides[0].codec.rate_hz();
    let started_ns = truth.sides.iter().map(|side| side.first_ns).min().unwrap();
    let ended_ns = truth.sides.iter().map(|side| side.last_ns()).max().unwrap();
    let frames = |ns: u64| (ns as f64 * f64::from(rate_hz) / 1e9).round() as usize;
    let channels = Party::BOTH.map(|party| {
        let side = truth.side(party);
        let mut channel = vec![0; frames(ended_ns - started_ns)];
        let at = frames(side.first_ns - started_ns);
        let samples = side.codec.samples(side.packet_ms);
        for (place, said) in expected.pcm(party).chunks(samples).enumerate() {
            let from = at + place * samples;
            let until = (from + said.len()).min(channel.len());
            if side.marks[place] != Mark::Lost {
                channel[from..until].copy_from_slice(&said[..until - from]);
            }
        }
        channel
    });
    (Wav { rate_hz, channels: channels.to_vec() }, started_ns)
}

fn faults_after(spec: &CallSpec, spoil: impl FnOnce(&mut Wav)) -> Vec<Fault> {
    let truth = Truth::of(spec);
    let expected = Expected::new(&truth);
    let (mut wav, started_ns) = perfect(&expected);
    spoil(&mut wav);
    sound_faults(&expected, &wav, started_ns, &[])
}

#[test]
fn perfect_recordings_have_no_fault() {
    for (index, codec) in Codec::ALL.into_iter().enumerate() {
        for trouble in [Trouble::None, Trouble::Loss(5), Trouble::BurstLoss, Trouble::SsrcChange] {
            let spec = CallSpec { trouble, ..CallSpec::new(index as u32).codec(codec) };
            assert_eq!(faults_after(&spec, |_| ()), [], "{codec:?} {trouble:?}");
        }
    }
    for scenario in Scenario::ALL {
        let spec = CallSpec { scenario, ..CallSpec::new(7) };
        if Truth::of(&spec).has_sound() {
            assert_eq!(faults_after(&spec, |_| ()), [], "{scenario:?}");
        }
    }
    let quiet = CallSpec { quiet: Quiet::ComfortNoise, ..CallSpec::new(3) };
    assert_eq!(faults_after(&quiet, |_| ()), []);
}

#[test]
fn swapped_channels_are_found() {
    let faults = faults_after(&CallSpec::new(1), |wav| wav.channels.swap(0, 1));
    assert!(faults.iter().any(|fault| matches!(fault, Fault::NotHeard { .. })), "{faults:?}");
}

#[test]
fn one_wrong_sample_is_found() {
    let faults = faults_after(&CallSpec::new(1), |wav| wav.channels[1][9_000] ^= 2);
    assert!(matches!(faults[..], [Fault::Samples { differing: 1, .. }]), "{faults:?}");
}

#[test]
fn a_missing_or_doubled_packet_is_found() {
    for codec in [Codec::Pcmu, Codec::Opus, Codec::Gsm, Codec::AmrWb] {
        let spec = CallSpec::new(1).codec(codec);
        let packet = codec.samples(spec.packet_ms);
        let cut = faults_after(&spec, |wav| drop(wav.channels[0].drain(packet * 40..packet * 41)));
        assert!(!cut.is_empty(), "{codec:?}: a packet less");
        let doubled = faults_after(&spec, |wav| {
            let copy = wav.channels[0][packet * 40..packet * 41].to_vec();
            wav.channels[0].splice(packet * 40..packet * 40, copy);
        });
        assert!(!doubled.is_empty(), "{codec:?}: a packet more");
    }
}

#[test]
fn a_shift_of_a_packet_is_found() {
    let faults = faults_after(&CallSpec::new(1), |wav| {
        let silence = vec![0; 160];
        wav.channels[0].splice(0..0, silence);
    });
    let shifted = |fault: &Fault| matches!(fault, Fault::Shifted { party: Party::Caller, .. });
    assert!(faults.iter().any(shifted), "{faults:?}");
}

#[test]
fn sound_in_a_hold_is_found() {
    let spec = CallSpec { scenario: Scenario::Held(Hold::Inactive), ..CallSpec::new(1) };
    let middle = |wav: &mut Wav| {
        let half = wav.channels[1].len() / 2;
        wav.channels[1][half..half + 200].fill(900);
    };
    let faults = faults_after(&spec, middle);
    assert!(faults.iter().any(|fault| matches!(fault, Fault::NotSilent { .. })), "{faults:?}");
}

#[test]
fn crosstalk_is_found_in_lossy_codecs_too() {
    for codec in [Codec::Pcma, Codec::Speex, Codec::Opus] {
        let faults = faults_after(&CallSpec::new(1).codec(codec), |wav| {
            let other = wav.channels[1].clone();
            for (sample, other) in wav.channels[0].iter_mut().zip(other) {
                *sample = sample.saturating_add(other / 2);
            }
        });
        assert!(!faults.is_empty(), "{codec:?}");
    }
}

#[test]
fn a_short_recording_is_found() {
    let faults = faults_after(&CallSpec::new(1), |wav| {
        wav.channels.iter_mut().for_each(|channel| channel.truncate(channel.len() - 400));
    });
    assert!(faults.iter().any(|fault| matches!(fault, Fault::Duration { .. })), "{faults:?}");
}
