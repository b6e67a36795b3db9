//! The numbers of `perf/CAPACITY.md`, made again: the page must have each of these lines.

use earwitness_abi::limits::VERDICTS_DEFAULT;

use super::super::quantity::{bytes, cores, count, mib, seconds};
use super::*;
use crate::config::Config;

const PAGE: &str = include_str!("../../../../perf/CAPACITY.md");
const LINKS_MBIT_S: [u64; 4] = [1_000, 10_000, 25_000, 100_000];

fn loads() -> [Load; 4] {
    LINKS_MBIT_S.map(|mbit_s| Load::line_rate(mbit_s, G711_FRAME_BYTES))
}

/// A row of a table with a column for each link.
fn row(what: &str, value: impl Fn(Load) -> String) -> String {
    let cells = loads().map(value).join(" | ");
    format!("| {what} | {cells} |")
}

fn costs() -> Vec<String> {
    let cost = |name: &str, ns: u64| format!("| `{name}` | {} |", count(ns));
    vec![
        cost("KERNEL_NS", costs::KERNEL_NS),
        cost("PROCESS_NS", costs::PROCESS_NS),
        cost("FOLLOW_NS", costs::FOLLOW_NS),
        cost("CONTROL_NS", costs::CONTROL_NS),
        cost("MP3_NS", costs::MP3_NS),
        cost("OPUS_NS", costs::OPUS_NS),
        cost("CALL_BYTES", costs::CALL_BYTES),
    ]
}

fn traffic() -> Vec<String> {
    vec![row("packets/s", |load| count(load.packets_s)), row("calls", |load| count(load.calls()))]
}

fn memory() -> Vec<String> {
    let hold_ms = Config::default().capture.hold_ms;
    let held_mib = move |load: Load| load.held_bytes(hold_ms).div_ceil(MIB);
    let ring = move |load: Load, count| match load.ring_mib(hold_ms, count) {
        mib if mib > RING_MIB_MAX.into() => "–".to_owned(),
        mib => mib.to_string(),
    };
    let defaults = Rings { count: 8, mib: Config::default().capture.ring_mib.into() };
    vec![
        row("held", |load| mib(held_mib(load))),
        row("`ring_mib`, 1 ring", |load| ring(load, 1)),
        row("`ring_mib`, 8 rings", |load| ring(load, 8)),
        row("`ring_mib`, 32 rings", |load| ring(load, 32)),
        row("rings, at least", |load| count(load.rings_least(hold_ms))),
        row("calls, in the control plane", |load| mib(load.call_bytes().div_ceil(MIB))),
        row("8 × 64 MiB hold, ms", |load| count(defaults.hold_ms_max(load))),
    ]
}

fn disk() -> Vec<String> {
    let log_bytes = Config::default().capture.log_mib_max << 20;
    let recorded = |format| move |load: Load| bytes(load.recording_bytes_s(format));
    let a_day_of = |format| move |load: Load| bytes(a_day(load.recording_bytes_s(format)));
    vec![
        row("log, a second", |load| bytes(load.log_bytes_s())),
        row("log, a day", |load| bytes(a_day(load.log_bytes_s()))),
        row("`log_mib_max` of 16,384 lasts", |load| seconds(load.log_lasts_s(log_bytes))),
        row("WAV, a second", recorded(FileFormat::Wav)),
        row("WAV, a day", a_day_of(FileFormat::Wav)),
        row("MP3, a day", a_day_of(FileFormat::Mp3)),
        row("Opus, a day", a_day_of(FileFormat::Opus)),
        row("log and WAV, a second", |load| {
            bytes(load.log_bytes_s() + load.recording_bytes_s(FileFormat::Wav))
        }),
    ]
}

fn processors() -> Vec<String> {
    let wav = |load: Load| load.cores(FileFormat::Wav);
    let total = |format| move |load: Load| cores(load.cores(format).total());
    vec![
        row("kernel", |load| cores(wav(load).kernel)),
        row("capture", |load| cores(wav(load).capture)),
        row("recordings, WAV", |load| cores(wav(load).control)),
        row("all, WAV", total(FileFormat::Wav)),
        row("all, MP3", total(FileFormat::Mp3)),
        row("all, Opus", total(FileFormat::Opus)),
        row("receive queues, at least", |load| count(load.queues_least())),
    ]
}

/// Sums that the page shows, of 10 GbE.
fn worked() -> Vec<String> {
    let load = Load::line_rate(10_000, G711_FRAME_BYTES);
    let (packets, calls) = (count(load.packets_s), count(load.calls()));
    let cores_of = |ns, MilliCores(milli)| {
        format!("{packets}/s × {} ns = {}.{:03} cores", count(ns), milli / 1000, milli % 1000)
    };
    let log_of_one = Load::line_rate(1_000, G711_FRAME_BYTES).log_bytes_s();
    let hour =
        format!("{} bytes/s × 3,600 s = {} bytes", count(log_of_one), count(3_600 * log_of_one));
    let Cores { kernel, capture, control } = load.cores(FileFormat::Wav);
    vec![
        format!("10,000,000,000 bit/s ÷ 8 ÷ (214 + 24) bytes = {packets} packets/s"),
        format!("{packets} ÷ 100 = {calls} calls"),
        format!("{packets}/s × 2 s × 256 bytes = {} bytes", count(load.held_bytes(2_000))),
        format!("{packets}/s × (256 + 64 ÷ 255) bytes = {} bytes/s", count(load.log_bytes_s())),
        format!("{calls} × 32,000 bytes/s = {} bytes/s", count(load.calls() * WAV_BYTES_S)),
        cores_of(costs::KERNEL_NS, kernel),
        cores_of(costs::PROCESS_NS, capture),
        cores_of(costs::CONTROL_NS, control),
        format!(
            "1,000,000,000 ns ÷ {} ns = {} packets/s",
            count(costs::FOLLOW_NS),
            count(followed_packets_s())
        ),
        hour,
        format!("{} pairs of ports ([design/xdp.md]", count(VERDICTS_DEFAULT.into())),
        format!("| {} calls, as configured", count(Config::default().calls.calls_max as u64)),
        format!("1,048,576 destinations ÷ 4 = {} calls", count(CALLS_MAX)),
    ]
}

/// How often the page has a row of that name, or the line.
fn occurrences(line: &str) -> usize {
    let name = line.strip_prefix("| ").and_then(|rest| rest.split(" |").next());
    name.map_or_else(
        || PAGE.matches(line).count(),
        |name| PAGE.matches(&format!("| {name} |")).count(),
    )
}

/// OPS-3: the page and the program say the same.
#[test]
fn the_page_has_these_numbers() {
    let all = [costs(), traffic(), memory(), disk(), processors(), worked()];
    let is_right = |line: &String| PAGE.contains(line) && occurrences(line) == 1;
    let wrong: Vec<String> = all.into_iter().flatten().filter(|line| !is_right(line)).collect();
    assert!(wrong.is_empty(), "perf/CAPACITY.md must have, once:\n{}", wrong.join("\n"));
}
