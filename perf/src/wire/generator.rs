//! The load generator's user space: loads the program, sets its state, runs it, reads what it sent.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use aya::maps::{Array, DevMap};
use aya::programs::{ProgramError, TestRun as _, TestRunAttrs, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader, include_bytes_aligned};
use earwitness_generator_abi::{
    CALLS_MAX, Kind, MEDIA_FRAME_BYTES, OCTET_FIRST, PORT_FIRST, SILENT, Template, names, state,
    template,
};
use serde::{Deserialize, Serialize};

use super::{process, templates};

/// The object that build.rs made.
pub static OBJECT: &[u8] =
    include_bytes_aligned!(concat!(env!("OUT_DIR"), "/earwitness-generator"));

/// The signal that ends a paced run.
const END_SIGNAL: libc::c_int = libc::SIGUSR1;
const END_SIGNAL_NAME: &str = "USR1";
/// Frames that the kernel hands to the program, and to the device, at a time: what a driver's poll takes.
const BATCH: u32 = 64;
/// Rounds of one `BPF_PROG_TEST_RUN`, so that one ends soon after the last packet. Each makes its pages anew.
const ROUNDS_MAX: u64 = 1 << 22;
/// Rounds of a paced one, most of which send nothing: it is ended by a signal. Between two of them the kernel waits for
/// all its processors, some 25 ms, and nothing is sent: there is one.
const PACED_ROUNDS: u32 = u32::MAX;
/// How much later than the last packet is due the signal comes: beginning takes as long as that.
const PACED_MORE: Duration = Duration::from_millis(60);
/// A flow reports once in five seconds (RFC 3550, 6.2).
const RTCP_EVERY: u64 = 250;
const PACKETS_PER_SECOND_AND_CALL: u64 = 100;

const NS_PER_SECOND: u64 = 1_000_000_000;
/// Nanoseconds; the version in two halves; as long as a frame can be.
const PCAP_MAGIC: u32 = 0xa1b2_3c4d;
const PCAP_VERSION: u32 = 4 << 16 | 2;
const PCAP_SNAP_BYTES: u32 = 65_535;
const LINK_TYPE_ETHERNET: u32 = 1;
/// When the calls of a capture file are: a day in 2026.
const EPOCH_NS: u64 = 1_790_000_000 * NS_PER_SECOND;

/// What is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
pub struct Traffic {
    /// Calls at the same time, each with media both ways
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=CALLS_MAX))]
    pub calls: u64,
    /// Calls set up, and as many torn down, in a second of the calls' own time
    #[arg(long, default_value_t = 10)]
    pub set_ups: u64,
    /// Packets of a thousand that are neither signalling nor media
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(..=500))]
    pub background: u64,
    /// Every call is set up before media begins
    #[arg(long)]
    pub prologue: bool,
}

/// What was sent, and what that took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    pub packets: u64,
    pub bytes: u64,
    pub media: u64,
    pub sip: u64,
    pub rtcp: u64,
    pub background: u64,
    /// How often pacing was late by more than a burst.
    pub late: u64,
    pub wall_ns: u64,
    /// Of the sending thread, with the kernel's receive work that was done on it.
    pub cpu_ns: u64,
}

/// The program, ready to run.
#[derive(Debug)]
pub struct Generator {
    ebpf: Ebpf,
    frame: Vec<u8>,
}

