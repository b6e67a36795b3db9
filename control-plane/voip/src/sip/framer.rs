//! Cuts a byte stream (TCP, TLS) into SIP messages.

use memchr::memchr;

use super::header::HeaderName;
use super::scan;
use crate::limits::{FRAMER_BYTES_MAX, SIP_MESSAGE_BYTES_MAX, SIP_START_LINE_BYTES_MAX};

/// What a [`Framer`] gives out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// One message, for [`parse`](super::parse). Cut short where the stream had a hole or the message was too long.
    Message(&'a [u8]),
    /// CRLF between messages (RFC 5626 section 4.4.1).
    Keepalive,
    /// Bytes that belong to no message; the framer looks for the next start line.
    Garbage { bytes: usize },
}

/// Cuts one direction of a stream into messages by Content-Length (RFC 3261 section 18.3).
///
/// [`push`](Framer::push) bytes, then take [`next`](Framer::next) until it gives none. At a hole in the stream
/// call [`gap`](Framer::gap), and again take all. It holds at most
/// [`FRAMER_BYTES_MAX`] bytes.
#[derive(Clone, Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Where the bytes start that were not given out yet.
    at: usize,
    /// Where the search for the end of the headers goes on, from `at`.
    searched: usize,
    /// Bytes of the stream that belong to a body too long to keep.
    skip: usize,
    /// Bytes lost because the buffer was full.
    overflow: usize,
    /// The stream had a hole behind the buffer.
    is_cut: bool,
}

/// What is known about the message at the front of the buffer.
enum Front {
    /// It is not whole yet.
    Wait,
    /// It has this length; so many bytes of its body follow that are not kept.
    Message {
        length: usize,
        skip: usize,
    },
    Garbage {
        length: usize,
    },
}

impl Framer {
    /// A framer at the start of a stream, or in its middle: it looks for a start line first.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes of the stream.
    pub fn push(&mut self, mut bytes: &[u8]) {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        bytes = &bytes[skipped..];
        self.buffer.drain(..self.at);
        self.at = 0;
        let room = FRAMER_BYTES_MAX - self.buffer.len().min(FRAMER_BYTES_MAX);
        if bytes.len() > room {
            // Only a caller that pushes more than a segment, or does not take what is there, comes here.
            self.overflow += bytes.len() - room;
            self.is_cut = true;
            bytes = &bytes[..room];
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Says that bytes are missing from the stream after what was pushed.
    pub fn gap(&mut self) {
        self.is_cut = true;
        self.skip = 0;
    }

    /// Bytes that are held.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.at
    }

    /// The next item, none until more bytes come.
    #[expect(clippy::should_implement_trait, reason = "items borrow the framer")]
    pub fn next(&mut self) -> Option<Item<'_>> {
        let rest = &self.buffer[self.at..];
        if rest.is_empty() {
            self.is_cut = false;
            self.searched = 0;
            let bytes = std::mem::take(&mut self.overflow);
            return (bytes > 0).then_some(Item::Garbage { bytes });
        }
        let line_ends = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        if line_ends > 0 {
            self.take(line_ends);
            return Some(Item::Keepalive);
        }
        match self.front() {
            Front::Wait => None,
            Front::Garbage { length } => {
                self.take(length);
                Some(Item::Garbage { bytes: length })
            }
            Front::Message { length, skip } => {
                let from = self.take(length);
                // A hole already ended the body.
                self.skip = if self.is_cut { 0 } else { skip };
                Some(Item::Message(&self.buffer[from..from + length]))
            }
        }
    }

    /// Passes over bytes; gives where they were.
    fn take(&mut self, length: usize) -> usize {
        let from = self.at;
        self.at += length;
        self.searched = 0;
        from
    }

    fn front(&mut self) -> Front {
        let rest = &self.buffer[self.at..];
        if self.searched == 0 {
            match memchr(b'\n', rest) {
                None if self.is_cut || rest.len() > SIP_START_LINE_BYTES_MAX => {
                    return Front::Garbage { length: rest.len() };
                }
                None => return Front::Wait,
                Some(end) if !is_start_line(&rest[..end]) => {
                    return Front::Garbage { length: next_start(rest, end + 1) };
                }
                Some(_) => {}
            }
        }
        let Some(head) = head_length(rest, self.searched) else {
            self.searched = rest.len();
            return match rest.len() > SIP_MESSAGE_BYTES_MAX || self.is_cut {
                true => Front::Garbage { length: next_start(rest, 1) },
                false => Front::Wait,
            };
        };
        self.whole(head)
    }

