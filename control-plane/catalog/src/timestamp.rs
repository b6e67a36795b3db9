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
    /// As it is written; none before the year 0 and after 9999. A row of the catalog has many times, so this does
    /// without a format description, and without a date of the library.
    fn text(self) -> Option<[u8; TEXT_BYTES]> {
        let (days, ms) = (self.0.div_euclid(DAY_MS), self.0.rem_euclid(DAY_MS) as u32);
        let (year, month, day) = date(days);
        let year = u32::try_from(year).ok().filter(|year| *year <= 9_999)?;
        let mut text = *b"0000-00-00T00:00:00.000Z";
        put(&mut text[0..4], year);
        put(&mut text[5..7], month);
        put(&mut text[8..10], day);
        put(&mut text[11..13], ms / 3_600_000);
        put(&mut text[14..16], ms / 60_000 % 60);
        put(&mut text[17..19], ms / 1_000 % 60);
        put(&mut text[20..23], ms % 1_000);
        Some(text)
    }
}

const DAY_MS: i64 = 86_400_000;

/// Writes a number with as many digits as there is room for.
fn put(text: &mut [u8], mut number: u32) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of the proleptic Gregorian calendar, so many days after 1 January 1970. The year begins in
/// March here, so that the day that may be missing is its last; 400 years, an era, are always as long.
/// (Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.)
fn date(days: i64) -> (i64, u32, u32) {
    const ERA_DAYS: i64 = 146_097;
    /// From 1 March of the year 0 to 1 January 1970.
    const EPOCH_DAYS: i64 = 719_468;
    let days = days + EPOCH_DAYS;
    let (era, day) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS) as u32);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let is_next_year = month >= 10;
    let month = if is_next_year { month - 9 } else { month + 3 };
    (era * 400 + i64::from(year) + i64::from(is_next_year), month, day)
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
            let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap();
            assert_eq!(at.date().to_string(), text[..10], "{ms}");
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
