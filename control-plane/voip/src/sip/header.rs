//! Header names and the list of a message's headers.

use crate::limits::{SIP_HEADERS_INLINE, SIP_HEADERS_MAX};

/// The headers that the product reads; all others are [`HeaderName::Other`] with their name as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum HeaderName {
    CallId,
    CSeq,
    From,
    To,
    Via,
    Contact,
    ContentType,
    ContentLength,
    ContentEncoding,
    MaxForwards,
    Route,
    RecordRoute,
    Require,
    Supported,
    RSeq,
    RAck,
    SessionExpires,
    MinSe,
    Replaces,
    Join,
    ReferTo,
    ReferredBy,
    TargetDialog,
    Diversion,
    HistoryInfo,
    PAssertedIdentity,
    PPreferredIdentity,
    RemotePartyId,
    Authorization,
    ProxyAuthorization,
    WwwAuthenticate,
    ProxyAuthenticate,
    Reason,
    UserAgent,
    Server,
    Event,
    SubscriptionState,
    SessionId,
    Subject,
    Date,
    Expires,
    Allow,
    AlertInfo,
    CallInfo,
    Privacy,
    Other,
}

impl HeaderName {
    /// Reads a header name, long or compact, in any case (RFC 3261 sections 7.3.1 and 7.3.3).
    #[must_use]
    pub fn from_bytes(name: &[u8]) -> Self {
        match name.len() {
            0 => Self::Other,
            1 => Self::from_compact(name[0]),
            2..=8 => Self::from_short(Key::of(name)),
            9..=KEY_BYTES_MAX => Self::from_long(Key::of(name)),
            _ => Self::Other,
        }
    }

    // RFC 3261 section 20, RFC 3515, 3892, 4028, 6665: compact forms.
    const fn from_compact(name: u8) -> Self {
        match name | 0x20 {
            b'i' => Self::CallId,
            b'f' => Self::From,
            b't' => Self::To,
            b'v' => Self::Via,
            b'm' => Self::Contact,
            b'c' => Self::ContentType,
            b'l' => Self::ContentLength,
            b'e' => Self::ContentEncoding,
            b'k' => Self::Supported,
            b's' => Self::Subject,
            b'o' => Self::Event,
            b'r' => Self::ReferTo,
            b'b' => Self::ReferredBy,
            b'x' => Self::SessionExpires,
            _ => Self::Other,
        }
    }

    const fn from_short(name: Key) -> Self {
        const CALL_ID: Key = Key::of(b"Call-ID");
        const CSEQ: Key = Key::of(b"CSeq");
        const FROM: Key = Key::of(b"From");
        const TO: Key = Key::of(b"To");
        const VIA: Key = Key::of(b"Via");
        const CONTACT: Key = Key::of(b"Contact");
        const ROUTE: Key = Key::of(b"Route");
        const REQUIRE: Key = Key::of(b"Require");
        const RSEQ: Key = Key::of(b"RSeq");
        const RACK: Key = Key::of(b"RAck");
        const MIN_SE: Key = Key::of(b"Min-SE");
        const REPLACES: Key = Key::of(b"Replaces");
        const JOIN: Key = Key::of(b"Join");
        const REFER_TO: Key = Key::of(b"Refer-To");
        const REASON: Key = Key::of(b"Reason");
        const SERVER: Key = Key::of(b"Server");
        const EVENT: Key = Key::of(b"Event");
        const SUBJECT: Key = Key::of(b"Subject");
        const DATE: Key = Key::of(b"Date");
        const EXPIRES: Key = Key::of(b"Expires");
        const ALLOW: Key = Key::of(b"Allow");
        const PRIVACY: Key = Key::of(b"Privacy");
        match name {
            CALL_ID => Self::CallId,
            CSEQ => Self::CSeq,
            FROM => Self::From,
            TO => Self::To,
            VIA => Self::Via,
            CONTACT => Self::Contact,
            ROUTE => Self::Route,
            REQUIRE => Self::Require,
            RSEQ => Self::RSeq,
            RACK => Self::RAck,
            MIN_SE => Self::MinSe,
            REPLACES => Self::Replaces,
            JOIN => Self::Join,
            REFER_TO => Self::ReferTo,
            REASON => Self::Reason,
            SERVER => Self::Server,
            EVENT => Self::Event,
            SUBJECT => Self::Subject,
            DATE => Self::Date,
            EXPIRES => Self::Expires,
            ALLOW => Self::Allow,
            PRIVACY => Self::Privacy,
            _ => Self::Other,
        }
    }