    /// The message whose headers are complete.
    fn whole(&self, head: usize) -> Front {
        let rest = &self.buffer[self.at..];
        let body = match body_length(&rest[..head]) {
            BodyLength::Bytes(bytes) => bytes,
            // RFC 3261 section 20.14: required on streams. Where it is missing all the same, a body reaches to
            // the next start line, or as far as there are bytes.
            BodyLength::Unknown => next_start(rest, head) - head,
        };
        let Some(length) = head.checked_add(body) else {
            return Front::Message { length: head, skip: 0 };
        };
        if rest.len() >= length && length <= SIP_MESSAGE_BYTES_MAX {
            return Front::Message { length, skip: 0 };
        }
        if length > SIP_MESSAGE_BYTES_MAX {
            let kept = rest.len().min(length);
            let keep = kept.min(SIP_MESSAGE_BYTES_MAX).max(head);
            return Front::Message { length: keep, skip: length - keep };
        }
        match self.is_cut {
            true => Front::Message { length: rest.len(), skip: 0 },
            false => Front::Wait,
        }
    }
}

enum BodyLength {
    Bytes(usize),
    Unknown,
}

/// Whether a line begins a message: a status line or a request line.
fn is_start_line(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line).trim_ascii_end();
    if line.len() > 4 && line[..4].eq_ignore_ascii_case(b"SIP/") {
        return true;
    }
    let Some(last) = memchr::memrchr(b' ', line) else {
        return false;
    };
    let version = &line[last + 1..];
    let (method, _) = scan::word(line);
    version.len() > 4
        && version[..4].eq_ignore_ascii_case(b"SIP/")
        && method.len() < last
        && scan::is_all_token(method)
}

/// Where the next line starts, from `from` on, that may begin a message; the end where there is none. A last
/// line without its end may become one: it is kept if it is short.
fn next_start(rest: &[u8], from: usize) -> usize {
    let mut at = match rest.get(from.wrapping_sub(1)) {
        Some(b'\n') => from,
        _ => match memchr(b'\n', rest.get(from..).unwrap_or(b"")) {
            Some(end) => from + end + 1,
            None => return rest.len(),
        },
    };
    while let Some(length) = memchr(b'\n', &rest[at..]) {
        if is_start_line(&rest[at..at + length]) {
            return at;
        }
        at += length + 1;
    }
    match rest.len() - at > SIP_START_LINE_BYTES_MAX {
        true => rest.len(),
        false => at,
    }
}

