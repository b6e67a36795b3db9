//! REC-1, REC-2, CALL-7, CALL-8: codecs, rates, noise, keys, counts.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::traffic::{
    MS, START_NS, Sender, Stream, assert_same, codec, correlation, expanded, hear, hear_as, noise,
    render_bytes, voice, workers,
};
use earwitness_codec::{Decoders, WorkerOptions, WorkerPool, encode};
use earwitness_recording::{
    Blank, Format, Noise, PayloadType, RenderError, RenderOptions, Side, Silence, StreamInput,
    StreamKey, render,
};

fn with_events() -> Vec<PayloadType> {
    vec![
        PayloadType::always(0, codec("PCMU", 8_000, 1)),
        PayloadType::always(101, codec("telephone-event", 8_000, 1)),
        PayloadType::always(13, codec("CN", 8_000, 1)),
    ]
}

/// RFC 4733 section 2.5.1: 20 ms steps, the end three times, one timestamp.
fn press(sender: &mut Sender, key: u8, steps: u16) -> Vec<(u64, Vec<u8>)> {
    let mut packets = Vec::new();
    for step in 1..=steps + 2 {
        let end = if step >= steps { 0x80 } else { 0 };
        let [high, low] = (step.min(steps) * 160).to_be_bytes();
        packets.push(sender.send(101, &[key, end | 10, high, low], 0, 20 * MS));
    }
    sender.timestamp += (u32::from(steps) + 2) * 160;
    packets
}

/// CALL-8: keys are told, are silent in the audio, and take the time they take.
#[test]
fn keys_are_reported_and_silent() {
    let (a, b) = (noise(1, 8_000), noise(2, 8_000));
    let mut sender = Sender::new(7, START_NS);
    let mut stream = Stream::new(Side::Caller, 7, with_events());
    stream.packets = sender.talk(&a, 20);
    for key in [1, 2, 10, 15] {
        stream.packets.extend(press(&mut sender, key, 5));
    }
    // Retransmitted by the network: still one key.
    let again = stream.packets[52].clone();
    stream.packets.insert(53, again);
    let silent = 4 * 7 * 160;
    stream.packets.extend(sender.talk(&b, 20));
    let heard = hear(&[stream]);
    assert_same(&heard.left[..8_000], &expanded(&a), "before");
    assert!(heard.left[8_000..8_000 + silent].iter().all(|&s| s == 0));
    assert_same(&heard.left[8_000 + silent..], &expanded(&b), "after");
    let keys: String = heard.report.digits.iter().map(|digit| digit.digit).collect();
    assert_eq!(keys, "12*D");
    assert_eq!(heard.report.digits[0].duration_ms, 100);
    assert_eq!(heard.report.digits[1].at_ns, START_NS + 1_140 * MS);
    assert_eq!(heard.report.packets.lost, 0);
    assert_eq!(heard.report.streams[0].restarts, 0);
}

/// CALL-8: what is masked is not told either.
#[test]
fn masked_keys_are_not_told() {
    let mut sender = Sender::new(7, START_NS);
    let mut stream = Stream::new(Side::Caller, 7, with_events());
    for key in 1..=6 {
        stream.packets.extend(press(&mut sender, key, 5));
        stream.packets.extend(sender.talk(&noise(1, 3_200), 20));
    }
    let silences = vec![Silence {
        from_ns: START_NS + 600 * MS,
        until_ns: START_NS + 1_600 * MS,
        side: Some(Side::Caller),
        becomes: Blank::Silence,
    }];
    let heard = hear_as(&[stream], &RenderOptions { silences, ..RenderOptions::default() });
    let keys: String = heard.report.digits.iter().map(|digit| digit.digit).collect();
    assert_eq!(keys, "1456");
}

/// A call of keys alone has a length.
#[test]
fn keys_alone_make_a_recording() {
    let mut stream = Stream::new(Side::Caller, 7, with_events());
    stream.packets = press(&mut Sender::new(7, START_NS), 3, 20);
    let heard = hear(&[stream]);
    assert_eq!(heard.report.duration_ms, 420);
    assert_eq!(heard.report.digits.len(), 1);
}

