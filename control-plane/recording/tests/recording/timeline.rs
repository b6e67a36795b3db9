//! REC-2, CALL-4: every sample at its place in time, whatever the network and the sender did.

use crate::traffic::{
    Dice, MS, START_NS, Sender, Stream, assert_same, codec, correlation, expanded, hear, hear_as,
    noise, try_render, voice,
};
use earwitness_recording::{Blank, Layout, PayloadType, RenderError, RenderOptions, Side, Silence};

fn caller(packets: Vec<(u64, Vec<u8>)>) -> Stream {
    Stream { packets, ..Stream::pcmu(Side::Caller, 7) }.sorted()
}

/// Clean traffic is its audio, sample by sample, for every usual packet length.
#[test]
fn clean_traffic_is_exact() {
    for ptime_ms in [10, 20, 30, 60] {
        let (left, right) = (noise(1, 80_000), noise(2, 40_000));
        let mut callee = Stream::pcmu(Side::Callee, 9);
        callee.packets = Sender::new(9, START_NS + 1_000 * MS).talk(&right, ptime_ms);
        let heard = hear(&[caller(Sender::new(7, START_NS).talk(&left, ptime_ms)), callee]);
        assert_eq!(heard.report.start_ns, START_NS);
        assert_eq!(heard.report.duration_ms, 10_000);
        assert_same(&heard.left, &expanded(&left), &format!("ptime {ptime_ms}"));
        assert_same(&heard.right[8_000..48_000], &expanded(&right), &format!("ptime {ptime_ms}"));
        assert!(heard.right[..8_000].iter().chain(&heard.right[48_000..]).all(|&s| s == 0));
        assert_eq!(heard.report.packets.lost, 0);
        assert_eq!(heard.report.codecs, ["PCMU/8000"]);
    }
}

/// REC-1: mono is both, added.
#[test]
fn mono_mix_adds() {
    let (left, right) = (noise(1, 8_000), noise(2, 8_000));
    let mut callee = Stream::pcmu(Side::Callee, 9);
    callee.packets = Sender::new(9, START_NS).talk(&right, 20);
    let options = RenderOptions { layout: Layout::MonoMix, ..RenderOptions::default() };
    let heard = hear_as(&[caller(Sender::new(7, START_NS).talk(&left, 20)), callee], &options);
    let sum = expanded(&left).into_iter().zip(expanded(&right)).map(|(a, b)| a.saturating_add(b));
    assert_eq!(heard.left, sum.collect::<Vec<_>>());
}

/// Reordered, doubled and jittered packets make the same audio as clean ones.
#[test]
fn disorder_is_undone() {
    let audio = noise(3, 160_000);
    let mut packets = Sender::new(7, START_NS).talk(&audio, 20);
    let mut dice = Dice(5);
    for (arrival_ns, _) in packets.iter_mut().skip(1) {
        *arrival_ns += dice.roll(60) * MS;
    }
    for index in (10..900).step_by(90) {
        packets[index].0 += 400 * MS;
        let mut again = packets[index + 3].clone();
        again.0 += 5 * MS;
        packets.push(again);
    }
    let heard = hear(&[caller(packets)]);
    assert_same(&heard.left, &expanded(&audio), "audio");
    assert_eq!(heard.report.packets.duplicate, 10);
    assert!(heard.report.packets.reordered >= 10);
    assert_eq!(heard.report.packets.lost, 0);
    assert!(heard.report.streams[0].jitter_ms > 5.0);
}

/// A mirror that shows every packet two times.
#[test]
fn mirrored_duplicates_are_dropped() {
    let audio = noise(4, 16_000);
    let packets = Sender::new(7, START_NS).talk(&audio, 20);
    let doubled = packets.iter().flat_map(|packet| [packet.clone(), packet.clone()]).collect();
    let heard = hear(&[caller(doubled)]);
    assert_same(&heard.left, &expanded(&audio), "audio");
    assert_eq!(heard.report.packets.duplicate, 100);
}

/// A packet that comes ten seconds late still finds its place; the time of others is theirs.
#[test]
fn very_late_packet_is_used() {
    let audio = noise(4, 160_000);
    let mut packets = Sender::new(7, START_NS).talk(&audio, 20);
    packets[100].0 += 9_000 * MS;
    let heard = hear(&[caller(packets)]);
    assert_same(&heard.left, &expanded(&audio), "audio");
}

