//! Codecs of FFmpeg as bytes in, bytes out.
#![expect(unsafe_code, reason = "ffmpeg-next has no setters for some fields of a codec context")]

use ffmpeg_next::codec::{self, Context, threading};
use ffmpeg_next::ffi;
use ffmpeg_next::format::Sample;
use ffmpeg_next::format::sample::Type;
use ffmpeg_next::frame::Audio;
use ffmpeg_next::{ChannelLayout, Packet};

use earwitness_codec::protocol::{Foreign, StreamFormat};

/// Why FFmpeg could not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FfmpegError {
    #[error("this FFmpeg has no {direction} for {codec:?} ({name})")]
    Missing { direction: &'static str, codec: Foreign, name: &'static str },
    #[error("FFmpeg: {0}")]
    Ffmpeg(#[from] ffmpeg_next::Error),
    #[error("samples of an unknown kind")]
    Samples,
    #[error("no whole number of samples")]
    Uneven,
    #[error("no such sample or frame size")]
    Parameter,
}

/// Frames of silence before the first: FFmpeg's iLBC decoder begins without the mean spectrum of
/// RFC 3951 section 3.2.7 and would burst out with a shriek.
const ILBC_PRIMING: usize = 5;
/// What an encoder makes of silence, 20 ms.
const ILBC_SILENCE_20: [u8; 38] = [
    0xff, 0xa6, 0x34, 0x00, 0x01, 0xb0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x49, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc0, 0x00, 0x0d, 0x96,
    0x2c, 0x6c, 0x6c, 0x6c, 0x36, 0x36,
];
/// What an encoder makes of silence, 30 ms.
const ILBC_SILENCE_30: [u8; 50] = [
    0xff, 0xa6, 0x3f, 0xfa, 0x63, 0x20, 0x00, 0x6c, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04,
    0xd9, 0xb3, 0x63, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xf0, 0x00, 0x03, 0x65, 0x8b, 0x0d, 0x8d, 0x86, 0xc6, 0xc3, 0x63, 0x61, 0x63, 0x61,
    0xd8, 0x76,
];

/// Names of FFmpeg's decoders, best first.
fn decoder_names(codec: Foreign) -> &'static [&'static str] {
    match codec {
        Foreign::G726 => &["g726"],
        Foreign::G726Le => &["g726le"],
        Foreign::G729 => &["g729"],
        Foreign::Gsm => &["gsm"],
        Foreign::Ilbc => &["ilbc"],
        // The reference decoder, where FFmpeg was built with it.
        Foreign::Speex => &["libspeex", "speex"],
        Foreign::Amr => &["amrnb"],
        Foreign::AmrWb => &["amrwb"],
    }
}

fn encoder_name(codec: Foreign) -> &'static str {
    match codec {
        Foreign::G726 => "g726",
        Foreign::G726Le => "g726le",
        Foreign::G729 => "none known",
        Foreign::Gsm => "libgsm",
        Foreign::Ilbc => "libilbc",
        Foreign::Speex => "libspeex",
        Foreign::Amr => "libopencore_amrnb",
        Foreign::AmrWb => "libvo_amrwbenc",
    }
}

/// Whether frames of another size need another decoder.
pub(crate) fn decodes_by_size(format: StreamFormat) -> bool {
    format.codec == Foreign::Ilbc
}

/// The size of frames to begin with, where it matters.
pub(crate) fn usual_frame_bytes(format: StreamFormat) -> usize {
    if format.parameter == 20 { 38 } else { 50 }
}