/// RFC 3389: silence by default, noise of the named level if wanted; the audio after is exact.
#[test]
fn comfort_noise_fills_the_gap() {
    let (a, b) = (noise(1, 8_000), noise(2, 8_000));
    let mut sender = Sender::new(7, START_NS);
    let mut stream = Stream::new(Side::Caller, 7, with_events());
    stream.packets = sender.talk(&a, 20);
    stream.packets.push(sender.send(13, &[50], 160, 20 * MS));
    sender.pause(4_980);
    stream.packets.extend(sender.talk(&b, 20));
    let silent = hear(std::slice::from_ref(&stream));
    assert!(silent.left[8_000..48_000].iter().all(|&s| s == 0));
    assert_same(&silent.left[48_000..], &expanded(&b), "after silence");
    let options = RenderOptions { noise: Noise::Comfort, ..RenderOptions::default() };
    let noisy = hear_as(&[stream], &options);
    assert_same(&noisy.left[..8_000], &expanded(&a), "before noise");
    assert_same(&noisy.left[48_000..], &expanded(&b), "after noise");
    for second in noisy.left[8_000..48_000].chunks(8_000) {
        let power = second.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / 8_000.0;
        let level = 20.0 * (32_768.0 / power.sqrt()).log10();
        assert!((level - 50.0).abs() < 1.0, "{level} dBov");
    }
}

/// An empty side is silence; a stream without packets changes nothing.
#[test]
fn empty_side_is_silent() {
    let audio = noise(1, 8_000);
    let mut caller = Stream::pcmu(Side::Caller, 7);
    caller.packets = Sender::new(7, START_NS).talk(&audio, 20);
    let heard = hear(&[caller, Stream::pcmu(Side::Callee, 9)]);
    assert_same(&heard.left, &expanded(&audio), "caller");
    assert!(heard.right.iter().all(|&s| s == 0));
    assert_eq!(heard.report.streams[1].packets.received, 0);
}

/// A codec that nobody can decode: the recording is there, and says what it lacks.
#[test]
fn undecodable_codec_is_silence_and_counted() {
    let audio = noise(1, 8_000);
    let mut caller =
        Stream::new(Side::Caller, 7, vec![PayloadType::always(97, codec("EVS", 16_000, 1))]);
    let mut sender = Sender::new(7, START_NS);
    caller.packets = (0..50).map(|_| sender.send(97, &[1; 40], 320, 20 * MS)).collect();
    // And numbers that nothing explains.
    caller.packets.extend((0..5).map(|_| sender.send(98, &[1; 40], 320, 20 * MS)));
    let mut callee = Stream::pcmu(Side::Callee, 9);
    callee.packets = Sender::new(9, START_NS).talk(&audio, 20);
    let heard = hear(&[caller, callee]);
    assert_same(&heard.right[..8_000], &expanded(&audio), "callee");
    assert!(heard.left.iter().all(|&s| s == 0));
    // To the arrival of the last packet, of whatever kind.
    assert_eq!(heard.report.duration_ms, 1_080);
    let stream = &heard.report.streams[0];
    assert_eq!(stream.packets.undecodable, 55);
    assert_eq!((stream.codecs[0].packets, stream.codecs[0].undecodable), (50, 50));
    assert_eq!(stream.codecs[1].name, "payload type 98");
    assert_eq!(heard.report.sample_rate, 8_000);
}

/// REC-1: sides of different rates share the higher one, in time and in phase.
#[test]
fn lower_rate_is_raised() {
    let types = vec![PayloadType::always(96, codec("L16", 16_000, 1))];
    let wide: Vec<i16> = (0..32_000)
        .map(|n| ((std::f64::consts::TAU * 440.0 * f64::from(n) / 16_000.0).sin() * 9e3) as i16)
        .collect();
    let narrow = voice(440.0, 16_000);
    let mut sender = Sender::new(7, START_NS);
    let mut caller = Stream::new(Side::Caller, 7, types);
    for chunk in wide.chunks(320) {
        let payload: Vec<u8> = chunk.iter().flat_map(|sample| sample.to_be_bytes()).collect();
        caller.packets.push(sender.send(96, &payload, 320, 20 * MS));
    }
    let mut callee = Stream::pcmu(Side::Callee, 9);
    callee.packets = Sender::new(9, START_NS).talk(&narrow, 20);
    let heard = hear(&[caller.clone(), callee]);
    assert_eq!(heard.report.sample_rate, 16_000);
    assert_same(&heard.left, &wide, "caller");
    let halved: Vec<i16> = heard.right.iter().copied().step_by(2).collect();
    assert!(correlation(&halved, &expanded(&narrow)) > 0.999);
    let options = RenderOptions { sample_rate: Some(8_000), ..RenderOptions::default() };
    let lowered = hear_as(&[caller], &options);
    let expected: Vec<i16> = wide.iter().copied().step_by(2).collect();
    assert!(correlation(&lowered.left, &expected) > 0.999);
}

