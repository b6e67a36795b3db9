//! The capture process: started, spoken to through its door, started again when it ends.
//!
//! A capture process that outlived the last control plane is taken over, so that a crash here loses no packet
//! there (OPS-6).

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use earwitness_ipc::{
    Command, ControlDoor, DoorError, EXIT_IN_USE, Erased, Event, FlowSeen, Overheard, VERSION,
    VerdictChange,
};
use sha2::{Digest, Sha256};

use super::process::Foreign;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::programs;

/// Between two attempts to connect.
const KNOCK_INTERVAL: Duration = Duration::from_millis(50);
/// How long a capture process may take to answer before that is said.
const SLOW_START: Duration = Duration::from_secs(10);
/// Between two starts of a capture process that keeps ending: doubles up to the second.
const RESTART_MIN: Duration = Duration::from_millis(200);
const RESTART_MAX: Duration = Duration::from_secs(10);
/// How long it may take to end in order.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the kernel may take to end it: a process that waits for a disk ends when the disk answers.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// Why there is no capture process.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error(transparent)]
    Missing(#[from] programs::NotFound),
    #[error("cannot start {program}: {source}")]
    Start { program: PathBuf, source: io::Error },
    #[error("earwitness-capture ended at once with {status}: its line above says why")]
    EndedAtOnce { status: String },
}

/// What has come through the door.
#[derive(Debug, Default)]
pub struct News {
    pub flows: Vec<FlowSeen>,
    /// Masked media, which is in no file.
    pub overheard: Vec<Overheard>,
    /// Payloads that are overwritten now.
    pub erased: Vec<Erased>,
    /// A capture process has just answered: it knows no verdict yet.
    pub connected: bool,
}

/// The process and its door.
#[derive(Debug)]
pub struct Capture {
    program: PathBuf,
    arguments: Vec<String>,
    socket: PathBuf,
    digest: [u8; 32],
    child: Option<Child>,
    door: Option<ControlDoor>,
    /// `Hello` has come back.
    greeted: bool,
    ever_greeted: bool,
    /// Whose door it is.
    pid: Option<u32>,
    knocked: Option<Instant>,
    started: Instant,
    backoff: Duration,
    start_again: Option<Instant>,
    told_slow: bool,
    /// Connections that wait until the verdicts before them are on their way.
    untold: Option<Command>,
    metrics: Arc<Metrics>,
}

impl Capture {
    /// Takes over a running capture process of this data folder, or starts one.
    ///
    /// # Errors
    /// The program is missing or cannot be started.
    pub fn start(
        config: &Config,
        data_dir: &Path,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, CaptureError> {
        let program = programs::find(programs::CAPTURE, &config.capture.program)?;
        let arguments = arguments(config, data_dir);
        let digest: [u8; 32] = Sha256::digest(arguments.join("\0")).into();
        let mut this = Self {
            program,
            arguments,
            socket: data_dir.join("run/capture.sock"),
            digest,
            child: None,
            door: None,
            greeted: false,
            ever_greeted: false,
            pid: None,
            knocked: None,
            started: Instant::now(),
            backoff: RESTART_MIN,
            start_again: None,
            told_slow: false,
            untold: None,
            metrics: Arc::clone(metrics),
        };
        this.knock();
        if this.door.is_none() {
            this.spawn()?;
        } else {
            tracing::info!("a capture process is running already; it is taken over");
        }
        Ok(this)
    }

    fn spawn(&mut self) -> Result<(), CaptureError> {
        let digest: String = self.digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let child = Process::new(&self.program)
            .args(&self.arguments)
            .args(["--config-digest", &digest])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|source| CaptureError::Start { program: self.program.clone(), source })?;
        self.child = Some(child);
        self.started = Instant::now();
        self.told_slow = false;
        Ok(())
    }

    /// Looks after process and door; what has come in is added to the news.
    ///
    /// # Errors
    /// The very first process ended before it answered: the configuration or the machine is at fault.
    pub fn attend(&mut self) -> Result<News, CaptureError> {
        let mut news = News::default();
        self.attend_child()?;
        if self.door.is_none() && self.knocked.is_none_or(|at| at.elapsed() > KNOCK_INTERVAL) {
            self.knock();
        }
        self.receive(&mut news);
        if self.door.is_some()
            && let Err(error) = self.door.as_mut().map_or(Ok(true), ControlDoor::flush)
        {
            self.hang_up(&error);
        }
        self.tell_connections();
        if !self.greeted && !self.told_slow && self.started.elapsed() > SLOW_START {
            self.told_slow = true;
            tracing::warn!("the capture process has not answered for {} s", SLOW_START.as_secs());
        }
        Ok(news)
    }

    /// Whether the capture process has answered, and its door is open.
    #[must_use]
    pub const fn answers(&self) -> bool {
        self.greeted
    }

