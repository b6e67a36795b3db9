//! SIP over WebSocket (RFC 6455, RFC 7118), from a tap: the handshake is recognised, not answered.

mod framer;
mod handshake;

pub use framer::{Framer, Item, WebSocketError};
pub use handshake::{Handshake, HandshakeKind};
