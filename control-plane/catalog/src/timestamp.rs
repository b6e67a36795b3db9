//! A moment as the catalog has it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since the Unix epoch; written as RFC 3339 in UTC with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// From packet time, cut to milliseconds.
    #[must_use]
    pub const fn from_ns(ns: u64) -> Self {
        Self((ns / 1_000_000).cast_signed())
    }

    /// From RFC 3339; `None` if it is not.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(Self)
    }
}

/// `YYYY-MM-DDThh:mm:ss.mmmZ`.
const TEXT_BYTES: usize = 24;

impl Timestamp {
    /// As it is written. A row of the catalog has many times, so this does without a format description.
    fn text(self) -> Option<[u8; TEXT_BYTES]> {
        let (seconds, millis) = (self.0.div_euclid(1_000), self.0.rem_euclid(1_000));
        let at = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
        let (date, time) = (at.date(), at.time());
        let year = u32::try_from(date.year()).ok().filter(|year| *year <= 9_999)?;
        let mut text = *b"0000-00-00T00:00:00.000Z";
        for (from, to, number) in [
            (0, 4, year),
            (5, 7, u8::from(date.month()).into()),
            (8, 10, date.day().into()),
            (11, 13, time.hour().into()),
            (14, 16, time.minute().into()),
            (17, 19, time.second().into()),
            (20, 23, millis as u32),
        ] {
            let mut rest = number;
            for digit in text[from..to].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        Some(text)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text().ok_or(fmt::Error)?;
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let text = self.text();
        let text = text.as_ref().and_then(|text| std::str::from_utf8(text).ok());
        to.serialize_str(text.ok_or_else(|| serde::ser::Error::custom("not a time of RFC 3339"))?)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a time of RFC 3339"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Like the library writes them, also before 1970 and in leap years.
    #[test]
    fn is_written_as_rfc_3339_has_it() {
        for ms in (-2_000_000_000_000..253_402_300_799_999).step_by(86_400_123_457) {
            let text = Timestamp(ms).to_string();
            assert_eq!(Timestamp::parse(&text), Some(Timestamp(ms)), "{text}");
            assert_eq!(text.len(), TEXT_BYTES);
        }
        assert_eq!(Timestamp(253_402_300_799_999).to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn is_written_with_milliseconds_in_utc_and_read_back() {
        let at = Timestamp::from_ns(1_700_000_000_123_456_789);
        assert_eq!(at.to_string(), "2023-11-14T22:13:20.123Z");
        assert_eq!(Timestamp::parse("2023-11-14T23:13:20.123+01:00"), Some(at));
    }
}
