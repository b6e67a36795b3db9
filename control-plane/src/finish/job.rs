//! One call becomes a recording: choose its streams, take their packets from the log, render, make durable.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use earwitness_catalog::{CallRow, EventRow, Packets, RecordingRow, Write};
use earwitness_codec::{CodecSpec, Decoders};
use earwitness_recording::disk::RealDisk;
use earwitness_recording::{
    CallFacts, CaptureGap, Direction, FinalizeError, FinishedRecording, PacketSource, PayloadType,
    RenderError, RenderOptions, RenderReport, Side, StreamInput, StreamKey,
};
use earwitness_segment::{Log, SegmentError};
use earwitness_wire::Endpoint;
use sha2::{Digest, Sha256};

use super::places::Places;
use super::rows::{self, Findings};
use super::source::{FlowRecords, Library, LogPackets, SharedLog, Shelf, Walk};
use super::takes;
use crate::call::coverage::Take;
use crate::call::media::Flow;
use crate::call::select::{self, Heard, Question, Selection};
use crate::call::{Announced, Call, LedgerGap, Party, Prefer};
use crate::setup::segments_dir;

/// Why a call could not be finished. Its packets stay in the log, and it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error("the segment log cannot be opened")]
    Log { source: Arc<SegmentError> },
    #[error("recording of call {call}")]
    Finalize { call: String, source: FinalizeError },
    #[error("what there is of call {call}")]
    Render { call: String, source: RenderError },
}

/// What finishing needs besides the call.
#[derive(Debug)]
pub struct Workshop<'a> {
    pub data_dir: &'a Path,
    pub options: &'a RenderOptions,
    pub aliases: &'a [(Endpoint, Endpoint)],
    /// Which leg of a conversation is recorded.
    pub prefer: Prefer,
    pub decoders: &'a Decoders,
}

impl Workshop<'_> {
    /// The log that the calls' packets are in.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open_log(&self) -> Result<SharedLog, Arc<SegmentError>> {
        let log = Log::open(&segments_dir(self.data_dir)).map_err(Arc::new)?;
        Ok(Library::new(log))
    }
}

/// A finished call, ready for the catalog.
#[derive(Debug)]
pub struct Done {
    pub call: CallRow,
    /// One of each take.
    pub recordings: Vec<RecordingRow>,
    pub places: Places,
}

impl Done {
    /// Its rows in the order in which the catalog must have them.
    #[must_use]
    pub fn into_writes(self) -> Vec<Write> {
        let places = Write::Places { call: self.call.id.clone(), places: self.places.to_bytes() };
        let recordings = self.recordings.into_iter().map(|row| Write::Recording(Box::new(row)));
        [Write::Call(Box::new(self.call)), places].into_iter().chain(recordings).collect()
    }
}

/// Finishes calls. Their packets are taken from the log together, when the first is asked for.
pub fn finish<'c, 's>(
    calls: &'c [Box<Call>],
    shop: &'c Workshop<'s>,
    log: &SharedLog,
) -> impl Iterator<Item = Result<Done, JobError>> + use<'c, 's> {
    let mut walk = Walk::new(log);
    let orders: Vec<Order<'c>> =
        calls.iter().map(|call| Order::new(call, shop, &mut walk)).collect();
    let mut records = walk.run();
    orders.into_iter().map(move |order| order.finish(&mut records, shop))
}

/// Finishes a call that has no media.
#[must_use]
pub fn finish_silent(call: Box<Call>, shop: &Workshop<'_>) -> Done {
    let selection = selection(&call, shop);
    done(call, &selection, &Outcome::default())
}

fn done(call: Box<Call>, selection: &Selection, outcome: &Outcome) -> Done {
    let findings = Findings {
        selection: Some(selection),
        recordings: &outcome.recordings,
        parts: &outcome.parts,
        remarks: &outcome.remarks,
        finished: true,
    };
    let row = |recording: &Recorded| rows::recording_row(&call, recording);
    Done {
        recordings: outcome.recordings.iter().map(row).collect(),
        places: Places::of(&call),
        call: rows::call_row(*call, &findings),
    }
}

