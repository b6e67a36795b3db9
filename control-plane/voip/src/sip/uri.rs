//! SIP, SIPS and tel URIs.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use memchr::memrchr;

use super::scan;

/// The scheme of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Sip,
    Sips,
    Tel,
    Other,
}

/// An address taken apart (RFC 3261 section 19.1, RFC 3966). Everything as it came, escapes kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SipUri<'a> {
    pub scheme: Scheme,
    /// User part without password; the number of a tel URI; everything of a foreign scheme.
    pub user: Option<&'a [u8]>,
    /// Host without brackets of IPv6; empty for tel and foreign schemes.
    pub host: &'a [u8],
    pub port: Option<u16>,
    /// URI parameters without the leading `;`.
    pub params: &'a [u8],
    /// URI headers without the leading `?`.
    pub headers: &'a [u8],
}

impl<'a> SipUri<'a> {
    /// Takes an address apart; none where there is no scheme.
    #[must_use]
    pub fn parse(uri: &'a [u8]) -> Option<Self> {
        let uri = scan::trim(uri);
        let colon = scan::find(b':', uri)?;
        let (scheme, rest) = (&uri[..colon], &uri[colon + 1..]);
        let scheme = match scheme.len() {
            0 => return None,
            3 if scheme.eq_ignore_ascii_case(b"sip") => Scheme::Sip,
            4 if scheme.eq_ignore_ascii_case(b"sips") => Scheme::Sips,
            3 if scheme.eq_ignore_ascii_case(b"tel") => Scheme::Tel,
            _ => Scheme::Other,
        };
        match scheme {
            Scheme::Sip | Scheme::Sips => Self::parse_sip(scheme, rest),
            Scheme::Tel => {
                let (number, params) = cut(rest, b';');
                Some(Self {
                    scheme,
                    user: Some(number),
                    host: b"",
                    port: None,
                    params,
                    headers: b"",
                })
            }
            Scheme::Other => Some(Self {
                scheme,
                user: Some(rest),
                host: b"",
                port: None,
                params: b"",
                headers: b"",
            }),
        }
    }

    fn parse_sip(scheme: Scheme, rest: &'a [u8]) -> Option<Self> {
        // The user part may hold ';', '?' and '/' (RFC 3261 section 25.1: user-unreserved), but no '@';
        // header values may hold an escaped one only. So the last '@' before a '?' after it ends the user.
        let (user, rest) = match user_end(rest) {
            None => (None, rest),
            Some(at) => (Some(cut(&rest[..at], b':').0), &rest[at + 1..]),
        };
        let (rest, headers) = cut(rest, b'?');
        let (host_port, params) = cut(rest, b';');
        let (host, port) = split_host_port(host_port);
        if host.is_empty() && user.is_none() {
            return None;
        }
        Some(Self { scheme, user, host, port, params, headers })
    }

    /// The value of a URI parameter; an empty slice for one without value.
    #[must_use]
    pub fn param(&self, name: &[u8]) -> Option<&'a [u8]> {
        scan::param(self.params, name)
    }

    /// The value of a URI header, escapes resolved (`Refer-To: <sip:a@b?Replaces=…>`).
    #[must_use]
    pub fn header(&self, name: &[u8]) -> Option<Cow<'a, [u8]>> {
        self.headers.split(|byte| *byte == b'&').find_map(|pair| {
            let (found, value) = cut(pair, b'=');
            found.eq_ignore_ascii_case(name).then(|| percent_decode(value))
        })
    }
}

fn user_end(rest: &[u8]) -> Option<usize> {
    let first = scan::find(b'@', rest)?;
    let limit = scan::find(b'?', &rest[first..]).map_or(rest.len(), |at| first + at);
    memrchr(b'@', &rest[..limit])
}

fn cut(bytes: &[u8], separator: u8) -> (&[u8], &[u8]) {
    match scan::find(separator, bytes) {
        None => (bytes, b""),
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
    }
}

/// Splits `host:port` and `[v6]:port`; a port that is no number below 65536 is none. IPv6 without its brackets
/// (against RFC 3261 section 25.1, but seen) is all host.
pub(super) fn split_host_port(bytes: &[u8]) -> (&[u8], Option<u16>) {
    let bytes = scan::trim(bytes);
    let (host, rest) = match bytes {
        [b'[', inner @ ..] => match scan::find(b']', inner) {
            None => (inner, &b""[..]),
            Some(at) => (&inner[..at], &inner[at + 1..]),
        },
        _ if is_bare_ipv6(bytes) => (bytes, &b""[..]),
        _ => {
            let at = scan::find(b':', bytes).unwrap_or(bytes.len());
            (scan::trim(&bytes[..at]), &bytes[at..])
        }
    };
    let port = scan::trim(rest)
        .strip_prefix(b":")
        .and_then(|digits| scan::decimal_u32(scan::trim(digits)))
        .and_then(|port| u16::try_from(port).ok());
    (host, port)
}

