//! One measurement: a receiver starts, packets are sent, what became of them is counted.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use super::generator::{Sent, Traffic};
use super::lab::{BARE, FAR, Lab, WireCount};
use super::process::{self, MachineTime, TICK_NS, Worker};
use super::system::System;

/// With more of it the hypervisor's other guests were measured.
const STEAL_TICKS_MAX: u64 = 50;

/// What is sent before anything is measured, and at what rate: slow enough for every receiver.
const WARM_PACKETS_MIN: u64 = 100_000;
const WARM_PACKETS_PER_CALL: u64 = 4;
const WARM_RATE: u64 = 200_000;

/// What one run showed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    pub sent: Sent,
    /// Redirected, and refused by the wire's full queue: not offered to the receiver.
    pub refused: u64,
    pub arrived: u64,
    /// The same with what was sent to warm up; what follows counts these.
    pub all: u64,
    /// Stored, or, by a floor, received.
    pub taken: u64,
    /// What it wanted nothing of.
    pub declined: u64,
    /// Arrived, and neither taken nor declined.
    pub lost: u64,
    /// What it says of that, by place.
    pub lost_by: Vec<(String, u64)>,
    /// Of the sending thread and the kernel's receiving one, without what sending alone costs.
    pub kernel_ns: f64,
    /// Of the receiver's process.
    pub process_ns: f64,
    /// All cores but the sender's own work, in ticks of 10 ms.
    pub machine_ns: f64,
    pub bytes: u64,
    pub resident_kib: u64,
    pub steal_ticks: u64,
}

impl Run {
    /// CPU seconds of a million packets that arrived.
    #[must_use]
    pub fn cpu_seconds_per_mpkt(&self) -> f64 {
        (self.kernel_ns + self.process_ns) / 1000.0
    }

    /// Packets that arrived, in millions a second.
    #[must_use]
    pub fn mpps(&self) -> f64 {
        self.arrived as f64 * 1000.0 / self.sent.wall_ns as f64
    }

    /// Whether another guest was measured, too.
    #[must_use]
    pub fn is_void(&self) -> bool {
        self.steal_ticks > STEAL_TICKS_MAX
    }

    #[must_use]
    pub fn lost_share(&self) -> f64 {
        self.lost as f64 / self.all.max(1) as f64
    }
}

/// The generator, as a process in the sender's namespace on core 0.
#[derive(Debug)]
pub struct Sender {
    worker: Worker,
}

impl Sender {
    /// Starts it.
    ///
    /// # Errors
    /// The program cannot be loaded.
    pub fn start(lab: &Lab, traffic: &Traffic) -> anyhow::Result<Self> {
        let own = std::env::current_exe()?;
        let own = own.to_str().context("a path in UTF-8")?;
        let numbers = [traffic.calls, traffic.set_ups, traffic.background].map(|n| n.to_string());
        let [calls, set_ups, background] = &numbers;
        let mut words = vec!["taskset", "-c", "0", own, "wire", "generate", "--calls", calls];
        words.extend(["--set-ups", set_ups, "--background", background]);
        if traffic.prologue {
            words.push("--prologue");
        }
        Ok(Self { worker: Worker::start(Lab::command(&lab.sender, &words))? })
    }

    fn send(&mut self, interface: &str, packets: u64, rate: u64) -> anyhow::Result<Sent> {
        let answer = self.worker.ask(&format!("{interface} {packets} {rate}"))?;
        serde_json::from_str(&answer).with_context(|| answer)
    }

    /// What a packet costs whom nobody receives: its end of the wire has no other that is up.
    ///
    /// # Errors
    /// It cannot be sent.
    pub fn bare_ns(&mut self, packets: u64) -> anyhow::Result<f64> {
        let sent = self.send(BARE, packets, 0)?;
        Ok(sent.cpu_ns as f64 / sent.packets as f64)
    }
}

/// What is offered in one run, and how fast: 0 is as fast as it goes.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    pub packets: u64,
    pub rate: u64,
    /// What sending costs alone.
    pub bare_ns: f64,
    pub calls: u64,
    /// As much was recorded before, and is not needed any more.
    pub reuse: bool,
}

/// Measures once.
///
/// # Errors
/// Something does not start, or a sum does not close.
pub fn measure(
    system: System,
    lab: &Lab,
    sender: &mut Sender,
    folder: &Path,
    offer: Offer,
) -> anyhow::Result<Run> {
    let softirq = process::softirq_thread();
    let softirq_ns = || softirq.map_or(0, process::cpu_ns);
    let wire = lab.count()?;
    let mut receiver = system.start(lab, folder, offer.calls)?;
    let pid = receiver.pid();
    let warm_packets = WARM_PACKETS_MIN.max(WARM_PACKETS_PER_CALL * offer.calls);
    let mut warm = sender.send(FAR, warm_packets, WARM_RATE)?.packets;
    if offer.reuse {
        warm += sender.send(FAR, offer.packets, system.age_rate())?.packets;
    }
    let warm_arrived = lab.count()?.since(wire, warm)?.arrived;
    receiver.settle(warm_arrived)?;
    if offer.reuse {
        receiver.release()?;
    }
    let before = (process::cpu_ns(pid), softirq_ns(), MachineTime::now());
    let sent = sender.send(FAR, offer.packets, offer.rate)?;
    let WireCount { arrived: all, refused } = lab.count()?.since(wire, warm + sent.packets)?;
    let stats = receiver.settle(all)?;
    let process_ns = process::cpu_ns(pid).saturating_sub(before.0);
    let softirq_ns = softirq_ns() - before.1;
    let machine = MachineTime::now();
    let resident_kib = process::resident_kib_max(pid);
    let taken = receiver.finish(all, stats)?;
    let arrived = all - warm_arrived;
    let each = |ns: u64| ns as f64 / arrived.max(1) as f64;
    let bare = offer.bare_ns * sent.packets as f64 / arrived.max(1) as f64;
    let busy = (machine.busy_ticks - before.2.busy_ticks) * TICK_NS;
    let ended = taken.packets + taken.declined;
    ensure!(ended <= all, "{ended} taken of {all} that arrived: somebody else sent, too");
    Ok(Run {
        refused,
        arrived,
        all,
        taken: taken.packets,
        declined: taken.declined,
        lost: all - ended,
        lost_by: taken.lost,
        kernel_ns: each(sent.cpu_ns + softirq_ns) - bare,
        process_ns: each(process_ns),
        machine_ns: each(busy) - bare,
        bytes: taken.bytes,
        resident_kib,
        steal_ticks: machine.steal_ticks - before.2.steal_ticks,
        sent,
    })
}