/// Renders a call in progress as far as it is in the log; `None` while nobody is heard.
///
/// # Errors
/// The log cannot be opened, or `sink` cannot be written.
pub fn render_so_far(
    call: &Call,
    shop: &Workshop<'_>,
    sink: &mut dyn io::Write,
) -> Result<Option<RenderReport>, JobError> {
    let log = shop.open_log().map_err(|source| JobError::Log { source })?;
    let mut walk = Walk::new(&log);
    let order = Order::new(call, shop, &mut walk);
    let mut records = walk.run();
    let Some(take) = call.coverage.takes().last() else { return Ok(None) };
    let packets = Gathered::of(&order, &order.collect(&mut records), take);
    let inputs = packets.inputs(call, &order.selection);
    // However short it is yet.
    let options = RenderOptions { length_min_ns: 0, ..takes::options(call, take, shop.options) };
    match earwitness_recording::render(&inputs, &options, sink, shop.decoders) {
        Ok(report) => Ok(Some(report)),
        Err(RenderError::NoMedia) => Ok(None),
        Err(source) => Err(JobError::Render { call: call.id.clone(), source }),
    }
}

/// A call that shall be finished, and where its flows are in the walk that fetches their packets.
struct Order<'c> {
    call: &'c Call,
    selection: Selection,
    shelf: Rc<Shelf>,
    flows: BTreeMap<usize, usize>,
}

impl<'c> Order<'c> {
    fn new(call: &'c Call, shop: &Workshop<'_>, walk: &mut Walk<'c>) -> Self {
        let selection = selection(call, shop);
        let shelf = Rc::clone(walk.shelf());
        let mut flows = BTreeMap::new();
        if call.is_recorded() {
            for heard in &selection.heard {
                let add = || walk.add(&call.media.flows[heard.flow]);
                flows.entry(heard.flow).or_insert_with(add);
            }
        }
        Self { call, selection, shelf, flows }
    }

    fn finish(self, records: &mut [FlowRecords], shop: &Workshop<'_>) -> Result<Done, JobError> {
        let mut outcome = Outcome::default();
        if !self.flows.is_empty() {
            let walked = self.collect(records);
            for take in self.call.coverage.takes() {
                let packets = Gathered::of(&self, &walked, take);
                if packets.is_any() {
                    self.record(&packets, take, shop, &mut outcome)?;
                }
            }
        }
        Ok(done(Box::new(self.call.clone()), &self.selection, &outcome))
    }

    /// Takes its flows out of `records`.
    fn collect(&self, records: &mut [FlowRecords]) -> Walked {
        let mut walked = Walked::default();
        for (flow, at) in &self.flows {
            let mut records = std::mem::take(&mut records[*at]);
            let Flow { first_ns, last_ns, .. } = self.call.media.flows[*flow];
            let broken = records.broken.drain(..).map(|why| (first_ns, last_ns, why));
            walked.broken.extend(broken);
            walked.flows.insert(*flow, records);
        }
        walked
    }

    fn record(
        &self,
        packets: &Gathered,
        take: &Take,
        shop: &Workshop<'_>,
        outcome: &mut Outcome,
    ) -> Result<(), JobError> {
        let Self { call, selection, .. } = self;
        let result = earwitness_recording::finalize(
            &facts(call, packets, take),
            &packets.inputs(call, selection),
            &takes::options(call, take, shop.options),
            shop.data_dir,
            &RealDisk,
            shop.decoders,
        );
        match result {
            Ok(finished) => {
                outcome.recordings.push(Recorded { take: take.clone(), finished });
                outcome.add_parts(&packets.parts);
                Ok(())
            }
            Err(FinalizeError::Render { source: RenderError::NoMedia }) => {
                outcome.add_parts(&packets.parts);
                Ok(())
            }
            Err(FinalizeError::Render { source: RenderError::TooShort { length_ns } }) => {
                outcome.remarks.push(takes::too_short(call, take, length_ns));
                Ok(())
            }
            Err(source) => Err(JobError::Finalize { call: call.id.clone(), source }),
        }
    }
}

