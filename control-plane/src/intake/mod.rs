//! From the segment log to calls: every record is looked at once, in the order of its lane.
//!
//! Sans-I/O: records come in, commands for capture and finished calls come out. Who reads the log, and when, is
//! in `crate::follow`; the same intake serves live capture, replay, and the way back after a crash.

pub mod correlator;
mod keys;
mod newcomer;
mod recent;
mod registrations;
mod signalling;
mod streams;
mod transfers;

use std::sync::Arc;

use earwitness_ipc::{Command, Erased, FlowSeen, Mark, Overheard, VerdictChange};
use earwitness_segment::{LaneId, Record, RecordClass};
use earwitness_voip::dialog::Seen;
use earwitness_wire::{LinkType, Options, Parsed, Transport, Verdict};

use crate::call::media::{Arrival, ssrc_of};
use crate::call::table::CallTable;
use crate::call::{Call, LedgerGap};
use crate::control::{self, Control, Obeyed};
use crate::metrics::Metrics;
use correlator::Correlation;
use recent::Recent;
use signalling::Signalling;
use streams::{Message, Streams};

/// How often timeouts are looked at, on packet time.
const TICK_NS: u64 = 250_000_000;

/// Everything that is known of the calls in the log.
#[derive(Debug)]
pub struct Intake {
    pub table: CallTable,
    signalling: Signalling,
    streams: Streams,
    recent: Recent,
    wire: Options,
    metrics: Arc<Metrics>,
    commands: Vec<Command>,
    /// Latest record of signalling, to know since when nothing was captured.
    heard_ns: u64,
    epoch: Option<u64>,
    ticked_ns: u64,
    evicted: u64,
}

impl Intake {
    #[must_use]
    pub fn new(
        mut table: CallTable,
        control: control::Settings,
        correlation: Correlation,
        wire: Options,
        metrics: Arc<Metrics>,
    ) -> Self {
        let control = Control::new(control, Arc::clone(&metrics));
        table.listen_to(control.payload_types());
        Self {
            table,
            signalling: Signalling::new(correlation, control, Arc::clone(&metrics)),
            streams: Streams::default(),
            recent: Recent::default(),
            wire,
            metrics,
            commands: Vec::new(),
            heard_ns: 0,
            epoch: None,
            ticked_ns: 0,
            evicted: 0,
        }
    }

    /// Who was registered where when `past` had read what came before.
    pub fn remember_registrations(&mut self, past: Self) {
        self.signalling.remember_registrations(past.signalling);
    }

