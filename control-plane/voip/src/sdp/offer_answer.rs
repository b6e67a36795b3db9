//! Joins an offer and its answer: for each media line, where each side receives and what may arrive there
//! (RFC 3264, 9143 for bundles, 5761 for rtcp-mux).

use std::net::SocketAddr;

use super::media::{Crypto, Media, MediaKind, Proto};
use super::payload_type::PayloadType;
use super::session::Session;

/// One media line of both descriptions, which it borrows.
#[derive(Clone, Copy, Debug)]
pub struct NegotiatedMedia<'a> {
    /// The position of the line in both descriptions.
    pub index: usize,
    pub kind: MediaKind,
    /// The protocol of the answer; of the offer until there is one.
    pub proto: &'a Proto,
    /// Neither side rejected the line. True for an offer without answer, where the offer has a port.
    pub active: bool,
    pub offerer: MediaSide<'a>,
    pub answerer: MediaSide<'a>,
}

/// One side's end of a media line.
#[derive(Clone, Copy, Debug, Default)]
pub struct MediaSide<'a> {
    /// Where this side receives RTP. None where it is not known, rejected, or on hold by address.
    pub rtp: Option<SocketAddr>,
    /// Where this side receives RTCP; the same as `rtp` when multiplexed.
    pub rtcp: Option<SocketAddr>,
    /// By the directions of both, this side sends.
    pub sends: bool,
    /// By the directions of both, this side receives.
    pub receives: bool,
    /// This side put the other on hold.
    pub holds: bool,
    /// What this side wrote, and the other; nothing of a side that wrote nothing.
    own: Option<&'a Media>,
    other: Option<&'a Media>,
    /// The line whose address this one uses.
    transport: Option<&'a Media>,
}

impl<'a> MediaSide<'a> {
    /// Formats agreed on, with the numbers under which they arrive at this side, in its order of preference: those
    /// that the other side also named (RFC 3264 section 7); without the other, all.
    pub fn payload_types(self) -> impl Iterator<Item = &'a PayloadType> {
        self.own().iter().filter(move |mine| self.agrees(mine))
    }

    /// Every number either description explains: agreed formats first, then this side's others, then those that only
    /// the other has.
    pub fn described(self) -> impl Iterator<Item = &'a PayloadType> {
        let rest = self.own().iter().filter(move |mine| !self.agrees(mine));
        let theirs = self.own.and(self.other).map_or(&[][..], |other| &other.payload_types);
        let is_new = move |p: &&PayloadType| self.own().iter().all(|mine| mine.pt != p.pt);
        self.payload_types().chain(rest).chain(theirs.iter().filter(is_new))
    }

    /// What a number that arrives at this side stands for.
    #[must_use]
    pub fn payload_type(self, pt: u8) -> Option<&'a PayloadType> {
        self.described().find(|payload| payload.pt == pt)
    }

    /// Numbers under which RFC 4733 events arrive at this side.
    pub fn telephone_events(self) -> impl Iterator<Item = u8> {
        self.payload_types()
            .filter(|payload| payload.is_telephone_event())
            .map(|payload| payload.pt)
    }

    /// The addresses of this side's ICE candidates for RTP: it may receive at any of them.
    pub fn candidates(self) -> impl Iterator<Item = SocketAddr> {
        let all = self.transport.map_or(&[][..], |media| &media.extras().candidates);
        all.iter().filter(|candidate| candidate.component == 1).map(|candidate| candidate.address)
    }

    /// SSRCs that this side announced for what it sends.
    #[must_use]
    pub fn ssrcs(self) -> &'a [u32] {
        self.own.map_or(&[], |own| &own.extras().ssrcs)
    }

    /// Keys with which this side encrypts what it sends (RFC 4568 section 6.1), of the agreed suite only: the answer
    /// repeats the tag of the offered line it accepts (section 5.1.2).
    pub fn crypto(self) -> impl Iterator<Item = &'a Crypto> {
        let agrees = move |mine: &&Crypto| match self.other {
            None => true,
            Some(other) => {
                let is_it = |c: &Crypto| c.tag == mine.tag && c.suite == mine.suite;
                other.extras().crypto.iter().any(is_it)
            }
        };
        self.own.map_or(&[][..], |own| &own.extras().crypto).iter().filter(agrees)
    }

    /// How long this side's packets are.
    #[must_use]
    pub fn ptime_ms(self) -> Option<u32> {
        self.own?.ptime_ms
    }

    fn own(self) -> &'a [PayloadType] {
        self.own.map_or(&[], |own| &own.payload_types)
    }

    fn agrees(self, mine: &PayloadType) -> bool {
        self.other.is_none_or(|other| other.payload_types.iter().any(|p| p.is_same_format(mine)))
    }
}

