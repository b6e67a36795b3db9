//! Headers with values of their own: RAck, Session-Expires, Replaces.

use super::method::Method;
use super::scan;

/// RAck: which provisional answer a PRACK acknowledges (RFC 3262 section 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RAck {
    pub rseq: u32,
    pub cseq: u32,
    pub method: Method,
}

impl RAck {
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let (rseq, rest) = scan::word(value);
        let (cseq, method) = scan::word(rest);
        Some(Self {
            rseq: scan::decimal_u32(rseq)?,
            cseq: scan::decimal_u32(cseq)?,
            method: Method::from_bytes(method),
        })
    }
}

/// Who refreshes a session (RFC 4028 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    /// The client of the transaction that set the timer.
    Uac,
    /// Its server.
    Uas,
}

/// Session-Expires: after how long without refresh a session is over (RFC 4028 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionExpires {
    pub interval_s: u32,
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let (seconds, params) = scan::digits(value);
        let refresher = match scan::param(params, b"refresher") {
            Some(who) if who.eq_ignore_ascii_case(b"uac") => Some(Refresher::Uac),
            Some(who) if who.eq_ignore_ascii_case(b"uas") => Some(Refresher::Uas),
            _ => None,
        };
        Some(Self { interval_s: scan::decimal_u32(seconds)?, refresher })
    }
}

/// Replaces: the dialog that this one takes over (RFC 3891 section 6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaces {
    pub call_id: Vec<u8>,
    pub to_tag: Vec<u8>,
    pub from_tag: Vec<u8>,
    /// Only a dialog that is not confirmed may be replaced.
    pub early_only: bool,
}

impl Replaces {
    /// Reads the value of a Replaces header, or of the same header inside a Refer-To address.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let end = memchr::memchr(b';', value)?;
        let (call_id, params) = (scan::trim(&value[..end]), &value[end + 1..]);
        let tag = |name| scan::param(params, name).map(<[u8]>::to_vec);
        (!call_id.is_empty()).then_some(())?;
        Some(Self {
            call_id: call_id.to_vec(),
            to_tag: tag(b"to-tag")?,
            from_tag: tag(b"from-tag")?,
            early_only: scan::param(params, b"early-only").is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Method, RAck, Refresher, Replaces, SessionExpires};

    // CALL-1: PRACK and session timers as RFC 3262 and 4028 write them.
    #[test]
    fn rack_and_session_expires_are_read() {
        let rack = RAck::parse(b"776656 1 INVITE").unwrap();
        assert_eq!((rack.rseq, rack.cseq, rack.method), (776_656, 1, Method::Invite));
        assert!(RAck::parse(b"1 INVITE").is_none());
        let timer = SessionExpires::parse(b"4000;refresher=UAS").unwrap();
        assert_eq!((timer.interval_s, timer.refresher), (4000, Some(Refresher::Uas)));
        assert!(SessionExpires::parse(b"soon").is_none());
    }

    // CALL-5: RFC 3891 section 6.1's example.
    #[test]
    fn replaces_is_read() {
        let replaces =
            Replaces::parse(b"98732@sip.example.com\r\n ;from-tag=r33th4x0r\r\n ;to-tag=ff87ff")
                .unwrap();
        assert_eq!(replaces.call_id, b"98732@sip.example.com");
        assert_eq!(
            (&replaces.to_tag[..], &replaces.from_tag[..]),
            (&b"ff87ff"[..], &b"r33th4x0r"[..])
        );
        assert!(!replaces.early_only);
        assert!(Replaces::parse(b"98732@sip.example.com;to-tag=1").is_none());
    }
}
