//! Bodies: the parts of a multipart body, and the SDP among them.

use memchr::memmem;

use super::flaw::Flaw;
use super::message::Message;
use super::scan;
use crate::limits::SIP_BODY_PARTS_MAX;

/// One part of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Content-Type of the part with its parameters; `text/plain` where a multipart part has none (RFC 2046
    /// section 5.1).
    pub content_type: &'a [u8],
    /// The bytes of the part.
    pub bytes: &'a [u8],
}

impl Part<'_> {
    /// Whether the part is of this media type, parameters aside.
    #[must_use]
    pub fn is(&self, media_type: &[u8]) -> bool {
        let end = memchr::memchr(b';', self.content_type).unwrap_or(self.content_type.len());
        scan::trim(&self.content_type[..end]).eq_ignore_ascii_case(media_type)
    }
}

/// The parts of a message's body: one, or those of a `multipart/…` body (RFC 5621), nested ones resolved to
/// one depth, at most 16.
#[must_use]
pub fn parts<'a>(message: &Message<'a>) -> Vec<Part<'a>> {
    let mut found = Vec::new();
    let Some(whole) = whole(message) else {
        return found;
    };
    let Some(boundary) = boundary(&whole) else {
        found.push(whole);
        return found;
    };
    for part in split_parts(whole.bytes, boundary) {
        match self::boundary(&part) {
            Some(inner) => found.extend(split_parts(part.bytes, inner)),
            None => found.push(part),
        }
        if found.len() >= SIP_BODY_PARTS_MAX {
            found.truncate(SIP_BODY_PARTS_MAX);
            break;
        }
    }
    found
}

/// The session description of a message, wherever in the body it is. Of a body that was cut short only whole
/// lines are given: half a port number would be another port.
#[must_use]
pub fn sdp<'a>(message: &Message<'a>) -> Option<&'a [u8]> {
    let found = find(message, b"application/sdp")?;
    if !message.flaws().contains(Flaw::BodyTruncated) {
        return Some(found);
    }
    let end = memchr::memrchr(b'\n', found).map_or(0, |at| at + 1);
    Some(&found[..end])
}

/// The first part of this media type.
#[must_use]
pub fn find<'a>(message: &Message<'a>, media_type: &[u8]) -> Option<&'a [u8]> {
    let whole = whole(message)?;
    if whole.is(media_type) {
        return Some(whole.bytes);
    }
    boundary(&whole)?;
    parts(message).into_iter().find(|part| part.is(media_type)).map(|part| part.bytes)
}

fn whole<'a>(message: &Message<'a>) -> Option<Part<'a>> {
    if message.body.is_empty() {
        return None;
    }
    // A body without Content-Type that begins like SDP is taken for SDP.
    let guess = if message.body.starts_with(b"v=0") { &b"application/sdp"[..] } else { b"" };
    Some(Part { content_type: message.content_type().unwrap_or(guess), bytes: message.body })
}

fn boundary<'a>(part: &Part<'a>) -> Option<&'a [u8]> {
    let slash = memchr::memchr(b'/', part.content_type)?;
    if !scan::trim(&part.content_type[..slash]).eq_ignore_ascii_case(b"multipart") {
        return None;
    }
    let params = memchr::memchr(b';', part.content_type)?;
    // RFC 2046 section 5.1.1: at most 70 characters.
    scan::param(&part.content_type[params + 1..], b"boundary")
        .filter(|b| (1..=70).contains(&b.len()))
}

/// Cuts at `--boundary` lines; a body without its last boundary still gives its last part.
fn split_parts<'a>(bytes: &'a [u8], boundary: &[u8]) -> Vec<Part<'a>> {
    let mut delimiter = Vec::with_capacity(boundary.len() + 2);
    delimiter.extend_from_slice(b"--");
    delimiter.extend_from_slice(boundary);
    let mut starts = memmem::find_iter(bytes, &delimiter)
        .filter(|at| *at == 0 || bytes[at - 1] == b'\n')
        .take(SIP_BODY_PARTS_MAX + 1)
        .peekable();
    let mut parts = Vec::new();
    while let Some(start) = starts.next() {
        let after = &bytes[start + delimiter.len()..];
        if after.starts_with(b"--") {
            break;
        }
        let end = starts.peek().map_or(bytes.len(), |next| before_line_end(bytes, *next));
        let Some(line) = memchr::memchr(b'\n', after) else {
            break;
        };
        let from = start + delimiter.len() + line + 1;
        parts.push(parse_part(bytes.get(from..end).unwrap_or(b"")));
    }
    parts
}