/// A take's recording.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub take: Take,
    pub finished: FinishedRecording,
}

/// What became of a call's takes.
#[derive(Debug, Default)]
struct Outcome {
    recordings: Vec<Recorded>,
    /// Of each stream that is a part of a voice, what came of it in all takes; a recording counts whole voices.
    parts: Vec<Option<Packets>>,
    remarks: Vec<EventRow>,
}

impl Outcome {
    fn add_parts(&mut self, parts: &[Option<Packets>]) {
        self.parts.resize(parts.len(), None);
        for (sum, part) in self.parts.iter_mut().zip(parts) {
            let Some(part) = part else { continue };
            let sum = sum.get_or_insert_default();
            sum.received += part.received;
            sum.lost += part.lost;
            sum.duplicate += part.duplicate;
            sum.late += part.late;
        }
    }
}

fn selection(call: &Call, shop: &Workshop<'_>) -> Selection {
    select::select(&Question::of(call, shop.aliases, shop.prefer))
}

/// What was read of a call's flows, by their place in the call.
#[derive(Default)]
struct Walked {
    flows: BTreeMap<usize, FlowRecords>,
    broken: Vec<(u64, u64, String)>,
}

/// The packets of a take, of the voices that are heard, and what their payload types mean.
struct Gathered {
    packets: Vec<LogPackets>,
    payload_types: Vec<Vec<PayloadType>>,
    /// Of each stream that is a part of a voice, what came of it; the recording counts whole voices.
    parts: Vec<Option<Packets>>,
    broken: Vec<(u64, u64, String)>,
}

impl Gathered {
    fn of(order: &Order<'_>, walked: &Walked, take: &Take) -> Self {
        let Order { call, selection, shelf, .. } = order;
        let arrived = take.from_ns..take.until_ns;
        let voices = selection.voices();
        let count = |heard: &Heard| {
            let records = walked.flows.get(&heard.flow);
            let records = records.filter(|_| voices[heard.voice].len() > 1)?;
            Some(records.count(shelf, heard.ssrc, &heard.window(), &arrived))
        };
        let parts = selection.heard.iter().map(count).collect();
        let mut gathered = Self {
            packets: Vec::new(),
            payload_types: Vec::new(),
            parts,
            broken: walked.broken.clone(),
        };
        for parts in voices {
            let of_parts = parts.iter().filter_map(|heard| {
                Some((walked.flows.get(&heard.flow)?, heard.ssrc, heard.window()))
            });
            gathered.packets.push(LogPackets::of_voice(shelf, of_parts, &arrived));
            let types = parts.iter().map(|heard| payload_types(call, heard));
            gathered.payload_types.push(without_repetition(types.flatten()));
        }
        gathered
    }

    /// Whether anything came.
    fn is_any(&self) -> bool {
        self.packets.iter().any(|packets| packets.count() > 0)
    }

    fn inputs<'a>(&'a self, call: &Call, selection: &Selection) -> Vec<StreamInput<'a>> {
        let voices = selection.voices();
        let streams = voices.iter().zip(self.packets.iter().zip(&self.payload_types));
        streams
            .filter_map(|(parts, (packets, payload_types))| {
                let first = parts.first()?;
                let flow = &call.media.flows[first.flow];
                Some(StreamInput {
                    side: side(first.speaker),
                    key: StreamKey {
                        src: flow.src.to_socket_addr(),
                        dst: flow.dst.to_socket_addr(),
                        ssrc: first.ssrc,
                    },
                    payload_types,
                    priority: first.priority,
                    packets,
                })
            })
            .collect()
    }
}

pub(super) const fn side(party: Party) -> Side {
    match party {
        Party::Caller => Side::Caller,
        Party::Callee => Side::Callee,
    }
}

