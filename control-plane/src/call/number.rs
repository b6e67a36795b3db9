//! Users of addresses in a form in which those that mean the same are the same: `+49 30 1234567`, `004930…` and
//! `030…` are one number to a box that rewrites them.
//!
//! Only to recognise a number that passed a box moments ago. What a number is to a tenant, and whether it is inside,
//! is policy's.

use earwitness_voip::sip;

/// Of long numbers these last digits count: prefixes come and go from box to box.
const DIGITS_MAX: u32 = 8;
const NAME: u64 = 1 << 63;
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// A user part as one number. Two that differ in nothing but how they are written are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Number(u64);

impl Number {
    /// Reads the user part of an address; `None` where it names nobody.
    #[must_use]
    pub fn read(user: &[u8]) -> Option<Self> {
        // RFC 3261 section 19.1.4: `%2B` is `+`.
        let user = sip::percent_decode(user);
        // RFC 3261 section 19.1.6: parameters of a tel URI may stand in the user part.
        let user = user.split(|byte| *byte == b';').next().unwrap_or_default();
        let nobody: [&[u8]; 4] = [b"", b"anonymous", b"unknown", b"restricted"];
        if nobody.iter().any(|name| user.eq_ignore_ascii_case(name)) {
            return None;
        }
        Some(Self::dialled(user).unwrap_or_else(|| Self::name(user)))
    }

    /// The last digits, and how many of them there are.
    fn dialled(user: &[u8]) -> Option<Self> {
        let digits = user.strip_prefix(b"+").unwrap_or(user);
        let is_written =
            |byte: &u8| matches!(byte, b'0'..=b'9' | b' ' | b'-' | b'.' | b'(' | b')' | b'/');
        if !digits.iter().all(is_written) {
            return None;
        }
        let digits = || digits.iter().filter(|byte| byte.is_ascii_digit());
        let count = digits().count();
        // A number of the public network is longer than what an extension's leading zeros make of it.
        let zeros = if count as u32 > DIGITS_MAX {
            digits().take_while(|d| **d == b'0').count()
        } else {
            0
        };
        let significant = count - zeros;
        let last = digits().skip(zeros + significant.saturating_sub(DIGITS_MAX as usize));
        let value = last.fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
        let length = (significant as u64).min(u64::from(DIGITS_MAX));
        (count > 0).then_some(Self(length << 32 | value))
    }

    fn name(user: &[u8]) -> Self {
        let mix = |hash: u64, byte: &u8| {
            (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(FNV_PRIME)
        };
        Self(user.iter().fold(FNV_OFFSET, mix) | NAME)
    }
}

const _: () = assert!(10_u64.pow(DIGITS_MAX) < 1 << 32);

#[cfg(test)]
mod tests {
    use super::*;

    /// CALL-5: a number is the same before and behind a box that writes it another way.
    #[test]
    fn one_number_in_many_forms() {
        let read = |text: &str| Number::read(text.as_bytes());
        for same in [
            "+49 (30) 2000-01",
            "%2B4930200001",
            "004930200001",
            "030/200001",
            "4930200001;phone-context=x",
        ] {
            assert_eq!(read(same), read("+4930200001"), "{same}");
        }
        for other in ["+4930200002", "200001", "alice", "+493020000"] {
            assert_ne!(read(other), read("+4930200001"), "{other}");
        }
        assert_ne!(read("0201"), read("201"), "an extension may begin with 0");
        assert_ne!(read("1001"), read("10001"));
        assert_eq!(read("Alice"), read("alice"));
        assert_ne!(read("alice"), read("bob"));
        for nobody in ["", "anonymous", "Unknown"] {
            assert_eq!(read(nobody), None);
        }
        assert_eq!(read("*97"), read("*97"));
    }
}
