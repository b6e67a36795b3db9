//! What is done with a record where it leaves its line: written, dropped, or told to wait.
//!
//! The only place that hands media to a segment writer, and it asks for the verdict before: what
//! policy ignores, what it masks, and what nobody decided, does not reach a disk (CAP-9).

use earwitness_ipc::{CaptureStats, LostBy};
use earwitness_segment::{RecordClass, RecordMeta, RecordPos};
use earwitness_wire::{LinkType, Verdict};

use crate::{
    announcements::Announcements,
    bounded::Hash,
    ears::Ears,
    flow_key::FlowKey,
    flows::{Flow, Flows},
    frame::Frame,
    held::Held,
    lane::{Lane, Refusal},
    ledger::Ledger,
    mask::{LEFT_BYTES_MAX, mask},
    options::{DrainOptions, Unmatched},
    producer::Producer,
    ring::Meta,
    verdicts::Verdicts,
};

/// Why a record leaves though it may have no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There is a verdict.
    Decided,
    /// `hold` has passed.
    Expired,
    /// The line needs its room, or ends.
    Pressed,
}

/// Tables, writers and counters of the exit.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) signalling: Lane,
    pub(crate) media: Lane,
    pub(crate) verdicts: Verdicts,
    /// Puts fragments together that a line brings; without, they are lost.
    pub(crate) fragments: Option<Producer>,
    pub(crate) announcements: Announcements,
    pub(crate) ledger: Ledger,
    /// Of all sources, lost here.
    pub(crate) lost: LostBy,
    pub(crate) flows: Flows,
    unmatched: Unmatched,
    pub(crate) overheard: Ears,
    /// Media that may be written is gathered.
    gathers: bool,
    /// What is left of a masked frame.
    masked: Vec<u8>,
}

/// What becomes of media that is looked at for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    Left,
    Stays(Stay),
    /// It may be written, and is gathered.
    Admitted(Pass),
}

/// A record may be written together with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pass {
    /// The number of its flow.
    pub(crate) flow: u32,
    pub(crate) verdict: Verdict,
}

/// What a record waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stay {
    /// A verdict.
    Undecided,
    /// A word that what is said from now on is wanted again.
    Masked,
}

/// Where the packets of a record ended.
#[derive(Debug, Clone, Copy)]
enum End {
    Stored { bytes: usize },
    Ignored,
    Unmatched,
    VerdictLate,
    Refused(Refusal),
}

impl Exit {
    pub(crate) fn new(signalling: Lane, media: Lane, options: &DrainOptions) -> Self {
        Self {
            signalling,
            media,
            verdicts: Verdicts::default(),
            fragments: None,
            announcements: Announcements::new(),
            ledger: Ledger::default(),
            lost: LostBy::default(),
            flows: Flows::new(),
            unmatched: options.unmatched,
            gathers: options.gather_bytes > 0,
            overheard: Ears::new(options.overheard_bytes),
            masked: Vec::new(),
        }
    }

    /// Signalling does not wait.
    pub(crate) fn signalling(&mut self, held: &Held<'_>) {
        let meta = record_meta(held, RecordClass::Signalling, RecordPos::NONE, 0, Verdict::Record);
        let written = self.signalling.append(&meta, held.frame);
        self.count(
            held,
            written.map_or_else(End::Refused, |_| End::Stored { bytes: held.frame.len() }),
        );
    }

    /// Media is looked at for the first time: it leaves by its verdict. Without one it waits, and masked it waits, too. An
    /// undecided flow is announced once. `hash` is that of the key among the flows.
    #[inline(always)]
    pub(crate) fn arrive(&mut self, held: &Held<'_>, key: &FlowKey, hash: Hash) -> Arrival {
        let flow = self.flows.of_hashed(key, hash);
        let admitted = match flow.verdict(key, &self.verdicts) {
            Verdict::Undecided => {
                let counters = self.ledger.of(held.meta.source);
                counters.held += u64::from(held.meta.packets);
                if !flow.announced {
                    flow.announced = self.announcements.push(held, &key.pair());
                    counters.flows_seen += u64::from(flow.announced);
                }
                return Arrival::Stays(Stay::Undecided);
            }
            // What came before it was masked is not.
            Verdict::Mask
                if self.verdicts.at(&key.pair().dst, held.meta.ts_ns) == Some(Verdict::Record) =>
            {
                true
            }
            Verdict::Mask => {
                self.ledger.of(held.meta.source).held += u64::from(held.meta.packets);
                self.overheard.push(held, &key.pair());
                return Arrival::Stays(Stay::Masked);
            }
            Verdict::Ignore => false,
            Verdict::Record => true,
        };
        let end = match admitted {
            true if self.gathers => {
                self.ledger.of(held.meta.source).held += u64::from(held.meta.packets);
                return Arrival::Admitted(admit(flow, Verdict::Record));
            }
            true => store(&mut self.media, flow, held, Verdict::Record),
            false => End::Ignored,
        };
        self.count(held, end);
        Arrival::Left
    }

