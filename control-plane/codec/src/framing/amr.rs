//! AMR and AMR-WB payloads (RFC 4867): bandwidth-efficient and octet-aligned.

use super::bits::Bits;
use super::{Frames, Kind, Level};
use crate::decode::{CodecError, DecodeError};
use crate::limits::FRAMES_PER_PAYLOAD_MAX;
use crate::{CodecId, CodecSpec};

/// Bits of a frame by its type (3GPP TS 26.101 table 1a; TS 26.201 table 1a).
const NARROW_BITS: [usize; 9] = [95, 103, 118, 134, 148, 159, 204, 244, 39];
const WIDE_BITS: [usize; 10] = [132, 177, 253, 285, 317, 365, 397, 461, 477, 40];
const NARROW_SILENCE: usize = 8;
const WIDE_SILENCE: usize = 9;
/// RFC 4867 section 4.3.2: frame lost (AMR-WB only) and nothing sent.
const SPEECH_LOST: usize = 14;
const NO_DATA: usize = 15;
/// Bits of a silence descriptor that describe; then whether they do (STI), then the mode.
const DESCRIBED_BITS: usize = 35;

/// Where frames lie in a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Bandwidth,
    Octets { crc: Crc },
}

/// Whether there is a checksum for each frame of an octet-aligned payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crc {
    Absent,
    Present,
}

/// How one stream packs its frames.
#[derive(Clone, Debug)]
pub(crate) struct Amr {
    pub(crate) wide: bool,
    packing: Packing,
}

/// One entry of the table of contents.
#[derive(Clone, Copy, Debug)]
struct Entry {
    frame_type: usize,
    good: bool,
}

impl Amr {
    /// By the format parameters of RFC 4867 section 8.
    pub(crate) fn of(spec: &CodecSpec) -> Result<Self, CodecError> {
        for parameter in ["interleaving", "robust-sorting"] {
            if spec.parameter(parameter).is_some_and(|value| value != "0") {
                return Err(CodecError::Parameter { codec: spec.id, parameter });
            }
        }
        let crc = if spec.switch("crc") { Crc::Present } else { Crc::Absent };
        // RFC 4867 section 8.1: a CRC implies octet alignment.
        let octets = spec.switch("octet-align") || crc == Crc::Present;
        let packing = if octets { Packing::Octets { crc } } else { Packing::Bandwidth };
        Ok(Self { wide: spec.id == CodecId::AmrWb, packing })
    }

    pub(crate) fn sample_rate(&self) -> u32 {
        if self.wide { 16_000 } else { 8_000 }
    }

    fn frame_samples(&self) -> usize {
        self.sample_rate() as usize / 50
    }

    pub(crate) fn samples_in(&self, payload: &[u8]) -> usize {
        self.contents(payload).map_or(0, |(_, entries)| entries.len() * self.frame_samples())
    }

    pub(crate) fn split(&self, payload: &[u8], frames: &mut Frames) -> Result<(), DecodeError> {
        let (packing, entries) = self.contents(payload)?;
        let mut bits = Bits::new(payload);
        match packing {
            Packing::Bandwidth => bits.skip(4 + 6 * entries.len()),
            Packing::Octets { crc } => {
                let checked = entries.iter().filter(|entry| self.frame_bits(entry) > 0).count();
                let checksums = if crc == Crc::Present { checked } else { 0 };
                bits.skip(8 * (1 + entries.len() + checksums))
            }
        };
        let mut frame = Vec::with_capacity(64);
        for entry in entries {
            frame.clear();
            // RFC 4867 section 5.3: frames in files, as FFmpeg takes them, begin with their type.
            frame.push((entry.frame_type as u8) << 3 | u8::from(entry.good) << 2);
            let count = match packing {
                Packing::Bandwidth => self.frame_bits(&entry),
                Packing::Octets { .. } => self.frame_bits(&entry).next_multiple_of(8),
            };
            if bits.copy(count, &mut frame).is_none() {
                return Err(self.malformed("frames past its end"));
            }
            match self.kind(entry, &frame) {
                None => frames.speech(self.frame_samples(), &frame),
                Some(kind) => frames.push(self.frame_samples(), kind),
            }
        }
        Ok(())
    }

