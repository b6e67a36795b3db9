//! Session descriptions: what the two sides of a call say about their media.
//!
//! [`parse`] reads RFC 8866 as networks send it: bare LF, missing lines and unknown ones, garbage at the end.
//! [`offer_answer`] joins an offer and its answer (RFC 3264). Neither knows SIP.

mod attribute;
mod formats;
mod media;
pub mod offer_answer;
mod parser;
mod payload_type;
mod session;

pub use formats::Formats;
pub use media::{
    Candidate, CandidateKind, Crypto, Direction, Extras, Media, MediaKind, Proto, RtcpAddress,
};
pub use parser::{SdpError, parse};
pub use payload_type::PayloadType;
pub use session::Session;
