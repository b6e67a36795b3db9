//! Requests that may ask for SIP over WebSocket, against a plain reading of the same text.

use earwitness_wire::limits::{CUT_BYTES_MAX, REQUEST_BYTES_MAX};
use earwitness_wire::upgrade::may_offer_sip;
use proptest::prelude::*;

fn may(request: &[u8]) -> bool {
    may_offer_sip(request, 0, request.len() as u32)
}

/// CAP-7: SIP over WebSocket is known by its handshake, any other connection is not.
#[test]
fn only_a_handshake_for_sip_is_one() {
    let upgrade = "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n";
    for list in
        ["sip", "SIP", "xmpp, sip", "sip,xmpp", "\tsip ;x", "chat\r\nSec-WebSocket-Protocol:sip"]
    {
        let request = format!("{upgrade}sec-websocket-Protocol: {list}\r\n\r\n");
        assert!(may(request.as_bytes()), "{list}");
    }
    for list in ["sipper", "", "si", "xsip", "si\r\np", "sip2, \"sip\""] {
        let request = format!("{upgrade}Sec-WebSocket-Protocol: {list}\r\n\r\n");
        assert!(!may(request.as_bytes()), "{list}");
    }
    for field in ["Host: sip", "Sec-WebSocket-Protocols: sip", "X-Sec-WebSocket-Protocol: sip"] {
        assert!(!may(format!("{upgrade}{field}\r\n\r\n").as_bytes()), "{field}");
    }
    // Behind the head is no field.
    assert!(!may(b"GET / HTTP/1.1\r\n\r\nSec-WebSocket-Protocol: sip\r\n\r\n"));
    assert!(!may(b"GET / HTTP/1.1\n\nSec-WebSocket-Protocol: sip\n\n"));
}

/// CAP-7: what a cut hides may be the field; a long request, which its length cut, must have asked for an upgrade.
#[test]
fn a_request_that_is_cut_may_be_one() {
    assert!(may(b"GET /ws HTTP/1.1\r\nUpgr"));
    assert!(may(b"GET "));
    let cookie = [b"Cookie: ".as_slice(), &[b'x'; 1400]].concat();
    assert!(!may(&[b"GET / HTTP/1.1\r\n".as_slice(), &cookie].concat()));
    assert!(may(&[b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n".as_slice(), &cookie].concat()));
    let upgrade_insecure = b"GET / HTTP/1.1\r\nUpgrade-Insecure-Requests: 1\r\n".as_slice();
    assert!(!may(&[upgrade_insecure, &cookie].concat()));
}

/// The same, without a thought for cost: lines, then fields, then members of the list.
fn plainly(request: &[u8]) -> bool {
    let looked_at = &request[..request.len().min(REQUEST_BYTES_MAX as usize)];
    let mut upgrades = false;
    for line in looked_at.split_inclusive(|byte| *byte == b'\n').skip(1) {
        if matches!(line, b"\n" | b"\r\n") {
            return false;
        }
        let begins = |name: &[u8]| {
            line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        };
        upgrades |= begins(b"Upgrade:");
        if begins(b"Sec-WebSocket-Protocol:") && names_sip(&line[23..]) {
            return true;
        }
    }
    upgrades || request.len() <= CUT_BYTES_MAX as usize
}

fn names_sip(list: &[u8]) -> bool {
    list.split(|byte| *byte == b',').enumerate().any(|(at, member)| {
        let is_last = list.split(|byte| *byte == b',').count() == at + 1;
        let blanks = member.iter().take_while(|byte| b" \t".contains(byte)).count();
        let Some((word, rest)) = member[blanks..].split_at_checked(3) else { return false };
        let ends = match rest.first() {
            Some(byte) => b" \t\r\n;".contains(byte),
            // The comma at which the list was split.
            None => !is_last,
        };
        word.eq_ignore_ascii_case(b"sip") && ends
    })
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => prop::sample::select(vec![
            "\r\n", "\r\n", "\n", "\r", "sip", "SIP", ",", " ", "\t", ";", "x", "\u{b}",
            "Sec-WebSocket-Protocol:", "sec-websocket-protocol: sip", "Upgrade:", "upgrade: websocket",
        ]).prop_map(str::to_owned),
        1 => "[ -~]{0,30}",
        1 => (0..1200_usize).prop_map(|length| "y".repeat(length)),
    ];
    let fields = prop::collection::vec(part, 0..14);
    (fields, 0..2600_usize).prop_map(|(parts, cut)| {
        let mut text = format!("GET / HTTP/1.1\r\n{}", parts.concat());
        text.truncate(cut.max(4));
        text.into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// CAP-7, S9: eight bytes at a time gives the answer that reading line by line gives, wherever the request lies.
    #[test]
    fn any_request_is_read_right(request in request(), before in 0..9_usize) {
        let wanted = plainly(&request);
        prop_assert_eq!(may(&request), wanted);
        let mut frame = vec![b'\n'; before];
        frame.extend(&request);
        frame.extend(b"\r\nSec-WebSocket-Protocol: sip\r\n\r\n");
        prop_assert_eq!(may_offer_sip(&frame[..], before as u32, request.len() as u32), wanted);
    }
}