/// Sequence and timestamp wrap in mid-call.
#[test]
fn wraps_are_invisible() {
    let audio = noise(5, 80_000);
    let mut sender = Sender::new(7, START_NS);
    sender.sequence = 65_500;
    sender.timestamp = u32::MAX - 10_000;
    let heard = hear(&[caller(sender.talk(&audio, 20))]);
    assert_same(&heard.left, &expanded(&audio), "audio");
}

/// Lost packets: their time is kept, what was received is exact, the gap fades.
#[test]
fn loss_keeps_time() {
    let audio = voice(140.0, 80_000);
    let truth = expanded(&audio);
    let mut packets = Sender::new(7, START_NS).talk(&audio, 20);
    packets.drain(100..101);
    packets.drain(299..309);
    let heard = hear(&[caller(packets)]);
    assert_eq!(heard.left.len(), truth.len());
    let (one, ten) = (100 * 160, 300 * 160);
    assert_same(&heard.left[..one], &truth[..one], "audio");
    assert_same(&heard.left[one + 160..ten], &truth[one + 160..ten], "audio");
    assert_same(&heard.left[ten + 1_600..], &truth[ten + 1_600..], "audio");
    assert!(correlation(&heard.left[one..one + 160], &truth[one..one + 160]) > 0.8);
    assert!(heard.left[ten + 480..ten + 1_600].iter().all(|&s| s == 0));
    assert_eq!(heard.report.packets.lost, 11);
    assert_eq!(heard.report.gaps.len(), 2);
    assert_eq!(heard.report.gaps[1].packets, 10);
    assert_eq!(heard.report.streams[0].concealed_ms, 80);
}

/// Silence suppression: the gap has the length that the timestamps say, and is no loss.
#[test]
fn silence_suppression_is_exact() {
    let mut sender = Sender::new(7, START_NS);
    let (a, b) = (noise(1, 16_000), noise(2, 16_000));
    let mut packets = sender.talk(&a, 20);
    sender.pause(3_333);
    packets.extend(sender.talk(&b, 20));
    let heard = hear(&[caller(packets)]);
    let gap = 3_333 * 8;
    assert_same(&heard.left[..16_000], &expanded(&a), "audio");
    assert!(heard.left[16_000..16_000 + gap].iter().all(|&s| s == 0));
    assert_same(&heard.left[16_000 + gap..], &expanded(&b), "audio");
    assert_eq!(heard.report.packets.lost, 0);
    assert_eq!(heard.report.streams[0].restarts, 0);
}

/// Hold by a sender whose timestamp stands still meanwhile: time passed all the same.
#[test]
fn frozen_timestamp_is_reanchored() {
    for hold_ms in [300_u64, 5_000] {
        let mut sender = Sender::new(7, START_NS);
        let (a, b) = (noise(1, 16_000), noise(2, 16_000));
        let mut packets = sender.talk(&a, 20);
        sender.at_ns += hold_ms * MS;
        packets.extend(sender.talk(&b, 20));
        let heard = hear(&[caller(packets)]);
        let gap = hold_ms as usize * 8;
        assert_eq!(heard.left.len(), 32_000 + gap);
        assert_same(&heard.left[..16_000], &expanded(&a), "audio");
        assert_same(&heard.left[16_000 + gap..], &expanded(&b), "audio");
    }
}

/// A network that stands still and then delivers everything at once shifts nothing.
#[test]
fn stall_is_not_a_jump() {
    for stall_ms in [400_u64, 2_500, 8_000] {
        let audio = noise(6, 240_000);
        let mut packets = Sender::new(7, START_NS).talk(&audio, 20);
        let (from_ns, until_ns) = (START_NS + 10_000 * MS, START_NS + (10_000 + stall_ms) * MS);
        for (arrival_ns, _) in &mut packets {
            if (from_ns..until_ns).contains(arrival_ns) {
                *arrival_ns = until_ns;
            }
        }
        let heard = hear(&[caller(packets)]);
        assert_same(&heard.left, &expanded(&audio), &format!("stall of {stall_ms} ms"));
    }
}

/// CALL-4: a new SSRC, a restart of sequence and timestamp: audio goes on where it arrived.
#[test]
fn restarts_neither_mix_nor_lose() {
    let parts = [noise(1, 16_000), noise(2, 16_000), noise(3, 16_000)];
    let mut sender = Sender::new(7, START_NS);
    let mut first = sender.talk(&parts[0], 20);
    sender.sequence = 40_000;
    sender.timestamp = 3_000_000_000;
    first.extend(sender.talk(&parts[1], 20));
    let mut second = Stream::pcmu(Side::Caller, 8);
    sender.ssrc = 8;
    second.packets = sender.talk(&parts[2], 20);
    let heard = hear(&[caller(first), second]);
    assert_same(&heard.left, &expanded(&parts.concat()), "audio");
    assert_eq!(heard.report.packets.lost, 0);
    assert_eq!(heard.report.streams[0].restarts, 1);
}

