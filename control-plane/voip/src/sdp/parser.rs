//! From bytes to a [`Session`]: lines in any order that makes sense, unknown ones passed over.

use std::net::IpAddr;

use smallvec::SmallVec;
use thiserror::Error;

use super::attribute;
use super::media::{Direction, Media, MediaKind, Proto};
use super::payload_type::PayloadType;
use super::session::Session;
use crate::limits::{SDP_BYTES_MAX, SDP_MEDIA_MAX, SDP_PAYLOAD_TYPES_MAX, SDP_REPEATED_MAX};

/// Why bytes are no usable session description. `error as usize` indexes a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[repr(u8)]
pub enum SdpError {
    /// No line at all.
    #[error("the description is empty")]
    Empty,
    /// More bytes than [`SDP_BYTES_MAX`].
    #[error("the description is longer than the limit")]
    TooLarge,
    /// It does not begin with `v=0`.
    #[error("the description does not begin with v=0")]
    Version,
    /// An `m=` line without kind, port and protocol; pairing with the other side's lines would be a guess.
    #[error("a media line cannot be read")]
    MediaLine,
    /// More media descriptions than [`SDP_MEDIA_MAX`].
    #[error("the description has more media than the limit")]
    MediaCount,
}

impl SdpError {
    /// Every cause, in the order of its index.
    pub const ALL: [Self; 5] =
        [Self::Empty, Self::TooLarge, Self::Version, Self::MediaLine, Self::MediaCount];

    /// The name of the cause as a metric label.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::Version => "version",
            Self::MediaLine => "media_line",
            Self::MediaCount => "media_count",
        }
    }

    /// The position in [`SdpError::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Reads a session description (RFC 8866).
///
/// Tolerated: bare LF, white space before and after lines, missing `o=`, `s=`, `t=`, unknown or unreadable
/// lines and attributes, garbage after the last media. Refused: see [`SdpError`].
pub fn parse(bytes: &[u8]) -> Result<Session, SdpError> {
    if bytes.len() > SDP_BYTES_MAX {
        return Err(SdpError::TooLarge);
    }
    let mut lines = lines(bytes);
    match lines.next().map(split_line) {
        None => return Err(SdpError::Empty),
        Some(Some((b'v', b"0"))) => {}
        Some(_) => return Err(SdpError::Version),
    }
    let mut reader = Reader::default();
    for (key, value) in lines.filter_map(split_line) {
        reader.line(key, value)?;
    }
    Ok(reader.finish())
}

/// Lines that are not empty, without white space around them.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        while let Some(first) = rest.first() {
            if matches!(first, b'\n' | b'\r' | 0) {
                rest = &rest[1..];
                continue;
            }
            let (line, after) = rest.split_at(line_length(rest));
            let line = line.trim_ascii();
            rest = after;
            if !line.is_empty() {
                return Some(line);
            }
        }
        None
    })
}

/// How long the line is that the bytes begin with. Lines are short: eight bytes a step, without the call that a
/// vectorised search costs (examples/parse_cost.rs).
fn line_length(bytes: &[u8]) -> usize {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    loop {
        while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
            let word = u64::from_le_bytes(*word);
            // The lowest mark is at the first byte up to CR.
            let marks = word.wrapping_sub(LOW * (b'\r' as u64 + 1)) & !word & HIGH;
            if marks != 0 {
                at += marks.trailing_zeros() as usize / 8;
                break;
            }
            at += 8;
        }
        match bytes.get(at) {
            None => return bytes.len(),
            Some(b'\n' | b'\r' | 0) => return at,
            Some(_) => at += 1,
        }
    }
}

/// `x=value`; RFC 8866 forbids white space around `=`, senders do not.
fn split_line(line: &[u8]) -> Option<(u8, &[u8])> {
    let (key, rest) = line.split_first()?;
    let value = rest.trim_ascii_start().strip_prefix(b"=")?;
    Some((*key, value.trim_ascii_start()))
}

/// What is read so far. Session-level attributes are defaults for media (RFC 8866 section 5.13).
#[derive(Default)]
struct Reader {
    session: Session,
    defaults: Media,
    direction: Direction,
}

