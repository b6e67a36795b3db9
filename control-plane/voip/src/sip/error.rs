//! Why a datagram is not a usable SIP message: a closed list, each member a counter.

use thiserror::Error;

/// The causes for which [`parse`](super::parse) refuses a message. `error as usize` indexes a counter and
/// [`ParseError::ALL`] names them in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Error)]
#[repr(u8)]
pub enum ParseError {
    /// Nothing but CRLF or spaces: a keepalive (RFC 5626 section 3.5.1), not a message.
    #[error("the datagram holds no message")]
    Empty,
    /// More bytes than [`SIP_MESSAGE_BYTES_MAX`](crate::limits::SIP_MESSAGE_BYTES_MAX).
    #[error("the message is longer than the limit")]
    TooLarge,
    /// The first line is neither a request line nor a status line.
    #[error("the first line is not SIP")]
    StartLine,
    /// SIP of another version than 2.0.
    #[error("the SIP version is not 2.0")]
    Version,
    /// A status code outside 100..=699 or not of three digits.
    #[error("the status code is not between 100 and 699")]
    StatusCode,
    /// A request without a target.
    #[error("the request has no URI")]
    RequestUri,
    /// More header lines than [`SIP_HEADERS_MAX`](crate::limits::SIP_HEADERS_MAX).
    #[error("the message has more headers than the limit")]
    HeaderCount,
    /// No Call-ID header.
    #[error("Call-ID is missing")]
    MissingCallId,
    /// No CSeq header.
    #[error("CSeq is missing")]
    MissingCSeq,
    /// No From header.
    #[error("From is missing")]
    MissingFrom,
    /// No To header.
    #[error("To is missing")]
    MissingTo,
    /// No Via header.
    #[error("Via is missing")]
    MissingVia,
    /// Two Call-ID headers that differ.
    #[error("Call-ID is there twice, with different values")]
    DuplicateCallId,
    /// Two CSeq headers that differ.
    #[error("CSeq is there twice, with different values")]
    DuplicateCSeq,
    /// Two From headers that differ.
    #[error("From is there twice, with different values")]
    DuplicateFrom,
    /// Two To headers that differ.
    #[error("To is there twice, with different values")]
    DuplicateTo,
    /// Two Content-Length headers that differ.
    #[error("Content-Length is there twice, with different values")]
    DuplicateContentLength,
    /// Two Content-Type headers that differ.
    #[error("Content-Type is there twice, with different values")]
    DuplicateContentType,
    /// CSeq is not `number method` with a number below 2^32.
    #[error("CSeq is not a number and a method")]
    CSeq,
    /// CSeq names another method than the request line.
    #[error("CSeq names another method than the request line")]
    CSeqMethod,
    /// Content-Length is below zero.
    #[error("Content-Length is negative")]
    ContentLengthNegative,
    /// Content-Length is not a number, or not one below 2^32.
    #[error("Content-Length is not a number")]
    ContentLength,
    /// From holds no address.
    #[error("From is not an address")]
    FromAddress,
    /// To holds no address.
    #[error("To is not an address")]
    ToAddress,
}

impl ParseError {
    /// Every cause, in the order of its index.
    pub const ALL: [Self; 24] = [
        Self::Empty,
        Self::TooLarge,
        Self::StartLine,
        Self::Version,
        Self::StatusCode,
        Self::RequestUri,
        Self::HeaderCount,
        Self::MissingCallId,
        Self::MissingCSeq,
        Self::MissingFrom,
        Self::MissingTo,
        Self::MissingVia,
        Self::DuplicateCallId,
        Self::DuplicateCSeq,
        Self::DuplicateFrom,
        Self::DuplicateTo,
        Self::DuplicateContentLength,
        Self::DuplicateContentType,
        Self::CSeq,
        Self::CSeqMethod,
        Self::ContentLengthNegative,
        Self::ContentLength,
        Self::FromAddress,
        Self::ToAddress,
    ];

    /// The name of the cause as a metric label.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::StartLine => "start_line",
            Self::Version => "version",
            Self::StatusCode => "status_code",
            Self::RequestUri => "request_uri",
            Self::HeaderCount => "header_count",
            Self::MissingCallId => "missing_call_id",
            Self::MissingCSeq => "missing_cseq",
            Self::MissingFrom => "missing_from",
            Self::MissingTo => "missing_to",
            Self::MissingVia => "missing_via",
            Self::DuplicateCallId => "duplicate_call_id",
            Self::DuplicateCSeq => "duplicate_cseq",
            Self::DuplicateFrom => "duplicate_from",
            Self::DuplicateTo => "duplicate_to",
            Self::DuplicateContentLength => "duplicate_content_length",
            Self::DuplicateContentType => "duplicate_content_type",
            Self::CSeq => "cseq",
            Self::CSeqMethod => "cseq_method",
            Self::ContentLengthNegative => "content_length_negative",
            Self::ContentLength => "content_length",
            Self::FromAddress => "from_address",
            Self::ToAddress => "to_address",
        }
    }

    /// The position in [`ParseError::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::ParseError;

    // OPS-1: each cause has its own counter and its own label.
    #[test]
    fn all_lists_each_cause_at_its_index() {
        for (index, error) in ParseError::ALL.iter().enumerate() {
            assert_eq!(error.index(), index);
            assert_eq!(ParseError::ALL.iter().filter(|e| e.kind() == error.kind()).count(), 1);
        }
    }
}