    /// Takes a record of signalling that lies before where reading goes on: only who registered then counts.
    pub fn registration(&mut self, lane: LaneId, record: &Record<'_>) {
        if record.meta.class != RecordClass::Signalling {
            return;
        }
        let Some(parsed) = self.parse(record) else { return };
        let ts_ns = record.meta.ts_ns;
        let (src, dst) = (parsed.src.to_socket_addr(), parsed.dst.to_socket_addr());
        let seen = Seen { ts_ns, src, dst };
        let Self { streams, signalling, metrics, .. } = self;
        match parsed.transport {
            Transport::Udp => signalling.registration(seen, record.payload()),
            Transport::Tcp => {
                let place = (lane, record.pos);
                let take = &mut |message: Message<'_>, _: &mut dyn Iterator<Item = _>| {
                    signalling.registration(seen, message.bytes());
                };
                streams.segment(&parsed, (ts_ns, place), record.payload(), metrics, take);
            }
            Transport::Other(_) => {}
        }
    }

    /// Takes one record of a lane.
    pub fn record(&mut self, lane: LaneId, record: &Record<'_>) {
        match record.meta.class {
            RecordClass::Media => self.media(lane, record),
            RecordClass::Signalling => self.packet(lane, record),
            RecordClass::Mark => self.mark(record),
        }
    }

    fn parse(&self, record: &Record<'_>) -> Option<Parsed> {
        parse(record, &self.wire)
    }

    fn packet(&mut self, lane: LaneId, record: &Record<'_>) {
        self.metrics.signalling_records.inc();
        let ts_ns = record.meta.ts_ns;
        self.heard_ns = self.heard_ns.max(ts_ns);
        let Some(parsed) = self.parse(record) else { return };
        let (src, dst) = (parsed.src.to_socket_addr(), parsed.dst.to_socket_addr());
        let seen = Seen { ts_ns, src, dst };
        let place = (lane, record.pos);
        let payload = record.payload();
        match parsed.transport {
            Transport::Udp => {
                if !is_keepalive(payload) {
                    self.metrics.sip_over_udp.inc();
                    let mut places = std::iter::once(place);
                    self.signalling.bytes(seen, payload, &mut places, &mut self.table);
                }
            }
            Transport::Tcp => {
                let Self { streams, signalling, table, metrics, .. } = self;
                streams.segment(
                    &parsed,
                    (ts_ns, place),
                    payload,
                    metrics,
                    &mut |message, places| {
                        let (transport, bytes) = match message {
                            Message::OverTcp(bytes) => ("tcp", bytes),
                            Message::OverWebSocket(bytes) => ("websocket", bytes),
                        };
                        if !is_keepalive(bytes) {
                            metrics.sip_messages.with_label_values(&[transport]).inc();
                            signalling.bytes(seen, bytes, places, table);
                        }
                    },
                );
                self.commands.extend(self.streams.take_learned());
            }
            Transport::Other(_) => {}
        }
    }

    fn media(&mut self, lane: LaneId, record: &Record<'_>) {
        let Self { recent, table, wire, metrics, signalling, .. } = self;
        let pair = || parse(record, wire).map(|parsed| (parsed.src, parsed.dst));
        let Some(flow) = recent.flow(lane, record, pair) else { return };
        let ssrc = ssrc_of(record.payload());
        let arrival = Arrival {
            lane,
            pos: record.pos,
            prev: record.meta.prev,
            ts_ns: record.meta.ts_ns,
            ssrc,
            payload_type: ssrc.map(|_| record.payload()[1] & 0x7f),
            masked: record.meta.verdict == Verdict::Mask as u8,
        };
        let added = table.media_again(flow.src, flow.dst, &arrival, &mut flow.found);
        metrics.media(added.is_some());
        let pair = (flow.src, flow.dst);
        if added.is_some() && ssrc.is_some() {
            signalling.mixed(pair, arrival.ts_ns, record.payload(), table);
        }
        if let Some(heard) = table.heard(pair, arrival.ts_ns, record.payload()) {
            signalling.keys(&heard, table);
        }
    }

    /// Media that is masked and may have keys in it: they are in no file.
    pub fn overheard(&mut self, packets: &[Overheard]) {
        for packet in packets {
            if let Some(heard) = self.table.overheard(packet) {
                self.signalling.keys(&heard, &mut self.table);
            }
        }
    }

    /// Somebody on this machine asks for something. Returns what came of it.
    pub fn command(&mut self, call: &str, command: &control::Command) -> Obeyed {
        self.signalling.command(call, command, &mut self.table)
    }

    fn mark(&mut self, record: &Record<'_>) {
        self.metrics.log_records.with_label_values(&["mark"]).inc();
        let Ok(mark) = earwitness_ipc::decode::<Mark>(record.payload()) else {
            self.metrics.log_errors.inc();
            return;
        };
        match mark {
            Mark::Start { epoch, ts_ns, .. } => {
                if self.epoch.replace(epoch) != Some(epoch) && self.heard_ns != 0 {
                    self.table.gap(&LedgerGap {
                        from_ns: self.heard_ns.min(ts_ns),
                        until_ns: ts_ns,
                        place: "capture was not running".to_owned(),
                        packets: 0,
                    });
                }
                self.heard_ns = self.heard_ns.max(ts_ns);
            }
            Mark::Gap { from_ns, to_ns, lost } => {
                for (place, packets) in
                    lost.places().into_iter().filter(|(_, packets)| *packets > 0)
                {
                    let place = place.to_owned();
                    self.table.gap(&LedgerGap { from_ns, until_ns: to_ns, place, packets });
                }
            }
            Mark::Note { text, .. } => self.signalling.note(&text, &mut self.table),
            Mark::Stop { ts_ns } => self.heard_ns = self.heard_ns.max(ts_ns),
        }
    }

    /// An undecided flow has begun.
    pub fn flow_seen(&mut self, seen: &FlowSeen) {
        self.table.flow_seen(seen);
    }

    /// Whether so much time has passed by `now_ns` that [`Self::tick`] does something.
    #[must_use]
    pub fn is_tick_due(&self, now_ns: u64) -> bool {
        now_ns.saturating_sub(self.ticked_ns) >= TICK_NS
    }

    /// Time has come to `now_ns`, on packet time: timeouts. Does nothing until some time has passed.
    pub fn tick(&mut self, now_ns: u64) {
        if !self.is_tick_due(now_ns) {
            return;
        }
        self.ticked_ns = now_ns;
        self.signalling.tick(now_ns, &mut self.table);
        self.table.tick(now_ns);
        self.metrics.calls_active.set(self.table.len() as i64);
        self.signalling.count_registrations();
        self.metrics.calls_evicted.inc_by(self.table.evicted - self.evicted);
        self.evicted = self.table.evicted;
    }

    /// For `paused_ns` nobody could see anything: it is no part of any call's length.
    pub fn hole(&mut self, paused_ns: u64) {
        self.table.hole(paused_ns);
    }

    /// The input is over: whatever is open ends with `reason`.
    pub fn end_of_input(&mut self, reason: &'static str) {
        self.signalling.conclude(&mut self.table);
        self.table.finish_all(reason);
    }

    /// What capture must be told since the last time.
    pub fn take_commands(&mut self) -> Vec<Command> {
        let verdicts = self.table.take_verdicts();
        // One look-up for each word, not one for each change.
        for alike in verdicts.chunk_by(|one, next| one.verdict == next.verdict) {
            let name = verdict_name(&alike[0]);
            self.metrics.verdicts.with_label_values(&[name]).inc_by(alike.len() as u64);
        }
        let mut commands = std::mem::take(&mut self.commands);
        if !verdicts.is_empty() {
            commands.push(Command::Verdicts(verdicts));
        }
        commands.extend(self.signalling.take_notes().into_iter().map(Command::Note));
        // Behind the verdicts: what is written before those hold is asked for when it is read.
        let erasures = self.table.erasures.take();
        if !erasures.is_empty() {
            commands.push(Command::Erase(erasures));
        }
        commands
    }

    /// Payloads are overwritten.
    pub fn erased(&mut self, erased: &[Erased]) {
        self.table.erasures.done(erased);
        let records = erased.iter().map(|one| one.records).sum();
        self.metrics.erased_packets.inc_by(records);
    }

    /// Connections that carry SIP: what a capture process that starts anew must know besides all verdicts.
    #[must_use]
    pub fn all_learned(&self) -> Option<Command> {
        self.streams.all_learned()
    }

    /// The next call that is over and whose packets are all in the log. One after the other: what is known of a call is in the
    /// cache until it is written.
    pub fn next_finished(&mut self) -> Option<Box<Call>> {
        let call = self.table.next_finished()?;
        self.signalling.forget(&call);
        let reason = call.end_reason.as_deref().unwrap_or("unknown");
        self.metrics.calls_ended.with_label_values(&[reason]).inc();
        Some(call)
    }
}

fn parse(record: &Record<'_>, wire: &Options) -> Option<Parsed> {
    let link = match record.meta.link {
        0 => LinkType::Ethernet,
        1 => LinkType::RawIp,
        2 => LinkType::Sll,
        3 => LinkType::Sll2,
        _ => return None,
    };
    earwitness_wire::parse_bytes(record.frame, link, wire).ok()
}

fn verdict_name(change: &VerdictChange) -> &'static str {
    match change.verdict {
        Some(Verdict::Record) => "record",
        Some(Verdict::Mask) => "mask",
        Some(Verdict::Ignore) => "ignore",
        Some(Verdict::Undecided) => "undecided",
        None => "forget",
    }
}

/// RFC 5626 section 3.5.1 and what phones send besides: line ends, zero bytes, nothing.
fn is_keepalive(payload: &[u8]) -> bool {
    payload.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0 | b' '))
}
