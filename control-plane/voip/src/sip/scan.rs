//! Scanning of header values: white space with folding, lists, parameters, quotes. Shared by the typed
//! headers of this folder; knows no header by name.

use std::borrow::Cow;

use memchr::{memchr2, memchr3};

/// Bytes as text for people: UTF-8, with replacement characters where it is not.
#[must_use]
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    // Most is ASCII, for which this is the shorter way.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Where a byte is for the first time. For the short strings of header values: eight bytes a step, without the
/// call that a vectorised search costs (examples/parse_cost.rs).
#[inline]
pub(super) fn find(needle: u8, bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let found = zeros(u64::from_le_bytes(*word) ^ (LOW * needle as u64));
        if found != 0 {
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|byte| *byte == needle).map(|at| words.len() * 8 + at)
}

/// Whether there is one of these, white space, or a control character.
#[inline]
pub(super) fn has_any<const COUNT: usize>(bytes: &[u8], needles: [u8; COUNT]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let in_word = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        let below_space = word.wrapping_sub(LOW * 0x21) & !word & HIGH;
        let add = |found, needle: &u8| found | zeros(word ^ (LOW * u64::from(*needle)));
        needles.iter().fold(below_space, add) != 0
    };
    words.iter().any(in_word) || rest.iter().any(|byte| *byte <= b' ' || needles.contains(byte))
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Marks the lowest byte that is zero, and perhaps some above it.
#[inline]
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(LOW) & !word & HIGH
}

/// Linear white space; CR and LF count because folded lines are kept as they came (RFC 3261 section 7.3.1).
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Cuts linear white space off both ends.
#[inline]
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    match bytes {
        [first, .., last] if !is_space(*first) && !is_space(*last) => bytes,
        _ => trim_spaces(bytes),
    }
}

fn trim_spaces(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes {
        if !is_space(*first) {
            break;
        }
        bytes = rest;
    }
    while let [rest @ .., last] = bytes {
        if !is_space(*last) {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// A token character (RFC 3261 section 25.1).
pub(super) const fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        table[byte] = c.is_ascii_alphanumeric()
            || matches!(c, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
        byte += 1;
    }
    table
};

/// Whether all bytes are token characters.
pub(super) fn is_all_token(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| is_token(*byte))
}

/// The end of the quoted string that starts at `start` (its opening quote): the index after the closing
/// quote, or none where it is never closed.
pub(super) fn quoted_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        match bytes[at] {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

/// Splits at `separator` outside quotes and angle brackets. An unclosed quote is read as a plain character.
pub(super) fn split(bytes: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let current = rest?;
        let end = separator_at(current, separator);
        rest = end.map(|end| &current[end + 1..]);
        Some(trim(end.map_or(current, |end| &current[..end])))
    })
}

fn separator_at(bytes: &[u8], separator: u8) -> Option<usize> {
    let first = find(separator, bytes)?;
    // Nothing before it that could hide it: the usual case.
    if find(b'"', &bytes[..first]).is_none() && find(b'<', &bytes[..first]).is_none() {
        return Some(first);
    }
    let mut in_brackets = false;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' if !in_brackets => {
                at = quoted_end(bytes, at).unwrap_or(at + 1);
                continue;
            }
            b'<' => in_brackets = true,
            b'>' => in_brackets = false,
            byte if byte == separator && !in_brackets => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Whether a list or parameter of a value is empty: two separators with nothing but space between, or one at
/// the end. Separators inside quotes do not count.
pub(super) fn has_empty_member(bytes: &[u8]) -> bool {
    let mut at = 0;
    while let Some(found) = memchr3(b';', b',', b'"', &bytes[at..]) {
        at += found;
        if bytes[at] == b'"' {
            at = quoted_end(bytes, at).unwrap_or(at + 1);
            continue;
        }
        at += 1;
        let spaces = bytes[at..].iter().take_while(|byte| is_space(**byte)).count();
        if matches!(bytes.get(at + spaces), None | Some(b';' | b',')) {
            return true;
        }
    }
    false
}

/// The value of the parameter `name`; an empty slice for one without value.
pub(super) fn param<'a>(bytes: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    // Most are looked for where they come first.
    if let Some((found, [b'=', after @ ..])) = bytes.split_at_checked(name.len())
        && found.eq_ignore_ascii_case(name)
    {
        let end = after.iter().position(|byte| !is_token(*byte)).unwrap_or(after.len());
        if end > 0 && matches!(after.get(end), None | Some(b';')) {
            return Some(&after[..end]);
        }
    }
    param_anywhere(bytes, name)
}