impl Generator {
    /// Loads it. Needs CAP_BPF and CAP_NET_ADMIN.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn load(traffic: &Traffic) -> anyhow::Result<Self> {
        let mut ebpf = EbpfLoader::new()
            .map_max_entries(names::CALLS, traffic.calls as u32)
            .load(OBJECT)
            .context("the load generator cannot be loaded: are you root?")?;
        let program: &mut Xdp =
            ebpf.program_mut(names::GENERATE).context("no program")?.try_into()?;
        program.load().context("the kernel refuses the load generator")?;
        // Only so that a system call ends when it comes, and not the process.
        signal_hook::flag::register(END_SIGNAL, Arc::new(AtomicBool::new(false)))
            .context("no handler for a signal")?;
        let mut generator = Self { ebpf, frame: vec![0; MEDIA_FRAME_BYTES] };
        generator.set_up(traffic)?;
        Ok(generator)
    }

    fn set_up(&mut self, traffic: &Traffic) -> anyhow::Result<()> {
        let mut map: Array<_, [u8; Template::BYTES]> =
            Array::try_from(self.ebpf.map_mut(names::TEMPLATES).context("no map")?)?;
        for (at, template) in templates::all().iter().enumerate() {
            map.set(at as u32, template.to_bytes(), 0)?;
        }
        let mut calls: Array<_, u32> =
            Array::try_from(self.ebpf.map_mut(names::CALLS).context("no map")?)?;
        for slot in 0..traffic.calls as u32 {
            calls.set(slot, if traffic.prologue { slot | SILENT } else { slot }, 0)?;
        }
        let mut words = [0; state::WORDS];
        let every_second = traffic.calls * PACKETS_PER_SECOND_AND_CALL;
        words[state::SLOTS] = traffic.calls;
        words[state::OCTET] = OCTET_FIRST;
        words[state::PORT] = PORT_FIRST;
        words[state::SIP_EVERY] = every_second
            .checked_div(traffic.set_ups * template::SIP_MESSAGES)
            .map_or(0, |every| every.max(1));
        words[state::RTCP_EVERY] = RTCP_EVERY;
        words[state::BACKGROUND_EVERY] = 1000_u64.checked_div(traffic.background).unwrap_or(0);
        words[state::PROLOGUE] =
            if traffic.prologue { traffic.calls * template::SET_UP_MESSAGES } else { 0 };
        for (every, left) in [
            (state::SIP_EVERY, state::SIP_LEFT),
            (state::RTCP_EVERY, state::RTCP_LEFT),
            (state::BACKGROUND_EVERY, state::BACKGROUND_LEFT),
        ] {
            words[left] = words[every];
        }
        self.set_words(&words)
    }

    /// Where packets go: an interface of the namespace that this process is in.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn aim(&mut self, interface: &str) -> anyhow::Result<()> {
        let path = format!("/sys/class/net/{interface}/ifindex");
        let index = fs::read_to_string(&path).with_context(|| format!("no interface: {path}"))?;
        let mut target = DevMap::try_from(self.ebpf.map_mut(names::TARGET).context("no map")?)?;
        target.set(0, index.trim().parse()?, None, 0).context("the device cannot be sent to")
    }

    /// Sends `packets` more, at `rate` a second or, with 0, as fast as it goes.
    ///
    /// # Errors
    /// The kernel refuses, or sends nothing.
    pub fn send(&mut self, packets: u64, rate: u64) -> anyhow::Result<Sent> {
        let mut words = self.words()?;
        let before = sent(&words);
        words[state::LIMIT] = before.packets + packets;
        words[state::RATE] = rate;
        words[state::PACE_START_NS] = 0;
        words[state::PACE_DUE] = 0;
        words[state::PACE_FIRST_NS] = 0;
        words[state::PACE_LAST_NS] = 0;
        self.set_words(&words)?;
        let (start, cpu) = (Instant::now(), thread_cpu_ns()?);
        let mut idle = 0;
        while words[state::SENT] < words[state::LIMIT] {
            let left = words[state::LIMIT] - words[state::SENT];
            let last = words[state::SENT];
            if rate == 0 {
                self.run(left.clamp(u64::from(BATCH), ROUNDS_MAX) as u32)?;
            } else {
                self.run_for(Duration::from_secs_f64(left as f64 / rate as f64) + PACED_MORE)?;
            }
            words = self.words()?;
            idle = if words[state::SENT] == last { idle + 1 } else { 0 };
            ensure!(idle < 1000, "the generator sends nothing: {words:?}");
        }
        // Paced, it is the first packet to the last that counts: not the kernel's beginning and end.
        let wall_ns = match rate {
            0 => start.elapsed().as_nanos() as u64,
            _ => words[state::PACE_LAST_NS].saturating_sub(words[state::PACE_FIRST_NS]).max(1),
        };
        let after = sent(&words);
        Ok(Sent {
            packets: after.packets - before.packets,
            bytes: after.bytes - before.bytes,
            media: after.media - before.media,
            sip: after.sip - before.sip,
            rtcp: after.rtcp - before.rtcp,
            background: after.background - before.background,
            late: after.late - before.late,
            wall_ns,
            cpu_ns: thread_cpu_ns()? - cpu,
        })
    }

    fn run(&mut self, rounds: u32) -> anyhow::Result<()> {
        self.test_run(rounds).context("BPF_PROG_TEST_RUN with live frames: needs Linux 5.18")
    }

    /// Runs until a signal comes, so long from now. What the program has kept is what it was: the kernel only stops.
    fn run_for(&mut self, duration: Duration) -> anyhow::Result<()> {
        let ending = std::thread::spawn(move || {
            std::thread::sleep(duration);
            process::signal(std::process::id(), END_SIGNAL_NAME);
        });
        let result = self.test_run(PACED_ROUNDS);
        ensure!(ending.join().is_ok(), "the thread that ends a run has failed");
        match result {
            Err(ProgramError::SyscallError(error))
                if error.io_error.kind() == io::ErrorKind::Interrupted =>
            {
                Ok(())
            }
            Err(error) => Err(error).context("BPF_PROG_TEST_RUN with live frames"),
            Ok(()) => Ok(()),
        }
    }

    fn test_run(&mut self, rounds: u32) -> Result<(), ProgramError> {
        let mut options = TestRunOptions::new();
        options.data_in = Some(&self.frame);
        options.repeat = rounds;
        options.attrs = TestRunAttrs::new().xdp_live_frames(BATCH);
        let program = self.ebpf.program(names::GENERATE).ok_or(ProgramError::NotLoaded)?;
        let program: &Xdp = program.try_into()?;
        program.test_run(options).map(drop)
    }

    /// The first packets as a capture file, at the times that their calls would have.
    ///
    /// # Errors
    /// The kernel refuses, or the disk is full.
    pub fn write(&mut self, path: &Path, traffic: &Traffic, packets: u64) -> anyhow::Result<()> {
        let file = File::create(path).with_context(|| format!("{}", path.display()))?;
        let mut file = BufWriter::new(file);
        let header = [PCAP_MAGIC, PCAP_VERSION, 0, 0, PCAP_SNAP_BYTES, LINK_TYPE_ETHERNET];
        file.write_all(&header.map(u32::to_le_bytes).concat())?;
        self.limit(packets)?;
        let interval_ns = NS_PER_SECOND / (traffic.calls * PACKETS_PER_SECOND_AND_CALL);
        let frame = vec![0; MEDIA_FRAME_BYTES];
        let (mut written, mut time_ns) = (0, EPOCH_NS);
        while written < packets {
            time_ns += interval_ns;
            let Some(packet) = self.next(&frame)? else { continue };
            let (seconds, rest) = (time_ns / NS_PER_SECOND, time_ns % NS_PER_SECOND);
            let length = packet.len() as u32;
            let header = [seconds as u32, rest as u32, length, length];
            file.write_all(&header.map(u32::to_le_bytes).concat())?;
            file.write_all(&packet)?;
            written += 1;
        }
        Ok(file.flush()?)
    }

    /// The next packet, which goes nowhere, in a frame that held something else; none where a slot is silent.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn next(&mut self, frame_before: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
        let before = self.words()?[state::SENT];
        let mut out = vec![0; 4096];
        let mut options = TestRunOptions::new();
        options.data_in = Some(frame_before);
        options.data_out = Some(&mut out);
        let program: &Xdp = self.ebpf.program(names::GENERATE).context("no program")?.try_into()?;
        let result = program.test_run(options)?;
        out.truncate(result.data_size_out as usize);
        Ok((self.words()?[state::SENT] > before).then_some(out))
    }

    /// Allows so many packets to be asked for by `next`.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn limit(&mut self, packets: u64) -> anyhow::Result<()> {
        let mut words = self.words()?;
        words[state::LIMIT] = packets;
        self.set_words(&words)
    }

    fn words(&self) -> anyhow::Result<[u64; state::WORDS]> {
        let map: Array<_, [u64; state::WORDS]> =
            Array::try_from(self.ebpf.map(names::STATE).context("no map")?)?;
        Ok(map.get(&0, 0)?)
    }

    fn set_words(&mut self, words: &[u64; state::WORDS]) -> anyhow::Result<()> {
        let mut map: Array<_, [u64; state::WORDS]> =
            Array::try_from(self.ebpf.map_mut(names::STATE).context("no map")?)?;
        Ok(map.set(0, words, 0)?)
    }
}

fn sent(words: &[u64; state::WORDS]) -> Sent {
    let of = |kind: Kind| words[state::SENT_BY_KIND + kind as usize];
    Sent {
        packets: words[state::SENT],
        bytes: words[state::SENT_BYTES],
        media: of(Kind::Media),
        sip: of(Kind::Sip),
        rtcp: of(Kind::Rtcp),
        background: of(Kind::Background),
        late: words[state::PACE_LATE],
        ..Sent::default()
    }
}

/// Time on a core of this thread. The kernel brings it up to date when the thread leaves its core, so it does.
fn thread_cpu_ns() -> anyhow::Result<u64> {
    std::thread::sleep(Duration::from_micros(100));
    let text = fs::read_to_string("/proc/thread-self/schedstat").context("/proc: no schedstat")?;
    let first = text.split_whitespace().next().context("schedstat is empty")?;
    Ok(first.parse()?)
}

#[cfg(test)]
mod tests;
