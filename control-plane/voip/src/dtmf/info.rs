//! Digits in SIP INFO bodies: `application/dtmf-relay` and `application/dtmf`.

/// One digit of an INFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InfoDigit {
    /// `0`–`9`, `*`, `#`, `A`–`D`, or `!` for flash.
    pub digit: char,
    /// None where the body does not say.
    pub duration_ms: Option<u32>,
}

/// Reads the digit of an INFO body of this Content-Type; none where it is not about digits.
///
/// `application/dtmf-relay` has lines `Signal=5` and `Duration=160`; `application/dtmf` is the digit itself.
/// Some senders write 10 and 11 for `*` and `#`, 12–15 for `A`–`D`, 16 for flash.
#[must_use]
pub fn parse_info(content_type: &[u8], body: &[u8]) -> Option<InfoDigit> {
    let end = memchr::memchr(b';', content_type).unwrap_or(content_type.len());
    match content_type[..end].trim_ascii() {
        relay if relay.eq_ignore_ascii_case(b"application/dtmf-relay") => parse_relay(body),
        plain if plain.eq_ignore_ascii_case(b"application/dtmf") => {
            // Some senders put the lines of dtmf-relay under this type.
            parse_relay(body).or_else(|| {
                digit(body.trim_ascii()).map(|digit| InfoDigit { digit, duration_ms: None })
            })
        }
        _ => None,
    }
}

fn parse_relay(body: &[u8]) -> Option<InfoDigit> {
    let mut found = None;
    let mut duration_ms = None;
    for line in body.split(|byte| matches!(byte, b'\r' | b'\n')) {
        let Some(at) = line.iter().position(|byte| matches!(byte, b'=' | b':')) else {
            continue;
        };
        let (name, value) = (line[..at].trim_ascii(), line[at + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"Signal") {
            found = found.or(digit(value));
        } else if name.eq_ignore_ascii_case(b"Duration") {
            duration_ms = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        }
    }
    found.map(|digit| InfoDigit { digit, duration_ms })
}

fn digit(value: &[u8]) -> Option<char> {
    match value {
        [one @ (b'0'..=b'9' | b'*' | b'#' | b'!')] => Some(char::from(*one)),
        [one @ (b'A'..=b'D' | b'a'..=b'd')] => Some(char::from(one.to_ascii_uppercase())),
        b"10" => Some('*'),
        b"11" => Some('#'),
        b"12" => Some('A'),
        b"13" => Some('B'),
        b"14" => Some('C'),
        b"15" => Some('D'),
        b"16" => Some('!'),
        _ if value.eq_ignore_ascii_case(b"flash") || value.eq_ignore_ascii_case(b"hf") => Some('!'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{InfoDigit, parse_info};

    // CALL-8: both body types, and what senders make of them.
    #[test]
    fn info_bodies_are_read() {
        let relay = |body: &str| parse_info(b"application/dtmf-relay", body.as_bytes());
        assert_eq!(
            relay("Signal=5\r\nDuration=160\r\n"),
            Some(InfoDigit { digit: '5', duration_ms: Some(160) })
        );
        assert_eq!(
            relay("Signal= *\nDuration=x"),
            Some(InfoDigit { digit: '*', duration_ms: None })
        );
        assert_eq!(relay("Signal=11"), Some(InfoDigit { digit: '#', duration_ms: None }));
        assert_eq!(relay("Duration=160"), None);
        let plain = |body: &str| parse_info(b"Application/DTMF; charset=x", body.as_bytes());
        assert_eq!(plain("d"), Some(InfoDigit { digit: 'D', duration_ms: None }));
        assert_eq!(plain("Signal=1"), Some(InfoDigit { digit: '1', duration_ms: None }));
        assert_eq!(plain(""), None);
        assert_eq!(parse_info(b"text/plain", b"5"), None);
    }
}