fn param_anywhere<'a>(bytes: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = bytes;
    loop {
        let end = separator_at(rest, b';');
        let param = trim(&rest[..end.unwrap_or(rest.len())]);
        if let Some((found, after)) = param.split_at_checked(name.len())
            && found.eq_ignore_ascii_case(name)
        {
            match trim(after) {
                [] => return Some(b""),
                [b'=', value @ ..] => return Some(unquote(trim(value))),
                _ => {}
            }
        }
        rest = &rest[end? + 1..];
    }
}

/// Cuts one pair of quotes off.
pub(super) fn unquote(bytes: &[u8]) -> &[u8] {
    match bytes {
        [b'"', inner @ .., b'"'] => inner,
        _ => bytes,
    }
}

/// A decimal number below 2^32, nothing else around it.
pub(super) fn decimal_u32(bytes: &[u8]) -> Option<u32> {
    if bytes.is_empty() {
        return None;
    }
    let mut number = 0u32;
    for byte in bytes {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u32::from(byte - b'0'))?;
    }
    Some(number)
}

/// The leading run of digits and what follows it.
pub(super) fn digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    bytes.split_at(end)
}

/// The leading run of bytes that are no white space, and what follows it without white space around.
pub(super) fn word(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| is_space(*byte)).unwrap_or(bytes.len());
    (&bytes[..end], trim(&bytes[end..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{decimal_u32, find, has_any, has_empty_member, param, param_anywhere, split, trim};

    // S9: the search finds what a search byte by byte finds.
    #[test]
    fn the_first_of_a_byte_is_found() {
        let bytes: Vec<u8> =
            (0..64u32).map(|n| (n * 37 % 5) as u8 | if n % 3 == 0 { 0x80 } else { 0 }).collect();
        for from in 0..bytes.len() {
            for needle in [0u8, 1, 2, 4, 0x80, 0x81, 0x84, 0xff] {
                let expected = bytes[from..].iter().position(|byte| *byte == needle);
                assert_eq!(find(needle, &bytes[from..]), expected);
                let printable: Vec<u8> = bytes[from..].iter().map(|byte| byte | 0x40).collect();
                let has = printable.contains(&(needle | 0x40));
                assert_eq!(has_any(&printable, [needle | 0x40]), has);
                assert!(!has_any(&printable, []) && has_any(&[&printable[..], b" "].concat(), []));
            }
        }
    }

    // CALL-1: separators inside quotes and brackets do not split.
    #[test]
    fn split_respects_quotes_and_brackets() {
        let parts: Vec<_> = split(b"\"a,b\" <sip:x,y@h>;p=1, <sip:z>", b',').collect();
        assert_eq!(parts, [&b"\"a,b\" <sip:x,y@h>;p=1"[..], b"<sip:z>"]);
        let parts: Vec<_> = split(b"\"open, end", b',').collect();
        assert_eq!(parts, [&b"\"open"[..], b"end"]);
    }

    // CALL-1: empty members of lists, and those that only seem to be.
    #[test]
    fn empty_members_are_found() {
        for value in [&b"a;;b"[..], b"a; ,b", b"a;b;", b"a,", b";\r\n ;"] {
            assert!(has_empty_member(value));
        }
        for value in [&b"a;b"[..], b"a;\";;\";b", b"", b"a , b"] {
            assert!(!has_empty_member(value));
        }
    }

    // CALL-1: folded white space counts as space.
    #[test]
    fn params_are_found_through_folding() {
        let value = b"\r\n ;  tag    = 98asjd8 ;flag;q=\"0;3\"";
        assert_eq!(param(value, b"TAG"), Some(&b"98asjd8"[..]));
        assert_eq!(param(value, b"flag"), Some(&b""[..]));
        assert_eq!(param(value, b"q"), Some(&b"0;3"[..]));
        assert_eq!(param(value, b"none"), None);
        assert_eq!(trim(b" \t\r\n x \r\n"), b"x");
    }

    // S9: numbers that do not fit are refused, not wrapped.
    #[test]
    fn numbers_are_bounded() {
        assert_eq!(decimal_u32(b"4294967295"), Some(u32::MAX));
        assert_eq!(decimal_u32(b"4294967296"), None);
        assert_eq!(decimal_u32(b"-1"), None);
        assert_eq!(decimal_u32(b""), None);
    }

    proptest! {
        // CALL-1: a parameter is the same wherever it is looked for first.
        #[test]
        fn params_are_found_alike(pieces in prop::collection::vec(
            prop::sample::select(&["tag", "=", ";", "a", "\"", "<", ">", " ", "\\", ".1", ":"][..]), 0..9)) {
            let value = pieces.concat();
            let value = value.as_bytes();
            prop_assert_eq!(param(value, b"tag"), param_anywhere(value, b"tag"));
        }
    }
}
