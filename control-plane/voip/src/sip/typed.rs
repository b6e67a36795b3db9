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
    /// Reads the value of a Replaces header, or of the same header inside a Refer-To address; that of Join, which
    /// is written alike (RFC 3911 section 7.1).
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

/// Target-Dialog: a dialog that both sides of this one know (RFC 4538 section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetDialog<'a> {
    pub call_id: &'a [u8],
    /// Of who receives the request.
    pub remote_tag: &'a [u8],
    /// Of who sends it.
    pub local_tag: &'a [u8],
}

impl<'a> TargetDialog<'a> {
    pub(super) fn parse(value: &'a [u8]) -> Option<Self> {
        let end = memchr::memchr(b';', value)?;
        let (call_id, params) = (scan::trim(&value[..end]), &value[end + 1..]);
        (!call_id.is_empty()).then_some(())?;
        Some(Self {
            call_id,
            remote_tag: scan::param(params, b"remote-tag")?,
            local_tag: scan::param(params, b"local-tag")?,
        })
    }
}

/// Session-ID: what stays the same of a session across back-to-back user agents (RFC 7989 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionId {
    /// Of who sends the message.
    pub local: [u8; 16],
    /// Of who receives it; none while it is not known.
    pub remote: Option<[u8; 16]>,
}

impl SessionId {
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let end = memchr::memchr(b';', value).unwrap_or(value.len());
        let local = uuid(scan::trim(&value[..end]))?;
        // RFC 7989 section 5: the nil UUID stands for what is not known. RFC 7329 has no second half.
        let remote = value.get(end + 1..).and_then(|params| scan::param(params, b"remote"));
        (local != NIL).then_some(())?;
        Some(Self { local, remote: remote.and_then(uuid).filter(|remote| *remote != NIL) })
    }
}

const NIL: [u8; 16] = [0; 16];

/// 32 hexadecimal digits; the hyphens of RFC 9562 are passed over.
fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    let mut digits = text.iter().filter(|byte| **byte != b'-');
    let mut digit = || char::from(*digits.next()?).to_digit(16);
    let mut uuid = NIL;
    for byte in &mut uuid {
        // Two digits of four bits fit.
        *byte = (digit()? << 4 | digit()?) as u8;
    }
    digits.next().is_none().then_some(uuid)
}

#[cfg(test)]
mod tests {
    use super::{Method, RAck, Refresher, Replaces, SessionExpires, SessionId, TargetDialog};

    // CALL-5: RFC 7989 section 5 and RFC 4538 section 7, with what senders make of them.
    #[test]
    fn what_names_other_dialogs_is_read() {
        let value = b"ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2";
        let id = SessionId::parse(value).unwrap();
        assert_eq!((id.local[0], id.remote.unwrap()[15]), (0xab, 0xf2));
        let first = b"ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000";
        assert_eq!(SessionId::parse(first).unwrap().remote, None);
        let hyphens = SessionId::parse(b"AB30317F-1A78-4DC4-8FF8-24D0D3715D86").unwrap();
        assert_eq!(hyphens, SessionId { remote: None, ..id });
        for bad in [
            &b"00000000000000000000000000000000"[..],
            b"ab30",
            b"",
            b"zz30317f1a784dc48ff824d0d3715d86",
        ] {
            assert_eq!(SessionId::parse(bad), None);
        }
        let target =
            TargetDialog::parse(b"fa77as7dad8-sd98ajzz@host ;local-tag=kkaz-;remote-tag=6544");
        let target = target.unwrap();
        assert_eq!(target.call_id, b"fa77as7dad8-sd98ajzz@host");
        assert_eq!((target.local_tag, target.remote_tag), (&b"kkaz-"[..], &b"6544"[..]));
        assert!(TargetDialog::parse(b"x;local-tag=1").is_none());
    }

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