    /// Packs frames, as files have them, into a payload: the inverse of [`Amr::split`].
    pub(crate) fn pack(&self, frames: &[Vec<u8>], payload: &mut Vec<u8>) {
        let mut bits: Vec<u8> = Vec::new();
        let mut put = |value: u8, count: usize| {
            bits.extend((0..count).rev().map(|n| value >> n & 1));
        };
        let padding = if self.packing == Packing::Bandwidth { 0 } else { 4 };
        // No mode is asked for.
        put(15, 4);
        put(0, padding);
        for (n, frame) in frames.iter().enumerate() {
            let header = frame.first().copied().unwrap_or(NO_DATA as u8) >> 2 & 0x1f;
            put(u8::from(n + 1 < frames.len()), 1);
            put(header, 5);
            put(0, padding / 2);
        }
        if self.packing == (Packing::Octets { crc: Crc::Present }) {
            // RFC 4867 section 4.4.2.1: receivers that do not check it ignore it, as we do.
            frames.iter().for_each(|_| put(0, 8));
        }
        for frame in frames {
            let frame_type = usize::from(frame.first().copied().unwrap_or(0x7c) >> 3 & 0x0f);
            let length = self.frame_bits(&Entry { frame_type, good: true });
            let octets = match self.packing {
                Packing::Bandwidth => length,
                Packing::Octets { .. } => length.next_multiple_of(8),
            };
            for n in 0..octets {
                put(frame.get(1 + n / 8).map_or(0, |byte| byte >> (7 - n % 8) & 1), 1);
            }
        }
        payload.extend(
            bits.chunks(8).map(|chunk| {
                chunk.iter().enumerate().fold(0, |byte, (n, bit)| byte | bit << (7 - n))
            }),
        );
    }

    /// What a frame is when it is not speech.
    fn kind(&self, entry: Entry, frame: &[u8]) -> Option<Kind> {
        let silence = if self.wide { WIDE_SILENCE } else { NARROW_SILENCE };
        match entry.frame_type {
            NO_DATA => Some(Kind::NoData),
            SPEECH_LOST => Some(Kind::Lost),
            frame_type if frame_type == silence => {
                Some(if entry.good { Kind::Silence(self.level(frame)) } else { Kind::NoData })
            }
            _ if !entry.good => Some(Kind::Lost),
            _ => None,
        }
    }

    /// The level of a silence descriptor (TS 26.092 section 5.2; TS 26.192 section 5.2).
    fn level(&self, frame: &[u8]) -> Level {
        let mut bits = Bits::new(&frame[1..]);
        let (before, after) = if self.wide { (28, 1) } else { (29, 0) };
        let fields = bits
            .skip(before)
            .and_then(|()| Some((bits.take(6)?, bits.skip(after)?, bits.take(1)?)));
        debug_assert!(bits.position() == DESCRIBED_BITS + 1 || fields.is_none());
        match fields {
            // STI: a first descriptor describes nothing.
            None | Some((_, (), 0)) => Level::AsHeard,
            // Narrow: the logarithm of the RMS of speech at half scale. Wide: of the power of the
            // residual. Both to base 2.
            Some((0, (), _)) => Level::Signal(0.0),
            Some((energy, (), _)) if self.wide => {
                Level::Excitation(((energy as f32 / 2.625 - 2.0) / 2.0).exp2())
            }
            Some((energy, (), _)) => Level::Signal(2.0 * (energy as f32 / 4.0 - 2.5).exp2()),
        }
    }

    /// The table of contents, and the packing that fits: the one agreed on, or else the other, for
    /// calls whose session description was never seen.
    fn contents(&self, payload: &[u8]) -> Result<(Packing, Vec<Entry>), DecodeError> {
        let other = match self.packing {
            Packing::Bandwidth => Packing::Octets { crc: Crc::Absent },
            Packing::Octets { .. } => Packing::Bandwidth,
        };
        let agreed = self.read_contents(self.packing, payload);
        let (packing, entries) = match agreed {
            Ok(entries) => (self.packing, entries),
            Err(error) => (other, self.read_contents(other, payload).map_err(|_| error)?),
        };
        Ok((packing, entries))
    }

    fn read_contents(&self, packing: Packing, payload: &[u8]) -> Result<Vec<Entry>, DecodeError> {
        let truncated =
            || DecodeError::Truncated { codec: self.codec(), payload_bytes: payload.len() };
        let mut bits = Bits::new(payload);
        let padding = if packing == Packing::Bandwidth { 0 } else { 4 };
        // RFC 4867 section 4.3.1, 4.4.1: what mode the sender would like to get; of no use here.
        bits.skip(4 + padding).ok_or_else(truncated)?;
        let mut entries = Vec::with_capacity(4);
        let mut frame_bits = 0;
        loop {
            let more = bits.take(1).ok_or_else(truncated)?;
            let frame_type = bits.take(4).ok_or_else(truncated)? as usize;
            let good = bits.take(1).ok_or_else(truncated)? == 1;
            bits.skip(padding / 2).ok_or_else(truncated)?;
            let entry = Entry { frame_type, good };
            if !self.is_known(frame_type) {
                return Err(self.malformed("unknown frame type"));
            }
            let length = self.frame_bits(&entry);
            frame_bits += match packing {
                Packing::Bandwidth => length,
                Packing::Octets { crc: Crc::Present } if length > 0 => {
                    length.next_multiple_of(8) + 8
                }
                Packing::Octets { .. } => length.next_multiple_of(8),
            };
            entries.push(entry);
            if more == 0 {
                break;
            }
            if entries.len() == FRAMES_PER_PAYLOAD_MAX {
                return Err(DecodeError::TooLarge { payload_bytes: payload.len() });
            }
        }
        match bits.left().checked_sub(frame_bits) {
            None => Err(truncated()),
            Some(0..8) => Ok(entries),
            Some(_) => Err(self.malformed("bytes after its frames")),
        }
    }

