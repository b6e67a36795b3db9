//! Files as other programs read them: FFmpeg's own readers find the samples, channels and length.

use std::fs::{self, File};
use std::path::Path;

use earwitness_codec::measure::{align, noise, rms, speech_like};
use earwitness_codec::sink::{AudioShape, Format, SinkError};
use ffmpeg_next::format::Sample;
use ffmpeg_next::{codec, format, frame, media};

/// What FFmpeg finds in a file: rate, and samples of each channel.
fn read(path: &Path) -> (u32, Vec<Vec<i16>>) {
    ffmpeg_next::log::set_level(ffmpeg_next::log::Level::Quiet);
    let mut input = format::input(path).expect("a file of a known format");
    let stream = input.streams().best(media::Type::Audio).expect("audio");
    let context = codec::Context::from_parameters(stream.parameters()).expect("parameters");
    let mut decoder = context.decoder().audio().expect("decoder");
    let mut channels: Vec<Vec<i16>> = Vec::new();
    let mut frame = frame::Audio::empty();
    let mut drain = |decoder: &mut codec::decoder::Audio| {
        while decoder.receive_frame(&mut frame).is_ok() {
            let count = usize::from(frame.channels());
            channels.resize(count, Vec::new());
            for (n, channel) in channels.iter_mut().enumerate() {
                let whole = |sample: f32| (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0);
                match frame.format() {
                    Sample::I16(_) if count == 1 => channel.extend(frame.plane::<i16>(0)),
                    Sample::I16(_) => {
                        let pairs = frame.plane::<(i16, i16)>(0);
                        channel.extend(pairs.iter().map(|p| if n == 0 { p.0 } else { p.1 }));
                    }
                    Sample::F32(_) if frame.is_planar() || count == 1 => {
                        channel.extend(frame.plane::<f32>(n).iter().map(|&s| whole(s) as i16));
                    }
                    other => panic!("samples as {other:?}"),
                }
            }
        }
    };
    let packets: Vec<_> = input.packets().collect();
    for (_, packet) in &packets {
        decoder.send_packet(packet).expect("packet");
        drain(&mut decoder);
    }
    decoder.send_eof().expect("end");
    drain(&mut decoder);
    (decoder.rate(), channels)
}

/// Writes a file in pieces of so many samples.
fn write(path: &Path, format: Format, shape: AudioShape, samples: &[i16], piece: usize) -> u64 {
    let mut sink = format.create(shape, File::create(path).expect("file")).expect("sink");
    for samples in samples.chunks(piece * usize::from(shape.channels)) {
        sink.write(samples).expect("written");
    }
    let (file, written) = sink.finish().expect("finished");
    assert_eq!(written.bytes, file.metadata().expect("file").len());
    assert_eq!(written.samples, samples.len() as u64 / u64::from(shape.channels));
    written.bytes
}

fn interleave(left: &[i16], right: &[i16]) -> Vec<i16> {
    left.iter().zip(right).flat_map(|(&left, &right)| [left, right]).collect()
}

fn formats(channels: u8) -> [Format; 3] {
    [Format::Wav, Format::mp3(channels), Format::ogg_opus(channels)]
}

// REC-1: caller left, callee right, each as it was said, of exactly that length, in every format.
#[test]
fn stereo_files_are_read_by_others() {
    let folder = tempfile::tempdir().expect("folder");
    for (sample_rate, samples) in [(8_000, 24_123), (16_000, 48_001), (48_000, 96_777)] {
        let (left, right) =
            (speech_like(sample_rate, samples, 1), speech_like(sample_rate, samples, 2));
        let both = interleave(&left, &right);
        for format in formats(2) {
            let shape = AudioShape { sample_rate, channels: 2 };
            let path = folder.path().join(format!("{sample_rate}.{}", format.extension()));
            write(&path, format, shape, &both, 160);
            let (rate, channels) = read(&path);
            let scale = (rate / sample_rate) as usize;
            assert_eq!(channels.len(), 2, "{format:?}");
            assert_eq!(channels[0].len(), samples * scale, "{format:?} {sample_rate}");
            for (truth, found) in [(&left, &channels[0]), (&right, &channels[1])] {
                let found: Vec<i16> = found.iter().step_by(scale).copied().collect();
                let alignment = align(truth, &found, 400);
                println!("{format:?} {sample_rate}: {alignment:?}");
                assert!(alignment.correlation > 0.9, "{format:?} {sample_rate}: {alignment:?}");
                assert!(alignment.lag.abs() <= 2, "{format:?} {sample_rate}: {alignment:?}");
            }
        }
    }
}

