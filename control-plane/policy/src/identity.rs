//! SIP addresses and numbers in one form each, so that they can be looked up.
//!
//! An address is `user@host` with the host in lower case; a number is `+` and digits where the public network knows
//! it, else what is dialled.

use crate::document::Numbering;
use crate::limits::{NUMBER_BYTES_MAX, PUBLIC_DIGITS_MIN};

/// A number in its one form, on the stack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Number {
    bytes: [u8; NUMBER_BYTES_MAX],
    length: u8,
}

impl std::fmt::Debug for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Number {
    const EMPTY: Self = Self { bytes: [0; NUMBER_BYTES_MAX], length: 0 };

    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) -> Option<()> {
        *self.bytes.get_mut(usize::from(self.length))? = byte;
        self.length += 1;
        Some(())
    }

    /// The digits of what was dialled, without white space and punctuation; none where there is anything else.
    fn dialled(text: &str) -> Option<Self> {
        let mut number = Self::EMPTY;
        // People write `+49 (0)30` of a zero that is dialled inside the country alone.
        let (code, rest) = match text.split_once("(0)") {
            Some((code, rest)) if code.starts_with('+') => (code, rest),
            _ => (text, ""),
        };
        for (index, byte) in code.bytes().chain(rest.bytes()).enumerate() {
            match byte {
                b'0'..=b'9' | b'*' | b'#' => number.push(byte)?,
                b'+' if index == 0 => number.push(byte)?,
                b' ' | b'-' | b'.' | b'(' | b')' | b'/' => {}
                _ => return None,
            }
        }
        let digits = usize::from(number.length) - usize::from(number.is_international());
        (digits > 0).then_some(number)
    }

    fn is_international(&self) -> bool {
        self.bytes[0] == b'+' && self.length > 0
    }

    /// `+`, `code`, and what stands behind the first `cut` digits.
    fn international(&self, code: &str, cut: usize) -> Option<Self> {
        let mut number = Self::EMPTY;
        number.push(b'+')?;
        let rest = &self.bytes[cut..usize::from(self.length)];
        code.bytes().chain(rest.iter().copied()).try_for_each(|byte| number.push(byte))?;
        Some(number)
    }

    /// The number that `text` is to who dials so; none where it is a name.
    #[must_use]
    pub fn read(text: &str, numbering: &Dialling) -> Option<Self> {
        // RFC 3966, RFC 3261 section 19.1.6: parameters of a tel URI may stand in the user part.
        let text = text.split(';').next().unwrap_or_default();
        let dialled = Self::dialled(text)?;
        if dialled.is_international() {
            return Some(dialled);
        }
        let digits = dialled.as_str();
        if digits.len() >= PUBLIC_DIGITS_MIN {
            if digits.starts_with(&*numbering.international) {
                return dialled.international("", numbering.international.len());
            }
            if let Some(code) = &numbering.country {
                if numbering.national_digits == Some(digits.len()) {
                    return dialled.international(code, 0);
                }
                let prefix = &*numbering.national;
                if !prefix.is_empty() && digits.starts_with(prefix) {
                    return dialled.international(code, prefix.len());
                }
            }
        }
        Some(dialled)
    }

    /// Whether it can be one of the public network: long enough, or with its country code.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.is_international()
            || (usize::from(self.length) >= PUBLIC_DIGITS_MIN
                && self.as_str().bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// The same number as carriers write it that leave the `+` out.
    #[must_use]
    pub fn with_plus(&self) -> Option<Self> {
        (!self.is_international() && self.is_public()).then(|| self.international("", 0))?
    }
}

/// How a tenant dials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialling {
    pub country: Option<Box<str>>,
    pub international: Box<str>,
    /// Empty: there is none.
    pub national: Box<str>,
    pub national_digits: Option<usize>,
}

impl Default for Dialling {
    fn default() -> Self {
        Self {
            country: None,
            international: "00".into(),
            national: "".into(),
            national_digits: None,
        }
    }
}

