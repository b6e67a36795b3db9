//! Running `earwitness` as people do: a process, its lines, its exit code.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use earwitness_fixtures::call::Frame;
use earwitness_fixtures::pcap::{ByteOrder, Format, Link, Writer};
use serde_json::Value;
use tempfile::TempDir;

/// The program under test: `EARWITNESS_BIN`, or the one beside the test's own target folder.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("EARWITNESS_BIN") {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().expect("a running test has a path");
    // target/PROFILE/deps/test → target/PROFILE/earwitness
    let path = test.ancestors().nth(2).expect("tests lie in a target folder").join("earwitness");
    assert!(path.exists(), "{} is missing: cargo build -p earwitness", path.display());
    path
}

/// Runs the program with `arguments` to its end.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn run(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().expect("the program can be started")
}

/// How a capture file is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Container {
    pub format: Format,
    pub order: ByteOrder,
    pub link: Link,
}

/// Writes the frames to `path`.
///
/// # Panics
/// When the disk does not take them.
pub fn write_capture(path: &Path, container: Container, frames: impl Iterator<Item = Frame>) {
    let file = BufWriter::new(File::create(path).expect("the test's folder can be written"));
    let Container { format, order, link } = container;
    let mut writer = Writer::new(file, format, order, link).expect("the disk takes a header");
    for frame in frames {
        writer.write(frame.ts_ns, &frame.bytes).expect("the disk takes a frame");
    }
    writer.finish().expect("the disk takes the rest");
}

/// A data folder after a replay, and what the replay printed.
#[derive(Debug)]
pub struct Replayed {
    pub dir: TempDir,
    pub calls: Vec<Value>,
    pub recordings: Vec<Value>,
    pub summary: Value,
}

impl Replayed {
    /// Replays frames into a new data folder, with `config` as the configuration's text.
    ///
    /// # Panics
    /// When the program fails; its standard error is in the message.
    #[must_use]
    pub fn of(
        frames: impl Iterator<Item = Frame>,
        container: Container,
        config: Option<&str>,
    ) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let name =
            if container.format == Format::PcapNg { "capture.pcapng" } else { "capture.pcap" };
        let capture = dir.path().join(name);
        write_capture(&capture, container, frames);
        let mut arguments = vec!["replay".to_owned(), capture.display().to_string()];
        if let Some(text) = config {
            let path = dir.path().join("earwitness.toml");
            std::fs::write(&path, text).expect("the test's folder can be written");
            arguments.extend(["--config".to_owned(), path.display().to_string()]);
        }
        let data_dir = dir.path().join("data");
        arguments.extend(["--data-dir".to_owned(), data_dir.display().to_string()]);
        arguments.push("--json".to_owned());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let rows = lines(&succeed(&arguments));
        let dir = keep(dir);
        let of = |kind: &str| rows.iter().filter(|row| row["type"] == kind).cloned().collect();
        Self {
            calls: of("call"),
            recordings: of("recording"),
            summary: rows.iter().find(|row| row["type"] == "summary").cloned().unwrap_or_default(),
            dir,
        }
    }

    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The recording's file.
    #[must_use]
    pub fn audio(&self, recording: &Value) -> PathBuf {
        self.data_dir().join(recording["path"].as_str().unwrap_or_default())
    }

    /// The recording `id`, exported.
    ///
    /// # Panics
    /// When the program fails.
    #[must_use]
    pub fn export(&self, id: &str, format: &str) -> PathBuf {
        let path = self.dir.path().join(format!("{id}.{format}"));
        let (data_dir, output) =
            (self.data_dir().display().to_string(), path.display().to_string());
        let options = ["--data-dir", &data_dir, "--format", format, "-o", &output];
        let _ = succeed(&[&["recordings", "export", id], &options[..]].concat());
        path
    }

    /// The rows of `calls list` or `recordings list`.
    #[must_use]
    pub fn list(&self, what: &str) -> Vec<Value> {
        let data_dir = self.data_dir().display().to_string();
        lines(&succeed(&[what, "list", "--data-dir", &data_dir, "--json"]))
    }
}

/// With `EARWITNESS_KEEP` set, the folder stays and its place is told: to look at what a test saw.
fn keep(mut dir: TempDir) -> TempDir {
    if std::env::var_os("EARWITNESS_KEEP").is_some() {
        dir.disable_cleanup(true);
        eprintln!("kept: {}", dir.path().display());
    }
    dir
}

fn succeed(arguments: &[&str]) -> Output {
    let output = run(arguments);
    assert!(
        output.status.success(),
        "earwitness {}: {}\n{}",
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}
