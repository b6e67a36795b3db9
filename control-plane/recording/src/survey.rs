//! The first pass over one stream: counts, quality, and where its audio lies in time.

use crate::codecs::{Codecs, Kind};
use crate::digits::Digits;
use crate::limits::{CODECS_MAX, GAPS_MAX, RUNS_MAX, SLOTS_KEPT_MAX};
use crate::order::{Jitter, Ordered, Slot};
use crate::report::{CodecUse, Digit, Gap, PacketTotals};
use crate::run::{Line, Run, RunBuilder, Tick};
use crate::sequence::Place;
use crate::stream::{SourceError, StreamInput};

/// Timestamps without wraps, in sending order.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Ticker {
    last: Option<u32>,
    ticks: i64,
}

impl Ticker {
    pub(crate) fn advance(&mut self, timestamp: u32) -> i64 {
        let last = self.last.replace(timestamp).unwrap_or(timestamp);
        self.ticks += i64::from(timestamp.wrapping_sub(last) as i32);
        self.ticks
    }
}

/// What the first pass found.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) codecs: Codecs,
    /// Packets of the source that both passes look at.
    pub(crate) count: usize,
    /// In sending order, for the second pass; `None` where there are too many.
    pub(crate) slots: Option<Vec<Slot>>,
    pub(crate) lines: Vec<Line>,
    pub(crate) runs: Vec<Run>,
    /// From here on nothing is used: the stream made more lines than any call does.
    pub(crate) closed_at: Option<Place>,
    pub(crate) totals: PacketTotals,
    pub(crate) jitter: Jitter,
    /// First and last.
    pub(crate) arrivals_ns: Option<(u64, u64)>,
    /// The same of packets without a place in media time: events, and what nothing explains.
    pub(crate) untimed_arrivals_ns: Option<(u64, u64)>,
    /// Codec by position in `codecs`, and its use.
    pub(crate) uses: Vec<(Option<u8>, CodecUse)>,
    pub(crate) digits: Vec<Digit>,
    pub(crate) gaps: Vec<Gap>,
    /// Packets that came, each once.
    pub(crate) unique: u64,
    /// Stretches of loss, of whatever length.
    pub(crate) loss_bursts: u64,
}

/// Assumed while a packet's length is not known: the packetisation of RFC 3551 section 4.2.
const PACKET_MS: u32 = 20;

impl Survey {
    pub(crate) fn of(input: StreamInput<'_>) -> Result<Self, SourceError> {
        let codecs = Codecs::new(input.payload_types);
        let count = input.packets.count();
        let mut ordered = Ordered::new(input, &codecs, count);
        let mut pass = Pass::new(input);
        let mut slots = (count <= SLOTS_KEPT_MAX).then(|| Vec::with_capacity(count));
        while let Some(slot) = ordered.next()? {
            if let Some(slots) = &mut slots {
                slots.push(slot);
            }
            pass.note_untimed(&slot, &codecs);
            pass.count_use(&slot, &codecs);
            pass.note_loss(&slot);
            if codecs.kind(slot.codec) == Kind::Event {
                pass.note_event(&slot, &codecs, input)?;
            } else if pass.closed_at.is_some() {
                pass.stray += 1;
            } else if let Some(tick) = pass.tick(&slot, &codecs) {
                pass.builder.push(&tick);
                if pass.builder.count() > RUNS_MAX {
                    pass.closed_at = Some(slot.place);
                }
            }
            pass.last = Some(slot);
        }
        let (mut totals, jitter, arrivals_ns) =
            (ordered.totals, ordered.jitter, ordered.arrivals_ns);
        totals.lost = pass.lost;
        totals.stray += pass.stray;
        totals.undecodable = pass.uses.iter().map(|(_, codec)| codec.undecodable).sum();
        let (lines, runs) = pass.builder.finish();
        Ok(Self {
            codecs,
            count,
            slots,
            lines,
            runs,
            closed_at: pass.closed_at,
            totals,
            jitter,
            arrivals_ns,
            untimed_arrivals_ns: pass.untimed_ns,
            uses: pass.uses,
            digits: pass.digits.finish(),
            gaps: pass.gaps,
            unique: pass.unique,
            loss_bursts: pass.loss_bursts,
        })
    }

    /// Whether the packet's timestamp gives it a place.
    pub(crate) fn is_timed(&self, slot: &Slot) -> bool {
        is_timed(slot, &self.codecs)
    }
}

fn is_timed(slot: &Slot, codecs: &Codecs) -> bool {
    codecs.kind(slot.codec) != Kind::Event && codecs.clock_hz(slot.codec) != 0
}

/// State of the pass.
struct Pass {
    input_ssrc: u32,
    side: crate::stream::Side,
    builder: RunBuilder,
    ticker: Ticker,
    last: Option<Slot>,
    last_ticks: Option<(i64, u32)>,
    packet_ns: u64,
    uses: Vec<(Option<u8>, CodecUse)>,
    digits: Digits,
    gaps: Vec<Gap>,
    unique: u64,
    lost: u64,
    loss_bursts: u64,
    stray: u64,
    closed_at: Option<Place>,
    untimed_ns: Option<(u64, u64)>,
}