    fn attend_child(&mut self) -> Result<(), CaptureError> {
        let ended = self.child.as_mut().and_then(|child| {
            let status = child.try_wait().ok().flatten()?;
            Some((child.id(), status))
        });
        if let Some((pid, status)) = ended {
            self.child = None;
            self.child_ended(pid, status)?;
        }
        if self.start_again.is_some_and(|at| at <= Instant::now()) {
            self.start_again = None;
            self.spawn()?;
        }
        Ok(())
    }

    fn child_ended(&mut self, pid: u32, status: ExitStatus) -> Result<(), CaptureError> {
        if status.code() == Some(EXIT_IN_USE.into()) {
            // One that another control plane started just before it ended: its door opens, or it ends, too.
            tracing::info!("a capture process is starting already; it is taken over");
            self.start_again = (!self.greeted).then(|| Instant::now() + self.longer());
            return Ok(());
        }
        if !self.ever_greeted {
            return Err(CaptureError::EndedAtOnce { status: status.to_string() });
        }
        tracing::error!(%status, "the capture process has ended; it is started again");
        self.metrics.capture_restarts.inc();
        if self.pid.is_none_or(|of_door| of_door == pid) {
            self.door = None;
            self.not_connected();
            self.start_again = Some(Instant::now() + self.longer());
        }
        Ok(())
    }

    /// How long is waited before it is started again; longer the next time.
    fn longer(&mut self) -> Duration {
        let now = self.backoff;
        self.backoff = (now * 2).min(RESTART_MAX);
        now
    }

    fn knock(&mut self) {
        self.knocked = Some(Instant::now());
        let Ok(mut door) = ControlDoor::connect(&self.socket) else { return };
        let hello = Command::Hello { version: VERSION, config_digest: self.digest };
        if door.send(hello).is_ok() {
            self.door = Some(door);
        }
    }

    fn receive(&mut self, news: &mut News) {
        while let Some(door) = &mut self.door {
            match door.receive() {
                Ok(Some(event)) => self.event(event, news),
                Ok(None) => return,
                Err(DoorError::Message(source)) => {
                    tracing::warn!(error = %source, "a message of the capture process cannot be read");
                    self.metrics.capture_faults.inc();
                }
                Err(error) => self.hang_up(&error),
            }
        }
    }

    fn event(&mut self, event: Event, news: &mut News) {
        match event {
            Event::Hello { config_digest, sources, pid, .. } => {
                if config_digest != self.digest {
                    tracing::info!(
                        pid,
                        "the running capture process has another configuration; it is replaced"
                    );
                    self.replace();
                    return;
                }
                for source in &sources {
                    tracing::info!(pid, interface = %source.interface, mode = %source.mode, reason = %source.reason, "capturing");
                }
                self.greeted = true;
                self.ever_greeted = true;
                self.pid = Some(pid);
                self.start_again = None;
                self.backoff = RESTART_MIN;
                self.metrics.capture_started(&sources);
                self.metrics.capture_connected.set(1);
                news.connected = true;
            }
            Event::FlowsSeen(flows) => news.flows.extend(flows),
            Event::Overheard(packets) => news.overheard.extend(packets),
            Event::Erased(erased) => news.erased.extend(erased),
            Event::Stats(stats) => self.metrics.capture_stats(&stats),
            Event::Error { fault, text } => {
                self.metrics.capture_faults.inc();
                tracing::warn!(?fault, "capture: {text}");
            }
        }
    }

    /// Ends a foreign capture process and starts our own when its door is gone.
    fn replace(&mut self) {
        if let Some(door) = &mut self.door {
            // If it does not hear us, the door closes by itself and we are here again.
            let _ = door.send(Command::Shutdown);
        }
        self.start_again = Some(Instant::now() + RESTART_MIN);
    }

    fn hang_up(&mut self, error: &DoorError) {
        if self.greeted {
            tracing::warn!(%error, "the door to the capture process is closed");
        }
        self.door = None;
        self.not_connected();
        if self.child.is_none() && self.start_again.is_none() {
            // It was one that we took over.
            self.metrics.capture_restarts.inc();
            self.start_again = Some(Instant::now() + self.longer());
        }
    }

    fn not_connected(&mut self) {
        self.greeted = false;
        self.pid = None;
        self.untold = None;
        self.metrics.capture_connected.set(0);
    }

    /// Sends commands; without a door they are dropped, and the next capture process is told everything anew.
    pub fn send(&mut self, commands: impl IntoIterator<Item = Command>) {
        for command in commands {
            let Some(door) = self.door.as_mut().filter(|_| self.greeted) else { return };
            match door.send(command) {
                Ok(()) => {}
                Err(DoorError::Full { messages }) => {
                    tracing::warn!(
                        messages,
                        "the capture process does not listen; a command is given up"
                    );
                    self.metrics.capture_faults.inc();
                }
                Err(error) => self.hang_up(&error),
            }
        }
    }

