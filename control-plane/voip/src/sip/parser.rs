//! From bytes to a [`Message`]: one pass over the lines, then the checks.

use memchr::{memchr, memrchr};

use super::address::NameAddr;
use super::error::ParseError;
use super::flaw::{Flaw, Flaws};
use super::header::{HeaderName, Headers};
use super::message::{Message, StartLine};
use super::method::Method;
use super::scan;
use super::via::Via;
use crate::limits::SIP_MESSAGE_BYTES_MAX;

/// Parses one SIP message: a datagram, or what a [`Framer`](super::Framer) cut out of a stream.
///
/// Tolerated and noted as a [`Flaw`]: bare LF, extra white space, a body or headers cut short, bytes after the
/// body, headers that are no headers, identical duplicates. Refused, with the cause: see [`ParseError`].
pub fn parse(bytes: &[u8]) -> Result<Message<'_>, ParseError> {
    if bytes.len() > SIP_MESSAGE_BYTES_MAX {
        return Err(ParseError::TooLarge);
    }
    // RFC 3261 section 7.5: CRLF before the first line is passed over.
    let start = bytes.iter().position(|byte| !scan::is_space(*byte)).ok_or(ParseError::Empty)?;
    let mut flaws = Flaws::default();
    let (line, mut at) = match memchr(b'\n', &bytes[start..]) {
        Some(end) => (strip_cr(&bytes[start..start + end], &mut flaws), start + end + 1),
        None => (&bytes[start..], bytes.len()),
    };
    let (start_line, request_method) = parse_start_line(line, &mut flaws)?;
    let mut headers = Headers::new(bytes);
    let mut found = Found::default();
    at = parse_headers(bytes, at, &mut headers, &mut found, &mut flaws)?;

    let call_id = found.call_id.ok_or(ParseError::MissingCallId)?;
    let (number, method_name) = parse_cseq(found.cseq.ok_or(ParseError::MissingCSeq)?)?;
    let from =
        parse_address(found.from, ParseError::MissingFrom, ParseError::FromAddress, &mut flaws)?;
    let to = parse_address(found.to, ParseError::MissingTo, ParseError::ToAddress, &mut flaws)?;
    let top_via = parse_via(found.via.ok_or(ParseError::MissingVia)?, &mut flaws);
    if let Some(contact) = found.contact {
        check_contact(contact, &mut flaws);
    }
    // RFC 3261 section 8.1.1.5: the method of CSeq is that of the request.
    if request_method.is_some_and(|method| method != method_name) {
        return Err(ParseError::CSeqMethod);
    }
    let content_length = found.content_length.map(parse_content_length).transpose()?;
    let body = cut_body(&bytes[at..], content_length, &mut flaws);
    if !body.is_empty() && found.content_type.is_none() {
        flaws.insert(Flaw::MissingContentType);
    }
    let cseq = (number, Method::from_bytes(method_name));
    Ok(Message {
        start: start_line,
        headers,
        body,
        method_name,
        call_id,
        cseq,
        from,
        to,
        top_via,
        content_length,
        flaws,
    })
}

/// The values of headers that may be there once, and the first of those that are checked.
#[derive(Default)]
struct Found<'a> {
    call_id: Option<&'a [u8]>,
    cseq: Option<&'a [u8]>,
    from: Option<&'a [u8]>,
    to: Option<&'a [u8]>,
    via: Option<&'a [u8]>,
    contact: Option<&'a [u8]>,
    content_length: Option<&'a [u8]>,
    content_type: Option<&'a [u8]>,
}

impl<'a> Found<'a> {
    fn note(
        &mut self,
        name: HeaderName,
        value: &'a [u8],
        flaws: &mut Flaws,
    ) -> Result<(), ParseError> {
        let (slot, error) = match name {
            // An empty Call-ID identifies nothing: the same as none.
            HeaderName::CallId if value.is_empty() => return Ok(()),
            HeaderName::CallId => (&mut self.call_id, ParseError::DuplicateCallId),
            HeaderName::CSeq => (&mut self.cseq, ParseError::DuplicateCSeq),
            HeaderName::From => (&mut self.from, ParseError::DuplicateFrom),
            HeaderName::To => (&mut self.to, ParseError::DuplicateTo),
            HeaderName::ContentLength => {
                (&mut self.content_length, ParseError::DuplicateContentLength)
            }
            HeaderName::ContentType => (&mut self.content_type, ParseError::DuplicateContentType),
            HeaderName::Via => {
                self.via = self.via.or(Some(value));
                return Ok(());
            }
            HeaderName::Contact => {
                self.contact = self.contact.or(Some(value));
                return Ok(());
            }
            HeaderName::Date => {
                // RFC 3261 section 20.17: SIP restricts the time zone to GMT.
                if !value.ends_with(b"GMT") {
                    flaws.insert(Flaw::Date);
                }
                return Ok(());
            }
            _ => return Ok(()),
        };
        match *slot {
            None => *slot = Some(value),
            Some(before) if before == value => flaws.insert(Flaw::DuplicateHeader),
            Some(_) => return Err(error),
        }
        Ok(())
    }
}