// REC-1: nothing of one party is in the other's channel.
#[test]
fn channels_do_not_leak() {
    let folder = tempfile::tempdir().expect("folder");
    let shape = AudioShape { sample_rate: 16_000, channels: 2 };
    let left = speech_like(16_000, 64_000, 3);
    for format in formats(2) {
        let path = folder.path().join(format.extension());
        write(&path, format, shape, &interleave(&left, &vec![0; 64_000]), 320);
        let (_, channels) = read(&path);
        let (speech, silence) = (rms(&channels[0]), rms(&channels[1]));
        println!("{format:?}: {speech:.0} {silence:.3}");
        assert!(speech > 1_000.0 && silence < 1.5, "{format:?}: {speech} {silence}");
    }
}

// REC-1: the same samples make the same bytes, however they come.
#[test]
fn files_are_deterministic() {
    let folder = tempfile::tempdir().expect("folder");
    let samples = speech_like(8_000, 40_000, 4);
    for format in formats(1) {
        let shape = AudioShape { sample_rate: 8_000, channels: 1 };
        let paths = ["a", "b"].map(|name| folder.path().join(name));
        write(&paths[0], format, shape, &samples, 160);
        write(&paths[1], format, shape, &samples, 7_777);
        assert!(fs::read(&paths[0]).ok() == fs::read(&paths[1]).ok(), "{format:?}");
    }
}

// REC-1 (003): MP3 takes about 240 kB a minute of a mono file, WAV 960 kB at 8 kHz.
#[test]
fn sizes_are_as_guided() {
    let folder = tempfile::tempdir().expect("folder");
    let samples = noise(8_000 * 60, 1_000.0, 5);
    let shape = AudioShape { sample_rate: 8_000, channels: 1 };
    let path = folder.path().join("minute");
    let size = |format| write(&path, format, shape, &samples, 160);
    assert_eq!(size(Format::Wav), 960_080);
    assert!((230_000..256_000).contains(&size(Format::mp3(1))));
    assert!((100_000..220_000).contains(&size(Format::ogg_opus(1))));
}

// REC-1: empty and very short files are whole.
#[test]
fn short_files_are_whole() {
    let folder = tempfile::tempdir().expect("folder");
    let shape = AudioShape { sample_rate: 8_000, channels: 2 };
    for samples in [1_usize, 100, 1_000] {
        for format in formats(2) {
            let path = folder.path().join(format!("{samples}.{}", format.extension()));
            write(&path, format, shape, &vec![0; samples * 2], 160);
            let (rate, channels) = read(&path);
            let expected = samples * (rate / 8_000) as usize;
            let found = channels.first().map_or(0, Vec::len);
            // FFmpeg does not cut off more of an MP3 frame than there is padding for, and nothing
            // of a lone Opus packet.
            let surplus = match format {
                Format::Mp3 { .. } => 1_152,
                Format::OggOpus { .. } if samples <= 100 => 960,
                _ => 0,
            };
            assert!(
                (expected..=expected + surplus).contains(&found),
                "{format:?} {samples} {found}"
            );
        }
    }
    for format in formats(2) {
        write(&folder.path().join("empty"), format, shape, &[], 160);
    }
}

// REC-1: what a format cannot hold is refused before anything is written.
#[test]
fn impossible_shapes_are_refused() {
    let create = |format: Format, sample_rate, channels| {
        let file = std::io::Cursor::new(Vec::new());
        format.create(AudioShape { sample_rate, channels }, file).err()
    };
    for (format, rate, channels) in
        [(Format::mp3(1), 9_000, 1), (Format::ogg_opus(1), 44_100, 1), (Format::Wav, 8_000, 3)]
    {
        assert!(matches!(create(format, rate, channels), Some(SinkError::Shape { .. })));
    }
    assert!(matches!(create(Format::Amr, 8_000, 1), Some(SinkError::NoEncoder { .. })));
    assert!(create(Format::Mp3 { kbps: 1_000 }, 8_000, 2).is_none());
}
