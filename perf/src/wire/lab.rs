//! Where it is measured: a wire from one network namespace to another, which goes when it is dropped.

use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, ensure};

/// The end that is sent into.
pub const FAR: &str = "far0";
/// The end that receivers tap.
pub const TAP: &str = "tap0";
/// A wire that ends in nothing: what sending costs alone.
pub const BARE: &str = "bare0";
const BARE_END: &str = "bare1";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Whether the tap's driver runs XDP programs itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Driver {
    Native,
    /// Only the network stack does: veth refuses where the far end sends by more queues than the tap receives by.
    Generic,
}

/// Two namespaces and the wire between them.
#[derive(Debug)]
pub struct Lab {
    pub sender: String,
    pub receiver: String,
}

/// What both ends have counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireCount {
    /// Arrived at the tap.
    pub arrived: u64,
    /// Redirected there, and dropped as the tap's queue was full.
    pub refused: u64,
}

impl WireCount {
    /// What came since then, when so many packets were sent.
    ///
    /// # Errors
    /// Sent is not what arrived and what was refused.
    pub fn since(self, before: Self, sent: u64) -> anyhow::Result<Self> {
        let arrived = self.arrived - before.arrived;
        let refused = self.refused - before.refused;
        ensure!(
            sent == arrived + refused,
            "the wire does not close: {sent} sent, {arrived} arrived, {refused} refused"
        );
        Ok(Self { arrived, refused })
    }
}

impl Lab {
    /// Makes it. Needs root.
    ///
    /// # Errors
    /// `ip` or `ethtool` fail.
    pub fn new(driver: Driver) -> anyhow::Result<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |end| format!("ewperf-{}-{number}-{end}", std::process::id());
        let lab = Self { sender: name("s"), receiver: name("r") };
        for namespace in [&lab.sender, &lab.receiver] {
            run(&["ip", "netns", "add", namespace])?;
            // Nothing but what is sent here: no neighbour discovery.
            let quiet =
                "for i in all default; do echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; done";
            run(&["ip", "netns", "exec", namespace, "sh", "-c", quiet])?;
        }
        lab.connect(driver)?;
        Ok(lab)
    }

    fn connect(&self, driver: Driver) -> anyhow::Result<()> {
        let queues = if driver == Driver::Native { "1" } else { "2" };
        let (sender, receiver) = (self.sender.as_str(), self.receiver.as_str());
        let tap = ["link", "add", TAP, "numrxqueues", "1", "numtxqueues", "1", "type", "veth"];
        let far = ["peer", "name", FAR, "netns", sender, "numtxqueues", queues];
        run(&[&["ip", "-n", receiver][..], &tap, &far].concat())?;
        run(&["ip", "-n", sender, "link", "add", BARE, "type", "veth", "peer", "name", BARE_END])?;
        run(&["ip", "-n", receiver, "link", "set", TAP, "up", "promisc", "on"])?;
        run(&["ip", "-n", sender, "link", "set", FAR, "up"])?;
        run(&["ip", "-n", sender, "link", "set", BARE, "up"])?;
        // veth takes redirected frames only where the other end polls: with a program there, or with GRO.
        self.inside(&self.receiver, &["ethtool", "-K", TAP, "gro", "on"])?;
        // The bare wire's other end has polled, and does no longer: frames go all the way to it, and come back.
        run(&["ip", "-n", sender, "link", "set", BARE_END, "up"])?;
        self.inside(&self.sender, &["ethtool", "-K", BARE_END, "gro", "on"])?;
        run(&["ip", "-n", sender, "link", "set", BARE_END, "down"])?;
        self.inside(&self.sender, &["ethtool", "-K", FAR, "tso", "off", "gso", "off"])?;
        Ok(())
    }

    /// A command in one of the namespaces; it becomes the program it starts, with the same process id.
    #[must_use]
    pub fn command(namespace: &str, words: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).args(words);
        command
    }

    fn inside(&self, namespace: &str, words: &[&str]) -> anyhow::Result<String> {
        run(&[&["ip", "netns", "exec", namespace][..], words].concat())
    }

    /// What both ends count, since they were made.
    ///
    /// # Errors
    /// `ethtool` fails, or tells nothing of XDP.
    pub fn count(&self) -> anyhow::Result<WireCount> {
        let tap = self.inside(&self.receiver, &["ethtool", "-S", TAP])?;
        let far = self.inside(&self.sender, &["ethtool", "-S", FAR])?;
        let sum = |text: &str, suffix: &str| -> u64 {
            let values = statistics(text);
            values.iter().filter(|(name, _)| name.ends_with(suffix)).map(|(_, value)| value).sum()
        };
        ensure!(tap.contains("xdp_packets"), "{TAP} does not count XDP frames: {tap}");
        let arrived = statistics(&tap)
            .iter()
            .filter(|(name, _)| name.starts_with("rx_queue") && name.ends_with("xdp_packets"))
            .map(|(_, value)| value)
            .sum();
        Ok(WireCount { arrived, refused: sum(&far, "xdp_xmit_errors") })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for namespace in [&self.sender, &self.receiver] {
            let _ =
                Command::new("ip").args(["netns", "del", namespace]).stderr(Stdio::null()).status();
        }
    }
}

fn statistics(text: &str) -> HashMap<String, u64> {
    let line = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

/// Runs a command to its end.
///
/// # Errors
/// It is not there, or fails; with what it said.
pub fn run(words: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(words[0])
        .args(&words[1..])
        .output()
        .with_context(|| format!("{} is not there: run `scripts/setup.sh perf`", words[0]))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{words:?} (are you root?): {said}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
