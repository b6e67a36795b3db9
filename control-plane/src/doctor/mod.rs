//! `earwitness doctor`: what this machine lacks for full speed, one line each, with the remedy (OPS-3).
//!
//! Everything is read, nothing is changed, and no privilege is needed to ask.

mod interface;
mod machine;

use serde::Serialize;

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

/// Looks at the machine, and at `interfaces`; without any, at all but loopback.
#[must_use]
pub fn examine(interfaces: &[String]) -> Vec<Finding> {
    let mut findings = machine::examine();
    let named = if interfaces.is_empty() { interface::all() } else { interfaces.to_vec() };
    for name in &named {
        findings.extend(interface::examine(name));
    }
    findings
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
        let findings = examine(&["no-such-interface".to_owned()]);
        assert!(findings.iter().any(|finding| finding.subject == "kernel"));
        assert!(
            findings.iter().all(|finding| (finding.level == Level::Ok) == finding.remedy.is_none())
        );
        let missing = findings.iter().find(|finding| finding.subject.contains("no-such-interface"));
        assert_eq!(missing.map(|finding| finding.level), Some(Level::Missing));
        assert!(text(&findings).contains("→"));
    }
}
