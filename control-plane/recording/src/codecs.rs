//! What the payload types of one stream mean to the renderer.

use earwitness_codec::{CodecId, CodecSpec, Expander, samples_in};

use crate::limits::{CODECS_MAX, PACKET_NS_MAX, SAMPLE_RATES};
use crate::stream::PayloadType;

/// How packets of a payload type are treated.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Decoded.
    Audio,
    /// RFC 3389: describes the silence.
    Noise,
    /// RFC 4733: a key, not audio.
    Event,
    /// Nobody can decode it: silence, counted.
    Undecodable,
}

#[derive(Clone, Debug)]
struct Entry {
    meaning: PayloadType,
    kind: Kind,
    rate_hz: u32,
    /// For audio that no decoder need be opened for.
    expander: Option<Expander>,
    /// Position of the first entry that says the same.
    first: u8,
}

/// The table of one stream. Entries are known by their position; what SDP says again is one entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Codecs {
    entries: Vec<Entry>,
    /// By number, where no entry of that number is bounded in time.
    always: Option<Box<[Option<u8>; 128]>>,
}

impl Codecs {
    /// Of equal numbers the last that holds counts. Numbers that SDP did not mention have their
    /// static meaning, if they have one (RFC 3551 section 6).
    pub(crate) fn new(payload_types: &[PayloadType]) -> Self {
        let fixed = (0..35).filter_map(static_type);
        // The last of the list are the newest: past the bound the oldest are given up.
        let newest = payload_types.len().saturating_sub(CODECS_MAX);
        let mut entries: Vec<Entry> = Vec::new();
        for meaning in fixed.chain(payload_types[newest..].iter().cloned()) {
            let same = entries.iter().position(|known| {
                known.meaning.number == meaning.number && known.meaning.codec == meaning.codec
            });
            let first = same.unwrap_or(entries.len()) as u8;
            entries.push(entry(meaning, first));
        }
        let bounded = |entry: &Entry| entry.meaning.from_ns > 0 || entry.meaning.until_ns.is_some();
        let mut codecs = Self { entries, always: None };
        if !codecs.entries.iter().any(bounded) {
            let table = std::array::from_fn(|number| codecs.find(number as u8, 0));
            codecs.always = Some(Box::new(table));
        }
        codecs
    }

    #[inline]
    pub(crate) fn find(&self, number: u8, arrival_ns: u64) -> Option<u8> {
        if let Some(table) = &self.always {
            return table[usize::from(number & 0x7f)];
        }
        let found = self.entries.iter().rfind(|entry| entry.meaning.covers(number, arrival_ns))?;
        Some(found.first)
    }

    /// 0 where nothing is known.
    #[inline]
    pub(crate) fn clock_hz(&self, codec: Option<u8>) -> u32 {
        codec.map_or(0, |at| self.entries[usize::from(at)].meaning.codec.clock_hz)
    }

    pub(crate) fn rate_hz(&self, codec: u8) -> u32 {
        self.entries[usize::from(codec)].rate_hz
    }

    #[inline]
    pub(crate) fn expander(&self, codec: u8) -> Option<Expander> {
        self.entries[usize::from(codec)].expander
    }

    #[inline]
    pub(crate) fn kind(&self, codec: Option<u8>) -> Kind {
        codec.map_or(Kind::Undecodable, |at| self.entries[usize::from(at)].kind)
    }

    pub(crate) fn spec(&self, codec: u8) -> &CodecSpec {
        &self.entries[usize::from(codec)].meaning.codec
    }

    /// As in SDP.
    pub(crate) fn name(&self, codec: Option<u8>, number: u8) -> String {
        match codec {
            Some(at) => name_of(&self.entries[usize::from(at)].meaning.codec),
            None => format!("payload type {number}"),
        }
    }

    /// How much audio the payload is, on the RTP clock; 0 where its length does not say.
    #[inline]
    pub(crate) fn duration_ticks(&self, codec: Option<u8>, payload: &[u8]) -> u32 {
        let Some(at) = codec else { return 0 };
        let spec = &self.entries[usize::from(at)].meaning.codec;
        if spec.clock_hz == 0 {
            return 0;
        }
        let ticks = spec.ticks(samples_in(spec, payload));
        let most = u64::from(spec.clock_hz) * (PACKET_NS_MAX / 1_000_000) / 1_000;
        ticks.min(most) as u32
    }
}