/// The length of start line and headers with the empty line, where it is there.
fn head_length(rest: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3);
    let mut at = from;
    loop {
        at += memchr(b'\n', &rest[at..])? + 1;
        match &rest[at..] {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
}

/// Content-Length of these headers. What [`parse`](super::parse) will refuse counts as no body.
fn body_length(head: &[u8]) -> BodyLength {
    let mut has_type = false;
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = memchr(b':', line) else {
            continue;
        };
        match HeaderName::from_bytes(scan::trim(&line[..colon])) {
            HeaderName::ContentLength => {
                let value = scan::decimal_u32(scan::trim(&line[colon + 1..]));
                return BodyLength::Bytes(value.map_or(0, |bytes| bytes as usize));
            }
            HeaderName::ContentType => has_type = true,
            _ => {}
        }
    }
    if has_type { BodyLength::Unknown } else { BodyLength::Bytes(0) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Framer, Item};

    const FIRST: &str = "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 5\r\n\r\nhello";
    const SECOND: &str = "SIP/2.0 200 OK\r\nl: 0\r\n\r\n";

    fn drain(framer: &mut Framer, messages: &mut Vec<String>, garbage: &mut usize) {
        while let Some(item) = framer.next() {
            match item {
                Item::Message(bytes) => messages.push(String::from_utf8_lossy(bytes).into_owned()),
                Item::Garbage { bytes } => *garbage += bytes,
                Item::Keepalive => {}
            }
        }
    }

    fn run(chunks: &[&[u8]]) -> (Vec<String>, usize) {
        let (mut framer, mut messages, mut garbage) = (Framer::new(), Vec::new(), 0);
        for chunk in chunks {
            framer.push(chunk);
            drain(&mut framer, &mut messages, &mut garbage);
        }
        (messages, garbage)
    }

    // CAP-7: several messages in one segment, keepalives between them.
    #[test]
    fn several_messages_in_one_segment() {
        let stream = format!("\r\n\r\n{FIRST}\r\n\r\n{SECOND}{FIRST}");
        assert_eq!(run(&[stream.as_bytes()]), (vec![FIRST.into(), SECOND.into(), FIRST.into()], 0));
    }

    // CAP-7: one message over several segments, cut anywhere.
    #[test]
    fn one_message_over_many_segments() {
        let stream = format!("{FIRST}{SECOND}");
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(run(&bytes), (vec![FIRST.into(), SECOND.into()], 0));
    }

    // CAP-7, S9: capture began in the middle of a message.
    #[test]
    fn the_next_start_line_is_found_after_garbage() {
        let stream = format!("tag=1\r\nCall-ID: x\r\n\r\nv=0\r\n\u{0}\u{1}\r\n{FIRST}");
        let (messages, garbage) = run(&[stream.as_bytes()]);
        assert_eq!(messages, [FIRST]);
        assert_eq!(garbage, stream.len() - FIRST.len());
    }

    // CAP-7: RFC 3261 section 20.14 is broken by some senders.
    #[test]
    fn missing_content_length_takes_the_body_up_to_the_next_start_line() {
        let first = "INVITE sip:a@b SIP/2.0\r\nContent-Type: application/sdp\r\n\r\nv=0\r\nm=x\r\n";
        let (messages, garbage) = run(&[format!("{first}{SECOND}").as_bytes()]);
        assert_eq!((messages, garbage), (vec![first.to_owned(), SECOND.to_owned()], 0));
    }

    // CAP-7: a hole gives what is there of the message, and the stream goes on behind it.
    #[test]
    fn a_hole_cuts_the_message_and_the_stream_goes_on() {
        let (mut framer, mut messages, mut garbage) = (Framer::new(), Vec::new(), 0);
        framer.push(&FIRST.as_bytes()[..FIRST.len() - 2]);
        drain(&mut framer, &mut messages, &mut garbage);
        assert!(messages.is_empty());
        framer.gap();
        drain(&mut framer, &mut messages, &mut garbage);
        assert_eq!(messages, [&FIRST[..FIRST.len() - 2]]);
        framer.push(format!("rest of a body\r\n{SECOND}").as_bytes());
        drain(&mut framer, &mut messages, &mut garbage);
        assert_eq!(messages[1], SECOND);
        assert_eq!(garbage, 16);
    }

    // S10: a body longer than the limit is passed over, not kept.
    #[test]
    fn too_long_a_body_is_skipped() {
        let head = "MESSAGE sip:a@b SIP/2.0\r\nContent-Length: 1000000\r\n\r\n";
        let (mut framer, mut messages, mut garbage) = (Framer::new(), Vec::new(), 0);
        framer.push(head.as_bytes());
        let chunk = vec![b'x'; 10_000];
        for _ in 0..100 {
            framer.push(&chunk);
            drain(&mut framer, &mut messages, &mut garbage);
            assert!(framer.buffered() <= crate::limits::FRAMER_BYTES_MAX);
        }
        framer.push(SECOND.as_bytes());
        drain(&mut framer, &mut messages, &mut garbage);
        assert_eq!((messages.len(), garbage), (2, 0));
        assert_eq!(messages[1], SECOND);
    }

    proptest! {
        // S9, S10: no bytes make it panic, loop or grow, and none are given out twice.
        #[test]
        fn any_bytes_any_cuts(
            chunks in prop::collection::vec(prop::collection::vec(
                prop_oneof![Just(b'\r'), Just(b'\n'), Just(b' '), Just(b':'), Just(b'l'), Just(b'9'), any::<u8>()],
                0..200), 0..20),
            gaps in any::<u32>(),
        ) {
            let (mut framer, mut messages, mut garbage) = (Framer::new(), Vec::new(), 0);
            let total: usize = chunks.iter().map(Vec::len).sum();
            for (index, chunk) in chunks.iter().enumerate() {
                framer.push(chunk);
                drain(&mut framer, &mut messages, &mut garbage);
                if gaps >> index & 1 == 1 {
                    framer.gap();
                    drain(&mut framer, &mut messages, &mut garbage);
                }
            }
            prop_assert!(garbage + framer.buffered() <= total);
        }

        // CAP-7: the cuts between segments change nothing.
        #[test]
        fn cuts_do_not_matter(cuts in prop::collection::vec(1usize..40, 1..40)) {
            let stream = format!("{SECOND}{FIRST}\r\n{SECOND}{FIRST}");
            let (mut chunks, mut rest) = (Vec::new(), stream.as_bytes());
            for cut in cuts {
                let (chunk, after) = rest.split_at(cut.min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            chunks.push(rest);
            prop_assert_eq!(run(&chunks), run(&[stream.as_bytes()]));
        }
    }
}
