//! Via: the path of a request.

use super::scan;
use super::uri::split_host_port;

/// One Via value (RFC 3261 section 20.42).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// `UDP`, `TCP`, `TLS`, `WS`, … as it came.
    pub transport: &'a [u8],
    /// Host without brackets of IPv6.
    pub host: &'a [u8],
    pub port: Option<u16>,
    /// Parameters, without the leading `;`.
    pub params: &'a [u8],
    /// The transaction's id; absent in messages of RFC 2543.
    pub branch: Option<&'a [u8]>,
}

impl<'a> Via<'a> {
    /// Reads a header value that is one Via and breaks no rule, as nearly all are written. Whatever else there is, is
    /// left to [`Self::parse`], which reads this the same.
    pub(super) fn parse_usual(value: &'a [u8]) -> Option<Self> {
        let after = value.strip_prefix(b"SIP/2.0/")?;
        let space = scan::find(b' ', after)?;
        let (transport, rest) = (&after[..space], &after[space + 1..]);
        // No list, nothing that may hide a separator, no white space, folded or not.
        if transport.is_empty() || !scan::is_all_token(transport) || scan::has_any(rest, *b",\"<") {
            return None;
        }
        let (sent_by, params) = rest.split_at(scan::find(b';', rest).unwrap_or(rest.len()));
        let (host, port) = split_host_port(sent_by);
        let mut branch = None;
        let mut left = params;
        while let [b';', from @ ..] = left {
            let (param, next) = from.split_at(scan::find(b';', from).unwrap_or(from.len()));
            left = next;
            if param.is_empty() {
                return None;
            }
            if branch.is_none()
                && let Some((name, after)) = param.split_at_checked(b"branch".len())
                && name.eq_ignore_ascii_case(b"branch")
            {
                match after {
                    [] | [b'='] => return None,
                    [b'=', value @ ..] => branch = Some(value),
                    _ => {}
                }
            }
        }
        let params = params.get(1..).unwrap_or(b"");
        (!host.is_empty()).then_some(Self { transport, host, port, params, branch })
    }

    /// Reads one Via value; none where it is not `protocol/version/transport host`.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let after = match value.strip_prefix(b"SIP/2.0/") {
            Some(after) => after,
            // LWS may stand around each slash (RFC 3261 section 25.1: SLASH; RFC 4475 section 3.1.1.1).
            None => {
                let first = scan::find(b'/', value)?;
                let second = first + 1 + scan::find(b'/', &value[first + 1..])?;
                &value[second + 1..]
            }
        };
        let (transport, rest) = scan::word(scan::trim(after));
        let end = scan::find(b';', rest).unwrap_or(rest.len());
        let (host, port) = split_host_port(&rest[..end]);
        let params = rest.get(end + 1..).unwrap_or(b"");
        let branch = scan::param(params, b"branch").filter(|branch| !branch.is_empty());
        (!transport.is_empty() && !host.is_empty()).then_some(Self {
            transport,
            host,
            port,
            params,
            branch,
        })
    }

    /// The value of a parameter; an empty slice for one without value.
    #[must_use]
    pub fn param(&self, name: &[u8]) -> Option<&'a [u8]> {
        scan::param(self.params, name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Via, scan};

    // CALL-1: RFC 4475 section 3.1.1.1: white space wherever the grammar allows it.
    #[test]
    fn via_is_read_through_white_space() {
        let via =
            Via::parse(b"SIP  /   2.0\r\n /UDP\r\n    192.0.2.2:5066;branch=390skdjuw").unwrap();
        assert_eq!(
            (via.transport, via.host, via.port),
            (&b"UDP"[..], &b"192.0.2.2"[..], Some(5066))
        );
        assert_eq!(via.branch, Some(&b"390skdjuw"[..]));
        let via = Via::parse(b"SIP/2.0/TLS [2001:db8::1];received=192.0.2.1").unwrap();
        assert_eq!((via.host, via.branch), (&b"2001:db8::1"[..], None));
        assert_eq!(via.param(b"received"), Some(&b"192.0.2.1"[..]));
        assert!(Via::parse(b"SIP/2.0").is_none());
        assert!(Via::parse(b"SIP/2.0/UDP ;branch=1").is_none());
    }

    const PIECES: [&str; 20] = [
        "SIP/2.0/UDP ",
        "SIP/2.0/",
        "h",
        "192.0.2.1",
        "[2001:db8::1]",
        "2001:db8::1",
        ":5060",
        ";",
        ";branch=",
        ";Branch=z",
        ";branch",
        ";rport",
        "=",
        ",",
        "\"",
        "<",
        ">",
        " ",
        "\r\n\t",
        "/",
    ];

    proptest! {
        // CALL-1: what is taken for usual says the same to who looks at everything, and breaks no rule.
        #[test]
        fn usual_values_are_read_alike(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..9)) {
            let value = format!("SIP/2.0/UDP h{}", pieces.concat());
            for value in [value.as_bytes(), pieces.concat().as_bytes()].map(scan::trim) {
                if let Some(via) = Via::parse_usual(value) {
                    prop_assert!(!scan::has_empty_member(value));
                    prop_assert_eq!(scan::split(value, b',').next().and_then(Via::parse), Some(via));
                }
            }
        }
    }
}
