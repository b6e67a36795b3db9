//! Where a parsed frame goes: the decision that kernel and user space share.

use crate::bytes::Bytes;
use crate::endpoint::Endpoint;
use crate::kind::{Kind, kind_bytes};
use crate::parse::{Parsed, Transport};

/// What policy says of a flow.
#[repr(u8)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Verdict {
    #[default]
    Undecided = 0,
    Record = 1,
    Mask = 2,
    Ignore = 3,
}

impl Verdict {
    /// From a byte of a map or a record; what is not a verdict is undecided.
    #[must_use]
    #[inline(always)]
    pub const fn from_u8(byte: u8) -> Self {
        match byte {
            1 => Self::Record,
            2 => Self::Mask,
            3 => Self::Ignore,
            _ => Self::Undecided,
        }
    }
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steer {
    /// SIP, or what may become SIP: to the log at once.
    Signalling,
    /// To reassembly, whatever it will turn out to be.
    Fragment,
    /// Into the delay line.
    Media(Verdict),
    /// Dropped, because policy wants nothing of its flow.
    Ignored,
    /// Of no interest: dropped or passed, as configured.
    Unmatched,
}

/// What steering knows besides the frame.
pub trait Tables {
    /// The verdict of the flow that ends here; none if there is no entry.
    fn verdict(&self, dst: &Endpoint) -> Option<Verdict>;
    /// Whether any flow's verdict is ignore. While none is, what looks like media is taken without asking for its
    /// verdict: the table is larger than the cache, and whoever takes the frame asks, too.
    fn ignores(&self) -> bool;
    /// A configured SIP port.
    fn sip_port(&self, port: u16) -> bool;
    /// A connection known to carry signalling, in either direction.
    fn tcp_signalling(&self, src: &Endpoint, dst: &Endpoint) -> bool;
}

/// The decision with what led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub steer: Steer,
    /// Of the payload; `Other` where the decision did not need it.
    pub kind: Kind,
    /// The TCP connection begins to carry SIP on a port nobody configured, or asks for a WebSocket that will: whoever
    /// owns the table puts it there.
    pub learn: bool,
}

impl Decision {
    #[inline(always)]
    const fn of(steer: Steer, kind: Kind) -> Self {
        Self { steer, kind, learn: false }
    }
}

/// Decides about a frame; `payload` is what `parsed` points at.
#[must_use]
pub fn steer<T: Tables>(parsed: &Parsed, payload: &[u8], tables: &T) -> Steer {
    decide(parsed, payload, tables).steer
}

/// As [`steer`], with the kind of the payload and whether to learn the connection.
#[must_use]
pub fn decide<T: Tables>(parsed: &Parsed, payload: &[u8], tables: &T) -> Decision {
    decide_bytes(parsed, payload, 0, tables)
}

/// As [`decide`], from any source of bytes; the payload begins at `at`.
#[inline(always)]
pub fn decide_bytes<B: Bytes + ?Sized, T: Tables>(
    parsed: &Parsed,
    bytes: &B,
    at: u32,
    tables: &T,
) -> Decision {
    if parsed.fragment.is_some() {
        return Decision::of(fragment(parsed.transport), Kind::Other);
    }
    match parsed.transport {
        Transport::Udp => udp(parsed, bytes, at, tables),
        Transport::Tcp => tcp(parsed, bytes, at, tables),
        Transport::Other(_) => Decision::of(Steer::Unmatched, Kind::Other),
    }
}

/// Only fragments of what could carry a flow are worth reassembling: UDP, TCP, the tunnels, and IPv6 extension
/// headers behind a fragment header.
#[inline(always)]
fn fragment(transport: Transport) -> Steer {
    match transport {
        Transport::Udp | Transport::Tcp => Steer::Fragment,
        // IPv4 and IPv6 in IP, GRE, and headers that may precede them.
        Transport::Other(0 | 4 | 41 | 43 | 47 | 51 | 60) => Steer::Fragment,
        Transport::Other(_) => Steer::Unmatched,
    }
}

#[inline(always)]
fn udp<B: Bytes + ?Sized, T: Tables>(parsed: &Parsed, bytes: &B, at: u32, tables: &T) -> Decision {
    // Keep-alives (RFC 5626 section 3.5.1: CRLF, or nothing at all) are signalling here.
    if tables.sip_port(parsed.src.port) || tables.sip_port(parsed.dst.port) {
        return Decision::of(Steer::Signalling, Kind::Other);
    }
    let kind = kind_bytes(bytes, at, u32::from(parsed.payload_len));
    if kind == Kind::Sip {
        return Decision::of(Steer::Signalling, kind);
    }
    let steer = match kind {
        Kind::Stun | Kind::Dtls => Steer::Media(Verdict::Undecided),
        // Below 1024 only DNS, NTP and their like meet the form by chance; a call that uses such a port has an entry.
        Kind::Rtp | Kind::Rtcp if parsed.src.port >= 1024 && parsed.dst.port >= 1024 => {
            Steer::Media(Verdict::Undecided)
        }
        _ => Steer::Unmatched,
    };
    if steer != Steer::Unmatched && !tables.ignores() {
        return Decision::of(steer, kind);
    }
    if let Some(verdict) = tables.verdict(&parsed.dst) {
        let steer = match verdict {
            Verdict::Ignore => Steer::Ignored,
            other => Steer::Media(other),
        };
        return Decision::of(steer, kind);
    }
    Decision::of(steer, kind)
}

#[inline(always)]
fn tcp<B: Bytes + ?Sized, T: Tables>(parsed: &Parsed, bytes: &B, at: u32, tables: &T) -> Decision {
    if tables.sip_port(parsed.src.port) || tables.sip_port(parsed.dst.port) {
        return Decision::of(Steer::Signalling, Kind::Other);
    }
    if tables.tcp_signalling(&parsed.src, &parsed.dst) {
        return Decision::of(Steer::Signalling, Kind::Other);
    }
    let length = u32::from(parsed.payload_len);
    match kind_bytes(bytes, at, length) {
        Kind::Sip => Decision { steer: Steer::Signalling, kind: Kind::Sip, learn: true },
        // RFC 7118: may become a WebSocket that carries SIP.
        Kind::Http => {
            let learn = bytes.may_offer_sip(at, length);
            Decision { steer: Steer::Signalling, kind: Kind::Http, learn }
        }
        kind => Decision::of(Steer::Unmatched, kind),
    }
}
