//! How long a packet lasts, without decoding it.

use crate::framing::Framing;
use crate::limits::OPUS_PACKET_SAMPLES_MAX;
use crate::{CodecId, CodecSpec};

/// Samples (per channel, at [`CodecSpec::sample_rate`]) in a payload; 0 where it holds no whole
/// frame, and for codecs without audio. [`CodecSpec::ticks`] makes RTP clock ticks of it.
#[must_use]
pub fn samples_in(spec: &CodecSpec, payload: &[u8]) -> usize {
    match spec.id {
        CodecId::Pcmu | CodecId::Pcma => payload.len(),
        CodecId::G722 => payload.len() * 2,
        CodecId::L16 => payload.len() / 2 / usize::from(spec.channels.max(1)),
        CodecId::Opus => opus(payload),
        CodecId::ComfortNoise | CodecId::TelephoneEvent | CodecId::Unknown => 0,
        _ => Framing::of(spec).ok().flatten().map_or(0, |framing| framing.samples_in(payload)),
    }
}

/// RFC 6716 section 3.1: the first byte tells the length of frames, and with the second how many.
fn opus(payload: &[u8]) -> usize {
    let Some(&contents) = payload.first() else { return 0 };
    let configuration = contents >> 3;
    let frame = match configuration {
        // SILK: 10, 20, 40, 60 ms.
        0..12 => [480, 960, 1_920, 2_880][usize::from(configuration % 4)],
        // Hybrid: 10, 20 ms.
        12..16 => [480, 960][usize::from(configuration % 2)],
        // CELT: 2.5, 5, 10, 20 ms.
        _ => [120, 240, 480, 960][usize::from(configuration % 4)],
    };
    let frames = match contents & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => payload.get(1).map_or(0, |count| usize::from(count & 0x3f)),
    };
    // RFC 6716 section 3.4 (R5): 120 ms at most.
    if frame * frames > OPUS_PACKET_SAMPLES_MAX { 0 } else { frame * frames }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(name: &str, fmtp: &str, payload: &[u8]) -> usize {
        samples_in(&CodecSpec::from_sdp(name, 0, 1, fmtp), payload)
    }

    // REC-2: duration within one packet of the truth needs the duration of each packet.
    #[test]
    fn packets_of_20_ms_last_20_ms() {
        for (name, fmtp, bytes, expected) in [
            ("PCMU", "", 160, 160),
            ("G722", "", 160, 320),
            ("L16", "", 320, 160),
            ("G726-16", "", 40, 160),
            ("G726-24", "", 60, 160),
            ("G726-32", "", 80, 160),
            ("AAL2-G726-40", "", 100, 160),
            ("G729", "", 20, 160),
            ("G729", "", 12, 160),
            ("GSM", "", 33, 160),
            ("iLBC", "mode=20", 38, 160),
            ("iLBC", "", 50, 240),
            ("iLBC", "", 76, 320),
            ("CN", "", 1, 0),
            ("telephone-event", "", 4, 0),
        ] {
            assert_eq!(samples(name, fmtp, &vec![0; bytes]), expected, "{name}");
        }
    }

    // REC-2 (RFC 6716 section 3.1): the durations of Opus packets.
    #[test]
    fn opus_packets_tell_their_duration() {
        assert_eq!(samples("opus", "", &[0b0111_1000]), 960);
        assert_eq!(samples("opus", "", &[0b0001_1001]), 2 * 2_880);
        assert_eq!(samples("opus", "", &[0b1000_0011, 5]), 600);
        assert_eq!(samples("opus", "", &[0b0001_1011, 3]), 0);
        assert_eq!(samples("opus", "", &[]), 0);
    }
}
