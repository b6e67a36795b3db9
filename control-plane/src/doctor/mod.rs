//! `earwitness doctor`: what this machine lacks for full speed, one line each, with the remedy (OPS-3).
//!
//! Everything is read, nothing is changed, and no privilege is needed to ask. Only the disk test writes, and only when
//! it is asked for.
//!
//! | module | what is looked at |
//! |---|---|
//! | [`machine`], [`interface`], [`storage`] | what there is |
//! | [`costs`], [`capacity`] | what a packet costs, and what many of them need |
//! | [`planning`] | whether the machine carries its links when they are full |
//! | [`quantity`] | numbers for people |

pub mod capacity;
pub mod costs;
mod interface;
mod machine;
mod planning;
mod quantity;
mod storage;

use std::cmp::Reverse;
use std::path::Path;

use serde::Serialize;

use crate::config::Config;
use planning::{Disk, Machine, Tap};

pub use storage::WRITE_TEST_MIB;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    /// It works, but slower or with less safety than it could.
    Slow,
    /// `earwitness run` cannot work here.
    Missing,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub level: Level,
    /// What was looked at: `kernel`, `eth1 driver`, ….
    pub subject: String,
    pub found: String,
    /// What to do about it; `None` where nothing is to do.
    pub remedy: Option<String>,
}

impl Finding {
    fn ok(subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self { level: Level::Ok, subject: subject.into(), found: found.into(), remedy: None }
    }

    fn lack(
        level: Level,
        subject: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { level, subject: subject.into(), found: found.into(), remedy: Some(remedy.into()) }
    }
}

/// What doctor is asked beside the configuration.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// Taps, instead of the configured ones.
    pub interfaces: Vec<String>,
    /// The speed to plan for, instead of what the interfaces have.
    pub mbit_s: Option<u64>,
    /// Whether the disk below the data folder is tried.
    pub write_test: bool,
}

/// Looks at the machine, at its taps, and at what both can carry. Where no tap is named, every interface but loopback
/// is looked at, and the fastest is planned with.
#[must_use]
pub fn examine(question: &Question, config: &Config) -> Vec<Finding> {
    let mut findings = machine::examine();
    let Question { interfaces, mbit_s, .. } = question;
    let named = if interfaces.is_empty() { &config.capture.interfaces } else { interfaces };
    let looked_at = if named.is_empty() { interface::all() } else { named.clone() };
    for name in &looked_at {
        findings.extend(interface::examine(name));
    }
    let mut taps: Vec<Tap> =
        looked_at.iter().filter_map(|name| interface::tap(name, *mbit_s)).collect();
    if named.is_empty() {
        taps.sort_by_key(|tap| Reverse(tap.speed.mbit_s()));
        taps.truncate(1);
    }
    findings.extend(plan(&taps, question, config));
    findings
}

fn plan(taps: &[Tap], question: &Question, config: &Config) -> Vec<Finding> {
    if taps.is_empty() {
        return Vec::new();
    }
    let machine = Machine {
        cores: machine::core_count() as u64,
        memory_mib: machine::available_mib(),
        disk_free_bytes: storage::free_bytes(&config.data_dir),
        disk: if question.write_test { try_disk(&config.data_dir) } else { Disk::Untried },
    };
    let mut findings: Vec<Finding> =
        taps.iter().flat_map(|tap| tap.findings(config, &machine)).collect();
    findings.extend(planning::together(taps, config, &machine));
    findings
}

fn try_disk(data_dir: &Path) -> Disk {
    match storage::write_speed(data_dir) {
        Ok(speed) => Disk::Writes(speed),
        Err(error) => Disk::Failed(format!("cannot write to {}: {error}", data_dir.display())),
    }
}

/// The findings for people.
#[must_use]
pub fn text(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.subject.len()).max().unwrap_or(0);
    let mut page = String::new();
    for finding in findings {
        let mark = match finding.level {
            Level::Ok => "ok     ",
            Level::Slow => "slow   ",
            Level::Missing => "missing",
        };
        page += &format!("{mark}  {:width$}  {}\n", finding.subject, finding.found);
        if let Some(remedy) = &finding.remedy {
            page += &format!("         {:width$}  → {remedy}\n", "");
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OPS-3: whatever the machine is, the page names the kernel, and each lack has its remedy.
    #[test]
    fn every_lack_has_a_remedy() {
        let interfaces = vec!["no-such-interface".to_owned(), "lo".to_owned()];
        let question = Question { interfaces, mbit_s: Some(400_000), write_test: false };
        let findings = examine(&question, &Config::default());
        assert!(findings.iter().any(|finding| finding.subject == "kernel"));
        assert!(
            findings.iter().all(|finding| (finding.level == Level::Ok) == finding.remedy.is_none())
        );
        let missing = findings.iter().find(|finding| finding.subject.contains("no-such-interface"));
        assert_eq!(missing.map(|finding| finding.level), Some(Level::Missing));
        assert!(text(&findings).contains("→"));
    }
}
