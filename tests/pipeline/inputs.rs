//! What people give to `replay` besides good files: one line that names the thing, and the exit code that is
//! promised. A file that was cut off is read to where it ends.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use earwitness_fixtures::pcap::{ByteOrder, Format, Link};
use earwitness_fixtures::scene::Scene;
use earwitness_fixtures::spec::CallSpec;
use earwitness_tests::program::{Container, binary, run, write_capture};
use serde_json::Value;
use tempfile::TempDir;

fn scene() -> Scene {
    Scene::new(vec![CallSpec { talk_ms: 600, ..CallSpec::new(0) }])
}

/// A good capture of one call in `dir`.
fn capture(dir: &Path, container: Container) -> Vec<u8> {
    let path = dir.join("good.pcap");
    write_capture(&path, container, scene().frames());
    std::fs::read(path).expect("what was written can be read")
}

fn replay(dir: &Path, input: &str, more: &[&str]) -> Output {
    let data_dir = dir.join("data").display().to_string();
    let mut arguments = vec!["replay", input, "--data-dir", &data_dir, "--json"];
    arguments.extend(more);
    run(&arguments)
}

fn replay_bytes(bytes: &[u8], more: &[&str]) -> Output {
    let dir = TempDir::new().expect("a temporary folder");
    let path = dir.path().join("input");
    std::fs::write(&path, bytes).expect("the test's folder can be written");
    replay(dir.path(), &path.display().to_string(), more)
}

/// The one line of a failure.
fn failure(output: &Output, code: i32) -> String {
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
    let told = line.trim_end().strip_prefix("earwitness: ").expect("it says who speaks").as_bytes();
    let half = told.len() / 2 - 1;
    assert_ne!(told[..half], told[told.len() - half..], "said twice: {line}");
    line
}

fn rows(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("JSON Lines")).collect()
}

/// DESIGN.md, exit codes: 1 for what failed, 2 for wrong use or configuration, one line each.
#[test]
fn what_cannot_be_read_is_told_in_one_line() {
    let dir = TempDir::new().expect("a temporary folder");
    let good = capture(dir.path(), Container::default());
    let missing = dir.path().join("missing.pcap").display().to_string();
    for (output, code, says) in [
        (replay_bytes(b"", &[]), 1, "input: offset 0: no capture file: it is empty"),
        (
            replay_bytes(b"GET / HTTP/1.1\r\n\r\n", &[]),
            1,
            "input: offset 0: no capture file: it begins",
        ),
        (replay_bytes(&[0x1f, 0x8b, 8, 0, 0, 0], &[]), 1, "packed with gzip"),
        (replay_bytes(&good[..10], &[]), 1, "offset 10: ends within the file header"),
        (replay(dir.path(), &missing, &[]), 1, "missing.pcap: cannot be opened"),
        (replay_bytes(&good, &["--config", &missing]), 2, "cannot read configuration"),
    ] {
        let line = failure(&output, code);
        assert!(line.contains(says), "{line}");
    }
    let toml = dir.path().join("odd.toml");
    std::fs::write(&toml, "nonsense = 1\n").expect("the test's folder can be written");
    let odd = replay_bytes(&good, &["--config", &toml.display().to_string()]);
    assert!(failure(&odd, 2).contains("nonsense"));
    assert_eq!(run(&["replay"]).status.code(), Some(2));
}

/// CAP-4: cut at any byte, a file is read up to its last whole record, whatever kind of file it is.
#[test]
fn a_file_that_was_cut_off_is_read_to_its_end() {
    let dir = TempDir::new().expect("a temporary folder");
    for (format, order) in [
        (Format::PcapMicros, ByteOrder::Little),
        (Format::PcapNanos, ByteOrder::Big),
        (Format::PcapNg, ByteOrder::Big),
    ] {
        let good = capture(dir.path(), Container { format, order, link: Link::Ethernet });
        for less in [1, 7, 101, 1_003] {
            let rows = rows(&replay_bytes(&good[..good.len() - less], &[]));
            let summary = rows.last().expect("a summary comes last");
            assert_eq!(summary["truncated_records"], 1, "{format:?} {less}: {summary}");
            assert_eq!((&summary["calls"], &summary["recordings"]), (&1.into(), &1.into()));
        }
    }
}

/// DESIGN.md, commands: `-` is standard input, and says the same as the file.
#[test]
fn standard_input_is_a_file() {
    let dir = TempDir::new().expect("a temporary folder");
    let good = capture(dir.path(), Container::default());
    let by_file = rows(&replay_bytes(&good, &[]));
    let output = Command::new(binary())
        .args(["replay", "-", "--json", "--data-dir"])
        .arg(dir.path().join("piped"))
        .stdin(Stdio::from(File::open(dir.path().join("good.pcap")).expect("it was written")))
        .output()
        .expect("the program can be started");
    assert_eq!(rows(&output), by_file);
}