/// Joins an offer with its answer, or gives what holds until the answer is there. Costs nothing for what is not asked.
///
/// Lines pair by index (RFC 3264 section 6). A line that only one description has is not active.
pub fn negotiate<'a>(
    offer: &'a Session,
    answer: Option<&'a Session>,
) -> impl Iterator<Item = NegotiatedMedia<'a>> {
    let count = offer.media.len().max(answer.map_or(0, |answer| answer.media.len()));
    (0..count).map(move |index| negotiate_line(index, offer, answer))
}

fn negotiate_line<'a>(
    index: usize,
    offer: &'a Session,
    answer: Option<&'a Session>,
) -> NegotiatedMedia<'a> {
    let offered = offer.media.get(index);
    let answered = answer.and_then(|answer| answer.media.get(index));
    let active = match (offered, answer) {
        (Some(offered), None) => !offered.is_rejected(),
        (Some(offered), Some(_)) => {
            !offered.is_rejected() && answered.is_some_and(|answered| !answered.is_rejected())
        }
        (None, _) => false,
    };
    let first = offered.or(answered);
    NegotiatedMedia {
        index,
        kind: first.map_or(MediaKind::Other, |media| media.kind),
        proto: answered.or(offered).map_or(&Proto::RtpAvp, |media| &media.proto),
        active,
        offerer: side(offer, offered, answered, active),
        answerer: answer.map(|a| side(a, answered, offered, active)).unwrap_or_default(),
    }
}

/// The end of the side that wrote `own`.
fn side<'a>(
    session: &'a Session,
    own: Option<&'a Media>,
    other: Option<&'a Media>,
    active: bool,
) -> MediaSide<'a> {
    let Some(own) = own else {
        return MediaSide::default();
    };
    // RFC 9143 section 7: media of a bundle use the address of the bundle's first line.
    let transport = bundle_transport(session, own, other).unwrap_or(own);
    let rtp = transport.receive_rtp().filter(|_| active);
    // RFC 5761 section 5.1.1: multiplexed when both sides say so.
    let muxed = transport.rtcp_mux && other.is_none_or(|other| other.rtcp_mux);
    let rtcp = if muxed { rtp } else { transport.receive_rtcp().filter(|_| active) };
    MediaSide {
        rtp,
        rtcp,
        sends: active && own.direction.sends() && other.is_none_or(|o| o.direction.receives()),
        receives: active && own.direction.receives() && other.is_none_or(|o| o.direction.sends()),
        holds: active && own.is_held(),
        own: Some(own),
        other,
        transport: Some(transport),
    }
}

