//! Messages as bytes: postcard.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::limits::MESSAGE_BYTES_MAX;

#[derive(Debug, Error)]
pub enum MessageError {
    #[error("message of {bytes} bytes, at most {MESSAGE_BYTES_MAX} are sent")]
    TooLong { bytes: usize },
    #[error("not a message: {source}")]
    Malformed {
        #[from]
        source: postcard::Error,
    },
    #[error("{bytes} bytes behind the message")]
    Trailing { bytes: usize },
}

/// Bytes of a `Command`, an `Event` or a `Mark`.
pub fn encode<M: Serialize>(message: &M) -> Result<Vec<u8>, MessageError> {
    let bytes = postcard::to_stdvec(message)?;
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(MessageError::TooLong { bytes: bytes.len() });
    }
    Ok(bytes)
}

/// Reads what [`encode`] wrote; any bytes at all may be passed.
pub fn decode<M: DeserializeOwned>(bytes: &[u8]) -> Result<M, MessageError> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(MessageError::TooLong { bytes: bytes.len() });
    }
    let (message, rest) = postcard::take_from_bytes(bytes)?;
    if !rest.is_empty() {
        return Err(MessageError::Trailing { bytes: rest.len() });
    }
    Ok(message)
}