impl Reader {
    fn line(&mut self, key: u8, value: &[u8]) -> Result<(), SdpError> {
        match key {
            b'm' => self.media_line(value)?,
            b'c' => {
                let connection = parse_connection(value);
                match self.session.media.last_mut() {
                    Some(media) => media.connection = connection,
                    None => self.defaults.connection = connection,
                }
            }
            b'a' => self.attribute(value),
            _ => {}
        }
        Ok(())
    }

    fn media_line(&mut self, value: &[u8]) -> Result<(), SdpError> {
        if self.session.media.len() == SDP_MEDIA_MAX {
            return Err(SdpError::MediaCount);
        }
        let mut media = parse_media_line(value).ok_or(SdpError::MediaLine)?;
        media.connection = self.defaults.connection;
        media.direction = self.direction;
        self.session.media.push(media);
        Ok(())
    }

    fn attribute(&mut self, value: &[u8]) {
        let colon = value.iter().position(|byte| *byte == b':').unwrap_or(value.len());
        let name = value[..colon].trim_ascii();
        let value = value.get(colon + 1..).unwrap_or(b"").trim_ascii();
        if let Some(direction) = attribute::direction(name) {
            match self.session.media.last_mut() {
                Some(media) => media.direction = direction,
                None => self.direction = direction,
            }
            return;
        }
        if name.eq_ignore_ascii_case(b"group") {
            self.group(value);
            return;
        }
        let media = self.session.media.last_mut().unwrap_or(&mut self.defaults);
        attribute::apply(media, name, value);
    }

    fn group(&mut self, value: &[u8]) {
        let mut words = words(value);
        if words.next().is_some_and(|kind| kind.eq_ignore_ascii_case(b"BUNDLE")) {
            let mids = words.take(SDP_MEDIA_MAX).map(lossy).collect();
            push_bounded(&mut self.session.bundles, mids);
        }
    }

    fn finish(mut self) -> Session {
        let defaults = &self.defaults;
        for media in &mut self.session.media {
            media.rtcp_mux |= defaults.rtcp_mux;
            media.ptime_ms = media.ptime_ms.or(defaults.ptime_ms);
            media.maxptime_ms = media.maxptime_ms.or(defaults.maxptime_ms);
            if defaults.has_extras() {
                media.extras_mut().fill(defaults.extras());
            }
        }
        self.session
    }
}

/// Payload types of nearly all media lines.
const USUAL_NUMBERS: usize = 16;

/// `kind port[/count] proto format…` (RFC 8866 section 5.14).
fn parse_media_line(value: &[u8]) -> Option<Media> {
    let mut words = words(value);
    let kind = MediaKind::from_bytes(words.next()?);
    let ports = words.next()?;
    let slash = memchr::memchr(b'/', ports).unwrap_or(ports.len());
    let port = number(&ports[..slash])?;
    let port_count = ports.get(slash + 1..).and_then(number).unwrap_or(1);
    let proto = Proto::from_bytes(words.next()?);
    let mut numbers: SmallVec<[u8; USUAL_NUMBERS]> = SmallVec::new();
    if proto.is_rtp() {
        for pt in words.filter_map(number::<u8>).filter(|pt| *pt < 128) {
            if !numbers.contains(&pt) && numbers.len() < SDP_PAYLOAD_TYPES_MAX {
                numbers.push(pt);
            }
        }
    }
    let payload_types = numbers.iter().copied().map(PayloadType::from_static).collect();
    Some(Media { kind, port, port_count, proto, payload_types, ..Media::default() })
}

/// `IN IP4 address[/ttl[/count]]` (RFC 8866 section 5.7).
fn parse_connection(value: &[u8]) -> Option<IpAddr> {
    let address = words(value).nth(2)?;
    let slash = memchr::memchr(b'/', address).unwrap_or(address.len());
    ip_addr(&address[..slash])
}

