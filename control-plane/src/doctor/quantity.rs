//! Numbers as people read them.

use super::capacity::MilliCores;

/// With a comma between thousands.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Powers of 1000, as disks and links are sold: `134 MB`, `1.35 GB`.
pub(super) fn bytes(number: u64) -> String {
    let (unit, name) = match number {
        0..1_000_000 => (1e3, "kB"),
        1_000_000..1_000_000_000 => (1e6, "MB"),
        1_000_000_000..1_000_000_000_000 => (1e9, "GB"),
        _ => (1e12, "TB"),
    };
    format!("{} {name}", three_digits(number as f64 / unit))
}

/// Memory comes in powers of 1024.
pub(super) fn mib(number: u64) -> String {
    if number < 10 << 10 {
        return format!("{} MiB", count(number));
    }
    format!("{} GiB", three_digits(number as f64 / 1024.0))
}

/// `640 ms`, `12 s`, `2 h 5 min`.
pub(super) fn milliseconds(number: u64) -> String {
    if number < 10_000 { format!("{} ms", count(number)) } else { seconds(number / 1000) }
}

pub(super) fn seconds(number: u64) -> String {
    match number {
        0..180 => format!("{number} s"),
        180..7_200 => format!("{} min", number / 60),
        7_200..172_800 => format!("{} h", number / 3600),
        _ => format!("{} days", count(number / 86_400)),
    }
}

pub(super) fn link(mbit_s: u64) -> String {
    if mbit_s < 1000 {
        return format!("{mbit_s} Mbit/s");
    }
    let gbit_s = mbit_s as f64 / 1000.0;
    format!("{gbit_s} Gbit/s")
}

pub(super) fn cores(cores: MilliCores) -> String {
    match cores.0 {
        0..100_000 => format!("{:.1}", cores.0 as f64 / 1000.0),
        milli => count(milli.div_ceil(1000)),
    }
}

fn three_digits(number: f64) -> String {
    match number {
        100.0.. => count(number.round() as u64),
        10.0.. => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        let counts = [0, 999, 1_000, 5_252_100].map(count);
        assert_eq!(counts, ["0", "999", "1,000", "5,252,100"]);
        let sizes = [0, 8_000, 134_585_061, 1_345_856_000, 999_000_000_000_000].map(bytes);
        assert_eq!(sizes, ["0.00 kB", "8.00 kB", "135 MB", "1.35 GB", "999 TB"]);
        assert_eq!([64, 2_048, 65_536].map(mib), ["64 MiB", "2,048 MiB", "64.0 GiB"]);
        let times = [370, 12_000, 3_600_000, 43_200_000].map(milliseconds);
        assert_eq!(times, ["370 ms", "12 s", "60 min", "12 h"]);
        assert_eq!([100, 2_500, 10_000].map(link), ["100 Mbit/s", "2.5 Gbit/s", "10 Gbit/s"]);
        assert_eq!([1_130, 1_217_400].map(|milli| cores(MilliCores(milli))), ["1.1", "1,218"]);
    }
}
