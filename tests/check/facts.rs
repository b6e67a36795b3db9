//! The facts of a call and of its recording, as the command line prints them, against the truth.

use earwitness_fixtures::codec::Codec;
use earwitness_fixtures::spec::{Party, Scenario, Trouble};
use earwitness_fixtures::stage::Outcome;
use earwitness_fixtures::truth::Truth;
use serde_json::Value;

use super::fault::Fault;

/// Times are printed in milliseconds.
const ROUNDING_MS: i64 = 5;

/// What is wrong with a recording's row.
#[must_use]
pub fn recording_faults(truth: &Truth, row: &Value) -> Vec<Fault> {
    let mut facts = Facts { row, faults: Vec::new() };
    facts.parties(truth);
    facts.equal("call_id", &truth.call_id);
    facts.equal("format", "wav");
    facts.number("channels", 2);
    facts.end_reason(truth);
    if seen_from_the_start(truth) {
        facts.time("answered_at", truth.answered_ns);
    }
    facts.codec(truth.sides[0].codec);
    facts.packets(truth);
    facts.faults
}

/// What is wrong with a call's row.
#[must_use]
pub fn call_faults(truth: &Truth, row: &Value) -> Vec<Fault> {
    let mut facts = Facts { row, faults: Vec::new() };
    facts.parties(truth);
    facts.equal("call_id", &truth.call_id);
    facts.end_reason(truth);
    if seen_from_the_start(truth) {
        facts.time("started_at", Some(truth.invited_ns));
        facts.time("answered_at", truth.answered_ns);
    }
    if truth.ended_ns.is_some() {
        facts.time("ended_at", truth.ended_ns);
    }
    facts.flag("recorded", truth.has_sound());
    facts.digits(&truth.digits);
    facts.faults
}

/// When a recording says that it begins.
#[must_use]
pub fn started_ns(row: &Value) -> Option<u64> {
    row["started_at"].as_str().and_then(milliseconds).map(|ms| ms as u64 * 1_000_000)
}

fn seen_from_the_start(truth: &Truth) -> bool {
    !matches!(truth.scenario, Scenario::InProgress | Scenario::AnswerOnly)
        && !matches!(truth.trouble, Trouble::LateAnswer(_))
}

/// A row, and what was found wrong with it so far.
struct Facts<'a> {
    row: &'a Value,
    faults: Vec<Fault>,
}

impl Facts<'_> {
    fn wrong(&mut self, field: &'static str, found: String, expected: impl ToString) {
        self.faults.push(Fault::Fact { field, found, expected: expected.to_string() });
    }

    fn text(&self, field: &str) -> String {
        match &self.row[field] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    fn equal(&mut self, field: &'static str, expected: &str) {
        let found = self.text(field);
        if found != expected {
            self.wrong(field, found, expected);
        }
    }

    fn number(&mut self, field: &'static str, expected: u64) {
        if self.row[field].as_u64() != Some(expected) {
            self.wrong(field, self.text(field), expected);
        }
    }

    fn flag(&mut self, field: &'static str, expected: bool) {
        if self.row[field].as_bool() != Some(expected) {
            self.wrong(field, self.text(field), expected);
        }
    }

    fn parties(&mut self, truth: &Truth) {
        for (field, uri) in [("from", &truth.from), ("to", &truth.to)] {
            // With or without the scheme: the address of record is in it.
            let address = uri.trim_start_matches("sip:");
            if !self.text(field).contains(address) {
                self.wrong(field, self.text(field), uri);
            }
        }
    }

    fn time(&mut self, field: &'static str, expected_ns: Option<u64>) {
        let found = self.row[field].as_str().and_then(milliseconds);
        let expected = expected_ns.map(|ns| (ns / 1_000_000) as i64);
        let near = match (found, expected) {
            (Some(found), Some(expected)) => (found - expected).abs() <= ROUNDING_MS,
            (found, expected) => found == expected,
        };
        if !near {
            let expected = expected.map_or("null".to_owned(), |ms| format!("{ms} ms"));
            self.wrong(field, self.text(field), expected);
        }
    }

    fn end_reason(&mut self, truth: &Truth) {
        let expected = match truth.outcome {
            Outcome::Bye(Party::Caller) => "bye_caller".to_owned(),
            Outcome::Bye(Party::Callee) => "bye_callee".to_owned(),
            Outcome::Cancelled => "cancelled".to_owned(),
            Outcome::Rejected(code) => format!("rejected_{code}"),
            Outcome::Unfinished => "capture_end".to_owned(),
        };
        let found = self.text("end_reason");
        let idle = truth.outcome == Outcome::Unfinished && found == "media_idle";
        if found != expected && !idle {
            self.wrong("end_reason", found, expected);
        }
    }

    fn codec(&mut self, codec: Codec) {
        let name = codec.rtpmap().split('/').next().unwrap_or_default().to_lowercase();
        let found = self.text("codecs").to_lowercase();
        if !found.contains(&name) {
            self.wrong("codecs", found, name);
        }
    }

    fn packets(&mut self, truth: &Truth) {
        let sum = |pick: fn(&earwitness_fixtures::truth::SideTruth) -> u64| {
            truth.sides.iter().map(pick).sum::<u64>()
        };
        let packets = &self.row["packets"];
        let count = |name: &str| packets[name].as_u64();
        let expected = [
            ("packets.received", count("received"), sum(|side| side.received)),
            ("packets.lost", count("lost"), sum(|side| side.lost)),
            ("packets.duplicate", count("duplicate"), sum(|side| side.duplicated)),
        ];
        // What was possible before the capture knew the call may be missing.
        let whole = !matches!(truth.scenario, Scenario::InProgress);
        for (field, found, expected) in expected {
            if whole && found != Some(expected) {
                let found = found.map_or("null".to_owned(), |found| found.to_string());
                self.wrong(field, found, expected);
            }
        }
    }

    fn digits(&mut self, expected: &str) {
        let found: String = match &self.row["dtmf"] {
            Value::String(digits) => digits.clone(),
            Value::Array(digits) => {
                digits.iter().filter_map(|digit| digit["digit"].as_str()).collect()
            }
            _ => String::new(),
        };
        if found != expected {
            self.wrong("dtmf", found, expected);
        }
    }
}

/// RFC 3339 in UTC with milliseconds, as milliseconds of Unix time.
#[must_use]
pub fn milliseconds(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let mut next = || date.next()?.ok();
    let (year, month, day) = (next()?, next()?, next()?);
    let (clock, fraction) = time.split_once('.')?;
    let mut clock = clock.splitn(3, ':').map(str::parse::<i64>);
    let mut next = || clock.next()?.ok();
    let (hour, minute, second) = (next()?, next()?, next()?);
    let ms = fraction.get(..3)?.parse::<i64>().ok()?;
    Some((((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + ms)
}

/// Days since 1970-01-01 of the Gregorian calendar; years begin in March, so that leap days are last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::{days, milliseconds};

    #[test]
    fn times_are_read() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2000, 3, 1), 11_017);
        assert_eq!(milliseconds("2026-01-15T09:00:00.123Z"), Some(1_768_467_600_123));
        assert_eq!(milliseconds("2026-01-15 09:00"), None);
    }
}
