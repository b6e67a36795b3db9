//! `earwitness doctor` as people ask it: a process, its lines, its exit code.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn doctor(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_earwitness"))
        .arg("doctor")
        .args(arguments)
        .output()
        .expect("the program can be started")
}

fn findings(arguments: &[&str]) -> Vec<Value> {
    let output = doctor(&[arguments, &["--json"]].concat());
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is an object")).collect()
}

fn find<'f>(findings: &'f [Value], subject: &str) -> &'f Value {
    findings.iter().find(|finding| finding["subject"] == subject).expect(subject)
}

/// A configuration whose data folder is `folder`; the tap is loopback, which every machine has.
fn configuration(folder: &Path, ring_mib: u32) -> String {
    let path = folder.join("earwitness.toml");
    let text = format!(
        "data_dir = {folder:?}\n[capture]\ninterfaces = [\"lo\"]\nhold_ms = 500\nring_mib = {ring_mib}\n"
    );
    std::fs::write(&path, text).expect("the test's folder can be written");
    path.to_str().expect("its name is UTF-8").to_owned()
}

/// OPS-3: doctor computes what the configured taps need, and warns where the machine does not have it.
#[test]
fn the_capacity_of_configured_taps_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let config = configuration(folder.path(), 1);
    let found = findings(&["--config", &config, "--mbit", "10000"]);
    let line_rate = find(&found, "lo line rate");
    assert_eq!(line_rate["level"], "ok");
    assert!(line_rate["found"].as_str().unwrap().contains("52,521 calls"), "{line_rate}");
    let delay_line = find(&found, "lo delay line");
    assert_eq!(delay_line["level"], "slow");
    // Loopback has one queue: 5,252,100/s × 0.5 s × 288 bytes in one ring.
    let remedy = delay_line["remedy"].as_str().unwrap();
    assert!(remedy.starts_with("capture.ring_mib = 1024 "), "{remedy}");
    for subject in ["memory needed", "processor", "log reader", "calls", "log", "disk space"] {
        find(&found, subject);
    }

    let config = configuration(folder.path(), 1024);
    let found = findings(&["--config", &config, "--mbit", "10000"]);
    assert_eq!(find(&found, "lo delay line")["level"], "ok");
}

/// OPS-3: the disk is written to only when that is asked for, and nothing stays.
#[test]
fn the_disk_is_tried_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let config = configuration(folder.path(), 64);
    let bandwidth = |more: &[&str]| {
        let found = findings(&[&["--config", &config], more].concat());
        find(&found, "disk bandwidth")["found"].as_str().unwrap().to_owned()
    };
    assert!(bandwidth(&[]).ends_with("--disk tries the disk"));
    let tried = bandwidth(&["--disk"]);
    assert!(!tried.contains("--disk") && tried.contains("/s tried; line rate writes"), "{tried}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the configuration only");
}

/// OPS-3: text for people has the same lines; a wrong configuration is wrong use.
#[test]
fn lines_for_people_and_exit_codes() {
    let output = doctor(&["--interface", "lo"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("1 Gbit/s is assumed"), "{text}");
    let output = doctor(&["--config", "/nowhere/earwitness.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(doctor(&["--mbit", "0"]).status.code(), Some(2));
}
