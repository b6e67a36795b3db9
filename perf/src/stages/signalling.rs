//! SIP, SDP, dialogs, and whole calls from records of the log.

use std::hint::black_box;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use earwitness::config::{Config, RecordDefault};
use earwitness::finish::{Workshop, finish_silent};
use earwitness::intake::Intake;
use earwitness::metrics::Metrics;
use earwitness::rules::Rules;
use earwitness::setup;
use earwitness_catalog::Write;
use earwitness_codec::{Decoders, WorkerOptions, WorkerPool};
use earwitness_segment::{LaneId, Record, RecordClass, RecordMeta, RecordPos};
use earwitness_voip::dialog::{Dialogs, Seen, Timeouts};
use earwitness_voip::{sdp, sip};
use earwitness_wire::{LinkType, Verdict};

use super::meter::Round;
use super::samples::{self, MESSAGES_PER_CALL};
use super::{Scale, Stage};

/// Times that a message is read in a round.
const READINGS: u64 = 20_000;
/// Calls of a round.
const CALLS: u32 = 5_000;
/// Time between two messages.
const STEP_NS: u64 = 100_000;

pub const STAGES: &[Stage] = &[
    Stage { name: "SIP INVITE with SDP", scale: Scale::Each("message"), prepare: || parse(0) },
    Stage { name: "SIP 200 with SDP", scale: Scale::Each("message"), prepare: || parse(2) },
    Stage { name: "SIP BYE", scale: Scale::Each("message"), prepare: || parse(4) },
    Stage { name: "SDP", scale: Scale::Each("description"), prepare: parse_sdp },
    Stage { name: "dialogs", scale: Scale::Each("message"), prepare: dialogs },
    Stage { name: "call set-up to end", scale: Scale::Each("call"), prepare: calls },
];

fn parse(which: usize) -> anyhow::Result<Round> {
    let message = samples::dialog(1)[which].1.clone();
    Ok(Box::new(move |meter| {
        meter.measure(READINGS, || {
            for _ in 0..READINGS {
                black_box(sip::parse(black_box(&message)).is_ok());
            }
        });
        Ok(())
    }))
}

fn parse_sdp() -> anyhow::Result<Round> {
    let message = samples::dialog(1)[0].1.clone();
    let body = sip::parse(&message)?.body.to_vec();
    Ok(Box::new(move |meter| {
        meter.measure(READINGS, || {
            for _ in 0..READINGS {
                black_box(sdp::parse(black_box(&body)).is_ok());
            }
        });
        Ok(())
    }))
}

/// The dialog machine, without parsing.
fn dialogs() -> anyhow::Result<Round> {
    let [near, far] = samples::proxies().map(|at| at.to_socket_addr());
    let bytes: Vec<(bool, Vec<u8>)> = (0..CALLS).flat_map(samples::dialog).collect();
    Ok(Box::new(move |meter| {
        let messages: Result<Vec<_>, _> = bytes
            .iter()
            .map(|(by_caller, bytes)| sip::parse(bytes).map(|message| (*by_caller, message)))
            .collect();
        let messages = messages?;
        let mut dialogs = Dialogs::new(Timeouts::default());
        let mut events = Vec::new();
        meter.measure(messages.len() as u64, || {
            for (index, (by_caller, message)) in messages.iter().enumerate() {
                let (src, dst): (SocketAddr, SocketAddr) =
                    if *by_caller { (near, far) } else { (far, near) };
                let seen = Seen { ts_ns: index as u64 * STEP_NS, src, dst };
                black_box(dialogs.observe(seen, message, &mut events));
                events.clear();
            }
        });
        Ok(())
    }))
}

/// Everything between the log and a finished call: parsing, dialogs, call table, bindings, trace.
fn calls() -> anyhow::Result<Round> {
    let frames: Vec<Vec<u8>> = (0..CALLS).flat_map(samples::signalling).collect();
    Ok(Box::new(move |meter| {
        let mut intake = intake();
        let finished = meter.measure(u64::from(CALLS), || {
            let mut at_ns = 0;
            let mut finished = 0;
            for (index, frame) in frames.iter().enumerate() {
                at_ns = index as u64 * STEP_NS;
                hear(&mut intake, at_ns, index as u32, frame);
                if index % (100 * MESSAGES_PER_CALL) == 0 {
                    finished += step(&mut intake, at_ns);
                }
            }
            finished + step(&mut intake, at_ns + 10_000_000_000)
        });
        anyhow::ensure!(finished == CALLS as usize, "{finished} of {CALLS} calls were finished");
        Ok(())
    }))
}

pub fn intake() -> Intake {
    let rules = Rules::without_policies(RecordDefault::All);
    setup::intake(&Config::default(), rules, &Arc::new(Metrics::new()))
}

fn step(intake: &mut Intake, now_ns: u64) -> usize {
    intake.tick(now_ns);
    black_box(intake.take_commands());
    std::iter::from_fn(|| intake.next_finished()).count()
}

/// Hands a frame of signalling to the intake, as the log has it.
pub fn hear(intake: &mut Intake, ts_ns: u64, ordinal: u32, frame: &[u8]) {
    record(
        intake,
        RecordClass::Signalling,
        ts_ns,
        RecordPos::signalling(1, 64 + (ordinal >> 10), ordinal & 1023),
        frame,
    );
}

/// Hands a frame of media to the intake, as the log has it.
pub fn hear_media(intake: &mut Intake, ts_ns: u64, offset: u64, frame: &[u8]) {
    record(intake, RecordClass::Media, ts_ns, RecordPos::media(1, offset), frame);
}

fn record(intake: &mut Intake, class: RecordClass, ts_ns: u64, pos: RecordPos, frame: &[u8]) {
    const HEADERS_BYTES: u16 = 14 + 20 + 8;
    let meta = RecordMeta {
        ts_ns,
        prev: RecordPos::NONE,
        flow: 0,
        frame_len: frame.len() as u32,
        wire_len: frame.len() as u32,
        l3: 14,
        payload: HEADERS_BYTES,
        payload_len: frame.len() as u16 - HEADERS_BYTES,
        class,
        link: LinkType::Ethernet as u8,
        source: 0,
        verdict: Verdict::Record as u8,
    };
    intake.record(LaneId(u16::from(class == RecordClass::Media)), &Record { meta, frame, pos });
}

/// The rows of so many finished calls, each with its places, as the catalog is given them.
pub fn finished_rows(calls: u32) -> anyhow::Result<Vec<Write>> {
    let mut intake = intake();
    for (index, frame) in (0..calls).flat_map(samples::signalling).enumerate() {
        hear(&mut intake, index as u64 * STEP_NS, index as u32, &frame);
    }
    intake.end_of_input("capture_end");
    let config = Config::default();
    let options = setup::render_options(&config);
    let decoders = Decoders::new(Arc::new(WorkerPool::new(WorkerOptions::default())));
    let shop = Workshop {
        data_dir: Path::new("/"),
        options: &options,
        aliases: &[],
        decoders: &decoders,
        prefer: setup::recorded_leg(&config),
    };
    let mut rows = Vec::new();
    while let Some(call) = intake.next_finished() {
        rows.extend(finish_silent(call, &shop).into_writes());
    }
    Ok(rows)
}