/// CALL-7: counts and jitter are per stream, and add up.
#[test]
fn counts_add_up() {
    let mut streams = [Stream::pcmu(Side::Caller, 7), Stream::pcmu(Side::Callee, 9)];
    streams[0].packets = Sender::new(7, START_NS).talk(&noise(1, 80_000), 20);
    streams[0].packets.retain(|(arrival_ns, _)| (arrival_ns - START_NS) / MS % 500 != 100);
    streams[1].packets = Sender::new(9, START_NS).talk(&noise(2, 80_000), 20);
    streams[1].packets.push((START_NS + 10_000 * MS, b"not RTP".to_vec()));
    let heard = hear(&streams);
    let [caller, callee] = &heard.report.streams[..] else { panic!("two streams") };
    assert_eq!((caller.packets.received, caller.packets.lost), (480, 20));
    assert_eq!((callee.packets.received, callee.packets.malformed), (501, 1));
    assert_eq!(heard.report.packets.received, 981);
    assert_eq!(heard.report.gaps.len(), 20);
    assert!(caller.jitter_ms < 0.001);
    let (worse, better) = (caller.mos.expect("a score"), callee.mos.expect("a score"));
    assert!((better - 4.41).abs() < 0.01 && worse < 4.2 && worse > 3.0, "{worse} {better}");
    assert_eq!(heard.report.mos, Some(worse));
    assert_eq!(caller.first_arrival_ns, Some(START_NS));
}

/// A voice-like wave at any rate.
fn wave(rate_hz: u32, samples: usize) -> Vec<i16> {
    (0..samples)
        .map(|n| {
            let t = std::f64::consts::TAU * n as f64 / f64::from(rate_hz);
            let loud = 0.6 + 0.4 * (3.0 * t).sin();
            ((180.0 * t).sin() * loud * 7e3 + (610.0 * t).sin() * 3e3) as i16
        })
        .collect()
}

/// The caller's packets of this codec, 20 ms each.
fn coded(name: &str, clock_hz: u32, audio: &[i16]) -> Stream {
    let spec = codec(name, clock_hz, 1);
    let mut encoder = encode::open(&workers(), &spec).expect("an encoder");
    let frame = encoder.sample_rate() as usize / 50;
    let mut stream = Stream::new(Side::Caller, 7, vec![PayloadType::always(96, spec)]);
    let mut sender = Sender::new(7, START_NS);
    for samples in audio.chunks_exact(frame) {
        let mut payload = Vec::new();
        encoder.encode(samples, &mut payload).expect("encoded");
        stream.packets.push(sender.send(96, &payload, clock_hz / 50, 20 * MS));
    }
    stream
}

/// The shift of `heard` against `sent` at which they are most alike, and how much.
fn best_match(heard: &[i16], sent: &[i16], most: usize) -> (usize, f64) {
    let length = sent.len() - most;
    (0..most)
        .map(|shift| (shift, correlation(&heard[shift..shift + length], &sent[..length])))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .expect("a shift")
}

/// Name, RTP clock, native rate, and how like the sent audio it must be: Opus filters low notes.
const WIDEBAND: [(&str, u32, u32, f64); 2] =
    [("G722", 8_000, 16_000, 0.97), ("opus", 48_000, 48_000, 0.93)];

/// REC-2: codecs with memory and delay of their own, at their native rate and at their place.
#[test]
fn wideband_codecs_are_in_place() {
    for (name, clock_hz, rate_hz, least) in WIDEBAND {
        let audio = wave(rate_hz, rate_hz as usize * 3);
        let heard = hear(&[coded(name, clock_hz, &audio)]);
        assert_eq!(heard.report.sample_rate, rate_hz, "{name}");
        assert_eq!(heard.report.duration_ms, 3_000, "{name}");
        assert_eq!(heard.report.packets.undecodable, 0, "{name}");
        let (shift, likeness) = best_match(&heard.left, &audio, rate_hz as usize / 100);
        assert!(likeness > least, "{name}: {likeness} at {shift}");
    }
}

