//! What a packet costs from the file to the segment: `replay_cost [calls] [seconds]`.
//!
//! Makes a capture of concurrent G.711 calls (214-byte frames, 100 a second and call) in a temporary
//! folder, then replays it thrice: read only, steered only (nothing decided, dropped after hold), and
//! recorded (every verdict known). `EARWITNESS_COST_DIR` says where the folder lies. Times are the
//! thread's own on a processor, apart for the kernel, whose share is mostly fresh pages of segments.

use std::{fs::File, io::BufWriter, path::Path, time::Duration};

use earwitness_ipc::{Command, VerdictChange};
use earwitness_line::{
    Frame, Line, LineOptions,
    pcap::{Reader, Writer},
    region::Residence,
};
use earwitness_wire::{Endpoint, LinkType, Verdict};

type AnyError = Box<dyn std::error::Error>;

fn main() -> Result<(), AnyError> {
    let mut arguments = std::env::args().skip(1);
    let calls: u32 = arguments.next().map_or(Ok(1000), |text| text.parse())?;
    let seconds: u32 = arguments.next().map_or(Ok(60), |text| text.parse())?;
    let root = std::env::var_os("EARWITNESS_COST_DIR").unwrap_or_else(|| "/dev/shm".into());
    let dir = tempfile::tempdir_in(root)?;
    let file = dir.path().join("calls.pcapng");
    let packets = u64::from(make(&file, calls, seconds)?);
    let bytes = file.metadata()?.len();
    println!("{calls} calls, {seconds} s, {packets} packets, {bytes} bytes");

    let read = timed(|| read_only(&file))?;
    let rate = bytes as f64 / (read.user + read.kernel).as_secs_f64() / 1e9;
    println!("read     {} {rate:.2} GB/s", read.per_packet(packets));
    for (name, decided) in [("dropped", false), ("recorded", true)] {
        let out = dir.path().join(name);
        let all = timed(|| replay(&file, &out, calls, decided))?;
        println!("{name:8} {} beside reading", all.beside(&read).per_packet(packets));
        std::fs::remove_dir_all(&out)?;
    }
    Ok(())
}

/// Time on a processor.
struct Spent {
    user: Duration,
    kernel: Duration,
}

impl Spent {
    /// Of this thread, since it began: fields 14 and 15 of `proc_pid_stat(5)`, in hundredths.
    fn so_far() -> Result<Self, AnyError> {
        let text = std::fs::read_to_string("/proc/thread-self/stat")?;
        let behind_name = text.rsplit(')').next().unwrap_or_default();
        let field = |at: usize| -> Result<Duration, AnyError> {
            let ticks: u64 = behind_name.split(' ').nth(at - 2).unwrap_or_default().parse()?;
            Ok(Duration::from_millis(ticks * 10))
        };
        Ok(Self { user: field(14)?, kernel: field(15)? })
    }

    fn beside(&self, other: &Self) -> Self {
        Self {
            user: self.user.saturating_sub(other.user),
            kernel: self.kernel.saturating_sub(other.kernel),
        }
    }

    fn per_packet(&self, packets: u64) -> String {
        let nanoseconds = |time: Duration| time.as_nanos() as f64 / packets as f64;
        let (user, kernel) = (nanoseconds(self.user), nanoseconds(self.kernel));
        format!("{user:6.1} ns a packet, and {kernel:6.1} in the kernel;")
    }
}

fn timed(work: impl FnOnce() -> Result<(), AnyError>) -> Result<Spent, AnyError> {
    let begun = Spent::so_far()?;
    work()?;
    Ok(Spent::so_far()?.beside(&begun))
}

fn read_only(file: &Path) -> Result<(), AnyError> {
    let mut reader = Reader::open(file, 0)?;
    let mut bytes = 0;
    while let Some(frame) = reader.next()? {
        bytes += frame.bytes.len();
    }
    std::hint::black_box(bytes);
    Ok(())
}

fn replay(file: &Path, out: &Path, calls: u32, decided: bool) -> Result<(), AnyError> {
    let mut options = LineOptions::new(out.into());
    options.rings.residence = Residence::Pageable;
    let mut line = Line::open(options)?;
    if decided {
        for call in 0..calls {
            let changes = [endpoint(call, 1), endpoint(call, 2)]
                .map(|dst| VerdictChange::now(dst, Some(Verdict::Record)));
            line.apply(&Command::Verdicts(changes.to_vec()))?;
        }
    }
    let mut reader = Reader::open(file, 0)?;
    let (mut offered, mut last_ns) = (0u64, 0);
    while let Some(frame) = reader.next()? {
        last_ns = frame.ts_ns;
        line.offer(&frame);
        offered += 1;
        if offered.is_multiple_of(64) {
            line.run(last_ns);
            line.events();
        }
    }
    let stats = line.finish(last_ns + 2_000_000_000)?;
    let ended = if decided { stats.stored } else { stats.unmatched };
    assert_eq!((ended, stats.unaccounted()), (offered, 0), "{stats:?}");
    Ok(())
}

fn endpoint(call: u32, side: u8) -> Endpoint {
    let [_, high, middle, low] = call.to_be_bytes();
    let _ = high;
    Endpoint::v4([10, side, middle, low], 10_000 + (call % 20_000) as u16 * 2)
}

/// Two streams of 50 packets a second for each call.
fn make(file: &Path, calls: u32, seconds: u32) -> Result<u32, AnyError> {
    let mut writer = Writer::new(BufWriter::new(File::create(file)?), "replay_cost", None)?;
    let tap = writer.interface(LinkType::Ethernet, "tap0", None)?;
    let mut packets = 0;
    let mut bytes = vec![0xd5; 214];
    for tick in 0..seconds * 50 {
        for call in 0..calls {
            for (from, to) in [(1, 2), (2, 1)] {
                fill(&mut bytes, endpoint(call, from), endpoint(call, to), tick);
                let ts_ns = u64::from(tick) * 20_000_000 + u64::from(call) * 10_000;
                let frame = Frame {
                    ts_ns,
                    bytes: &bytes,
                    wire_len: 214,
                    link: LinkType::Ethernet,
                    source: 0,
                };
                writer.packet(
                    tap,
                    1_700_000_000_000_000_000 + frame.ts_ns,
                    214,
                    frame.bytes,
                    None,
                )?;
                packets += 1;
            }
        }
    }
    writer.finish()?;
    Ok(packets)
}

/// Ethernet, IPv4, UDP, RTP, 160 bytes of A-law.
fn fill(bytes: &mut [u8], src: Endpoint, dst: Endpoint, tick: u32) {
    bytes[12..14].copy_from_slice(&[8, 0]);
    bytes[14..24].copy_from_slice(&[0x45, 0, 0, 200, 0, 0, 0, 0, 64, 17]);
    bytes[26..30].copy_from_slice(&src.addr[12..]);
    bytes[30..34].copy_from_slice(&dst.addr[12..]);
    bytes[34..36].copy_from_slice(&src.port.to_be_bytes());
    bytes[36..38].copy_from_slice(&dst.port.to_be_bytes());
    bytes[38..40].copy_from_slice(&180u16.to_be_bytes());
    bytes[42..44].copy_from_slice(&[0x80, 8]);
    bytes[44..46].copy_from_slice(&(tick as u16).to_be_bytes());
    bytes[46..50].copy_from_slice(&(tick * 160).to_be_bytes());
    bytes[50..54].copy_from_slice(&src.addr[12..]);
}
