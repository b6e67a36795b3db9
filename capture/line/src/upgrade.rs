//! The one look at HTTP that steering takes: whether a request asks for SIP over WebSocket (RFC 7118 section 4.1).
//!
//! The frames that follow carry nothing that tells them from any other stream, so the connection must be known
//! before they come. The control plane reads the handshake properly; here is only enough to keep its packets.

/// Bytes of a request that are looked at.
const LOOKED_AT_MAX: usize = 2048;

/// A request whose head does not end in a segment as short as this was cut on purpose or by a small window, not by
/// its length: what follows must be seen to know.
const CUT_BYTES_MAX: usize = 1000;

/// Whether the request has a `Sec-WebSocket-Protocol` that names `sip`, or is cut short before that can be said.
#[must_use]
pub(crate) fn may_offer_sip(payload: &[u8]) -> bool {
    let ends = |end: &[u8]| payload.windows(end.len()).any(|at| at == end);
    let is_cut = payload.len() <= CUT_BYTES_MAX && !ends(b"\r\n\r\n") && !ends(b"\n\n");
    is_cut || offers_sip(&payload[..payload.len().min(LOOKED_AT_MAX)])
}

fn offers_sip(head: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n').skip(1).any(|line| {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return false };
        let (name, value) = (line[..colon].trim_ascii(), &line[colon + 1..]);
        name.eq_ignore_ascii_case(b"Sec-WebSocket-Protocol")
            && value
                .split(|byte| *byte == b',')
                .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"sip"))
    })
}

#[cfg(test)]
mod tests {
    use super::may_offer_sip;

    /// CAP-7: SIP over WebSocket is known by its handshake, any other connection is not.
    #[test]
    fn only_a_handshake_for_sip_is_one() {
        let sip =
            b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nsec-websocket-protocol: xmpp, sip\r\n\r\n";
        assert!(may_offer_sip(sip));
        assert!(!may_offer_sip(b"GET / HTTP/1.1\r\nHost: sip.example.org\r\n\r\n"));
        assert!(!may_offer_sip(b"GET /ws HTTP/1.1\r\nSec-WebSocket-Protocol: sipper\r\n\r\n"));
        assert!(may_offer_sip(b"GET /ws HTTP/1.1\r\nUpgr"));
        assert!(!may_offer_sip(
            &[b"GET / HTTP/1.1\r\nCookie: ".as_slice(), &[b'x'; 1400]].concat()
        ));
    }
}
