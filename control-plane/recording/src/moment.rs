//! Times as the sidecars write them: RFC 3339, UTC, milliseconds.

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

const FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// `None` for a moment that no calendar holds.
pub(crate) fn rfc3339(at_ns: u64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_ns)).ok()?.format(FORMAT).ok()
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    /// REC-5: milliseconds, always three digits, cut and not rounded.
    #[test]
    fn three_digits() {
        assert_eq!(rfc3339(1_763_633_472_005_999_999).as_deref(), Some("2025-11-20T10:11:12.005Z"));
    }
}