/// Timestamps that jump while sequence numbers go on.
#[test]
fn timestamp_jump_is_reanchored() {
    for jump in [80_000_u32, 0_u32.wrapping_sub(80_000), 2_000_000_000] {
        let (a, b) = (noise(1, 24_000), noise(2, 24_000));
        let mut sender = Sender::new(7, START_NS);
        let mut packets = sender.talk(&a, 20);
        sender.timestamp = sender.timestamp.wrapping_add(jump);
        packets.extend(sender.talk(&b, 20));
        let heard = hear(&[caller(packets)]);
        assert_same(&heard.left, &expanded(&[a, b].concat()), &format!("jump {jump}"));
    }
}

/// Early media goes on beside the answer: the answer is heard, unless the other is marked.
#[test]
fn overlapping_streams_are_not_mixed() {
    let (early, answer) = (noise(1, 32_000), noise(2, 32_000));
    let mut streams = [Stream::pcmu(Side::Callee, 1), Stream::pcmu(Side::Callee, 2)];
    streams[0].packets = Sender::new(1, START_NS).talk(&early, 20);
    streams[1].packets = Sender::new(2, START_NS + 2_000 * MS).talk(&answer, 20);
    let heard = hear(&streams);
    assert_same(&heard.right[..16_000], &expanded(&early)[..16_000], "audio");
    assert_same(&heard.right[16_000..], &expanded(&answer), "audio");
    streams[0].priority = 1;
    let heard = hear(&streams);
    assert_same(&heard.right[..32_000], &expanded(&early), "audio");
    assert_same(&heard.right[32_000..], &expanded(&answer)[16_000..], "audio");
}

/// 100 ppm over half an hour: both sides stay together, within a few milliseconds.
#[test]
fn drift_is_corrected() {
    for ppm in [100_i64, -100] {
        let seconds = 1_800;
        let audio = voice(140.0, 8_000 * seconds);
        let mut packets = Sender::new(7, START_NS).talk(&audio, 20);
        for (index, (arrival_ns, _)) in packets.iter_mut().enumerate() {
            let media_ns = index as i64 * 20_000_000;
            *arrival_ns = (START_NS as i64 + media_ns + media_ns * ppm / 1_000_000) as u64;
        }
        let heard = hear(&[caller(packets)]);
        let expected = 8_000 * seconds as i64 * (1_000_000 + ppm) / 1_000_000;
        assert!((heard.left.len() as i64 - expected).abs() <= 16, "{}", heard.left.len());
        let measured = heard.report.streams[0].drift_ppm.expect("drift");
        assert!((measured - ppm as f64).abs() < 2.0, "{measured}");
        let truth = expanded(&audio);
        for second in (10..seconds as i64 - 10).step_by(100) {
            let place = (second * 8_000 * (1_000_000 + ppm) / 1_000_000) as usize;
            let sent = &truth[second as usize * 8_000..][..4_000];
            let best = (0..32)
                .max_by(|&a, &b| {
                    let at = |shift: usize| {
                        correlation(&heard.left[place + shift - 16..][..4_000], sent)
                    };
                    at(a).total_cmp(&at(b))
                })
                .expect("a shift");
            assert!((12..=20).contains(&best), "{ppm} ppm, second {second}: {best}");
        }
    }
}

/// A sender that pauses each minute while its timestamp stands still: no drift, and exact audio.
#[test]
fn pauses_are_not_drift() {
    let minute = noise(12, 8_000 * 60);
    let mut sender = Sender::new(7, START_NS);
    let mut packets = Vec::new();
    for _ in 0..10 {
        packets.extend(sender.talk(&minute, 20));
        sender.at_ns += 300 * MS;
    }
    let heard = hear(&[caller(packets)]);
    assert_eq!(heard.report.streams[0].drift_ppm, None);
    assert_eq!(heard.left.len(), 10 * 480_000 + 9 * 2_400);
    let truth = expanded(&minute);
    for part in heard.left.chunks(482_400) {
        assert!(part[..480_000] == truth, "a minute has moved");
    }
}