    const fn from_long(name: Key) -> Self {
        const CONTENT_TYPE: Key = Key::of(b"Content-Type");
        const CONTENT_LENGTH: Key = Key::of(b"Content-Length");
        const CONTENT_ENCODING: Key = Key::of(b"Content-Encoding");
        const MAX_FORWARDS: Key = Key::of(b"Max-Forwards");
        const RECORD_ROUTE: Key = Key::of(b"Record-Route");
        const SUPPORTED: Key = Key::of(b"Supported");
        const SESSION_EXPIRES: Key = Key::of(b"Session-Expires");
        const REFERRED_BY: Key = Key::of(b"Referred-By");
        const TARGET_DIALOG: Key = Key::of(b"Target-Dialog");
        const DIVERSION: Key = Key::of(b"Diversion");
        const HISTORY_INFO: Key = Key::of(b"History-Info");
        const P_ASSERTED_IDENTITY: Key = Key::of(b"P-Asserted-Identity");
        const P_PREFERRED_IDENTITY: Key = Key::of(b"P-Preferred-Identity");
        const REMOTE_PARTY_ID: Key = Key::of(b"Remote-Party-ID");
        const AUTHORIZATION: Key = Key::of(b"Authorization");
        const PROXY_AUTHORIZATION: Key = Key::of(b"Proxy-Authorization");
        const WWW_AUTHENTICATE: Key = Key::of(b"WWW-Authenticate");
        const PROXY_AUTHENTICATE: Key = Key::of(b"Proxy-Authenticate");
        const USER_AGENT: Key = Key::of(b"User-Agent");
        const SUBSCRIPTION_STATE: Key = Key::of(b"Subscription-State");
        const SESSION_ID: Key = Key::of(b"Session-ID");
        const ALERT_INFO: Key = Key::of(b"Alert-Info");
        const CALL_INFO: Key = Key::of(b"Call-Info");
        match name {
            CONTENT_TYPE => Self::ContentType,
            CONTENT_LENGTH => Self::ContentLength,
            CONTENT_ENCODING => Self::ContentEncoding,
            MAX_FORWARDS => Self::MaxForwards,
            RECORD_ROUTE => Self::RecordRoute,
            SUPPORTED => Self::Supported,
            SESSION_EXPIRES => Self::SessionExpires,
            REFERRED_BY => Self::ReferredBy,
            TARGET_DIALOG => Self::TargetDialog,
            DIVERSION => Self::Diversion,
            HISTORY_INFO => Self::HistoryInfo,
            P_ASSERTED_IDENTITY => Self::PAssertedIdentity,
            P_PREFERRED_IDENTITY => Self::PPreferredIdentity,
            REMOTE_PARTY_ID => Self::RemotePartyId,
            AUTHORIZATION => Self::Authorization,
            PROXY_AUTHORIZATION => Self::ProxyAuthorization,
            WWW_AUTHENTICATE => Self::WwwAuthenticate,
            PROXY_AUTHENTICATE => Self::ProxyAuthenticate,
            USER_AGENT => Self::UserAgent,
            SUBSCRIPTION_STATE => Self::SubscriptionState,
            SESSION_ID => Self::SessionId,
            ALERT_INFO => Self::AlertInfo,
            CALL_INFO => Self::CallInfo,
            _ => Self::Other,
        }
    }
}

/// Bytes of the longest name that is known: P-Preferred-Identity.
const KEY_BYTES_MAX: usize = 20;

/// A name of 2 to 20 token characters in lower case as three numbers: its first eight bytes, its last eight,
/// and eight from its middle, which overlap in short names; of less than eight, its first four and its last four.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key(u64, u64, u64);

impl Key {
    const fn of(name: &[u8]) -> Self {
        let length = name.len() as u64;
        let (Some(first), Some(last)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) else {
            let (Some(first), Some(last)) = (name.first_chunk::<4>(), name.last_chunk::<4>())
            else {
                return Self(pack(name), length, 0);
            };
            let ends = (u32::from_be_bytes(*first) as u64) << 32 | u32::from_be_bytes(*last) as u64;
            return Self(ends | CASE, length, 0);
        };
        let (_, after) = name.split_at((name.len() - 8) / 2);
        let middle = match after.first_chunk::<8>() {
            Some(middle) => lower(*middle),
            None => 0,
        };
        Self(lower(*first), lower(*last), middle ^ length)
    }
}

/// Token characters differ from their lower case by bit 5 at most, and no two that are not the same letter
/// become the same by setting it.
const fn lower(bytes: [u8; 8]) -> u64 {
    u64::from_be_bytes(bytes) | CASE
}

/// The bit by which a letter differs from its other case, of eight bytes.
const CASE: u64 = 0x2020_2020_2020_2020;