fn strip_cr<'a>(line: &'a [u8], flaws: &mut Flaws) -> &'a [u8] {
    match line {
        [rest @ .., b'\r'] => rest,
        _ => {
            flaws.insert(Flaw::BareLf);
            line
        }
    }
}

/// The first line, and the method of a request as it came.
fn parse_start_line<'a>(
    line: &'a [u8],
    flaws: &mut Flaws,
) -> Result<(StartLine<'a>, Option<&'a [u8]>), ParseError> {
    let trimmed = scan::trim(line);
    if line.len() >= 4 && line[..4].eq_ignore_ascii_case(b"SIP/") {
        return parse_status_line(trimmed).map(|start| (start, None));
    }
    let first = memchr(b' ', trimmed).ok_or(ParseError::StartLine)?;
    let last = memrchr(b' ', trimmed).ok_or(ParseError::StartLine)?;
    let (method, version) = (&trimmed[..first], &trimmed[last + 1..]);
    if version.len() < 4 || !version[..4].eq_ignore_ascii_case(b"SIP/") {
        return Err(ParseError::StartLine);
    }
    if !scan::is_all_token(method) {
        return Err(ParseError::StartLine);
    }
    check_version(version)?;
    if first == last {
        return Err(ParseError::RequestUri);
    }
    let raw = &trimmed[first + 1..last];
    let uri = scan::trim(raw);
    if uri.len() != raw.len() || trimmed.len() != line.len() {
        flaws.insert(Flaw::StartLineSpace);
    }
    let uri = bare_request_uri(uri, flaws);
    if uri.is_empty() {
        return Err(ParseError::RequestUri);
    }
    Ok((StartLine::Request { method: Method::from_bytes(method), uri }, Some(method)))
}

/// The target without brackets; notes what RFC 3261 section 7.1 forbids in it.
fn bare_request_uri<'a>(uri: &'a [u8], flaws: &mut Flaws) -> &'a [u8] {
    let bare = match uri {
        [b'<', inner @ .., b'>'] => inner,
        _ => uri,
    };
    let has_headers = memrchr(b'?', bare).is_some_and(|at| memchr(b'=', &bare[at..]).is_some())
        && memchr(b'@', bare) < memrchr(b'?', bare);
    if bare.len() != uri.len() || bare.iter().any(|byte| scan::is_space(*byte)) || has_headers {
        flaws.insert(Flaw::RequestUri);
    }
    bare
}

fn check_version(version: &[u8]) -> Result<(), ParseError> {
    match version.eq_ignore_ascii_case(b"SIP/2.0") {
        true => Ok(()),
        false => Err(ParseError::Version),
    }
}

fn parse_status_line(line: &[u8]) -> Result<StartLine<'_>, ParseError> {
    let (version, rest) = scan::word(line);
    check_version(version)?;
    let (code, reason) = scan::word(rest);
    match code {
        [hundreds @ b'1'..=b'6', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
            let code = u16::from(hundreds - b'0') * 100
                + u16::from(tens - b'0') * 10
                + u16::from(ones - b'0');
            Ok(StartLine::Response { code, reason })
        }
        _ => Err(ParseError::StatusCode),
    }
}

/// Reads header lines from `at`; gives where the body starts.
fn parse_headers<'a>(
    bytes: &'a [u8],
    mut at: usize,
    headers: &mut Headers<'a>,
    found: &mut Found<'a>,
    flaws: &mut Flaws,
) -> Result<usize, ParseError> {
    loop {
        match &bytes[at..] {
            [] => {
                flaws.insert(Flaw::HeadersTruncated);
                return Ok(at);
            }
            [b'\r', b'\n', ..] => return Ok(at + 2),
            [b'\n', ..] => return Ok(at + 1),
            _ => {}
        }
        let (end, next) = line_end(bytes, at, flaws);
        parse_header(bytes, (at, end), headers, found, flaws)?;
        at = next;
    }
}

/// The end of the header line at `at` with all its folds, and where the next line starts.
fn line_end(bytes: &[u8], at: usize, flaws: &mut Flaws) -> (usize, usize) {
    let mut from = at;
    loop {
        let Some(length) = scan::find(b'\n', &bytes[from..]) else {
            return (bytes.len(), bytes.len());
        };
        let end = from + length;
        let next = end + 1;
        // RFC 3261 section 7.3.1: a line that starts with white space goes on with the one before.
        if !matches!(bytes.get(next), Some(b' ' | b'\t')) {
            let line = strip_cr(&bytes[from..end], flaws);
            return (from + line.len(), next);
        }
        from = next;
    }
}

