//! `a=` lines of a media description (or, as defaults, of the session).

use std::net::SocketAddr;
use std::sync::Arc;

use super::media::{Candidate, CandidateKind, Crypto, Direction, Media, RtcpAddress};
use super::parser::{ip_addr, lossy, number, push_bounded, words};
use super::payload_type::{PayloadType, text};

/// The direction that an attribute names, if it names one (RFC 8866 section 6.7).
pub(super) fn direction(name: &[u8]) -> Option<Direction> {
    match name {
        b"sendrecv" => Some(Direction::SendRecv),
        b"sendonly" => Some(Direction::SendOnly),
        b"recvonly" => Some(Direction::RecvOnly),
        b"inactive" => Some(Direction::Inactive),
        _ => None,
    }
}

/// Applies one attribute; what is unknown or unreadable changes nothing.
pub(super) fn apply(media: &mut Media, name: &[u8], value: &[u8]) {
    match name {
        b"rtpmap" => rtpmap(media, value),
        b"fmtp" => fmtp(media, value),
        b"rtcp" => media.rtcp = rtcp(value).or(media.rtcp),
        b"rtcp-mux" => media.rtcp_mux = true,
        b"bundle-only" => media.bundle_only = true,
        b"mid" => media.extras_mut().mid = Some(lossy(value)),
        b"ptime" => media.ptime_ms = milliseconds(value).or(media.ptime_ms),
        b"maxptime" => media.maxptime_ms = milliseconds(value).or(media.maxptime_ms),
        b"crypto" => {
            if let Some(crypto) = crypto(value) {
                push_bounded(&mut media.extras_mut().crypto, crypto);
            }
        }
        b"ssrc" => ssrc(media, value),
        b"candidate" => {
            if let Some(candidate) = candidate(value) {
                push_bounded(&mut media.extras_mut().candidates, candidate);
            }
        }
        b"fingerprint" => media.extras_mut().fingerprint = Some(lossy(value)),
        b"setup" => media.extras_mut().setup = Some(lossy(value)),
        b"label" => media.extras_mut().label = Some(lossy(value)),
        _ => {}
    }
}

/// `pt encoding[/clock[/channels]]` (RFC 8866 section 6.6). Also gives a static number another meaning.
fn rtpmap(media: &mut Media, value: &[u8]) {
    let mut parts = words(value);
    let (Some(pt), Some(format)) = (parts.next().and_then(number::<u8>), parts.next()) else {
        return;
    };
    let Some(payload) = payload_type(media, pt) else { return };
    let mut fields = format.split(|byte| *byte == b'/');
    let encoding = text(fields.next().unwrap_or(b""));
    let known = PayloadType::from_static(pt);
    let default_clock_hz =
        if known.encoding.eq_ignore_ascii_case(&encoding) { known.clock_hz } else { 0 };
    payload.clock_hz = fields.next().and_then(number).unwrap_or(default_clock_hz);
    payload.channels = fields.next().and_then(number).filter(|n| *n > 0).unwrap_or(1);
    payload.encoding = encoding;
}

fn payload_type(media: &mut Media, pt: u8) -> Option<&mut PayloadType> {
    // While it is read nobody else has the list.
    Arc::get_mut(&mut media.payload_types)?.iter_mut().find(|payload| payload.pt == pt)
}

fn fmtp(media: &mut Media, value: &[u8]) {
    let end = value.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(value.len());
    let Some(pt) = number::<u8>(&value[..end]) else {
        return;
    };
    if let Some(payload) = payload_type(media, pt) {
        payload.fmtp = text(value[end..].trim_ascii());
    }
}

/// `port [IN IP4 address]` (RFC 3605 section 2.1).
fn rtcp(value: &[u8]) -> Option<RtcpAddress> {
    let mut parts = words(value);
    let port = parts.next().and_then(number)?;
    Some(RtcpAddress { port, addr: parts.nth(2).and_then(ip_addr) })
}

/// Whole milliseconds; some senders write a fraction.
fn milliseconds(value: &[u8]) -> Option<u32> {
    number(value.split(|byte| *byte == b'.').next()?)
}

/// `tag suite key-params [session-params]` (RFC 4568 section 4).
fn crypto(value: &[u8]) -> Option<Crypto> {
    let mut parts = words(value);
    Some(Crypto {
        tag: parts.next().and_then(number)?,
        suite: lossy(parts.next()?),
        key_params: lossy(parts.next()?),
        session_params: parts.map(lossy).collect::<Vec<_>>().join(" "),
    })
}

/// `ssrc-id attribute` (RFC 5576 section 4.1); one SSRC has several lines.
fn ssrc(media: &mut Media, value: &[u8]) {
    if let Some(ssrc) = words(value).next().and_then(number::<u32>)
        && !media.extras().ssrcs.contains(&ssrc)
    {
        push_bounded(&mut media.extras_mut().ssrcs, ssrc);
    }
}

/// `foundation component transport priority address port typ type …` (RFC 8839 section 5.1).
fn candidate(value: &[u8]) -> Option<Candidate> {
    let fields: Vec<_> = words(value).take(8).collect();
    let [_, component, transport, _, address, port, _, kind] = fields[..] else {
        return None;
    };
    if !transport.eq_ignore_ascii_case(b"udp") {
        return None;
    }
    let kind = match kind {
        b"host" => CandidateKind::Host,
        b"srflx" => CandidateKind::ServerReflexive,
        b"prflx" => CandidateKind::PeerReflexive,
        b"relay" => CandidateKind::Relay,
        _ => return None,
    };
    let address = SocketAddr::new(ip_addr(address)?, number(port)?);
    Some(Candidate { component: number(component)?, address, kind })
}
