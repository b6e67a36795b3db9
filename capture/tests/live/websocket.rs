//! SIP over WebSocket from its first frame: nobody has time to say that the connection is one.

use std::collections::BTreeSet;

use earwitness_ipc::SourceMode;

use crate::capture::{Capture, read};
use crate::frames::{from_server, to_server};
use crate::wire::Wire;

const REQUEST: &[u8] = b"GET /ws HTTP/1.1\r\nHost: sip.example.com\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    Sec-WebSocket-Protocol: sip\r\n\r\n";
const PAGE: &[u8] = b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n";
const PAGE_ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef";
const CONNECTIONS: u16 = 20;
const MESSAGES: u8 = 5;

/// A frame of text, masked as a client's is: nothing in it looks like SIP.
fn message(number: u8) -> Vec<u8> {
    [&[0x81, 0x80 | 40, 1, 2, 3, 4], [b'A' ^ number; 40].as_slice()].concat()
}

/// CAP-7: handshake, answer and messages come in one burst, and all are in the log; of a connection for a page only
/// the request is.
fn hears(source: &str, mode: SourceMode) {
    let (wire, folder) = (Wire::new(), tempfile::tempdir().unwrap());
    let capture = Capture::start(&wire, folder.path(), &["--source", source]);
    let mut control = capture.connect();
    let sources = control.hello();
    assert_eq!(sources[0].mode, mode, "{}", sources[0].reason);
    let (mut wanted, mut unwanted) = (BTreeSet::new(), BTreeSet::new());
    let mut burst = Vec::new();
    for client in 40_000..40_000 + CONNECTIONS {
        let is_page = client % 4 == 0;
        let (request, answer) = if is_page { (PAGE, PAGE_ANSWER) } else { (REQUEST, ANSWER) };
        let first = to_server(client, request);
        wanted.insert(first.clone());
        let mut rest = vec![from_server(client, answer)];
        for number in 0..MESSAGES {
            rest.push(to_server(client, &message(number)));
            rest.push(from_server(client, &message(number)));
        }
        burst.push(first);
        burst.extend(rest.iter().cloned());
        if is_page { unwanted.extend(rest) } else { wanted.extend(rest) }
    }
    let sent = wire.send_all(&burst);
    assert_eq!(sent as usize, wanted.len() + unwanted.len(), "all differ");
    let stats = control
        .await_stats("everything is judged", |stats| stats.received >= sent && stats.held == 0);
    assert_eq!(stats.stored as usize, wanted.len(), "{stats:#?}");
    assert_eq!(stats.unmatched as usize, unwanted.len(), "{stats:#?}");
    drop(control);
    capture.stop();
    let written: BTreeSet<_> = read(folder.path()).signalling.into_iter().collect();
    assert!(written == wanted, "{} of {} are in the log", written.len(), wanted.len());
}

/// CAP-7: the program copies into BPF ring buffers.
#[test]
fn bpf_ring_hears_a_websocket_from_its_first_frame() {
    hears("bpf_ring", SourceMode::BpfRing);
}

/// CAP-7: the program redirects to AF_XDP sockets.
#[test]
fn af_xdp_hears_a_websocket_from_its_first_frame() {
    hears("af_xdp", SourceMode::AfXdpCopy);
}

/// CAP-7: without the program, the producer learns.
#[test]
fn af_packet_hears_a_websocket_from_its_first_frame() {
    hears("af_packet", SourceMode::AfPacket);
}