/// Jitter of a quarter of a second for ten minutes is not drift, and moves nothing.
#[test]
fn jitter_is_not_drift() {
    let audio = noise(7, 8_000 * 600);
    let mut packets = Sender::new(7, START_NS).talk(&audio, 20);
    let mut dice = Dice(11);
    for (index, (arrival_ns, _)) in packets.iter_mut().enumerate().skip(1) {
        if index % 25 != 0 {
            *arrival_ns += dice.roll(250) * MS;
        }
    }
    let heard = hear(&[caller(packets)]);
    assert_same(&heard.left, &expanded(&audio), "audio");
    assert_eq!(heard.report.streams[0].drift_ppm, None);
}

/// The codec changes in mid-call, and with it the native rate.
#[test]
fn codec_change_goes_on() {
    let types = vec![
        PayloadType::always(0, codec("PCMU", 8_000, 1)),
        PayloadType::always(96, codec("L16", 8_000, 1)),
    ];
    let (a, b) = (noise(1, 16_000), noise(2, 16_000));
    let mut sender = Sender::new(7, START_NS);
    let mut stream = Stream::new(Side::Caller, 7, types);
    stream.packets = sender.talk(&a, 20);
    for chunk in expanded(&b).chunks(160) {
        let payload: Vec<u8> = chunk.iter().flat_map(|sample| sample.to_be_bytes()).collect();
        stream.packets.push(sender.send(96, &payload, 160, 20 * MS));
    }
    let heard = hear(&[stream]);
    assert_same(&heard.left, &expanded(&[a, b].concat()), "audio");
    assert_eq!(heard.report.codecs.len(), 2);
}

/// SDP gives a number another meaning in mid-call.
#[test]
fn payload_type_meaning_changes_in_time() {
    let mut types = vec![PayloadType::always(96, codec("PCMU", 8_000, 1))];
    types.push(PayloadType {
        from_ns: START_NS + 1_990 * MS,
        ..PayloadType::always(96, codec("L16", 8_000, 1))
    });
    let (a, b) = (noise(1, 16_000), noise(2, 8_000));
    let mut sender = Sender::new(7, START_NS);
    let mut stream = Stream::new(Side::Caller, 7, types);
    for chunk in a.chunks(160) {
        stream.packets.push(sender.send(96, chunk, 160, 20 * MS));
    }
    for chunk in expanded(&b).chunks(160) {
        let payload: Vec<u8> = chunk.iter().flat_map(|sample| sample.to_be_bytes()).collect();
        stream.packets.push(sender.send(96, &payload, 160, 20 * MS));
    }
    let heard = hear(&[stream]);
    assert_same(&heard.left, &expanded(&[a, b].concat()), "audio");
}

/// Masks silence their side, and nothing of it leaks around them.
#[test]
fn masked_is_silent() {
    let audio = voice(140.0, 80_000);
    let mut packets = Sender::new(7, START_NS).talk(&audio, 20);
    // The packet after the mask is lost: concealment must not repeat what was masked.
    packets.remove(250);
    let silences = vec![Silence {
        from_ns: START_NS + 3_000 * MS,
        until_ns: START_NS + 5_000 * MS,
        side: Some(Side::Caller),
        becomes: Blank::Silence,
    }];
    let options = RenderOptions { silences, ..RenderOptions::default() };
    let heard = hear_as(&[caller(packets)], &options);
    assert!(heard.left[24_000..40_160].iter().all(|&s| s == 0));
    assert_same(&heard.left[..23_999], &expanded(&audio)[..23_999], "audio");
    assert_same(&heard.left[40_160..], &expanded(&audio)[40_160..], "audio");
}

