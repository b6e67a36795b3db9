//! The RTP header (RFC 3550 section 5.1).

use thiserror::Error;

/// Why bytes are no RTP packet. `error as usize` indexes a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[repr(u8)]
pub enum RtpError {
    /// Fewer than the 12 bytes of the fixed header, or than CSRC list and extension need.
    #[error("the packet is shorter than its header")]
    Truncated,
    /// The version is not 2.
    #[error("the version is not 2")]
    Version,
    /// The padding is longer than what it pads, or zero.
    #[error("the padding does not fit")]
    Padding,
    /// Payload type 64 to 95: RTCP on the same port (RFC 5761 section 4).
    #[error("the payload type is one of RTCP")]
    Rtcp,
}

impl RtpError {
    /// Every cause, in the order of its index.
    pub const ALL: [Self; 4] = [Self::Truncated, Self::Version, Self::Padding, Self::Rtcp];

    /// The name of the cause as a metric label.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Version => "version",
            Self::Padding => "padding",
            Self::Rtcp => "rtcp",
        }
    }
}

/// The fields of an RTP header, checked against the length of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    /// Contributing sources: 0 to 15.
    pub csrc_count: u8,
    /// Where the extension's data lies, and the id before it; none where there is no extension.
    pub extension: Option<Extension>,
    /// Where the payload starts.
    pub payload_start: u16,
    /// Where the payload ends and padding starts.
    pub payload_end: u16,
}

/// A header extension (RFC 3550 section 5.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension {
    pub profile: u16,
    pub start: u16,
    pub end: u16,
}

const FIXED_BYTES: usize = 12;

impl Header {
    /// Reads and checks the header of a packet of at most 65,535 bytes.
    #[inline]
    pub fn parse(packet: &[u8]) -> Result<Self, RtpError> {
        let Some((fixed, _)) = packet.split_first_chunk::<FIXED_BYTES>() else {
            return Err(RtpError::Truncated);
        };
        if fixed[0] >> 6 != 2 {
            return Err(RtpError::Version);
        }
        let payload_type = fixed[1] & 0x7f;
        if matches!(payload_type, 64..=95) {
            return Err(RtpError::Rtcp);
        }
        let csrc_count = fixed[0] & 0x0f;
        let mut start = FIXED_BYTES + usize::from(csrc_count) * 4;
        let mut extension = None;
        if fixed[0] & 0x10 != 0 {
            let (found, end) = parse_extension(packet, start)?;
            extension = Some(found);
            start = end;
        }
        let mut end = packet.len();
        if fixed[0] & 0x20 != 0 {
            let padding = usize::from(packet[packet.len() - 1]);
            end = end.checked_sub(padding).filter(|_| padding > 0).ok_or(RtpError::Padding)?;
            if end < start {
                return Err(RtpError::Padding);
            }
        }
        if end < start || end > usize::from(u16::MAX) {
            return Err(RtpError::Truncated);
        }
        Ok(Self {
            marker: fixed[1] & 0x80 != 0,
            payload_type,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            csrc_count,
            extension,
            payload_start: start as u16,
            payload_end: end as u16,
        })
    }

    /// The payload of the packet that this header was read from, without padding.
    #[must_use]
    pub fn payload<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        packet.get(usize::from(self.payload_start)..usize::from(self.payload_end)).unwrap_or(b"")
    }

    /// The contributing sources of the packet that this header was read from.
    pub fn csrcs<'a>(&self, packet: &'a [u8]) -> impl Iterator<Item = u32> + use<'a> {
        let end = FIXED_BYTES + usize::from(self.csrc_count) * 4;
        let list = packet.get(FIXED_BYTES..end).unwrap_or(b"");
        list.chunks_exact(4).map(|c| u32::from_be_bytes([c[0], c[1], c[2], c[3]]))
    }
}

fn parse_extension(packet: &[u8], start: usize) -> Result<(Extension, usize), RtpError> {
    let Some([p0, p1, l0, l1]) = packet.get(start..start + 4) else {
        return Err(RtpError::Truncated);
    };
    let words = usize::from(u16::from_be_bytes([*l0, *l1]));
    let (from, end) = (start + 4, start + 4 + words * 4);
    if end > packet.len() || end > usize::from(u16::MAX) {
        return Err(RtpError::Truncated);
    }
    let profile = u16::from_be_bytes([*p0, *p1]);
    Ok((Extension { profile, start: from as u16, end: end as u16 }, end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Header, RtpError};

    // CALL-7: every field, with CSRC, extension and padding.
    #[test]
    fn all_fields_are_read() {
        let mut packet = vec![0xb2, 0xe5, 0x12, 0x34, 0, 0, 0, 1, 0xde, 0xad, 0xbe, 0xef];
        packet.extend([0, 0, 0, 7, 0, 0, 0, 9]);
        packet.extend([0xbe, 0xde, 0, 1, 0x10, 1, 2, 3]);
        packet.extend([1, 2, 3, 0, 0, 3]);
        let header = Header::parse(&packet).unwrap();
        assert_eq!((header.marker, header.payload_type, header.sequence), (true, 101, 0x1234));
        assert_eq!((header.timestamp, header.ssrc), (1, 0xdead_beef));
        assert_eq!(header.csrcs(&packet).collect::<Vec<_>>(), [7, 9]);
        let extension = header.extension.unwrap();
        assert_eq!((extension.profile, extension.end - extension.start), (0xbede, 4));
        assert_eq!(header.payload(&packet), [1, 2, 3]);
        assert_eq!(header.payload(b""), b"");
    }

    // S9: each cause of refusal.
    #[test]
    fn refusals_have_kinds() {
        let packet = |first: u8, second: u8, rest: &[u8]| {
            [&[first, second, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], rest].concat()
        };
        for (bytes, error) in [
            (vec![0x80; 11], RtpError::Truncated),
            (packet(0x40, 0, b""), RtpError::Version),
            (packet(0x81, 0, b"abc"), RtpError::Truncated),
            (packet(0x90, 0, &[0, 0, 0, 2, 0, 0, 0, 0]), RtpError::Truncated),
            (packet(0xa0, 0, &[0]), RtpError::Padding),
            (packet(0xa0, 0, &[9, 3]), RtpError::Padding),
            (packet(0x80, 200, b""), RtpError::Rtcp),
        ] {
            assert_eq!(Header::parse(&bytes), Err(error), "{bytes:?}");
        }
        assert!(
            Header::parse(&packet(0x80, 0, b"")).unwrap().payload(&packet(0x80, 0, b"")).is_empty()
        );
    }

    proptest! {
        // S9: any bytes: no panic, and the payload lies within the packet.
        #[test]
        fn any_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            if let Some(first) = bytes.first_mut() {
                *first = *first & 0x3f | 0x80;
            }
            if let Ok(header) = Header::parse(&bytes) {
                prop_assert!(header.payload_start <= header.payload_end);
                prop_assert!(usize::from(header.payload_end) <= bytes.len());
                prop_assert_eq!(header.csrcs(&bytes).count(), usize::from(header.csrc_count));
            }
        }
    }
}
