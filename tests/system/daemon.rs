//! The daemon in a namespace with a tap, as an operator starts it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use earwitness_tests::program::{binary, run};
use serde_json::Value;

use crate::space::Space;

/// For anything that takes moments on a machine that does nothing else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The daemon, and what a process list says of the capture process beside it.
pub(crate) struct Daemon {
    pub(crate) space: Space,
    config: PathBuf,
    pub(crate) data_dir: PathBuf,
    child: Child,
}

impl Daemon {
    /// Starts it with `more` configuration beside data folder and tap, and waits until capture has its door open.
    pub(crate) fn start(space: Space, folder: &Path, more: &str) -> Self {
        let (config, data_dir) = configure(folder, more);
        let child = spawn(&space, &config);
        let daemon = Self { space, config, data_dir, child };
        daemon.wait_for_capture();
        daemon.await_metrics("capture answers", |metrics| {
            metrics.sum("earwitness_capture_connected") == 1.0
        });
        daemon
    }

    pub(crate) fn capture_pids(&self) -> Vec<libc::pid_t> {
        let output = std::process::Command::new("pgrep")
            .args(["-f", &format!("earwitness-capture run --data-dir {}", self.data_dir.display())])
            .output()
            .expect("pgrep is installed");
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().map(|line| line.parse().expect("a number")).collect()
    }

    fn capture_pid(&self) -> Option<libc::pid_t> {
        self.capture_pids().first().copied()
    }

    /// Waits until capture has its door open.
    pub(crate) fn wait_for_capture(&self) {
        let began = Instant::now();
        while !(self.data_dir.join("run/capture.sock").exists() && self.capture_pid().is_some()) {
            assert!(began.elapsed() < PATIENCE, "capture does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn kill_capture(&self) {
        if let Some(pid) = self.capture_pid() {
            kill(pid);
        }
    }

    /// SIGSTOP: it is there, and does nothing more.
    pub(crate) fn halt_capture(&self) {
        let pid = self.capture_pid().expect("capture runs");
        // SAFETY: kill sends a signal to a process of ours and touches no memory.
        let halted = unsafe { libc::kill(pid, libc::SIGSTOP) };
        assert_eq!(halted, 0, "capture runs");
    }

    pub(crate) fn kill_control_plane(&mut self) {
        kill(self.control_plane_pid());
        self.child.wait().expect("it has ended");
        self.child = spawn(&self.space, &self.config);
    }

    /// `ip netns exec` becomes the program, so that the child is it.
    pub(crate) fn control_plane_pid(&self) -> libc::pid_t {
        self.child.id().cast_signed()
    }

    /// Stops it in order, and starts it again after `meanwhile`.
    pub(crate) fn restart(&mut self, meanwhile: impl FnOnce(&Path)) {
        self.end();
        meanwhile(&self.data_dir);
        self.child = spawn(&self.space, &self.config);
        self.wait_for_capture();
    }

    /// SIGHUP: policies are read again.
    pub(crate) fn reload(&self) {
        // SAFETY: kill sends a signal to a child of ours that was not waited for, and touches no memory.
        let told = unsafe { libc::kill(self.control_plane_pid(), libc::SIGHUP) };
        assert_eq!(told, 0, "the daemon runs");
    }

    /// SIGTERM; it must end in order. Gives the data folder.
    pub(crate) fn stop(mut self) -> PathBuf {
        self.end();
        self.data_dir.clone()
    }

    fn end(&mut self) {
        // SAFETY: kill sends a signal to a child of ours that was not waited for, and touches no memory.
        let asked = unsafe { libc::kill(self.control_plane_pid(), libc::SIGTERM) };
        assert_eq!(asked, 0, "the daemon runs");
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "the daemon ended with {status}");
        // One that was taken over has given up its door then, and is about to end.
        let began = Instant::now();
        while !self.capture_pids().is_empty() {
            assert!(began.elapsed() < Duration::from_secs(5), "capture goes on without the daemon");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until no call is open any more, then stops the daemon.
    pub(crate) fn stop_when_finished(self) -> PathBuf {
        let began = Instant::now();
        loop {
            std::thread::sleep(Duration::from_millis(500));
            let calls = list(&self.data_dir, "calls");
            let open: Vec<_> = calls.iter().filter(|call| call["state"] != "ended").collect();
            if open.is_empty() && began.elapsed() > Duration::from_secs(5) {
                return self.stop();
            }
            assert!(began.elapsed() < PATIENCE, "never finished: {open:#?}");
        }
    }

    /// What Prometheus would get.
    pub(crate) fn metrics(&self) -> Metrics {
        let scrape = self.space.inside(|| {
            let mut stream = connect()?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok::<_, std::io::Error>(text)
        });
        let text = scrape.join().expect("the scrape ends").expect("the daemon listens");
        Metrics::of_answer(&text)
    }

    /// Scrapes until the metrics please.
    pub(crate) fn await_metrics(&self, what: &str, wanted: impl Fn(&Metrics) -> bool) -> Metrics {
        let began = Instant::now();
        loop {
            let metrics = self.metrics();
            if wanted(&metrics) {
                return metrics;
            }
            assert!(began.elapsed() < PATIENCE, "{what}:\n{}", metrics.0);
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Only where the test failed before it stopped them.
        if matches!(self.child.try_wait(), Ok(None)) {
            kill(self.control_plane_pid());
            self.kill_capture();
        }
    }
}

/// A daemon that has just started does not listen yet.
fn connect() -> std::io::Result<TcpStream> {
    let began = Instant::now();
    loop {
        match TcpStream::connect("127.0.0.1:8080") {
            Err(_) if began.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(20));
            }
            result => return result,
        }
    }
}

/// A scrape.
pub(crate) struct Metrics(String);

impl Metrics {
    /// What `GET /metrics` over HTTP/1.0 brought.
    pub(crate) fn of_answer(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("an HTTP answer");
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        Self(body.to_owned())
    }

    /// The sum of all series of the metric.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        self.series(name).map(|(_, value)| value).sum()
    }

    /// Labels and value of each series of the metric.
    pub(crate) fn series<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> + 'a {
        self.0.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name).filter(|rest| rest.starts_with([' ', '{']))?;
            let (labels, value) = rest.rsplit_once(' ')?;
            Some((labels, value.parse().expect("values are numbers")))
        })
    }

    /// Every metric that is described.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
    }
}