impl Dialling {
    #[must_use]
    pub fn of(numbering: &Numbering) -> Self {
        let text = |text: &Option<String>| text.as_deref().map(Box::from);
        let default = Self::default();
        Self {
            country: text(&numbering.country_code),
            international: text(&numbering.international_prefix).unwrap_or(default.international),
            national: text(&numbering.national_prefix).unwrap_or(default.national),
            national_digits: numbering.national_digits.map(usize::from),
        }
    }
}

/// User and host of `user@host`; a URI's scheme may stand in front.
#[must_use]
pub fn split(text: &str) -> (&str, Option<&str>) {
    let text = ["sip:", "sips:", "tel:"]
        .iter()
        .find_map(|scheme| {
            let head = text.get(..scheme.len())?;
            head.eq_ignore_ascii_case(scheme).then(|| &text[scheme.len()..])
        })
        .unwrap_or(text);
    match text.rsplit_once('@') {
        Some((user, host)) => (user, Some(without_port(host))),
        None => (text, None),
    }
}

/// The host without port and parameters; IPv6 keeps its brackets.
fn without_port(host: &str) -> &str {
    let host = host.split([';', '?']).next().unwrap_or_default();
    match host.rfind(']') {
        Some(end) => &host[..=end],
        None => host.split(':').next().unwrap_or_default(),
    }
}

/// `user@host` in its one form. RFC 3261 section 19.1.4: hosts have no case, users do.
#[must_use]
pub fn address(user: &str, host: &str) -> String {
    format!("{user}@{}", host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn germany() -> Dialling {
        Dialling::of(&Numbering {
            country_code: Some("49".to_owned()),
            national_prefix: Some("0".to_owned()),
            ..Numbering::default()
        })
    }

    fn read(text: &str, numbering: &Dialling) -> String {
        Number::read(text, numbering).map(|number| number.as_str().to_owned()).unwrap_or_default()
    }

    /// POL-1: one number, however it is written.
    #[test]
    fn a_number_has_one_form() {
        for text in [
            "+49 (30) 123-456",
            "+49 (0)30 123-456",
            "004930123456",
            "030/123456",
            "030.123456",
            "+4930123456;phone-context=x",
        ] {
            assert_eq!(read(text, &germany()), "+4930123456", "{text}");
        }
        let north_america = Dialling::of(&Numbering {
            country_code: Some("1".to_owned()),
            international_prefix: Some("011".to_owned()),
            national_prefix: Some("1".to_owned()),
            national_digits: Some(10),
        });
        for text in ["2025550123", "12025550123", "+12025550123"] {
            assert_eq!(read(text, &north_america), "+12025550123", "{text}");
        }
        assert_eq!(read("011493012345", &north_america), "+493012345");
        assert_eq!(read("201", &germany()), "201");
        assert_eq!(read("0201", &germany()), "0201", "an extension may begin with 0");
        assert_eq!(read("*97", &germany()), "*97");
        for text in ["alice", "", "+", "12a", "1+2"] {
            assert_eq!(Number::read(text, &germany()), None, "{text}");
        }
        assert_eq!(Number::read(&"1".repeat(NUMBER_BYTES_MAX + 1), &germany()), None);
    }

    #[test]
    fn extensions_are_told_from_public_numbers() {
        let is_public =
            |text| Number::read(text, &Dialling::default()).is_some_and(|n| n.is_public());
        assert!(is_public("+493012") && is_public("4930123456"));
        assert!(!is_public("201") && !is_public("*97"));
        let number = Number::read("4930123456", &Dialling::default()).and_then(|n| n.with_plus());
        assert_eq!(number.map(|n| n.as_str().to_owned()).as_deref(), Some("+4930123456"));
    }

    #[test]
    fn addresses_are_taken_apart() {
        assert_eq!(
            split("sip:Alice@Acme.Example:5060;transport=tcp"),
            ("Alice", Some("Acme.Example"))
        );
        assert_eq!(split("tel:+4930123"), ("+4930123", None));
        assert_eq!(split("a@b@[2001:db8::1]:5060"), ("a@b", Some("[2001:db8::1]")));
        assert_eq!(address("Alice", "Acme.Example"), "Alice@acme.example");
    }
}