/// RFC 2046 section 5.1.1: the line end before a boundary belongs to the boundary.
fn before_line_end(bytes: &[u8], boundary: usize) -> usize {
    match &bytes[..boundary] {
        [rest @ .., b'\r', b'\n'] | [rest @ .., b'\n'] => rest.len(),
        all => all.len(),
    }
}

fn parse_part(bytes: &[u8]) -> Part<'_> {
    let mut content_type = &b"text/plain"[..];
    let mut at = 0;
    while let Some(length) = memchr::memchr(b'\n', &bytes[at..]) {
        let line = scan::trim(&bytes[at..at + length]);
        at += length + 1;
        if line.is_empty() {
            return Part { content_type, bytes: &bytes[at..] };
        }
        if let Some(colon) = memchr::memchr(b':', line)
            && scan::trim(&line[..colon]).eq_ignore_ascii_case(b"Content-Type")
        {
            content_type = scan::trim(&line[colon + 1..]);
        }
    }
    Part { content_type, bytes: b"" }
}

#[cfg(test)]
mod tests {
    use super::{parts, sdp};
    use crate::sip::parse;

    fn message(content_type: &str, length: usize, body: &str) -> String {
        format!(
            "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Type: {content_type}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    }

    fn sdp_of(content_type: &str, body: &str) -> Option<String> {
        let text = message(content_type, body.len(), body);
        let message = parse(text.as_bytes()).unwrap();
        sdp(&message).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    // CALL-2: SDP alone, in a multipart body, in a part of a part, in a body without end (RFC 5621).
    #[test]
    fn sdp_is_found_wherever_it_is() {
        assert_eq!(sdp_of("Application/SDP; x=1", "v=0\r\n").as_deref(), Some("v=0\r\n"));
        assert_eq!(sdp_of("text/plain", "v=0\r\n"), None);
        let part = "--b1\r\nContent-Type: application/sdp\r\nContent-ID: <x>\r\n\r\nv=0\r\ns=-\r\n";
        let mixed = format!("preamble\r\n--b1\r\n\r\nplain\r\n{part}\r\n--b1--\r\nepilogue");
        assert_eq!(
            sdp_of("multipart/mixed; boundary=\"b1\"", &mixed).as_deref(),
            Some("v=0\r\ns=-\r\n")
        );
        let open = format!("{part}m=x");
        assert_eq!(
            sdp_of("multipart/mixed;boundary=b1", &open).as_deref(),
            Some("v=0\r\ns=-\r\nm=x")
        );
        let nested = format!(
            "--o\nContent-Type: multipart/alternative;boundary=b1\n\n{part}\n--b1--\n--o--"
        );
        assert_eq!(
            sdp_of("multipart/mixed;boundary=o", &nested).as_deref(),
            Some("v=0\r\ns=-\r\n")
        );
        assert_eq!(sdp_of("multipart/mixed", &mixed), None);
    }

    // CALL-2: of a body that was cut short, half a line does not count.
    #[test]
    fn half_a_line_does_not_count() {
        let text = message("application/sdp", 100, "v=0\r\nm=audio 491");
        let message = parse(text.as_bytes()).unwrap();
        assert_eq!(sdp(&message), Some(&b"v=0\r\n"[..]));
    }

    // S10: no more parts than the limit.
    #[test]
    fn parts_are_bounded() {
        let body = "--b\r\n\r\nx\r\n".repeat(100);
        let text = message("multipart/mixed;boundary=b", body.len(), &body);
        assert_eq!(
            parts(&parse(text.as_bytes()).unwrap()).len(),
            crate::limits::SIP_BODY_PARTS_MAX
        );
    }
}