/// Writes a configuration with data folder and tap.
fn configure(folder: &Path, more: &str) -> (PathBuf, PathBuf) {
    let (config, data_dir) = (folder.join("earwitness.toml"), folder.join("data"));
    let text = format!(
        "data_dir = {:?}\n[capture]\ninterfaces = [\"tap0\"]\n{more}",
        data_dir.display().to_string()
    );
    std::fs::write(&config, text).expect("the test's folder can be written");
    (config, data_dir)
}

/// What it says instead of starting.
pub(crate) fn refused(space: &Space, folder: &Path) -> String {
    let (config, _) = configure(folder, "");
    let mut command = space.command(&binary());
    let output = command.args(["run", "--config"]).arg(config).output();
    let output = output.expect("the daemon can be started");
    assert!(!output.status.success(), "it has started and ended");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn spawn(space: &Space, config: &Path) -> Child {
    space
        .command(&binary())
        .args(["run", "--config"])
        .arg(config)
        .stderr(Stdio::null())
        .spawn()
        .expect("the daemon can be started")
}

fn kill(pid: libc::pid_t) {
    // SAFETY: kill sends a signal to a process of ours and touches no memory.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// Rows of `calls` or `recordings`.
pub(crate) fn list(data_dir: &Path, what: &str) -> Vec<Value> {
    let folder = data_dir.display().to_string();
    let output = run(&[what, "list", "--json", "--data-dir", &folder]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("JSON is text");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}
