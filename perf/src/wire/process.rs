//! What the kernel tells of processes and of the machine.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

/// How long anything here is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Hundredths of a second: what /proc counts in.
pub const TICK_NS: u64 = 10_000_000;

/// Time on a core of all threads of a process, in nanoseconds. Threads that have ended are not in it.
#[must_use]
pub fn cpu_ns(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of = |path: std::path::PathBuf| -> Option<u64> {
        let text = fs::read_to_string(path.join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    tasks.filter_map(|task| of(task.path())).sum()
}

/// The kernel's thread that receives on core 0 when too much comes for the interrupted one.
#[must_use]
pub fn softirq_thread() -> Option<u32> {
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let name = fs::read_to_string(entry.path().join("comm")).ok()?;
        (name.trim() == "ksoftirqd/0").then(|| entry.file_name().to_str()?.parse().ok())?
    })
}

/// The most memory it had resident.
#[must_use]
pub fn resident_kib_max(pid: u32) -> u64 {
    status(pid, "VmHWM:")
}

fn status(pid: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Time of all cores together.
#[derive(Clone, Copy, Debug, Default)]
pub struct MachineTime {
    pub busy_ticks: u64,
    pub steal_ticks: u64,
}

impl MachineTime {
    #[must_use]
    pub fn now() -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let first = text.lines().next().unwrap_or_default();
        let values: Vec<u64> =
            first.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
        // user, nice, system, idle, iowait, irq, softirq, steal.
        let at = |place: usize| values.get(place).copied().unwrap_or_default();
        Self { busy_ticks: at(0) + at(1) + at(2) + at(5) + at(6), steal_ticks: at(7) }
    }
}

/// Sends a signal by name, as `kill` does.
pub fn signal(pid: u32, name: &str) {
    // Where it has ended meanwhile there is nothing to say.
    let _ =
        Command::new("kill").args(["-s", name, &pid.to_string()]).stderr(Stdio::null()).status();
}

/// Waits for its end; kills it if that does not come.
///
/// # Errors
/// It had to be killed.
pub fn wait(child: &mut Child, name: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if child.try_wait()?.is_some() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()?;
    bail!("{name} does not end")
}

/// Waits until a process has used almost no time for a while: what was buffered is written.
pub fn await_quiet(pid: u32) {
    const LOOK: Duration = Duration::from_millis(100);
    let quiet_ns = LOOK.as_nanos() as u64 / 10;
    let deadline = Instant::now() + PATIENCE;
    let (mut quiet, mut last) = (0, cpu_ns(pid));
    while quiet < 3 && Instant::now() < deadline {
        std::thread::sleep(LOOK);
        let now = cpu_ns(pid);
        quiet = if now - last < quiet_ns { quiet + 1 } else { 0 };
        last = now;
    }
}

/// A process that does not outlive what started it.
#[derive(Debug)]
pub struct Kept(pub Child);

impl Drop for Kept {
    fn drop(&mut self) {
        // Only where something failed before it ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Another process of this program, to be told what to do by lines.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts it, and waits until it says that it is ready.
    ///
    /// # Errors
    /// It does not start, or says something else.
    pub fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("it is piped")?);
        let mut worker = Self { child, lines };
        let said = worker.line()?;
        ensure!(said == "ready", "not ready, but {said:?}: {command:?}");
        Ok(worker)
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Says a line, and gives the answer.
    ///
    /// # Errors
    /// It has gone.
    pub fn ask(&mut self, line: &str) -> anyhow::Result<String> {
        let input = self.child.stdin.as_mut().context("it is piped")?;
        writeln!(input, "{line}")?;
        input.flush()?;
        self.line()
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        let length = self.lines.read_line(&mut line)?;
        ensure!(length > 0, "the worker ended: see above");
        Ok(line.trim().to_owned())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It ends when nobody speaks to it any more.
        drop(self.child.stdin.take());
        let _ = wait(&mut self.child, "the worker");
    }
}
