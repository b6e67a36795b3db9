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
    use super::Via;

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
}
