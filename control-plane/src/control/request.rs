//! A command in the body of a SIP MESSAGE: JSON of `application/x-media-control+json`, or a bare word (POL-8).

use earwitness_voip::dialog::Party;
use earwitness_voip::sip::{self, Message, body};
use serde::Deserialize;

use super::limits::BODY_BYTES_MAX;
use super::operation::Operation;

/// What a body asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub operation: Operation,
    /// Value of `X-Session-Id` in the call's INVITE or its answer.
    pub session_id: Option<String>,
    /// Whom to mask; both unless said.
    pub side: Option<Party>,
}

/// Why a body asks for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRequest {
    #[error("the body is no JSON object with `operation`")]
    Malformed,
    #[error("the operation is unknown")]
    Operation,
    #[error("the side is neither caller nor callee")]
    Side,
    #[error("the body is too long")]
    TooLong,
}

#[derive(Deserialize)]
struct Body {
    operation: String,
    #[serde(default)]
    session_id: Option<SessionId>,
    #[serde(default)]
    side: Option<String>,
}

/// Some phones write numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum SessionId {
    Text(String),
    Number(u64),
}

/// What a MESSAGE asks for; none if it is about something else.
#[must_use]
pub fn read(message: &Message<'_>) -> Option<Result<Request, NoRequest>> {
    let parts = body::parts(message);
    let control = parts.iter().find(|part| part.is(b"application/x-media-control+json"));
    if let Some(part) = control {
        return Some(json(part.bytes));
    }
    // In a dialog the word alone does; whatever else people write to each other is none of ours.
    let plain = parts.iter().find(|part| part.is(b"text/plain"))?;
    let text =
        std::str::from_utf8(plain.bytes).ok().filter(|_| plain.bytes.len() <= BODY_BYTES_MAX)?;
    let operation = Operation::parse(text).filter(|_| text.trim().ends_with("-recording"))?;
    Some(Ok(Request { operation, session_id: None, side: None }))
}

fn json(bytes: &[u8]) -> Result<Request, NoRequest> {
    if bytes.len() > BODY_BYTES_MAX {
        return Err(NoRequest::TooLong);
    }
    let body: Body = serde_json::from_slice(bytes).map_err(|_| NoRequest::Malformed)?;
    let operation = Operation::parse(&body.operation).ok_or(NoRequest::Operation)?;
    let session_id = body.session_id.map(|id| match id {
        SessionId::Text(text) => text,
        SessionId::Number(number) => number.to_string(),
    });
    let side = match body.side.as_deref() {
        None | Some("both") => None,
        Some("caller") => Some(Party::Caller),
        Some("callee") => Some(Party::Callee),
        Some(_) => return Err(NoRequest::Side),
    };
    Ok(Request { operation, session_id, side })
}

/// `user@host` of an address, for traces and to compare parties by.
pub(super) fn who(message: &Message<'_>) -> Option<String> {
    let uri = message.from().sip_uri()?;
    let user = sip::text(uri.user?);
    Some(format!("{user}@{}", sip::text(uri.host)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content_type: &str, body: &str) -> Option<Result<Request, NoRequest>> {
        let text = format!(
            "MESSAGE sip:pbx@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1\r\n\
             From: <sip:alice@10.0.0.2>;tag=1\r\nTo: <sip:pbx@10.0.0.1>\r\nCall-ID: a\r\nCSeq: 1 MESSAGE\r\n\
             Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        read(&sip::parse(text.as_bytes()).expect("a message"))
    }

    const JSON: &str = "application/x-media-control+json";

    /// POL-8, S9: the bodies of 003; what is malformed is told from what is about something else.
    #[test]
    fn bodies_are_read() {
        let request = |operation, session_id: Option<&str>| {
            Some(Ok(Request { operation, session_id: session_id.map(str::to_owned), side: None }))
        };
        assert_eq!(
            of(JSON, r#"{"operation":"pause","session_id":"77"}"#),
            request(Operation::Pause, Some("77"))
        );
        assert_eq!(
            of(JSON, r#"{"session_id":77,"operation":"resume","more":[1]}"#),
            request(Operation::Resume, Some("77"))
        );
        assert_eq!(
            of(&format!("{JSON}; charset=utf-8"), r#"{"operation":"pause-audio-recording"}"#),
            request(Operation::Pause, None)
        );
        assert_eq!(of("text/plain", "pause-audio-recording\r\n"), request(Operation::Pause, None));
        assert_eq!(of("text/plain", "pause"), None);
        assert_eq!(of("application/json", r#"{"operation":"pause"}"#), None);
        for (body, why) in [
            (r#"{"operation":"#, NoRequest::Malformed),
            ("[]", NoRequest::Malformed),
            (r#"{"session_id":"77"}"#, NoRequest::Malformed),
            (r#"{"operation":7}"#, NoRequest::Malformed),
            (r#"{"operation":"erase"}"#, NoRequest::Operation),
            (r#"{"operation":"mask","side":"left"}"#, NoRequest::Side),
            (&format!(r#"{{"operation":"{}"}}"#, "x".repeat(BODY_BYTES_MAX)), NoRequest::TooLong),
        ] {
            assert_eq!(of(JSON, body), Some(Err(why)), "{body:.60}");
        }
    }
}