fn parse_header<'a>(
    bytes: &'a [u8],
    (start, end): (usize, usize),
    headers: &mut Headers<'a>,
    found: &mut Found<'a>,
    flaws: &mut Flaws,
) -> Result<(), ParseError> {
    let line = &bytes[start..end];
    let Some(colon) = scan::find(b':', line) else {
        flaws.insert(Flaw::HeaderLine);
        return Ok(());
    };
    // RFC 3261 section 7.3.1: white space may stand before the colon. None stands before the name: that would
    // have been a fold.
    let raw_name = line[..colon].trim_ascii_end();
    let name_length = raw_name.len();
    let name = HeaderName::from_bytes(raw_name);
    if name == HeaderName::Other && (raw_name.is_empty() || !scan::is_all_token(raw_name)) {
        flaws.insert(Flaw::HeaderLine);
        return Ok(());
    }
    let after = &line[colon + 1..];
    let indent = match after {
        [b' ', first, ..] if !scan::is_space(*first) => 1,
        _ => after.iter().take_while(|byte| scan::is_space(**byte)).count(),
    };
    let value = scan::trim(&after[indent..]);
    let value_start = start + colon + 1 + indent;
    let place = (value_start, value_start + value.len());
    if !headers.push(name, (start, start + name_length), place) {
        return Err(ParseError::HeaderCount);
    }
    found.note(name, value, flaws)
}

fn parse_cseq(value: &[u8]) -> Result<(u32, &[u8]), ParseError> {
    let (number, method) = scan::word(value);
    let number = scan::decimal_u32(number).ok_or(ParseError::CSeq)?;
    match method.is_empty() || !scan::is_all_token(method) {
        true => Err(ParseError::CSeq),
        false => Ok((number, method)),
    }
}

fn parse_address<'a>(
    value: Option<&'a [u8]>,
    missing: ParseError,
    unreadable: ParseError,
    flaws: &mut Flaws,
) -> Result<NameAddr<'a>, ParseError> {
    let (address, noted) = NameAddr::parse_noting(value.ok_or(missing)?).ok_or(unreadable)?;
    flaws.add(noted);
    Ok(address)
}

fn parse_via<'a>(value: &'a [u8], flaws: &mut Flaws) -> Option<Via<'a>> {
    let via = Via::parse_usual(value).or_else(|| {
        if scan::has_empty_member(value) {
            flaws.insert(Flaw::ViaSyntax);
        }
        scan::split(value, b',').next().and_then(Via::parse)
    });
    let Some(via) = via else {
        flaws.insert(Flaw::ViaSyntax);
        return None;
    };
    // RFC 3261 section 8.1.1.7: the cookie is followed by what makes the branch unique.
    if via.branch.is_some_and(|branch| branch.eq_ignore_ascii_case(b"z9hG4bK")) {
        flaws.insert(Flaw::ViaBranch);
    }
    Some(via)
}

fn check_contact(value: &[u8], flaws: &mut Flaws) {
    if value == b"*" || NameAddr::parse_usual(value).is_some() {
        return;
    }
    for contact in scan::split(value, b',') {
        let is_good = NameAddr::parse_noting(contact).is_some_and(|(address, noted)| {
            // RFC 3261 section 20.10: an address with '?', ',' or ';' stands in brackets.
            let is_bare = scan::find(b'<', contact).is_none();
            let needs_brackets = is_bare && scan::find(b'?', address.uri).is_some();
            noted.is_empty() && !needs_brackets && !scan::has_empty_member(address.params)
        });
        if !is_good {
            flaws.insert(Flaw::ContactSyntax);
        }
    }
}

fn parse_content_length(value: &[u8]) -> Result<u32, ParseError> {
    match value {
        [b'-', rest @ ..] if !rest.is_empty() && rest.iter().all(u8::is_ascii_digit) => {
            Err(ParseError::ContentLengthNegative)
        }
        _ => scan::decimal_u32(value).ok_or(ParseError::ContentLength),
    }
}

// RFC 3261 section 18.3: in a datagram, the body is what Content-Length says or, without one, all the rest.
fn cut_body<'a>(rest: &'a [u8], content_length: Option<u32>, flaws: &mut Flaws) -> &'a [u8] {
    let Some(length) = content_length else {
        return rest;
    };
    let length = length as usize;
    match rest.get(..length) {
        None => {
            flaws.insert(Flaw::BodyTruncated);
            rest
        }
        Some(body) => {
            if rest[length..].iter().any(|byte| !scan::is_space(*byte)) {
                flaws.insert(Flaw::TrailingBytes);
            }
            body
        }
    }
}
