//! Payload types: the numbers of RTP and what they stand for.

use std::borrow::Cow;

use super::parser::lossy;

/// What a payload type number stands for in one media description.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PayloadType {
    pub pt: u8,
    /// The name of RFC 3551 or of `a=rtpmap`, as it came; empty where neither says one.
    pub encoding: Cow<'static, str>,
    /// 0 where unknown.
    pub clock_hz: u32,
    pub channels: u8,
    /// `a=fmtp`, without the number; empty where there is none.
    pub fmtp: Cow<'static, str>,
}

impl PayloadType {
    /// RFC 4733: digits and tones.
    #[must_use]
    pub fn is_telephone_event(&self) -> bool {
        self.encoding.eq_ignore_ascii_case("telephone-event")
    }

    /// RFC 3389.
    #[must_use]
    pub fn is_comfort_noise(&self) -> bool {
        self.encoding.eq_ignore_ascii_case("CN")
    }

    /// Whether both numbers stand for the same format (RFC 3264 section 6.1: name, clock rate and channels).
    #[must_use]
    pub fn is_same_format(&self, other: &Self) -> bool {
        if self.encoding.is_empty() && other.encoding.is_empty() {
            return self.pt == other.pt;
        }
        self.encoding.eq_ignore_ascii_case(&other.encoding)
            && self.clock_hz == other.clock_hz
            && self.channels == other.channels
    }

    /// The format of a number that no `a=rtpmap` explains (RFC 3551 section 6; 13 as in RFC 3389).
    #[must_use]
    pub fn from_static(pt: u8) -> Self {
        let (encoding, clock_hz, channels) = match pt {
            0 => ("PCMU", 8000, 1),
            3 => ("GSM", 8000, 1),
            4 => ("G723", 8000, 1),
            5 => ("DVI4", 8000, 1),
            6 => ("DVI4", 16_000, 1),
            7 => ("LPC", 8000, 1),
            8 => ("PCMA", 8000, 1),
            9 => ("G722", 8000, 1),
            10 => ("L16", 44_100, 2),
            11 => ("L16", 44_100, 1),
            12 => ("QCELP", 8000, 1),
            13 | 19 => ("CN", 8000, 1),
            14 => ("MPA", 90_000, 1),
            15 => ("G728", 8000, 1),
            16 => ("DVI4", 11_025, 1),
            17 => ("DVI4", 22_050, 1),
            18 => ("G729", 8000, 1),
            25 => ("CelB", 90_000, 1),
            26 => ("JPEG", 90_000, 1),
            28 => ("nv", 90_000, 1),
            31 => ("H261", 90_000, 1),
            32 => ("MPV", 90_000, 1),
            33 => ("MP2T", 90_000, 1),
            34 => ("H263", 90_000, 1),
            _ => ("", 0, 1),
        };
        Self { pt, encoding: encoding.into(), clock_hz, channels, fmtp: "".into() }
    }
}

/// The text as it came, replacement characters where it is no UTF-8. What nearly all descriptions say needs no memory
/// of its own, however often it is handed on.
pub(super) fn text(bytes: &[u8]) -> Cow<'static, str> {
    Cow::Borrowed(match bytes {
        b"PCMU" => "PCMU",
        b"PCMA" => "PCMA",
        b"telephone-event" => "telephone-event",
        b"0-15" => "0-15",
        b"0-16" => "0-16",
        b"opus" => "opus",
        b"G722" => "G722",
        b"G729" => "G729",
        b"annexb=no" => "annexb=no",
        b"GSM" => "GSM",
        b"CN" => "CN",
        b"speex" => "speex",
        b"iLBC" => "iLBC",
        b"AMR" => "AMR",
        b"AMR-WB" => "AMR-WB",
        b"H264" => "H264",
        b"VP8" => "VP8",
        b"minptime=10;useinbandfec=1" => "minptime=10;useinbandfec=1",
        _ => return Cow::Owned(lossy(bytes)),
    })
}

#[cfg(test)]
mod tests {
    use super::PayloadType;

    // CALL-2: the static table of RFC 3551 section 6.
    #[test]
    fn static_numbers_have_their_formats() {
        let g722 = PayloadType::from_static(9);
        // RFC 3551 section 4.5.2: G.722's RTP clock is 8000 Hz by an old error.
        assert_eq!((&*g722.encoding, g722.clock_hz, g722.channels), ("G722", 8000, 1));
        assert_eq!(PayloadType::from_static(10).channels, 2);
        assert_eq!(PayloadType::from_static(101).encoding, "");
        assert!(PayloadType::from_static(13).is_comfort_noise());
        assert!(!PayloadType::from_static(96).is_same_format(&PayloadType::from_static(97)));
    }
}