/// What the numbers mean to the receiver, who gave them out (RFC 3264 section 5.1); then, for what it did not
/// name, what the speaker announced.
fn payload_types(call: &Call, heard: &Heard) -> Vec<PayloadType> {
    let flow = &call.media.flows[heard.flow];
    let is_its = |known: &&Announced| known.hop.invite() == heard.invite;
    let of_leg = || call.announced.iter().filter(is_its);
    let of_speaker = of_leg().filter(|known| known.party == heard.speaker);
    let of_receiver = of_leg().filter(|known| known.party == flow.receiver);
    let at_address = of_receiver.clone().filter(|known| known.rtp == flow.dst);
    // Later entries win: the weakest source first.
    of_speaker
        .chain(of_receiver)
        .chain(at_address)
        .flat_map(|known| &known.payload_types)
        .flat_map(|(from_ns, types)| types.iter().map(move |named| (*from_ns, named)))
        .map(|(from_ns, named)| PayloadType {
            number: named.pt,
            codec: CodecSpec::from_sdp(
                &named.encoding,
                named.clock_hz,
                named.channels,
                &named.fmtp,
            ),
            // What was known from the start also explains packets that overtook their SDP.
            from_ns: if from_ns <= flow.first_ns.saturating_add(OVERTAKEN_NS) {
                0
            } else {
                from_ns
            },
            until_ns: None,
        })
        .collect()
}

/// Saying the same again is no change of codec.
fn without_repetition(said: impl Iterator<Item = PayloadType>) -> Vec<PayloadType> {
    let mut known: Vec<PayloadType> = Vec::new();
    for news in said {
        let last = known.iter().rev().find(|before| before.number == news.number);
        if last.is_none_or(|last| last.codec != news.codec) {
            known.push(news);
        }
    }
    known
}

/// How far media may overtake the SDP that explains it.
const OVERTAKEN_NS: u64 = 2_000_000_000;

fn facts(call: &Call, gathered: &Gathered, take: &Take) -> CallFacts {
    let in_take = |gap: &&LedgerGap| gap.from_ns < take.until_ns && take.from_ns < gap.until_ns;
    let of_log = call.ledger.iter().filter(in_take).map(|gap| CaptureGap {
        from_ns: gap.from_ns,
        until_ns: gap.until_ns,
        place: gap.place.clone(),
        packets: gap.packets,
    });
    let unreadable = gathered.broken.iter().map(|(from_ns, until_ns, why)| CaptureGap {
        from_ns: *from_ns,
        until_ns: *until_ns,
        place: format!("log: {why}"),
        packets: 0,
    });
    let row = rows::call_row(call.clone(), &Findings::default());
    let json = |value: serde_json::Result<serde_json::Value>| value.unwrap_or_default();
    CallFacts {
        id: recording_id(call, take.number),
        call_id: call.call_id.clone(),
        call: call.id.clone(),
        tenant: call.tenant().map(str::to_owned),
        direction: direction(call),
        from: call.from.clone(),
        to: call.to.clone(),
        started_at_ns: Some(call.started_ns),
        answered_at_ns: call.answered.map(|(_, at_ns)| at_ns),
        ended_at_ns: call.ended_ns,
        end_reason: takes::end_reason(call, take),
        decision: json(serde_json::to_value(&row.decision)),
        trace: json(serde_json::to_value(&row.events)),
        capture_gaps: of_log.chain(unreadable).collect(),
        extra: serde_json::json!({
            "legs": json(serde_json::to_value(&row.legs)),
            "take": json(serde_json::to_value(takes::take_row(take))),
            "hidden": json(serde_json::to_value(takes::hidden_rows(call, take))),
            "destination": json(serde_json::to_value(takes::destination(call, take.number))),
            "parties": json(serde_json::to_value(&row.parties)),
        }),
    }
}

/// As the archive's folders have it: a call between external numbers goes with those that came in.
fn direction(call: &Call) -> Direction {
    match call.direction() {
        Some(earwitness_policy::Direction::Outbound) => Direction::Outbound,
        Some(earwitness_policy::Direction::Internal) => Direction::Internal,
        Some(earwitness_policy::Direction::Inbound | earwitness_policy::Direction::External) => {
            Direction::Inbound
        }
        None => Direction::Unknown,
    }
}

/// The same each time the same log is read, and different from its first character on, because file names carry its
/// beginning.
fn recording_id(call: &Call, number: u32) -> String {
    let digest = Sha256::digest(format!("recording {number} of {}", call.id));
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}
