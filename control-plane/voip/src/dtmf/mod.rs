//! Digits: RFC 4733 events in RTP, and the bodies of SIP INFO. Digits in the audio itself are not looked for.

mod event;
mod info;

pub use event::{EventDecoder, TelephoneEvent};
pub use info::{InfoDigit, parse_info};
