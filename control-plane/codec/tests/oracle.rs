//! Decoders of this process against FFmpeg's.

use std::sync::Arc;

use earwitness_codec::measure::{align, snr_db, speech_like};
use earwitness_codec::{CodecSpec, Decoders, Step, WorkerOptions, WorkerPool, encode};
use ffmpeg_next::format::Sample;
use ffmpeg_next::{Packet, codec, frame};

/// What FFmpeg makes of payloads.
fn ffmpeg(name: &str, rate: u32, payloads: &[Vec<u8>]) -> Vec<i16> {
    let found = codec::decoder::find_by_name(name).expect("decoder");
    let mut parameters = codec::Parameters::new();
    // SAFETY: the parameters are ours; these are fields for the user to set.
    unsafe {
        let parameters = parameters.as_mut_ptr();
        (*parameters).codec_type = ffmpeg_next::ffi::AVMediaType::AVMEDIA_TYPE_AUDIO;
        (*parameters).codec_id = found.id().into();
        (*parameters).sample_rate = rate as i32;
        ffmpeg_next::ffi::av_channel_layout_default(&raw mut (*parameters).ch_layout, 1);
    }
    let context = codec::Context::from_parameters(parameters).expect("context");
    let opened = context.decoder().open_as(found).expect("opened");
    let mut decoder = opened.audio().expect("audio");
    let mut frame = frame::Audio::empty();
    let mut out = Vec::new();
    for payload in payloads {
        decoder.send_packet(&Packet::copy(payload)).expect("packet");
        while decoder.receive_frame(&mut frame).is_ok() {
            assert!(matches!(frame.format(), Sample::I16(_)), "{:?}", frame.format());
            out.extend_from_slice(frame.plane::<i16>(0));
        }
    }
    out
}

// REC-2: G.711, G.722 and Opus are what another implementation says they are.
#[test]
fn ffmpeg_agrees() {
    let workers = Arc::new(WorkerPool::new(WorkerOptions::default()));
    for (name, clock, theirs, snr) in [
        ("PCMA", 8_000, "pcm_alaw", 180.0),
        ("PCMU", 8_000, "pcm_mulaw", 180.0),
        ("L16", 8_000, "pcm_s16be", 180.0),
        ("G722", 8_000, "g722", 180.0),
        ("opus", 48_000, "libopus", 40.0),
    ] {
        let spec = CodecSpec::from_sdp(name, clock, 1, "");
        let rate = spec.sample_rate();
        let sound = speech_like(rate, rate as usize * 2, 6);
        let mut encoder = encode::open(&workers, &spec).expect("encoder");
        let mut payloads = Vec::new();
        for samples in sound.chunks_exact(rate as usize / 50) {
            let mut payload = Vec::new();
            encoder.encode(samples, &mut payload).expect("encoded");
            payloads.push(payload);
        }
        let steps: Vec<_> = payloads.iter().map(|payload| Step::Packet(payload)).collect();
        let mut ours = Vec::new();
        Decoders::new(Arc::clone(&workers)).open(&spec).expect("decoder").run(&steps, &mut ours);
        let theirs = ffmpeg(theirs, rate, &payloads);
        let lag = align(&ours, &theirs, 1_000).lag;
        let found = snr_db(&ours, &theirs[usize::try_from(lag).expect("not early")..]);
        println!("{name}: lag {lag}, {found:.1} dB");
        assert_eq!(ours.len(), theirs.len(), "{name}");
        assert!(lag == 0 && found > snr, "{name}: lag {lag}, {found} dB");
    }
}