/// POL-8: what is cut out is not there, on either side, and what comes after it follows at once.
#[test]
fn what_is_cut_out_takes_no_time() {
    let audio = voice(140.0, 80_000);
    let packets = Sender::new(7, START_NS).talk(&audio, 20);
    let cut = |from_ms, until_ms| Silence {
        from_ns: START_NS + from_ms * MS,
        until_ns: START_NS + until_ms * MS,
        side: None,
        becomes: Blank::Cut,
    };
    // Longer than a chunk, two that overlap, and one behind the end.
    let silences =
        vec![cut(2_000, 7_000), cut(8_000, 8_500), cut(8_400, 9_000), cut(9_990, 20_000)];
    let options = RenderOptions { silences, ..RenderOptions::default() };
    let heard = hear_as(&[caller(packets.clone())], &options);
    let expected = expanded(&audio);
    // What is cut is silenced first, two samples beyond its end: nothing of it may stay.
    let whole = [&expected[..15_999], &expected[56_002..63_999], &expected[72_002..79_919]];
    assert_eq!(heard.left.len(), 16_000 + 8_000 + 7_920);
    assert_same(&heard.left[..15_999], whole[0], "before");
    assert_same(&heard.left[16_002..23_999], whole[1], "between");
    assert_same(&heard.left[24_002..31_919], whole[2], "after");
    assert_eq!((heard.report.duration_ms, heard.report.frames), (3_990, 31_920));
    assert_eq!(heard.report.end_ns, START_NS + 10_000 * MS);
    // POL-4: what is left is too short to be kept.
    let options = RenderOptions { length_min_ns: 3_991 * MS, ..options };
    let refused = try_render(&[caller(packets)], &options).map(|_| ());
    assert!(matches!(refused, Err(RenderError::TooShort { length_ns }) if length_ns == 3_990 * MS));
}

/// CAP-9: packets of which only the header was kept are silence: their place is known, and nothing is made up for them.
#[test]
fn packets_without_payload_are_silent() {
    let audio = voice(140.0, 80_000);
    let mut packets = Sender::new(7, START_NS).talk(&audio, 20);
    packets[150..250].iter_mut().for_each(|(_, packet)| packet.truncate(12));
    let heard = hear(&[caller(packets)]);
    assert_eq!(heard.left.len(), audio.len());
    assert!(heard.left[24_000..40_000].iter().all(|&s| s == 0));
    assert_same(&heard.left[..24_000], &expanded(&audio)[..24_000], "audio");
    assert_same(&heard.left[40_000..], &expanded(&audio)[40_000..], "audio");
    let packets = heard.report.packets;
    assert_eq!((packets.received, packets.lost, packets.undecodable), (500, 0, 0));
    assert_eq!(heard.report.streams[0].concealed_ms, 0);
}

/// REC-4: a running call up to now, and a part of a call.
#[test]
fn part_is_cut_exactly() {
    let audio = noise(1, 80_000);
    let options = RenderOptions {
        start_ns: Some(START_NS + 1_000 * MS),
        end_ns: Some(START_NS + 12_000 * MS),
        ..RenderOptions::default()
    };
    let heard = hear_as(&[caller(Sender::new(7, START_NS).talk(&audio, 20))], &options);
    assert_eq!(heard.left.len(), 88_000);
    assert_same(&heard.left[..72_000], &expanded(&audio)[8_000..], "audio");
    assert!(heard.left[72_000..].iter().all(|&s| s == 0));
}

/// Same input, same bytes.
#[test]
fn rendering_is_deterministic() {
    let mut packets = Sender::new(7, START_NS).talk(&voice(200.0, 80_000), 20);
    packets.retain(|(arrival_ns, _)| arrival_ns / MS % 7 != 3);
    let streams = [caller(packets)];
    assert_eq!(hear(&streams).bytes, hear(&streams).bytes);
}

/// REC-4: what is heard of a running call is what its recording will have there.
#[test]
fn running_call_is_a_prefix() {
    let mut packets = Sender::new(7, START_NS).talk(&voice(170.0, 160_000), 20);
    packets.retain(|(arrival_ns, _)| arrival_ns / MS % 11 != 3);
    let whole = hear(&[caller(packets.clone())]);
    let now_ns = START_NS + 9_010 * MS;
    packets.retain(|(arrival_ns, _)| *arrival_ns < now_ns);
    let options = RenderOptions { end_ns: Some(now_ns), ..RenderOptions::default() };
    let part = hear_as(&[caller(packets)], &options);
    assert_eq!(part.left.len(), 9_010 * 8);
    assert_same(&part.left, &whole.left[..9_010 * 8], "so far");
}

/// The packet length changes in mid-call, and packets overlap by a rounding sender.
#[test]
fn packet_length_may_change() {
    let audio = noise(8, 48_000);
    let mut sender = Sender::new(7, START_NS);
    let mut packets = sender.talk(&audio[..16_000], 20);
    packets.extend(sender.talk(&audio[16_000..32_320], 60));
    packets.extend(sender.talk(&audio[32_320..], 10));
    let heard = hear(&[caller(packets)]);
    assert_same(&heard.left, &expanded(&audio), "audio");
    assert_eq!(heard.report.streams[0].restarts, 0);
}