/// Words between spaces and tabs.
pub(super) fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = value;
    std::iter::from_fn(move || {
        while let [b' ' | b'\t', after @ ..] = rest {
            rest = after;
        }
        let end = rest.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(rest.len());
        let word;
        (word, rest) = rest.split_at(end);
        Some(word).filter(|word| !word.is_empty())
    })
}

/// A number of this type and nothing else.
pub(super) fn number<T: TryFrom<u64>>(word: &[u8]) -> Option<T> {
    let digit = |number: u64, byte: &u8| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    };
    let number = word.iter().try_fold(0, digit).filter(|_| !word.is_empty())?;
    T::try_from(number).ok()
}

/// A literal address, IPv6 with or without brackets.
pub(super) fn ip_addr(word: &[u8]) -> Option<IpAddr> {
    let word = match word {
        [b'[', inner @ .., b']'] => inner,
        _ => word,
    };
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// Text as it came, replacement characters where it is no UTF-8.
pub(super) fn lossy(bytes: &[u8]) -> String {
    // Most is ASCII, for which this is the shorter way.
    std::str::from_utf8(bytes)
        .map_or_else(|_| String::from_utf8_lossy(bytes).into_owned(), str::to_owned)
}

/// Adds to a list of repeated lines; past the bound the rest is passed over (S10).
pub(super) fn push_bounded<T>(list: &mut Vec<T>, value: T) {
    if list.len() < SDP_REPEATED_MAX {
        list.push(value);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use proptest::prelude::*;

    use super::{SdpError, parse};
    use crate::sdp::{CandidateKind, Direction, MediaKind, Proto, Session};

    fn session(text: &str) -> Session {
        parse(text.as_bytes()).expect("a description")
    }

    fn addr(text: &str) -> Option<SocketAddr> {
        Some(text.parse().unwrap())
    }

    // CALL-2: RFC 8866 section 5's example, every field that is kept.
    #[test]
    fn a_whole_description() {
        let session = session(
            "v=0\r\no=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r\ns=Call to John Smith\r\n\
             i=SDP Offer #1\r\nu=http://www.jdoe.example.com/home.html\r\ne=Jane Doe <jane@jdoe.example.com>\r\n\
             p=+1 617 555-6011\r\nc=IN IP4 198.51.100.1\r\nb=CT:154798\r\nt=0 0\r\n\
             m=audio 49170 RTP/AVP 0\r\nm=audio 49180 RTP/AVP 0\r\n\
             m=video 51372/2 RTP/AVP 99\r\nc=IN IP6 2001:db8::2\r\nb=AS:66781\r\na=rtpmap:99 h263-1998/90000\r\n",
        );
        assert_eq!(session.media.len(), 3);
        assert_eq!(session.media[1].receive_rtp(), addr("198.51.100.1:49180"));
        let video = &session.media[2];
        assert_eq!((video.kind, video.port_count), (MediaKind::Video, 2));
        assert_eq!(video.receive_rtp(), addr("[2001:db8::2]:51372"));
        assert_eq!(video.receive_rtcp(), addr("[2001:db8::2]:51373"));
        assert_eq!(
            (&*video.payload_types[0].encoding, video.payload_types[0].clock_hz),
            ("h263-1998", 90_000)
        );
        assert_eq!(session.media[0].payload_type(0).unwrap().encoding, "PCMU");
    }

    // CALL-2: dynamic numbers, a static one with another meaning, channels, fmtp, ptime.
    #[test]
    fn payload_types_are_mapped() {
        let session = session(
            "v=0\nm=audio 1000 RTP/AVP 111 8 0 101 96 8\na=rtpmap:111 opus/48000/2\n\
             a=fmtp:111 minptime=10;useinbandfec=1\na=rtpmap:8 AMR-WB/16000\na=rtpmap:101 telephone-event/8000\n\
             a=fmtp:101 0-16\na=ptime:20.5\na=maxptime:40\na=rtpmap:77 unlisted/1\na=rtpmap:x y\n",
        );
        let audio = &session.media[0];
        assert_eq!(audio.payload_types.len(), 5);
        let opus = audio.payload_type(111).unwrap();
        assert_eq!((&*opus.encoding, opus.clock_hz, opus.channels), ("opus", 48_000, 2));
        assert_eq!(opus.fmtp, "minptime=10;useinbandfec=1");
        assert_eq!(audio.payload_type(8).unwrap().encoding, "AMR-WB");
        assert_eq!(audio.payload_type(0).unwrap().clock_hz, 8000);
        assert_eq!(audio.payload_type(96).unwrap().encoding, "");
        assert!(audio.payload_type(101).unwrap().is_telephone_event());
        assert_eq!((audio.ptime_ms, audio.maxptime_ms), (Some(20), Some(40)));
    }

    // CALL-2: what networks make of the grammar.
    #[test]
    fn careless_descriptions_are_read() {
        let session = session(
            "\r\n v=0\nm =audio 1000  RTP/AVP\t0\nc = IN IP4 192.0.2.1/127\nnonsense\na=sendonly \n\
             a=rtcp:1009 IN IP4 192.0.2.9\n\u{0}\u{0}\u{ff}garbage",
        );
        let audio = &session.media[0];
        assert_eq!(audio.direction, Direction::SendOnly);
        assert_eq!(audio.receive_rtp(), addr("192.0.2.1:1000"));
        assert_eq!(audio.receive_rtcp(), addr("192.0.2.9:1009"));
        let session =
            parse(b"v=0\r\nc=IN IP4 host.example.com\r\nm=audio 5 RTP/AVP 0\r\n").unwrap();
        assert_eq!(session.media[0].receive_rtp(), None);
    }

    // CALL-2: hold by direction and by address; rejected and bundle-only lines (RFC 3264, 9143).
    #[test]
    fn hold_and_rejection() {
        let session = session(
            "v=0\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\nm=audio 1000 RTP/AVP 0\r\na=sendrecv\r\n\
             m=audio 1002 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\nm=video 0 RTP/AVP 31\r\n\
             m=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=bundle-only\r\n",
        );
        let [held, inactive, rejected, bundled] = &session.media[..] else {
            panic!("{session:?}");
        };
        assert!(held.is_held_by_address() && held.is_held() && held.receive_rtp().is_none());
        assert_eq!((inactive.direction, inactive.is_held()), (Direction::Inactive, true));
        assert!(rejected.is_rejected() && !bundled.is_rejected());
    }

    // CALL-2, CALL-9: what a browser and a phone with SDES write.
    #[test]
    fn keys_candidates_and_bundles() {
        let session = session(
            "v=0\r\nc=IN IP4 192.0.2.1\r\na=group:BUNDLE 0 1\r\na=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\n\
             m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtcp-mux\r\na=ssrc:42 cname:x\r\na=ssrc:42 msid:y\r\n\
             a=candidate:1 1 udp 2122260223 192.168.1.4 49203 typ host\r\n\
             a=candidate:2 1 UDP 1686052607 198.51.100.7 49203 typ srflx raddr 192.168.1.4 rport 49203\r\n\
             a=candidate:3 2 udp 1 198.51.100.7 49204 typ relay\r\na=candidate:4 1 tcp 1 192.168.1.4 9 typ host\r\n\
             a=candidate:5 1 udp 1 name.local 49203 typ host\r\n\
             m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=label:cam\r\n\
             m=audio 2000 RTP/SAVP 8\r\n\
             a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:aSBrbm93IGFsbCB5b3VyIGxpdHRsZSBzZWNyZXRz|2^20|1:4 FEC_ORDER=FEC_SRTP\r\n\
             a=crypto:x y\r\n",
        );
        assert_eq!(session.bundles, [["0", "1"]]);
        assert_eq!(session.bundle_of("1").unwrap().len(), 2);
        let [audio, video, sdes] = &session.media[..] else {
            panic!("{session:?}");
        };
        assert_eq!(
            (audio.proto.clone(), audio.rtcp_mux, &audio.extras().ssrcs[..]),
            (Proto::UdpTlsRtpSavpf, true, &[42][..])
        );
        assert_eq!(audio.extras().fingerprint.as_deref(), Some("sha-256 AA:BB"));
        assert_eq!(video.extras().setup.as_deref(), Some("actpass"));
        assert_eq!(video.extras().label.as_deref(), Some("cam"));
        let kinds: Vec<_> =
            audio.extras().candidates.iter().map(|c| (c.component, c.kind)).collect();
        assert_eq!(
            kinds,
            [
                (1, CandidateKind::Host),
                (1, CandidateKind::ServerReflexive),
                (2, CandidateKind::Relay)
            ]
        );
        assert_eq!(sdes.extras().crypto.len(), 1);
        assert_eq!(
            sdes.extras().crypto[0].key_params,
            "inline:aSBrbm93IGFsbCB5b3VyIGxpdHRsZSBzZWNyZXRz|2^20|1:4"
        );
        assert!(sdes.proto.is_secure() && sdes.proto.is_rtp());
    }

    // CALL-2: fax is no RTP; unknown protocols keep their name.
    #[test]
    fn protocols_are_told_apart() {
        let session = session(
            "v=0\r\nm=image 4000 udptl t38\r\nm=x 1 TCP/MSRP *\r\nm=audio 2 TCP/RTP/AVP 0\r\n",
        );
        assert_eq!(
            (session.media[0].kind, session.media[0].proto.clone()),
            (MediaKind::Image, Proto::Udptl)
        );
        assert!(!session.media[0].proto.is_rtp() && !session.media[1].proto.is_rtp());
        assert_eq!(session.media[1].proto, Proto::Other("TCP/MSRP".into()));
        assert!(session.media[2].proto.is_rtp());
    }

    // S9, S10: each cause of refusal, and the bounds.
    #[test]
    fn refusals_have_kinds() {
        let many = format!("v=0\n{}", "m=audio 1 RTP/AVP 0\n".repeat(65));
        let cases: [(&[u8], SdpError); 6] = [
            (b"", SdpError::Empty),
            (b"\r\n\r\n", SdpError::Empty),
            (b"hello", SdpError::Version),
            (b"v=1\r\n", SdpError::Version),
            (b"v=0\r\nm=audio x RTP/AVP 0\r\n", SdpError::MediaLine),
            (many.as_bytes(), SdpError::MediaCount),
        ];
        for (bytes, error) in cases {
            assert_eq!(parse(bytes), Err(error));
        }
        assert_eq!(parse(&vec![b'v'; 70_000]), Err(SdpError::TooLarge));
        for (index, error) in SdpError::ALL.iter().enumerate() {
            assert_eq!(error.index(), index);
        }
        let ssrcs: String = (0..1000).map(|n| format!("a=ssrc:{n} x\n")).collect();
        let session = session(&format!("v=0\nm=audio 1 RTP/AVP 0\n{ssrcs}"));
        assert_eq!(session.media[0].extras().ssrcs.len(), crate::limits::SDP_REPEATED_MAX);
        assert_eq!(session.media[0].connection, None::<IpAddr>);
    }

    const BROWSER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 192.0.2.1/2\r\nt=0 0\r\n\
        a=group:BUNDLE 0 1\r\nm=audio 9/2 UDP/TLS/RTP/SAVPF 111 0 8\r\na=rtpmap:111 opus/48000/2\r\na=mid:0\r\n\
        a=crypto:1 A B C\r\na=candidate:1 1 udp 1 192.168.1.4 49203 typ host\r\na=ssrc:1 x\r\na=rtcp:9 IN IP6 ::1\r\n";

    proptest! {
        // S9: any bytes, and mutated good ones, do not make it panic.
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300),
            mutations in prop::collection::vec((any::<usize>(), any::<u8>()), 0..16)) {
            let _ = parse(&bytes);
            let mut mutated = BROWSER.as_bytes().to_vec();
            for (at, byte) in mutations {
                let length = mutated.len();
                mutated[at % length] = byte;
            }
            if let Ok(session) = parse(&mutated) {
                for media in &session.media {
                    let _ = (media.receive_rtp(), media.receive_rtcp(), media.is_held());
                }
                let _ = crate::sdp::offer_answer::negotiate(&session, Some(&session));
            }
        }
    }
}