fn static_type(number: u8) -> Option<PayloadType> {
    CodecSpec::from_static(number).map(|codec| PayloadType::always(number, codec))
}

fn entry(mut meaning: PayloadType, first: u8) -> Entry {
    meaning.number &= 0x7f;
    let rate_hz = meaning.codec.sample_rate();
    let kind = match meaning.codec.id {
        CodecId::TelephoneEvent => Kind::Event,
        _ if meaning.codec.clock_hz == 0 => Kind::Undecodable,
        CodecId::ComfortNoise => Kind::Noise,
        CodecId::Unknown => Kind::Undecodable,
        _ if !SAMPLE_RATES.contains(&rate_hz) => Kind::Undecodable,
        _ => Kind::Audio,
    };
    let expander = Expander::of(&meaning.codec).filter(|_| kind == Kind::Audio);
    Entry { meaning, kind, rate_hz, expander, first }
}

/// As in SDP (RFC 8866 section 6.6).
fn name_of(spec: &CodecSpec) -> String {
    match spec.channels {
        0 | 1 => format!("{}/{}", spec.id, spec.clock_hz),
        channels => format!("{}/{}/{channels}", spec.id, spec.clock_hz),
    }
}

#[cfg(test)]
mod tests {
    use earwitness_codec::CodecSpec;

    use super::{Codecs, Kind};
    use crate::stream::PayloadType;

    /// REC-2: what a payload's length says of its time.
    #[test]
    fn lengths_are_known() {
        let ticks = |name: &str, clock_hz: u32, payload: &[u8]| {
            let spec = CodecSpec::from_sdp(name, clock_hz, 1, "");
            let codecs = Codecs::new(&[PayloadType::always(96, spec)]);
            codecs.duration_ticks(codecs.find(96, 0), payload)
        };
        assert_eq!(ticks("PCMA", 8_000, &[0; 160]), 160);
        assert_eq!(ticks("G722", 8_000, &[0; 160]), 160);
        assert_eq!(ticks("G726-32", 8_000, &[0; 80]), 160);
        assert_eq!(ticks("G729", 8_000, &[0; 20]), 160);
        assert_eq!(ticks("G729", 8_000, &[0; 12]), 160);
        assert_eq!(ticks("GSM", 8_000, &[0; 33]), 160);
        assert_eq!(ticks("L16", 16_000, &[0; 640]), 320);
        assert_eq!(ticks("opus", 48_000, &[0x78, 1, 2]), 960);
        assert_eq!(ticks("opus", 48_000, &[0x03, 3, 2]), 1_440);
        // Hostile lengths are bounded.
        assert_eq!(ticks("PCMU", 8_000, &[0; 60_000]), 4_000);
    }

    /// CALL-2: numbers mean what SDP says, and else what RFC 3551 does; later entries win.
    #[test]
    fn numbers_have_meanings() {
        let spec = |name: &str| CodecSpec::from_sdp(name, 8_000, 1, "");
        let codecs = Codecs::new(&[
            PayloadType { until_ns: Some(10), ..PayloadType::always(96, spec("PCMU")) },
            PayloadType::always(101, spec("telephone-event")),
            PayloadType { from_ns: 10, ..PayloadType::always(96, spec("PCMA")) },
        ]);
        let name = |number, at_ns| codecs.name(codecs.find(number, at_ns), number);
        assert_eq!(name(96, 9), "PCMU/8000");
        assert_eq!(name(96, 10), "PCMA/8000");
        assert_eq!(name(8, 0), "PCMA/8000");
        assert_eq!(name(97, 0), "payload type 97");
        assert_eq!(codecs.kind(codecs.find(101, 0)), Kind::Event);
        assert_eq!(codecs.kind(codecs.find(13, 0)), Kind::Noise);
        assert_eq!(codecs.kind(codecs.find(31, 0)), Kind::Undecodable);
        // Said again, by another offer: the same codec.
        let again =
            PayloadType { from_ns: 20, ..PayloadType::always(101, spec("telephone-event")) };
        let codecs = Codecs::new(&[PayloadType::always(101, spec("telephone-event")), again]);
        assert_eq!(codecs.find(101, 0), codecs.find(101, 30));
    }
}
