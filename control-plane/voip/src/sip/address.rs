//! `name-addr` and `addr-spec`: the values of From, To, Contact, Refer-To and the identity headers.

use super::flaw::{Flaw, Flaws};
use super::scan;
use super::uri::SipUri;

/// An address with its display name and header parameters (RFC 3261 section 20.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name without its quotes, escapes kept; empty where there is none.
    pub display: &'a [u8],
    /// The address as it came, without brackets.
    pub uri: &'a [u8],
    /// Header parameters, without the leading `;`.
    pub params: &'a [u8],
    /// The tag, where there is one that is not empty.
    pub tag: Option<&'a [u8]>,
}

impl<'a> NameAddr<'a> {
    /// Reads one address; none where there is nothing that could be one.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        Self::parse_noting(value).map(|(address, _)| address)
    }

    /// The address taken apart; none where it has no scheme.
    #[must_use]
    pub fn sip_uri(&self) -> Option<SipUri<'a>> {
        SipUri::parse(self.uri)
    }

    /// The value of a header parameter; an empty slice for one without value.
    #[must_use]
    pub fn param(&self, name: &[u8]) -> Option<&'a [u8]> {
        scan::param(self.params, name)
    }

    /// Reads one address and says which rules it breaks.
    pub(super) fn parse_noting(value: &'a [u8]) -> Option<(Self, Flaws)> {
        match Self::parse_usual(value) {
            Some(address) => Some((address, Flaws::default())),
            None => Self::parse_any(value),
        }
    }

    /// What nearly all senders write: a name of tokens or in quotes, an address in brackets, the tag alone behind it.
    /// Whatever else there is, is left to [`Self::parse_any`], which reads this the same.
    pub(super) fn parse_usual(value: &'a [u8]) -> Option<Self> {
        let open = scan::find(b'<', value)?;
        let (before, inner) = (&value[..open], &value[open + 1..]);
        let close = scan::find(b'>', inner)?;
        let (uri, after) = (&inner[..close], &inner[close + 1..]);
        let display = match before {
            [] => before,
            [b'"', name @ .., b'"', b' '] | [b'"', name @ .., b'"'] => {
                name.iter().all(|byte| !matches!(byte, b'"' | b'\\')).then_some(name)?
            }
            name => {
                let is_plain = |byte: &u8| scan::is_token(*byte) || scan::is_space(*byte);
                name.iter().all(is_plain).then(|| scan::trim(name))?
            }
        };
        let is_bare =
            matches!(uri, [first, .., last] if !scan::is_space(*first) && !scan::is_space(*last));
        let (params, tag) = match after {
            [] => (after, None),
            [b';', params @ ..] => {
                let tag = params.strip_prefix(b"tag=").filter(|tag| !tag.is_empty())?;
                (params, Some(scan::is_all_token(tag).then_some(tag)?))
            }
            _ => return None,
        };
        is_bare.then_some(Self { display, uri, params, tag })
    }

    fn parse_any(value: &'a [u8]) -> Option<(Self, Flaws)> {
        let mut flaws = Flaws::default();
        let value = scan::trim(value);
        let (display, rest) = match value.first()? {
            b'"' => match scan::quoted_end(value, 0) {
                Some(end) => (&value[1..end - 1], &value[end..]),
                None => {
                    // RFC 4475 section 3.1.2.6: the closing quote is missing; the bracket ends the name.
                    flaws.insert(Flaw::AddressQuote);
                    let at = scan::find(b'<', value).unwrap_or(1);
                    (scan::trim(&value[1..at]), &value[at..])
                }
            },
            _ => unquoted_display(value, &mut flaws),
        };
        let (uri, params) = uri_and_params(scan::trim(rest), &mut flaws)?;
        let tag = scan::param(params, b"tag").filter(|tag| !tag.is_empty());
        Some((Self { display, uri, params, tag }, flaws))
    }
}

/// The addresses of a header value that may be a list; what is no address is passed over.
pub fn addresses(value: &[u8]) -> impl Iterator<Item = NameAddr<'_>> {
    scan::split(value, b',').filter_map(NameAddr::parse)
}

