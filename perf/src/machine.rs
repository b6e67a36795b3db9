//! On what it was measured.

use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// What a number depends on, beside the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_mib: u64,
    pub kernel: String,
    pub rustc: String,
    /// The commit that was measured; `+` where files had changed since.
    pub commit: String,
}

/// This machine. What it does not tell is empty.
#[must_use]
pub fn describe() -> Machine {
    let changed = !output("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    let commit = output("git", &["rev-parse", "--short", "HEAD"]);
    Machine {
        processor: field("/proc/cpuinfo", "model name"),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        memory_mib: number(&field("/proc/meminfo", "MemTotal")) / 1024,
        kernel: output("uname", &["-r"]),
        rustc: output("rustc", &["--version"]),
        commit: format!("{commit}{}", if changed { "+" } else { "" }),
    }
}

/// The first value of `name: value` lines.
fn field(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    value.unwrap_or_default()
}

fn number(text: &str) -> u64 {
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let result = Command::new(program).args(arguments).output();
    let text = result.map(|result| String::from_utf8_lossy(&result.stdout).trim().to_owned());
    text.unwrap_or_default()
}
