//! L16: linear samples in network byte order (RFC 3551 section 4.5.11).

use crate::CodecId;
use crate::decode::{DecodeError, Outcome};
use crate::voice::Core;

/// The decoder's core.
#[derive(Debug)]
pub(crate) struct L16 {
    channels: usize,
}

impl L16 {
    pub(crate) fn new(channels: u8) -> Self {
        Self { channels: usize::from(channels.max(1)) }
    }
}

impl Core for L16 {
    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) -> Outcome {
        let frames = payload.len() / 2 / self.channels;
        if frames == 0 && !payload.is_empty() {
            return Err(DecodeError::Truncated {
                codec: CodecId::L16,
                payload_bytes: payload.len(),
            });
        }
        // A cut last frame is left out.
        let whole = &payload[..frames * self.channels * 2];
        out.extend(whole.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])));
        Ok(frames)
    }
}