    /// Media without endpoints: steering puts only UDP into its line; one that says otherwise is not believed.
    pub(crate) fn no_flow(&mut self, held: &Held<'_>) {
        self.count(held, End::Unmatched);
    }

    /// Media that waited leaves, by the verdict that there is now, or without; or it is gathered.
    pub(crate) fn depart(
        &mut self,
        held: &Held<'_>,
        key: &FlowKey,
        reason: Reason,
    ) -> Option<Pass> {
        // A denial that found no place in the table looks like no entry.
        let keep = self.unmatched == Unmatched::Keep && self.verdicts.knows_all_denials();
        let flow = self.flows.of(key);
        let end = match verdict_at(flow, key, &self.verdicts, held) {
            Verdict::Ignore => End::Ignored,
            Verdict::Undecided if !keep => match reason {
                Reason::Expired => End::Unmatched,
                Reason::Pressed | Reason::Decided => End::VerdictLate,
            },
            verdict if self.gathers => return Some(admit(flow, verdict)),
            Verdict::Mask => store_masked(&mut self.media, flow, held, &mut self.masked),
            verdict => store(&mut self.media, flow, held, verdict),
        };
        self.ledger.of(held.meta.source).held -= u64::from(held.meta.packets);
        self.count(held, end);
        None
    }

    /// Records of one flow that were gathered leave, each by the verdict that there is now of its time, or by the one that
    /// let it in.
    #[inline]
    pub(crate) fn write<'l>(
        &mut self,
        key: &FlowKey,
        records: impl Iterator<Item = (Held<'l>, Verdict)>,
    ) {
        let Self { flows, verdicts, media, ledger, lost, overheard, masked, .. } = self;
        let flow = flows.of(key);
        for (held, admitted) in records {
            ledger.of(held.meta.source).held -= u64::from(held.meta.packets);
            let verdict = match (verdict_at(flow, key, verdicts, &held), admitted) {
                (Verdict::Undecided, admitted) => admitted,
                // What was masked when it was let in stays so.
                (Verdict::Record, Verdict::Mask) => Verdict::Mask,
                (now, _) => now,
            };
            if verdict == Verdict::Mask && admitted != verdict {
                overheard.push(&held, &key.pair());
            }
            let announced = flow.announced;
            let end = match verdict {
                Verdict::Ignore => End::Ignored,
                Verdict::Mask => store_masked(media, flow, &held, masked),
                verdict => store(media, flow, &held, verdict),
            };
            // The flow may have been announced since the record was let in.
            flow.announced = announced;
            count(ledger, lost, &held, end);
        }
    }

    /// A fragment, which only its datagram can tell the kind of.
    pub(crate) fn fragment(&mut self, held: &Held<'_>) {
        let Some(producer) = &mut self.fragments else {
            self.ledger.of(held.meta.source).lost.reassembly += u64::from(held.meta.packets);
            self.lost.reassembly += u64::from(held.meta.packets);
            return;
        };
        producer.steer(&Frame {
            ts_ns: held.meta.ts_ns,
            bytes: held.frame,
            wire_len: held.meta.wire_len,
            link: link_of(held.meta.link),
            source: held.meta.source,
        });
    }

    /// Counters of tables, which belong to no source.
    pub(crate) fn table_stats(&self) -> CaptureStats {
        CaptureStats {
            verdicts_evicted: self.verdicts.evicted(),
            flows_evicted: self.flows.evicted(),
            events_dropped: self.announcements.dropped(),
            ..CaptureStats::default()
        }
    }

    #[inline(always)]
    fn count(&mut self, held: &Held<'_>, end: End) {
        count(&mut self.ledger, &mut self.lost, held, end);
    }
}

