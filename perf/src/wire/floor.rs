//! The floors: what receiving costs when nothing is done with what was received, and what a copy costs.

use std::fs;
use std::io::{BufRead as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use aya::Ebpf;
use aya::maps::XskMap;
use aya::programs::{Xdp, XdpMode};
use earwitness_generator_abi::{MEDIA_FRAME_BYTES, names};

use super::generator::OBJECT;
use super::memory::Mapped;
use super::socket::DropSocket;

/// A nap when nothing is there, and to what it grows, as Earwitness takes them.
const NAP_MIN: Duration = Duration::from_micros(300);
const NAP_MAX: Duration = Duration::from_millis(2);

/// What takes the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Sink {
    Drop,
    Socket,
}

/// Receives at an interface until it is asked how many packets it had: the worker of a floor.
///
/// # Errors
/// The kernel refuses.
pub fn serve(sink: Sink, interface: &str) -> anyhow::Result<()> {
    let mut ebpf = Ebpf::load(OBJECT).context("the program cannot be loaded: are you root?")?;
    let mut socket = match sink {
        Sink::Drop => None,
        Sink::Socket => {
            let path = format!("/sys/class/net/{interface}/ifindex");
            let index = fs::read_to_string(&path).with_context(|| path)?;
            let socket = DropSocket::open(index.trim().parse()?)?;
            let mut map = XskMap::try_from(ebpf.map_mut(names::SOCKETS).context("no map")?)?;
            map.set(0, socket.fd.as_raw_fd(), 0)?;
            Some(socket)
        }
    };
    let name = if sink == Sink::Drop { names::SINK_DROP } else { names::SINK_SOCKET };
    let program: &mut Xdp = ebpf.program_mut(name).context("no program")?.try_into()?;
    program.load()?;
    program.attach(interface, XdpMode::Driver)?;
    let asked = Arc::new(AtomicBool::new(false));
    let listener = Arc::clone(&asked);
    std::thread::spawn(move || {
        // A line, or the end of the input: both mean that it is over.
        let _ = std::io::stdin().lock().read_line(&mut String::new());
        listener.store(true, Ordering::Release);
    });
    say("ready")?;
    let (mut packets, mut nap) = (0, NAP_MIN);
    while !asked.load(Ordering::Acquire) {
        let some = socket.as_mut().map_or(0, DropSocket::receive);
        packets += u64::from(some);
        if some > 0 {
            nap = NAP_MIN;
        } else {
            std::thread::sleep(nap);
            nap = NAP_MAX.min(nap * 2);
        }
    }
    say(&packets.to_string())
}

/// A line to whoever started this worker.
///
/// # Errors
/// Nobody listens.
pub fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Nanoseconds to copy a frame of media into a mapped file that was allocated and touched before; the time for which
/// nothing written in user space can be had.
///
/// # Errors
/// The file cannot be made.
pub fn copy_ns(folder: &std::path::Path) -> anyhow::Result<f64> {
    const BYTES: usize = 256 << 20;
    let mut mapped = Mapped::new(&folder.join("copy"), BYTES)?;
    let frame: Vec<u8> = (0..MEDIA_FRAME_BYTES).map(|at| at as u8).collect();
    let bytes = mapped.bytes();
    bytes.fill(1);
    let start = Instant::now();
    // As a record lies: aligned to eight.
    let records = bytes.chunks_exact_mut(MEDIA_FRAME_BYTES.next_multiple_of(8));
    let count = records.len();
    for record in records {
        record[..MEDIA_FRAME_BYTES].copy_from_slice(std::hint::black_box(&frame));
    }
    Ok(start.elapsed().as_nanos() as f64 / count as f64)
}