/// A display name of tokens, where a bracket follows it before any parameter.
fn unquoted_display<'a>(value: &'a [u8], flaws: &mut Flaws) -> (&'a [u8], &'a [u8]) {
    // In an addr-spec without brackets the first ';' starts the header parameters, which may hold anything.
    let Some(at) =
        value.iter().position(|byte| matches!(byte, b'<' | b';')).filter(|at| value[*at] == b'<')
    else {
        return (b"", value);
    };
    let display = scan::trim(&value[..at]);
    // RFC 3261 section 25.1: display-name = *(token LWS). RFC 4475 section 3.1.2.15 has a comma in one.
    if !display.iter().all(|byte| scan::is_token(*byte) || scan::is_space(*byte)) {
        flaws.insert(Flaw::AddressSyntax);
    }
    (display, &value[at..])
}

fn uri_and_params<'a>(rest: &'a [u8], flaws: &mut Flaws) -> Option<(&'a [u8], &'a [u8])> {
    let (uri, params) = match rest.strip_prefix(b"<") {
        Some(inner) => match scan::find(b'>', inner) {
            Some(end) => (&inner[..end], &inner[end + 1..]),
            None => {
                flaws.insert(Flaw::AddressSyntax);
                (inner, &b""[..])
            }
        },
        None => {
            let end = scan::find(b';', rest).unwrap_or(rest.len());
            (scan::trim(&rest[..end]), &rest[end..])
        }
    };
    let trimmed = scan::trim(uri);
    if trimmed.len() != uri.len() {
        flaws.insert(Flaw::AddressSyntax);
    }
    let params = scan::trim(params);
    (!trimmed.is_empty()).then(|| (trimmed, params.strip_prefix(b";").unwrap_or(params)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Flaw, Flaws, NameAddr};

    fn parse(value: &str) -> NameAddr<'_> {
        NameAddr::parse(value.as_bytes()).expect("an address")
    }

    // CALL-1: From and To as RFC 3261 section 20.10 and RFC 4475 write them.
    #[test]
    fn addresses_are_read_in_every_form() {
        let address =
            parse("\"J Rosenberg \\\\\\\"\"  <sip:jdrosen@example.com>\r\n ;\r\n tag = 98asjd8");
        assert_eq!(address.display, b"J Rosenberg \\\\\\\"");
        assert_eq!(
            (address.uri, address.tag),
            (&b"sip:jdrosen@example.com"[..], Some(&b"98asjd8"[..]))
        );

        let address = parse("caller<sip:caller@example.com>;tag=323");
        assert_eq!((address.display, address.tag), (&b"caller"[..], Some(&b"323"[..])));

        let address = parse("sip:+12125551212@server.phone2net.com;tag=887s");
        assert_eq!(address.uri, b"sip:+12125551212@server.phone2net.com");
        assert_eq!((address.display, address.tag), (&b""[..], Some(&b"887s"[..])));

        let address = parse("<sip:a@b;transport=tcp>");
        assert_eq!((address.uri, address.tag), (&b"sip:a@b;transport=tcp"[..], None));
        assert!(NameAddr::parse(b"").is_none());
        assert!(NameAddr::parse(b"\"name\" <>").is_none());
    }

    // CALL-1: RFC 4475 section 3.1.2.6 and 3.1.2.15: readable, and said to be wrong.
    #[test]
    fn broken_addresses_are_read_and_noted() {
        let (address, flaws) =
            NameAddr::parse_noting(b"\"Mr. J. User <sip:j.user@example.com>").unwrap();
        assert_eq!(address.uri, b"sip:j.user@example.com");
        assert!(flaws.contains(Flaw::AddressQuote));
        let (address, flaws) = NameAddr::parse_noting(b"Bell, Alexander <sip:a@b>;tag=43").unwrap();
        assert_eq!(address.tag, Some(&b"43"[..]));
        assert!(flaws.contains(Flaw::AddressSyntax));
    }

    /// Pieces of which addresses are made, and some that do not belong there.
    const PIECES: [&str; 20] = [
        "<",
        ">",
        "\"",
        "\\",
        ";",
        ";tag=",
        "tag",
        "=",
        ",",
        " ",
        "\r\n ",
        "\t",
        "sip:a@b",
        "a",
        "name",
        "?",
        ":",
        "\u{e4}",
        "<sip:a@b>",
        "1.x",
    ];

    proptest! {
        // CALL-1: what is taken for usual says the same to who looks at everything.
        #[test]
        fn usual_addresses_are_read_alike(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..9)) {
            let value = pieces.concat();
            let value = crate::sip::scan::trim(value.as_bytes());
            if let Some(address) = NameAddr::parse_usual(value) {
                prop_assert_eq!(NameAddr::parse_any(value), Some((address, Flaws::default())));
            }
        }
    }
}
