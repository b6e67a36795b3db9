//! The opening handshake (RFC 6455 section 4), either direction.

use memchr::{memchr, memmem};

use crate::limits::HTTP_HEAD_BYTES_MAX;

/// Which side of the handshake it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HandshakeKind {
    /// `GET … Upgrade: websocket`.
    Request,
    /// `101 Switching Protocols`.
    Response,
}

/// What the first bytes of a direction are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// More bytes are needed to say.
    Incomplete,
    /// A handshake with the subprotocol `sip` (RFC 7118 section 4.1); frames start after `length` bytes.
    Sip { kind: HandshakeKind, length: usize, has_deflate: bool },
    /// Something else.
    Foreign,
}

impl Handshake {
    /// Looks at the first bytes of a direction.
    #[must_use]
    pub fn detect(bytes: &[u8]) -> Self {
        let Some(kind) = first_line(bytes) else {
            return Self::Foreign;
        };
        let Some(length) = head_length(bytes) else {
            return match bytes.len() > HTTP_HEAD_BYTES_MAX {
                true => Self::Foreign,
                false => Self::Incomplete,
            };
        };
        let (mut is_upgrade, mut is_sip, mut has_deflate) = (false, false, false);
        for line in bytes[..length].split(|byte| *byte == b'\n').skip(1) {
            let Some(colon) = memchr(b':', line) else {
                continue;
            };
            let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"Upgrade") {
                is_upgrade |= has_token(value, b"websocket");
            } else if name.eq_ignore_ascii_case(b"Sec-WebSocket-Protocol") {
                is_sip |= has_token(value, b"sip");
            } else if name.eq_ignore_ascii_case(b"Sec-WebSocket-Extensions") {
                has_deflate |= has_token(value, b"permessage-deflate");
            }
        }
        match is_upgrade && is_sip {
            true => Self::Sip { kind, length, has_deflate },
            false => Self::Foreign,
        }
    }
}

/// The kind of handshake that the first bytes may begin; an incomplete match counts.
fn first_line(bytes: &[u8]) -> Option<HandshakeKind> {
    let begins = |start: &[u8]| {
        let length = bytes.len().min(start.len());
        length > 0 && bytes[..length] == start[..length]
    };
    if begins(b"GET ") {
        Some(HandshakeKind::Request)
    } else if begins(b"HTTP/1.1 101") {
        Some(HandshakeKind::Response)
    } else {
        None
    }
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// Whether a comma-separated list has this token, parameters aside.
fn has_token(value: &[u8], token: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|member| {
        let end = memchr(b';', member).unwrap_or(member.len());
        member[..end].trim_ascii().eq_ignore_ascii_case(token)
    })
}

#[cfg(test)]
mod tests {
    use super::{Handshake, HandshakeKind};

    const REQUEST: &str = "GET / HTTP/1.1\r\nHost: sip-ws.example.com\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Origin: http://www.example.com\r\nSec-WebSocket-Protocol: chat, sip\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";
    const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Extensions: permessage-deflate; x=1\r\n\r\n";

    // CAP-7: RFC 7118 section 4.1's example, cut anywhere.
    #[test]
    fn both_directions_are_recognised() {
        for cut in 1..REQUEST.len() {
            assert_eq!(Handshake::detect(&REQUEST.as_bytes()[..cut]), Handshake::Incomplete);
        }
        let length = REQUEST.len();
        assert_eq!(
            Handshake::detect(format!("{REQUEST}\u{1}").as_bytes()),
            Handshake::Sip { kind: HandshakeKind::Request, length, has_deflate: false }
        );
        let length = RESPONSE.len();
        assert_eq!(
            Handshake::detect(RESPONSE.as_bytes()),
            Handshake::Sip { kind: HandshakeKind::Response, length, has_deflate: true }
        );
    }

    // CAP-7, S10: other HTTP is not SIP, and a head without end is given up.
    #[test]
    fn other_http_is_foreign() {
        for text in [
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "POST / HTTP/1.1\r\n",
            "",
        ] {
            assert_eq!(Handshake::detect(text.as_bytes()), Handshake::Foreign, "{text:?}");
        }
        let endless = format!("GET /{}", "x".repeat(20_000));
        assert_eq!(Handshake::detect(endless.as_bytes()), Handshake::Foreign);
    }
}