    fn is_known(&self, frame_type: usize) -> bool {
        match frame_type {
            NO_DATA => true,
            SPEECH_LOST => self.wide,
            _ if self.wide => frame_type < WIDE_BITS.len(),
            _ => frame_type < NARROW_BITS.len(),
        }
    }

    fn frame_bits(&self, entry: &Entry) -> usize {
        let table = if self.wide { &WIDE_BITS[..] } else { &NARROW_BITS[..] };
        table.get(entry.frame_type).copied().unwrap_or(0)
    }

    fn codec(&self) -> CodecId {
        if self.wide { CodecId::AmrWb } else { CodecId::Amr }
    }

    fn malformed(&self, what: &'static str) -> DecodeError {
        DecodeError::Malformed { codec: self.codec(), what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amr(fmtp: &str) -> Amr {
        Amr::of(&CodecSpec::from_sdp("AMR", 8_000, 1, fmtp)).unwrap()
    }

    fn split(amr: &Amr, payload: &[u8]) -> Frames {
        let mut frames = Frames::default();
        amr.split(payload, &mut frames).unwrap();
        frames
    }

    // REC-2 (RFC 4867 section 4.4.5.1): octet-aligned, two frames, one of them missing.
    #[test]
    fn octet_aligned_frames_are_found() {
        // CMR 15, then 12.2 kbit/s (good, more follow), then NO_DATA.
        let mut payload = vec![0xf0, 0x80 | 7 << 3 | 4, 15 << 3 | 4];
        payload.extend((1..=31).map(|n| n << 1));
        let frames = split(&amr("octet-align=1"), &payload);
        assert_eq!(frames.list.len(), 2);
        assert_eq!(frames.list[1].kind, Kind::NoData);
        assert_eq!(&frames.bytes[..3], &[0x3c, 2, 4]);
        assert_eq!(frames.bytes.len(), 32);
    }

    // REC-2 (RFC 4867 section 4.3.5.1): bandwidth-efficient, a single frame of 4.75 kbit/s.
    #[test]
    fn bandwidth_efficient_frames_are_found() {
        // CMR 15, F 0, FT 0, Q 1: ten bits, then 95 of speech, all ones.
        let mut payload = vec![0xf0, 0x40 | 0x3f];
        payload.extend([0xff; 11]);
        payload.push(0x80);
        assert_eq!(amr("").samples_in(&payload), 160);
        let frames = split(&amr(""), &payload);
        assert_eq!(frames.bytes, [&[0x04][..], &[0xff; 11], &[0xfe]].concat());
    }

    // REC-2: a stream whose alignment was never announced is understood by its length.
    #[test]
    fn alignment_is_guessed() {
        let mut payload = vec![0xf0, 7 << 3 | 4];
        payload.extend([0xaa; 31]);
        let frames = split(&amr(""), &payload);
        assert_eq!(frames.bytes.len(), 32);
        assert_eq!(frames.bytes[1], 0xaa);
    }

    // REC-2: checksums are passed over, damaged frames are lost frames.
    #[test]
    fn damage_and_checksums() {
        let mut payload = vec![0xf0, 7 << 3, 0x55];
        payload.extend([0xaa; 31]);
        let frames = split(&amr("crc=1"), &payload);
        assert_eq!(frames.list[0].kind, Kind::Lost);
    }

    // REC-2: silence descriptors carry a level; the first one does not.
    #[test]
    fn silence_has_a_level() {
        let descriptor = |energy: u64, sti: u64| {
            let bits = energy << 4 | sti << 3;
            let mut payload = vec![0xf0, 8 << 3 | 4];
            payload.extend(&(bits << 25).to_be_bytes()[..5]);
            payload
        };
        let of = |payload: &[u8]| split(&amr("octet-align=1"), payload).list[0].kind.clone();
        assert_eq!(of(&descriptor(20, 0)), Kind::Silence(Level::AsHeard));
        let Kind::Silence(Level::Signal(rms)) = of(&descriptor(22, 1)) else { panic!() };
        assert!((rms - 16.0).abs() < 0.01, "{rms}");
    }

    // S9: unknown types, wrong lengths and unsupported parameters are refused.
    #[test]
    fn nonsense_is_refused() {
        let amr = amr("octet-align=1");
        let mut frames = Frames::default();
        for payload in [&[][..], &[0xf0], &[0xf0, 9 << 3], &[0xf0, 0x3c, 1], &[0xf0; 9]] {
            assert!(amr.split(payload, &mut frames).is_err(), "{payload:?}");
        }
        let spec = CodecSpec::from_sdp("AMR-WB", 16_000, 1, "interleaving=8");
        assert!(matches!(Amr::of(&spec), Err(CodecError::Parameter { .. })));
    }
}