#[inline(always)]
fn count(ledger: &mut Ledger, lost: &mut LostBy, held: &Held<'_>, end: End) {
    if let End::Stored { bytes } = end {
        let counters = ledger.of(held.meta.source);
        counters.stored += u64::from(held.meta.packets);
        counters.stored_bytes += bytes as u64;
    } else {
        count_dropped(ledger, lost, held.meta.source, held.meta.packets.into(), end);
    }
}

#[inline(never)]
fn count_dropped(ledger: &mut Ledger, lost: &mut LostBy, source: u8, packets: u64, end: End) {
    let counters = ledger.of(source);
    let (here, everywhere) = match end {
        End::Stored { .. } => return,
        End::Ignored => return counters.ignored += packets,
        End::Unmatched => return counters.unmatched += packets,
        End::VerdictLate => (&mut counters.lost.verdict_late, &mut lost.verdict_late),
        End::Refused(Refusal::Disk) => (&mut counters.lost.disk, &mut lost.disk),
        End::Refused(Refusal::Oversize) => (&mut counters.lost.oversize, &mut lost.oversize),
    };
    *here += packets;
    *everywhere += packets;
}

/// The verdict on the flow now, of the time at which the record came: it may have changed since.
#[inline]
fn verdict_at(flow: &mut Flow, key: &FlowKey, verdicts: &Verdicts, held: &Held<'_>) -> Verdict {
    match flow.verdict(key, verdicts) {
        Verdict::Undecided => Verdict::Undecided,
        now => verdicts.at(&key.pair().dst, held.meta.ts_ns).unwrap_or(now),
    }
}

/// The flow has a record that will be written.
#[inline(always)]
fn admit(flow: &mut Flow, verdict: Verdict) -> Pass {
    flow.announced = verdict == Verdict::Undecided;
    Pass { flow: flow.number, verdict }
}

#[inline(always)]
fn store(lane: &mut Lane, flow: &mut Flow, held: &Held<'_>, verdict: Verdict) -> End {
    let meta = record_meta(held, RecordClass::Media, flow.last, flow.number, verdict);
    match lane.append(&meta, held.frame) {
        Ok(position) => {
            flow.last = position;
            flow.announced = verdict == Verdict::Undecided;
            End::Stored { bytes: held.frame.len() }
        }
        Err(refusal) => End::Refused(refusal),
    }
}

/// The frame is cut off behind what is left of its payload; on the wire it was as long as it was.
#[inline(never)]
fn store_masked(lane: &mut Lane, flow: &mut Flow, held: &Held<'_>, masked: &mut Vec<u8>) -> End {
    let start = usize::from(held.meta.payload).min(held.frame.len());
    // No more than may be left: the rest stays in the ring, which is locked.
    let length = usize::from(held.meta.payload_len).min(LEFT_BYTES_MAX);
    let end = start.saturating_add(length).min(held.frame.len());
    masked.clear();
    masked.extend_from_slice(&held.frame[..end]);
    let left = mask(&mut masked[start..]);
    masked.truncate(start + left);
    let meta = Meta { payload_len: left as u16, ..held.meta };
    store(lane, flow, &Held { meta, frame: masked, ..*held }, Verdict::Mask)
}

#[inline(always)]
fn record_meta(
    held: &Held<'_>,
    class: RecordClass,
    prev: RecordPos,
    flow: u32,
    verdict: Verdict,
) -> RecordMeta {
    let meta = &held.meta;
    RecordMeta {
        ts_ns: meta.ts_ns,
        prev,
        flow,
        frame_len: held.frame.len() as u32,
        wire_len: meta.wire_len,
        l3: meta.l3,
        payload: meta.payload,
        payload_len: meta.payload_len,
        class,
        link: meta.link,
        source: meta.source,
        verdict: verdict as u8,
    }
}

fn link_of(stored: u8) -> LinkType {
    match stored {
        1 => LinkType::RawIp,
        2 => LinkType::Sll,
        3 => LinkType::Sll2,
        _ => LinkType::Ethernet,
    }
}

const _: () = assert!(
    LinkType::Ethernet as u8 == 0
        && LinkType::RawIp as u8 == 1
        && LinkType::Sll as u8 == 2
        && LinkType::Sll2 as u8 == 3
);