/// Processor time of this process so far.
pub(crate) fn cpu_ms() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` lives across the call, which fills it.
    if unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) } != 0 {
        return 0;
    }
    time.tv_sec as u64 * 1_000 + time.tv_nsec as u64 / 1_000_000
}

/// A decoder of one stream.
pub(crate) struct Decoder {
    decoder: codec::decoder::Audio,
    frame: Audio,
}

impl Decoder {
    /// Opens a decoder; `frame_bytes` matters to iLBC alone.
    pub(crate) fn open(format: StreamFormat, frame_bytes: usize) -> Result<Self, FfmpegError> {
        let sizes = [ILBC_SILENCE_20.len(), ILBC_SILENCE_30.len()];
        if decodes_by_size(format) && !sizes.contains(&frame_bytes) {
            return Err(FfmpegError::Parameter);
        }
        let names = decoder_names(format.codec);
        let codec = names.iter().find_map(|name| codec::decoder::find_by_name(name)).ok_or(
            FfmpegError::Missing { direction: "decoder", codec: format.codec, name: names[0] },
        )?;
        let mut context = Context::new_with_codec(codec);
        configure(&mut context, format)?;
        // SAFETY: the context is ours and not opened yet; FFmpeg reads the field when it is.
        unsafe { (*context.as_mut_ptr()).block_align = frame_bytes as i32 };
        let decoder = context.decoder().open_as(codec)?.audio()?;
        let mut opened = Self { decoder, frame: Audio::empty() };
        if format.codec == Foreign::Ilbc {
            let silence: &[u8] = if frame_bytes == ILBC_SILENCE_20.len() {
                &ILBC_SILENCE_20
            } else {
                &ILBC_SILENCE_30
            };
            for _ in 0..ILBC_PRIMING {
                opened.decode(silence)?;
            }
        }
        Ok(opened)
    }

    /// The samples of one frame, 16 bits, little-endian.
    pub(crate) fn decode(&mut self, frame: &[u8]) -> Result<Vec<u8>, FfmpegError> {
        let mut samples = Vec::new();
        // A copy, because FFmpeg reads past the end of what it is given.
        self.decoder.send_packet(&Packet::copy(frame))?;
        while self.decoder.receive_frame(&mut self.frame).is_ok() {
            match self.frame.format() {
                Sample::I16(_) => {
                    samples.extend(self.frame.plane::<i16>(0).iter().flat_map(|s| s.to_le_bytes()));
                }
                Sample::F32(_) => samples.extend(
                    self.frame.plane::<f32>(0).iter().flat_map(|&s| whole(s).to_le_bytes()),
                ),
                _ => return Err(FfmpegError::Samples),
            }
        }
        Ok(samples)
    }
}

/// An encoder of one stream.
pub(crate) struct Encoder {
    encoder: codec::encoder::audio::Encoder,
    layout: Sample,
}

impl Encoder {
    pub(crate) fn open(format: StreamFormat) -> Result<Self, FfmpegError> {
        let name = encoder_name(format.codec);
        let codec = codec::encoder::find_by_name(name).ok_or(FfmpegError::Missing {
            direction: "encoder",
            codec: format.codec,
            name,
        })?;
        let mut context = Context::new_with_codec(codec);
        configure(&mut context, format)?;
        let mut encoder = context.encoder().audio()?;
        let formats = codec.audio()?.formats();
        let layout = formats
            .and_then(|mut known| known.find(|known| matches!(known, Sample::I16(_))))
            .unwrap_or(Sample::I16(Type::Packed));
        encoder.set_format(layout);
        encoder.set_bit_rate(match format.codec {
            Foreign::G726 | Foreign::G726Le => format.parameter as usize * 8_000,
            Foreign::Gsm => 13_000,
            Foreign::Speex if format.parameter == 0 => 0,
            _ => format.parameter as usize,
        });
        Ok(Self { encoder: encoder.open_as(codec)?, layout })
    }

    /// The bytes that samples (16 bits, little-endian) become.
    pub(crate) fn encode(&mut self, samples: &[u8]) -> Result<Vec<u8>, FfmpegError> {
        if !samples.len().is_multiple_of(2) || samples.is_empty() {
            return Err(FfmpegError::Uneven);
        }
        let count = samples.len() / 2;
        let mut frame = Audio::new(self.layout, count, ChannelLayout::MONO);
        frame.set_rate(self.encoder.rate());
        for (to, from) in frame.plane_mut::<i16>(0).iter_mut().zip(samples.chunks_exact(2)) {
            *to = i16::from_le_bytes([from[0], from[1]]);
        }
        // G.726 has no frames of its own; FFmpeg makes some up and insists on them.
        // SAFETY: the context is ours; the field is only compared with the frame's length.
        unsafe {
            let context = self.encoder.as_mut_ptr();
            if matches!(
                (*context).codec_id,
                ffi::AVCodecID::AV_CODEC_ID_ADPCM_G726 | ffi::AVCodecID::AV_CODEC_ID_ADPCM_G726LE
            ) {
                (*context).frame_size = count as i32;
            }
        }
        self.encoder.send_frame(&frame)?;
        let (mut bytes, mut packet) = (Vec::new(), Packet::empty());
        while self.encoder.receive_packet(&mut packet).is_ok() {
            bytes.extend_from_slice(packet.data().unwrap_or_default());
        }
        Ok(bytes)
    }
}

/// What decoders and encoders have in common: one thread, one channel, a rate, a sample size.
fn configure(context: &mut Context, format: StreamFormat) -> Result<(), FfmpegError> {
    let bits = match format.codec {
        Foreign::G726 | Foreign::G726Le if !(2..=5).contains(&format.parameter) => {
            return Err(FfmpegError::Parameter);
        }
        Foreign::G726 | Foreign::G726Le => format.parameter as i32,
        _ => 0,
    };
    let alone = threading::Config { kind: threading::Type::None, count: 1, ..Default::default() };
    context.set_threading(alone);
    // SAFETY: the context is ours and not opened yet; these fields are for the user to set.
    unsafe {
        let context = context.as_mut_ptr();
        (*context).sample_rate = format.sample_rate as i32;
        (*context).bits_per_coded_sample = bits;
        ffi::av_channel_layout_default(&raw mut (*context).ch_layout, 1);
    }
    Ok(())
}

/// FFmpeg's floating-point samples reach from −1 to 1.
fn whole(sample: f32) -> i16 {
    (sample * 32_768.0).round().clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16
}