fn bundle_transport<'a>(
    session: &'a Session,
    own: &Media,
    other: Option<&Media>,
) -> Option<&'a Media> {
    let group = session.bundle_of(own.extras().mid.as_deref()?)?;
    // Before the answer, each line of the offer may still stand for itself; a line without port cannot.
    if other.is_none() && own.port != 0 {
        return None;
    }
    group.iter().find_map(|mid| {
        session.media.iter().find(|m| m.extras().mid.as_ref() == Some(mid) && m.port != 0)
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::{MediaSide, NegotiatedMedia, negotiate};
    use crate::sdp::{MediaKind, Session, parse};

    fn join(offer: &str, answer: &str) -> Vec<NegotiatedMedia<'static>> {
        // For as long as the test is.
        let parse = |text: &str| -> &'static Session {
            Box::leak(Box::new(parse(format!("v=0\n{text}").as_bytes()).unwrap()))
        };
        let answer = Some(answer).filter(|answer| !answer.is_empty()).map(parse);
        negotiate(parse(offer), answer).collect()
    }

    fn addr(text: &str) -> Option<SocketAddr> {
        Some(text.parse().unwrap())
    }

    fn numbers(side: &MediaSide<'_>) -> Vec<u8> {
        side.payload_types().map(|p| p.pt).collect()
    }

    // CALL-2: RFC 3264 section 10.1: one audio accepted with fewer formats, video accepted, audio refused.
    #[test]
    fn lines_pair_by_index() {
        let media = join(
            "c=IN IP4 192.0.2.1\nm=audio 49170 RTP/AVP 0 8 97\na=rtpmap:97 iLBC/8000\nm=video 51372 RTP/AVP 31 32\n\
             m=audio 49180 RTP/AVP 0\n",
            "c=IN IP4 192.0.2.2\nm=audio 49174 RTP/AVP 0\nm=video 49172 RTP/AVP 32\nm=audio 0 RTP/AVP 0\n",
        );
        assert_eq!(media.len(), 3);
        assert_eq!(
            (media[0].offerer.rtp, media[0].answerer.rtp),
            (addr("192.0.2.1:49170"), addr("192.0.2.2:49174"))
        );
        assert_eq!((numbers(&media[0].offerer), numbers(&media[0].answerer)), (vec![0], vec![0]));
        assert_eq!(media[0].offerer.payload_type(97).unwrap().encoding, "iLBC");
        assert_eq!((media[1].kind, numbers(&media[1].offerer)), (MediaKind::Video, vec![32]));
        assert!(
            !media[2].active && media[2].offerer.rtp.is_none() && media[2].answerer.rtp.is_none()
        );
        assert_eq!(media[0].offerer.rtcp, addr("192.0.2.1:49171"));
    }

    // CALL-2: RFC 3264 section 5.1: each side has its own numbers for the same format.
    #[test]
    fn numbers_differ_by_direction() {
        let media = join(
            "c=IN IP4 192.0.2.1\nm=audio 1000 RTP/AVP 96 101\na=rtpmap:96 AMR/8000\na=rtpmap:101 telephone-event/8000\n",
            "c=IN IP4 192.0.2.2\nm=audio 2000 RTP/AVP 104 96\na=rtpmap:104 amr/8000/1\na=rtpmap:96 telephone-event/8000\n",
        );
        let (offerer, answerer) = (&media[0].offerer, &media[0].answerer);
        assert_eq!((numbers(offerer), numbers(answerer)), (vec![96, 101], vec![104, 96]));
        let events = |side: &MediaSide<'_>| side.telephone_events().collect::<Vec<u8>>();
        assert_eq!((events(offerer), events(answerer)), (vec![101], vec![96]));
        let described = |side: &MediaSide<'_>| side.described().map(|p| p.pt).collect::<Vec<u8>>();
        assert_eq!(
            (described(offerer), described(answerer)),
            (vec![96, 101, 104], vec![104, 96, 101])
        );
        assert_eq!(offerer.payload_type(96).unwrap().encoding, "AMR");
        assert!(answerer.payload_type(96).unwrap().is_telephone_event());
        // Some send under the numbers of their own description: found, where they mean nothing else.
        assert!(answerer.payload_type(101).unwrap().is_telephone_event());
        assert!(offerer.payload_type(7).is_none());
    }

    // CALL-2: directions of both decide; hold by either.
    #[test]
    fn directions_are_joined() {
        let media = join(
            "c=IN IP4 192.0.2.1\nm=audio 1000 RTP/AVP 0\na=sendonly\n",
            "c=IN IP4 192.0.2.2\nm=audio 2000 RTP/AVP 0\na=recvonly\n",
        );
        let (offerer, answerer) = (&media[0].offerer, &media[0].answerer);
        assert!(offerer.sends && !offerer.receives && offerer.holds);
        assert!(!answerer.sends && answerer.receives && !answerer.holds);
        let media = join(
            "c=IN IP4 0.0.0.0\nm=audio 1000 RTP/AVP 0\n",
            "c=IN IP4 192.0.2.2\nm=audio 2000 RTP/AVP 0\n",
        );
        assert!(media[0].offerer.holds && media[0].offerer.rtp.is_none() && media[0].active);
    }

    // CALL-2: RFC 5761: RTCP on the same port only when both say so.
    #[test]
    fn rtcp_is_multiplexed_when_both_say_so() {
        let with = "c=IN IP4 192.0.2.1\nm=audio 1000 RTP/AVP 0\na=rtcp-mux\n";
        let without = "c=IN IP4 192.0.2.2\nm=audio 2000 RTP/AVP 0\na=rtcp:3000\n";
        assert_eq!(join(with, with)[0].offerer.rtcp, addr("192.0.2.1:1000"));
        let media = join(with, without);
        assert_eq!(
            (media[0].offerer.rtcp, media[0].answerer.rtcp),
            (addr("192.0.2.1:1001"), addr("192.0.2.2:3000"))
        );
    }

    // CALL-2: RFC 9143: bundled lines share the address of the first; candidates are addresses too.
    #[test]
    fn bundles_share_an_address() {
        let offer = "c=IN IP4 192.0.2.1\na=group:BUNDLE 0 1\nm=audio 1000 RTP/AVP 0\na=mid:0\na=rtcp-mux\n\
            a=candidate:1 1 udp 1 10.0.0.1 1000 typ host\na=candidate:1 2 udp 1 10.0.0.1 1001 typ host\n\
            m=video 0 RTP/AVP 31\na=mid:1\na=bundle-only\na=rtcp-mux\n";
        let answer = "c=IN IP4 192.0.2.2\na=group:BUNDLE 0 1\nm=audio 2000 RTP/AVP 0\na=mid:0\na=rtcp-mux\n\
            m=video 2002 RTP/AVP 31\na=mid:1\na=rtcp-mux\n";
        let media = join(offer, answer);
        assert!(media[1].active);
        assert_eq!(
            (media[1].offerer.rtp, media[1].answerer.rtp),
            (addr("192.0.2.1:1000"), addr("192.0.2.2:2000"))
        );
        let candidates: Vec<SocketAddr> = media[1].offerer.candidates().collect();
        assert_eq!(candidates, ["10.0.0.1:1000".parse().unwrap()]);
    }

    // CALL-2: until the answer, the offerer's side holds alone.
    #[test]
    fn an_offer_alone() {
        let media =
            join("c=IN IP4 192.0.2.1\nm=audio 1000 RTP/AVP 0 8\nm=video 0 RTP/AVP 31\n", "");
        assert!(media[0].active && media[0].offerer.receives && !media[1].active);
        assert_eq!((media[0].offerer.rtp, media[0].answerer.rtp), (addr("192.0.2.1:1000"), None));
        assert_eq!(numbers(&media[0].offerer), [0, 8]);
    }

    // CALL-2, CALL-9: the answer picks one of the offered suites by its tag; lines that only one side has are
    // not active.
    #[test]
    fn keys_are_agreed_by_tag() {
        let media = join(
            "c=IN IP4 192.0.2.1\nm=audio 1000 RTP/SAVP 0\na=crypto:1 AEAD_AES_128_GCM inline:aaaa\n\
             a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:bbbb\n",
            "c=IN IP4 192.0.2.2\nm=audio 2000 RTP/SAVP 0\na=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:cccc\n\
             m=audio 2002 RTP/AVP 0\n",
        );
        let keys =
            |side: &MediaSide<'_>| side.crypto().map(|c| c.key_params.clone()).collect::<Vec<_>>();
        assert_eq!(
            (keys(&media[0].offerer), keys(&media[0].answerer)),
            (vec!["inline:bbbb".into()], vec!["inline:cccc".into()])
        );
        assert!(!media[1].active);
    }
}