    /// Tells all verdicts to a capture process that has just answered, and then all connections.
    pub fn tell_all(&mut self, verdicts: Vec<VerdictChange>, connections: Option<Command>) {
        self.send((!verdicts.is_empty()).then_some(Command::Verdicts(verdicts)));
        self.untold = connections;
        self.tell_connections();
    }

    /// An empty queue takes a batch of any size, another may refuse it.
    fn tell_connections(&mut self) {
        if self.door.as_ref().is_some_and(|door| !door.wants_write()) {
            let untold = self.untold.take();
            self.send(untold);
        }
    }

    /// Asks it to end in order and waits for that, whoever started it: none goes on without a control plane that is to come back.
    pub fn stop(mut self) {
        let asked = Instant::now();
        self.ask_to_end();
        while asked.elapsed() < STOP_TIMEOUT {
            self.last_words();
            let is_alive = |child: &mut Child| matches!(child.try_wait(), Ok(None));
            let lives = self.child.as_mut().is_some_and(is_alive);
            match &self.door {
                None if !lives => return,
                // It is still starting.
                None if self.knocked.is_none_or(|at| at.elapsed() > KNOCK_INTERVAL) => {
                    self.ask_to_end();
                }
                _ => {}
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        tracing::error!("the capture process does not end; it is killed");
        self.kill();
    }

    /// Ours, and one that was taken over: as long as its door is open it lives, and the number is its own.
    fn kill(&mut self) {
        let own = self.child.take().map(|child| child.id());
        let taken_over = self.pid.filter(|pid| self.door.is_some() && own != Some(*pid));
        for pid in own.into_iter().chain(taken_over) {
            match Foreign::of(pid).and_then(|process| process.kill(KILL_TIMEOUT)) {
                Ok(true) => {}
                Ok(false) => {
                    tracing::error!(pid, "the capture process was killed and is still there");
                }
                Err(error) => {
                    tracing::error!(pid, %error, "the capture process cannot be killed; end it: kill -9 {pid}");
                }
            }
        }
    }

    fn ask_to_end(&mut self) {
        if self.door.is_none() {
            self.knock();
        }
        if let Some(door) = &mut self.door {
            // Where it does not hear us, the door is closed, or closes now.
            let _ = door.send(Command::Shutdown);
        }
    }

    /// Reading them keeps them from filling the socket.
    fn last_words(&mut self) {
        while let Some(door) = &mut self.door {
            match door.flush().and_then(|_| door.receive()) {
                Ok(Some(Event::Stats(stats))) => self.metrics.capture_stats(&stats),
                Ok(Some(_)) | Err(DoorError::Message(_)) => {}
                Ok(None) => return,
                Err(_) => self.door = None,
            }
        }
    }
}

/// Everything as flags: the privileged process reads no configuration.
fn arguments(config: &Config, data_dir: &Path) -> Vec<String> {
    let capture = &config.capture;
    let mut arguments =
        vec!["run".to_owned(), "--data-dir".to_owned(), data_dir.display().to_string()];
    let mut flag = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    capture.interfaces.iter().for_each(|name| flag("--interface", name.clone()));
    capture.sip_ports.iter().for_each(|port| flag("--sip-port", port.to_string()));
    // Without a flag it would take its default; 0 is none.
    let vxlan_ports = if capture.vxlan_ports.is_empty() { &[0] } else { &capture.vxlan_ports[..] };
    vxlan_ports.iter().for_each(|port| flag("--vxlan-port", port.to_string()));
    flag("--source", capture.source.word().to_owned());
    flag("--hold-ms", capture.hold_ms.to_string());
    flag("--unmatched-media", capture.unmatched_media.word().to_owned());
    flag("--unmatched", capture.unmatched.word().to_owned());
    flag("--ring-mib", capture.ring_mib.next_power_of_two().to_string());
    flag("--segment-mib", capture.segment_mib.to_string());
    flag("--spare-mib", capture.spare_mib.to_string());
    if config.control.tones {
        arguments.push("--tones".to_owned());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CAP-5: capture looks for VXLAN where the configuration says, and nowhere if it says so.
    #[test]
    fn vxlan_ports_reach_capture() {
        for (ports, wanted) in [
            (vec![4789], vec!["4789"]),
            (vec![8472, 6081], vec!["8472", "6081"]),
            (vec![], vec!["0"]),
        ] {
            let mut config = Config::default();
            config.capture.vxlan_ports = ports;
            let arguments = arguments(&config, Path::new("/d"));
            let told: Vec<_> = arguments
                .windows(2)
                .filter(|pair| pair[0] == "--vxlan-port")
                .map(|pair| pair[1].as_str())
                .collect();
            assert_eq!(told, wanted);
        }
    }
}