impl Pass {
    fn new(input: StreamInput<'_>) -> Self {
        Self {
            input_ssrc: input.key.ssrc,
            side: input.side,
            builder: RunBuilder::default(),
            ticker: Ticker::default(),
            last: None,
            last_ticks: None,
            packet_ns: u64::from(PACKET_MS) * 1_000_000,
            uses: Vec::new(),
            digits: Digits::new(input.side),
            gaps: Vec::new(),
            unique: 0,
            lost: 0,
            loss_bursts: 0,
            stray: 0,
            closed_at: None,
            untimed_ns: None,
        }
    }

    fn note_untimed(&mut self, slot: &Slot, codecs: &Codecs) {
        if !is_timed(slot, codecs) {
            let at_ns = slot.arrival_ns;
            let (from_ns, until_ns) = self.untimed_ns.unwrap_or((at_ns, at_ns));
            self.untimed_ns = Some((from_ns.min(at_ns), until_ns.max(at_ns)));
        }
    }

    fn count_use(&mut self, slot: &Slot, codecs: &Codecs) {
        let at = self.uses.iter().position(|(codec, used)| {
            *codec == slot.codec && used.payload_type == slot.payload_type
        });
        let at = match at {
            Some(at) => at,
            None if self.uses.len() < CODECS_MAX => {
                let name = codecs.name(slot.codec, slot.payload_type);
                let payload_type = slot.payload_type;
                let used = CodecUse { name, payload_type, packets: 0, undecodable: 0 };
                self.uses.push((slot.codec, used));
                self.uses.len() - 1
            }
            None => self.uses.len() - 1,
        };
        let used = &mut self.uses[at].1;
        used.packets += 1;
        used.undecodable += u64::from(codecs.kind(slot.codec) == Kind::Undecodable);
    }

    fn note_loss(&mut self, slot: &Slot) {
        self.unique += 1;
        let Some(last) = self.last.filter(|last| last.place.epoch == slot.place.epoch) else {
            return;
        };
        let packets = (slot.place.number - last.place.number - 1).max(0) as u64;
        if packets == 0 {
            return;
        }
        self.lost += packets;
        self.loss_bursts += 1;
        if self.gaps.len() < GAPS_MAX {
            self.gaps.push(Gap {
                side: self.side,
                ssrc: self.input_ssrc,
                from_ns: last.arrival_ns,
                until_ns: slot.arrival_ns.max(last.arrival_ns),
                packets,
            });
        }
    }

    fn note_event(
        &mut self,
        slot: &Slot,
        codecs: &Codecs,
        input: StreamInput<'_>,
    ) -> Result<(), SourceError> {
        let clock_hz = codecs.clock_hz(slot.codec);
        let digits = &mut self.digits;
        let read = input.packets.read(slot.index, &mut |packet| {
            let payload = slot.payload(packet.payload);
            digits.push(payload, slot.timestamp, slot.arrival_ns, clock_hz);
        });
        match read {
            Err(error @ SourceError::Failed { .. }) => Err(error),
            Ok(()) | Err(SourceError::Unreadable { .. }) => Ok(()),
        }
    }

    /// The packet's place in media time; none where its clock is unknown.
    fn tick(&mut self, slot: &Slot, codecs: &Codecs) -> Option<Tick> {
        let codec = slot.codec?;
        let kind = codecs.kind(slot.codec);
        let mut clock_hz = codecs.clock_hz(slot.codec);
        if kind == Kind::Noise {
            // RFC 3389 section 4: the timestamps are those of the audio, whatever SDP says.
            clock_hz = self.builder.clock_hz().unwrap_or(clock_hz);
        }
        if clock_hz == 0 {
            return None;
        }
        let ticks = self.ticker.advance(slot.timestamp);
        // Comfort noise does not end an audio run: it is rendered at whatever rate that has.
        let rate_hz = (kind == Kind::Audio).then(|| codecs.rate_hz(codec));
        let usual_ticks = self.usual_ticks(ticks, clock_hz);
        let duration_ticks = match kind {
            Kind::Noise => 0,
            _ if slot.duration_ticks > 0 => i64::from(slot.duration_ticks),
            _ => usual_ticks,
        };
        if duration_ticks > 0 {
            self.packet_ns = duration_ticks as u64 * 1_000_000 / u64::from(clock_hz) * 1_000;
        }
        Some(Tick {
            place: slot.place,
            arrival_ns: slot.arrival_ns,
            ticks,
            duration_ticks,
            clock_hz,
            rate_hz,
        })
    }

    /// What the step from the packet before says of a packet's length: at most 120 ms.
    fn usual_ticks(&mut self, ticks: i64, clock_hz: u32) -> i64 {
        let before = self.last_ticks.replace((ticks, clock_hz));
        let step = before.filter(|(_, clock)| *clock == clock_hz).map(|(last, _)| ticks - last);
        let millisecond = i64::from(clock_hz) / 1_000;
        match step {
            Some(step) if step > 0 && step <= 120 * millisecond => step,
            _ => (self.packet_ns / 1_000) as i64 * i64::from(clock_hz) / 1_000_000,
        }
    }
}
