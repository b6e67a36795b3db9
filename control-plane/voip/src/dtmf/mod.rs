//! Digits: RFC 4733 events in RTP, the bodies of SIP INFO, tones in the audio.

mod event;
mod info;
mod tone;

pub use event::{EventDecoder, TelephoneEvent};
pub use info::{InfoDigit, parse_info};
pub use tone::{TONE_RATE_HZ, Tone, ToneDetector};