/// REC-2: loss in such a codec is concealed by its decoder; time is kept, and what follows is right.
#[test]
fn loss_in_wideband_codecs_keeps_time() {
    for (name, clock_hz, rate_hz, least) in WIDEBAND {
        let audio = wave(rate_hz, rate_hz as usize * 3);
        let mut stream = coded(name, clock_hz, &audio);
        stream.packets.drain(50..52);
        stream.packets.drain(98..108);
        let heard = hear(&[stream]);
        assert_eq!(heard.report.packets.lost, 12, "{name}");
        assert_eq!(heard.report.duration_ms, 3_000, "{name}");
        assert_eq!(heard.report.streams[0].concealed_ms, 100, "{name}");
        let second = rate_hz as usize;
        let after = second * 2 + second * 22 / 100;
        let (shift, likeness) =
            best_match(&heard.left[after..], &audio[after..], rate_hz as usize / 100);
        assert!(likeness > least, "{name}: {likeness} at {shift}");
        let gap = &heard.left[second * 207 / 100..second * 219 / 100];
        assert!(gap.iter().all(|&sample| sample == 0), "{name}: silence after 60 ms");
    }
}

/// REC-1: MP3 and Ogg Opus, streamed and to a file, the same each time.
#[test]
fn coded_formats_are_whole() {
    let audio = noise(1, 40_000);
    let mut stream = Stream::pcmu(Side::Caller, 7);
    stream.packets = Sender::new(7, START_NS).talk(&audio, 20);
    for (format, magic, offset) in
        [(Format::Mp3, b"\xff\xe3".as_slice(), 0), (Format::OggOpus, b"OpusHead", 28)]
    {
        let options = RenderOptions { format, ..RenderOptions::default() };
        let (report, streamed) = render_bytes(std::slice::from_ref(&stream), &options);
        assert_eq!(report.frames, 40_000);
        assert_eq!(&streamed[offset..offset + magic.len()], magic, "{format:?}");
        let kilobytes = streamed.len() / 1_000;
        assert!((10..60).contains(&kilobytes), "{format:?}: {kilobytes} kB for 5 s");
        assert_eq!(render_bytes(std::slice::from_ref(&stream), &options).1, streamed);
    }
}

/// REC-1: an Opus file cannot have any rate: the next that holds the audio is taken.
#[test]
fn rate_fits_the_format() {
    let types = vec![PayloadType::always(96, codec("L16", 11_025, 1))];
    let mut stream = Stream::new(Side::Caller, 7, types);
    let mut sender = Sender::new(7, START_NS);
    for _ in 0..50 {
        stream.packets.push(sender.send(96, &[1; 440], 220, 220 * MS * 1_000 / 11_025));
    }
    let rate = |format| {
        let options = RenderOptions { format, ..RenderOptions::default() };
        render_bytes(std::slice::from_ref(&stream), &options).0.sample_rate
    };
    assert_eq!(rate(Format::Wav), 11_025);
    assert_eq!(rate(Format::OggOpus), 12_000);
}

/// S9: where the decoder's program is missing, the recording is made, and says what it lacks.
#[test]
fn missing_decoder_is_counted() {
    let types = vec![PayloadType::always(18, codec("G729", 8_000, 1))];
    let mut stream = Stream::new(Side::Caller, 7, types);
    let mut sender = Sender::new(7, START_NS);
    stream.packets = (0..200).map(|_| sender.send(18, &[1; 20], 160, 20 * MS)).collect();
    let heard = hear(&[stream]);
    assert_eq!(heard.report.duration_ms, 4_000);
    assert!(heard.left.iter().all(|&sample| sample == 0));
    let used = &heard.report.streams[0].codecs[0];
    assert_eq!((used.name.as_str(), used.packets, used.undecodable), ("G729/8000", 200, 200));
    assert_eq!(heard.report.packets.undecodable, 200);
}

/// S9: a decoder that cannot be had just now is an error, to be tried again; not a silent recording.
#[test]
fn dying_decoder_is_an_error() {
    let program = Some("/bin/false".into());
    let options = WorkerOptions { program, ..WorkerOptions::default() };
    let decoders = Decoders::new(Arc::new(WorkerPool::new(options)));
    let types = [PayloadType::always(18, codec("G729", 8_000, 1))];
    let mut sender = Sender::new(7, START_NS);
    let packets: Vec<_> = (0..9).map(|_| sender.send(18, &[1; 20], 160, 20 * MS)).collect();
    let address = SocketAddr::from(([127, 0, 0, 1], 9));
    let input = StreamInput {
        side: Side::Caller,
        key: StreamKey { src: address, dst: address, ssrc: 7 },
        payload_types: &types,
        priority: 0,
        packets: &packets,
    };
    let result = render(&[input], &RenderOptions::default(), &mut Vec::new(), &decoders);
    assert!(matches!(result, Err(RenderError::Decoder { stream: 0, .. })), "{result:?}");
}