/// The same for a name of less than four bytes.
const fn pack(name: &[u8]) -> u64 {
    let mut number = 0;
    let mut at = 0;
    while at < name.len() {
        number = number << 8 | (name[at] | 0x20) as u64;
        at += 1;
    }
    number
}

/// One header line: name and value as they came, white space around them cut off, folding kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Which header it is.
    pub name: HeaderName,
    /// The name as it came.
    pub raw_name: &'a [u8],
    /// The value; inner CRLF are folds.
    pub value: &'a [u8],
}

/// Where a header lies in its message.
#[derive(Clone, Copy, Debug)]
struct Place {
    name_start: u32,
    value_start: u32,
    value_end: u32,
    name_length: u16,
    name: HeaderName,
}

const NOWHERE: Place =
    Place { name_start: 0, value_start: 0, value_end: 0, name_length: 0, name: HeaderName::Other };

/// The headers of a message in their order. The first 32 cost no allocation.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    inline: [Place; SIP_HEADERS_INLINE],
    spilled: Vec<Place>,
    length: usize,
    /// A bit for each name that is there.
    present: u64,
}

const _: () = assert!((HeaderName::Other as u32) < u64::BITS);

impl<'a> Headers<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            inline: [NOWHERE; SIP_HEADERS_INLINE],
            spilled: Vec::new(),
            length: 0,
            present: 0,
        }
    }

    /// Adds a header by its place. Gives false, and adds nothing, where the list is full (S10).
    pub(super) fn push(
        &mut self,
        name: HeaderName,
        raw: (usize, usize),
        value: (usize, usize),
    ) -> bool {
        if self.length == SIP_HEADERS_MAX {
            return false;
        }
        // A name longer than 64 KiB cannot be: the message is not (limits.rs).
        let place = Place {
            name_start: raw.0 as u32,
            value_start: value.0 as u32,
            value_end: value.1 as u32,
            name_length: (raw.1 - raw.0) as u16,
            name,
        };
        match self.inline.get_mut(self.length) {
            Some(slot) => *slot = place,
            None => self.spilled.push(place),
        }
        self.length += 1;
        self.present |= 1 << name as u32;
        true
    }

    /// How many header lines there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether there is a line with this name.
    #[must_use]
    pub const fn has(&self, name: HeaderName) -> bool {
        self.present & (1 << name as u32) != 0
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        let inline = self.length.min(SIP_HEADERS_INLINE);
        self.inline[..inline].iter().chain(&self.spilled)
    }

    /// All headers in their order.
    pub fn iter(&self) -> impl Iterator<Item = Header<'a>> + '_ {
        self.places().map(|place| self.resolve(place))
    }

    /// The values of the lines with this name, in their order.
    pub fn named(&self, name: HeaderName) -> impl Iterator<Item = &'a [u8]> + '_ {
        let some = self.has(name).then(|| self.places());
        let named = some.into_iter().flatten().filter(move |place| place.name == name);
        named.map(|place| self.resolve(place).value)
    }

    /// The value of the first line with this name.
    #[must_use]
    pub fn first(&self, name: HeaderName) -> Option<&'a [u8]> {
        self.has(name).then(|| self.named(name).next()).flatten()
    }

    fn resolve(&self, place: &Place) -> Header<'a> {
        let name_start = place.name_start as usize;
        Header {
            name: place.name,
            raw_name: &self.bytes[name_start..name_start + usize::from(place.name_length)],
            value: &self.bytes[place.value_start as usize..place.value_end as usize],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HeaderName;

    // CALL-1: long, compact and odd-case names are one header.
    #[test]
    fn names_are_read_in_every_form() {
        for (name, header) in [
            (&b"call-id"[..], HeaderName::CallId),
            (b"I", HeaderName::CallId),
            (b"CONTENT-length", HeaderName::ContentLength),
            (b"l", HeaderName::ContentLength),
            (b"TO", HeaderName::To),
            (b"x", HeaderName::SessionExpires),
            (b"p-asserted-identity", HeaderName::PAssertedIdentity),
            (b"REFER-to", HeaderName::ReferTo),
            (b"p-preferred-identity", HeaderName::PPreferredIdentity),
            (b"Proxy-Authenticate", HeaderName::ProxyAuthenticate),
            (b"Proxy-Authorization", HeaderName::ProxyAuthorization),
            (b"Proxy-Authenticata", HeaderName::Other),
            (b"Content-Typee", HeaderName::Other),
            (b"Cal-ID", HeaderName::Other),
            (b"X-Anything", HeaderName::Other),
            (b"X-A-Name-That-Is-Longer-Than-All", HeaderName::Other),
            (b"", HeaderName::Other),
        ] {
            assert_eq!(HeaderName::from_bytes(name), header);
        }
    }
}
