//! SIP messages: zero-copy, tolerant of what networks send, exact in what is refused.
//!
//! [`parse`] gives a [`Message`] that borrows the datagram. What cannot be used is a [`ParseError`]; what
//! can be used but breaks a rule is a [`Flaw`] of the message. Both are closed lists whose members index
//! counters. Streams are cut into messages by [`Framer`]. Nothing here keeps state between messages; that
//! is the dialog layer's part.

mod address;
pub mod body;
mod error;
mod flaw;
mod framer;
mod header;
mod message;
mod method;
mod parser;
mod scan;
mod typed;
mod uri;
mod via;

#[cfg(test)]
mod torture;

pub use address::{NameAddr, addresses};
pub use error::ParseError;
pub use flaw::{Flaw, Flaws};
pub use framer::{Framer, Item};
pub use header::{Header, HeaderName, Headers};
pub use message::{Message, StartLine};
pub use method::Method;
pub use parser::parse;
pub use scan::text;
pub use typed::{RAck, Refresher, Replaces, SessionExpires, SessionId, TargetDialog};
pub use uri::{Scheme, SipUri, percent_decode};
pub use via::Via;