fn is_bare_ipv6(bytes: &[u8]) -> bool {
    let colons = bytes.iter().filter(|byte| **byte == b':').count();
    colons > 1 && std::str::from_utf8(bytes).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// Resolves `%hh` escapes; what is no escape stays (RFC 3986 section 2.1).
#[must_use]
pub fn percent_decode(bytes: &[u8]) -> Cow<'_, [u8]> {
    if scan::find(b'%', bytes).is_none() {
        return Cow::Borrowed(bytes);
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%').and_then(hex_pair);
        decoded.push(escape.unwrap_or(bytes[at]));
        at += if escape.is_some() { 3 } else { 1 };
    }
    Cow::Owned(decoded)
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    let high = char::from(pair[0]).to_digit(16)?;
    let low = char::from(pair[1]).to_digit(16)?;
    u8::try_from(high << 4 | low).ok()
}

#[cfg(test)]
mod tests {
    use super::{Scheme, SipUri, percent_decode};

    fn parse(uri: &str) -> SipUri<'_> {
        SipUri::parse(uri.as_bytes()).expect("an address")
    }

    // CALL-1: addresses as RFC 3261 section 19.1.3 writes them.
    #[test]
    fn addresses_are_taken_apart() {
        let uri = parse("sip:alice:secret@atlanta.com:5062;transport=tcp;lr?subject=project");
        assert_eq!(
            (uri.scheme, uri.user, uri.host),
            (Scheme::Sip, Some(&b"alice"[..]), &b"atlanta.com"[..])
        );
        assert_eq!(uri.port, Some(5062));
        assert_eq!(uri.param(b"transport"), Some(&b"tcp"[..]));
        assert_eq!(uri.param(b"lr"), Some(&b""[..]));
        assert_eq!(uri.headers, b"subject=project");

        let uri = parse("SIPS:+1-212-555-1212:1234@[2001:db8::9]:5061;user=phone");
        assert_eq!(
            (uri.scheme, uri.host, uri.port),
            (Scheme::Sips, &b"2001:db8::9"[..], Some(5061))
        );

        let uri = parse("sip:9876@fe80:0:0:0:21a:a0ff:fe07:32e0;lr");
        assert_eq!((uri.host, uri.port), (&b"fe80:0:0:0:21a:a0ff:fe07:32e0"[..], None));
        assert_eq!(parse("sip:a@host:5060:1").host, b"host");

        let uri = parse("tel:+358-555-1234567;postd=pp22");
        assert_eq!((uri.scheme, uri.user), (Scheme::Tel, Some(&b"+358-555-1234567"[..])));
        assert_eq!(parse("sip:host").user, None);
        assert_eq!(parse("isbn:2983792873").scheme, Scheme::Other);
        assert!(SipUri::parse(b"no address").is_none());
    }

    // CALL-1: RFC 4475 sections 3.1.1.13 (semiuri) and 3.1.1.2 (intmeth): reserved characters in the user.
    #[test]
    fn user_parts_may_hold_reserved_characters() {
        let uri = parse("sip:user;par=u%40example.net@example.com");
        assert_eq!(uri.user, Some(&b"user;par=u%40example.net"[..]));
        assert_eq!((uri.host, uri.params), (&b"example.com"[..], &b""[..]));
        let uri = parse("sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com");
        assert_eq!(uri.host, b"example.com");
    }

    // CALL-5: the dialog that a REFER replaces is in an escaped URI header.
    #[test]
    fn uri_headers_are_decoded() {
        let uri =
            parse("sip:bob@h?Replaces=12345%40h%3Bto-tag%3D1%3Bfrom-tag%3D2&Require=replaces");
        assert_eq!(uri.header(b"replaces").as_deref(), Some(&b"12345@h;to-tag=1;from-tag=2"[..]));
        assert_eq!(percent_decode(b"%4").as_ref(), b"%4");
        assert_eq!(percent_decode(b"100%zz%41").as_ref(), b"100%zzA");
    }
}
