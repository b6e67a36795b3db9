//! The one look at HTTP that steering takes: whether a request may ask for SIP over WebSocket (RFC 7118 section 4.1).
//!
//! The frames that follow carry nothing that tells them from any other stream, and the first of them may lie in the
//! same burst: the connection must be known with its request. The control plane reads the handshake properly; here is
//! only enough to keep its packets.

use core::ops::ControlFlow;

use crate::bytes::{Bytes, Walk};
use crate::limits::{CUT_BYTES_MAX, REQUEST_BYTES_MAX};

/// Whether the request of `length` bytes at `at` has a `Sec-WebSocket-Protocol` that names `sip`, or is cut before
/// that can be said.
#[must_use]
pub fn may_offer_sip<B: Bytes + ?Sized>(bytes: &B, at: u32, length: u32) -> bool {
    let end = at.saturating_add(length.min(REQUEST_BYTES_MAX));
    let head =
        Head { at, end, place: Place::Within, upgrades: false, has_end: false, offers: false };
    // Each step but the last is over a byte at least.
    let head = bytes.walk(head, REQUEST_BYTES_MAX + 1);
    head.offers || !head.has_end && (head.upgrades || length <= CUT_BYTES_MAX)
}

/// Where in the head the walk is.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// At the start of a line.
    Line,
    /// In a line, of which the rest says nothing.
    Within,
    /// Before a member of the list of protocols.
    Gap,
    /// In a member that is not ours.
    Member,
}

/// The head of a request, as far as it was read.
#[derive(Clone, Copy, Debug)]
struct Head {
    at: u32,
    end: u32,
    place: Place,
    /// There was a field `Upgrade`.
    upgrades: bool,
    /// There was an empty line.
    has_end: bool,
    /// `sip` was among the protocols.
    offers: bool,
}

impl Walk for Head {
    #[inline(always)]
    fn step<B: Bytes + ?Sized>(&mut self, bytes: &B) -> ControlFlow<()> {
        self.at = bytes.forget(self.at);
        if self.at >= self.end {
            return ControlFlow::Break(());
        }
        let stepped = match self.place {
            Place::Line => self.line(bytes),
            Place::Within => self.within(bytes),
            Place::Gap => self.gap(bytes),
            Place::Member => self.member(bytes),
        };
        match stepped {
            Some(()) if !self.offers && !self.has_end => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }
}

/// Each goes one step; none if there are no bytes to read where there should be some.
impl Head {
    /// RFC 9112 section 5.1: the colon follows the name at once. Section 2.2: a line may end without CR.
    #[inline(always)]
    fn line<B: Bytes + ?Sized>(&mut self, bytes: &B) -> Option<()> {
        let left = self.end - self.at;
        let first = bytes.u8_at(self.at)?;
        if first == b'\n' || first == b'\r' && left > 1 && bytes.u8_at(self.at + 1)? == b'\n' {
            self.has_end = true;
            return Some(());
        }
        self.place = Place::Within;
        if left >= 8 {
            let word = bytes.u64_at(self.at)?;
            self.upgrades |= is(UPGRADE, word);
            if left >= PROTOCOL_BYTES
                && is(PROTOCOL[0], word)
                && is(PROTOCOL[1], bytes.u64_at(self.at + 8)?)
                && is(PROTOCOL[2], bytes.u64_at(self.at + PROTOCOL_BYTES - 8)?)
            {
                self.at += PROTOCOL_BYTES;
                self.place = Place::Gap;
                return Some(());
            }
        }
        self.within(bytes)
    }

    #[inline(always)]
    fn within<B: Bytes + ?Sized>(&mut self, bytes: &B) -> Option<()> {
        if self.end - self.at < 8 {
            if bytes.u8_at(self.at)? == b'\n' {
                self.place = Place::Line;
            }
            self.at += 1;
            return Some(());
        }
        let ends = line_ends(bytes.u64_at(self.at)?);
        if ends == 0 {
            self.at += 8;
        } else {
            self.at += ends.leading_zeros() / 8 + 1;
            self.place = Place::Line;
        }
        Some(())
    }

    #[inline(always)]
    fn gap<B: Bytes + ?Sized>(&mut self, bytes: &B) -> Option<()> {
        self.place = match bytes.u8_at(self.at)? {
            b'\n' => Place::Line,
            b' ' | b'\t' | b',' => Place::Gap,
            _ => {
                self.offers = self.end - self.at >= 4 && is_sip(bytes.u32_at(self.at)?);
                Place::Member
            }
        };
        self.at += 1;
        Some(())
    }

    #[inline(always)]
    fn member<B: Bytes + ?Sized>(&mut self, bytes: &B) -> Option<()> {
        self.place = match bytes.u8_at(self.at)? {
            b'\n' => Place::Line,
            b',' => Place::Gap,
            _ => Place::Member,
        };
        self.at += 1;
        Some(())
    }
}

/// `sip`, in any case, and what ends it.
#[inline(always)]
fn is_sip(word: u32) -> bool {
    word >> 8 | 0x20_2020 == 0x73_6970
        && matches!(word as u8, b',' | b' ' | b'\t' | b'\r' | b'\n' | b';')
}

/// Eight bytes in lower case, and the bits in which upper case differs.
type Folded = (u64, u64);

const fn folded(text: [u8; 8]) -> Folded {
    let mut case = [0; 8];
    let mut at = 0;
    while at < 8 {
        if text[at].is_ascii_lowercase() {
            case[at] = 0x20;
        }
        at += 1;
    }
    (u64::from_be_bytes(text), u64::from_be_bytes(case))
}

#[inline(always)]
fn is((text, case): Folded, word: u64) -> bool {
    word | case == text
}

const UPGRADE: Folded = folded(*b"upgrade:");
/// `Sec-WebSocket-Protocol:`; the last overlaps the one before it.
const PROTOCOL: [Folded; 3] = [folded(*b"sec-webs"), folded(*b"ocket-pr"), folded(*b"rotocol:")];
const PROTOCOL_BYTES: u32 = 23;

/// The highest bit of each byte that is a line end, and no other bit.
#[inline(always)]
const fn line_ends(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let differs = word ^ 0x0a0a_0a0a_0a0a_0a0a;
    !(((differs & LOW) + LOW) | differs | LOW)
}
