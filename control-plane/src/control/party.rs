//! Keys in a party's media: telephone events, and tones where they are asked for.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use earwitness_codec::{CodecId, expansion};
use earwitness_voip::dtmf::{EventDecoder, TelephoneEvent, Tone, ToneDetector};
use earwitness_voip::rtp;
use earwitness_wire::Endpoint;

use super::keys::Key;
use super::limits::{EVENT_SILENCE_NS, KEYPADS_MAX};
use super::{Command, Control, Operation, Origin, Pad, Refusal, hide_key, party_name};
use crate::call::coverage::By;
use crate::call::table::CallTable;
use crate::call::{Announced, Call, CallSlot, Party};

/// Events whose start is remembered.
const STARTS_MAX: usize = 8;
/// RFC 3551: the payload types whose audio is looked at for tones.
const PCMU: u8 = 0;
const PCMA: u8 = 8;
/// The same, by bit.
pub(super) const TONE_TYPES: u128 = 1 << PCMU | 1 << PCMA;
/// Nanoseconds of a sample at 8 kHz.
const SAMPLE_NS: u64 = 125_000;

/// A packet of a party's media that may have keys in it.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    pub slot: CallSlot,
    pub speaker: Party,
    pub src: Endpoint,
    pub dst: Endpoint,
    pub ts_ns: u64,
    /// Bit n: payload type n is telephone events in this call.
    pub event_types: u128,
    /// The RTP packet.
    pub packet: &'a [u8],
    pub origin: Origin,
}

/// What is followed of one stream.
#[derive(Debug, Default)]
pub(super) struct Stream {
    events: EventDecoder,
    /// RTP timestamps of events, and when their first packet came.
    starts: VecDeque<(u32, u64)>,
    /// When the last packet of an event came.
    event_ns: u64,
    tones: Option<Box<Tones>>,
}

#[derive(Debug)]
struct Tones {
    detector: ToneDetector,
    sequence: u16,
    /// Samples given to the detector.
    position: u64,
}

/// Whose event it is of which the end was not seen.
#[derive(Debug, Clone, Copy)]
struct Presser {
    party: Party,
    src: Endpoint,
    origin: Origin,
}

#[derive(Debug, Default)]
pub(super) struct Streams {
    streams: HashMap<(CallSlot, u64), Stream>,
    /// Streams in which a key is pressed.
    pressed: HashMap<(CallSlot, u64), Presser>,
}

impl Streams {
    /// A call has become a part of another. Most calls are listened to by nobody.
    pub(super) fn moved(&mut self, from: CallSlot, into: CallSlot, side: impl Fn(Party) -> Party) {
        let own: Vec<u64> =
            self.streams.keys().filter(|(of, _)| *of == from).map(|(_, stream)| *stream).collect();
        for stream in own {
            if let Some(state) = self.streams.remove(&(from, stream)) {
                self.streams.insert((into, stream), state);
            }
            if let Some(presser) = self.pressed.remove(&(from, stream)) {
                let party = side(presser.party);
                self.pressed.insert((into, stream), Presser { party, ..presser });
            }
        }
    }

    pub(super) fn forget(&mut self, slot: CallSlot) {
        self.streams.retain(|(of, _), _| *of != slot);
        self.pressed.retain(|(of, _), _| *of != slot);
    }

    /// Keys of which nothing came for so long that they were released, in their order.
    fn released(&mut self, now_ns: u64) -> Vec<(Pad, Presser, Key)> {
        let Self { streams, pressed } = self;
        let mut released = Vec::new();
        pressed.retain(|&(slot, stream), presser| {
            let Some(state) = streams.get_mut(&(slot, stream)) else { return false };
            if state.event_ns.saturating_add(EVENT_SILENCE_NS) > now_ns {
                return true;
            }
            let pad = Pad { slot, party: presser.party, by: By::Event, stream };
            let mut keys = Vec::new();
            state.release(&mut keys);
            released.extend(keys.into_iter().map(|key| (pad, *presser, key)));
            false
        });
        released.sort_by_key(|(pad, _, key)| (key.until_ns, pad.stream));
        released
    }

    /// Whether a key is pressed in a stream.
    fn note_pressed(&mut self, heard: &Heard<'_>, stream: u64, is_pressed: bool) {
        let place = (heard.slot, stream);
        if is_pressed {
            let Heard { speaker: party, src, origin, .. } = *heard;
            self.pressed.insert(place, Presser { party, src, origin });
        } else {
            self.pressed.remove(&place);
        }
    }

    /// Of so many streams the keys are followed; those past it are not.
    fn of(&mut self, slot: CallSlot, stream: u64) -> Option<&mut Stream> {
        if self.streams.len() >= KEYPADS_MAX && !self.streams.contains_key(&(slot, stream)) {
            return None;
        }
        Some(self.streams.entry((slot, stream)).or_default())
    }
}

impl Control {
    /// Looks at a packet for keys.
    pub fn packet(&mut self, heard: &Heard<'_>, table: &mut CallTable) {
        if !self.is_listening() {
            return;
        }
        let Ok(header) = rtp::Header::parse(heard.packet) else { return };
        let start = usize::from(header.payload_start);
        let payload = heard.packet.get(start..usize::from(header.payload_end)).unwrap_or_default();
        if payload.is_empty() {
            return;
        }
        let stream = stream_number(heard, header.ssrc);
        let Some(state) = self.streams.of(heard.slot, stream) else { return };
        let mut keys = Vec::new();
        let by = if heard.event_types >> header.payload_type & 1 == 1 {
            state.event(&header, payload, heard.ts_ns, &mut keys);
            let is_pressed = state.events.is_pressed();
            self.streams.note_pressed(heard, stream, is_pressed);
            By::Event
        } else if self.settings.tones && matches!(header.payload_type, PCMU | PCMA) {
            state.audio(&header, payload, heard.ts_ns, &mut keys);
            By::Tone
        } else {
            return;
        };
        let pad = Pad { slot: heard.slot, party: heard.speaker, by, stream };
        for key in keys {
            self.key(pad, key, (&heard.src, heard.origin), table);
        }
    }

    /// Acts on keys whose end did not come by `now_ns`.
    pub fn tick(&mut self, now_ns: u64, table: &mut CallTable) {
        for (pad, presser, key) in self.streams.released(now_ns) {
            self.key(pad, key, (&presser.src, presser.origin), table);
        }
    }

    fn key(
        &mut self,
        pad: Pad,
        key: Key,
        (src, origin): (&Endpoint, Origin),
        table: &mut CallTable,
    ) {
        let peer: IpAddr = src.to_socket_addr().ip();
        if self.settings.mask_keys {
            let command = Command {
                operation: Operation::Mask,
                at_ns: key.until_ns,
                by: pad.by,
                party: Some(pad.party),
                side: Some(pad.party),
                who: party_name(table, pad.slot, pad.party),
                from: Some(peer.to_string()),
            };
            hide_key(pad, &key, &command, table);
        }
        let codes = self.codes_of(pad.slot, table);
        let Some(pressed) = self.keypads.press(pad, key, &codes) else { return };
        if table.get(pad.slot).is_some_and(|call| is_own(call, pad.party, src)) {
            self.pressed(pad, (peer, origin), &pressed, table);
        } else {
            let command = Command {
                operation: pressed.operation,
                at_ns: key.until_ns,
                by: pad.by,
                party: Some(pad.party),
                side: None,
                who: None,
                from: Some(peer.to_string()),
            };
            self.refuse(Some(pad.slot), &command, Refusal::Spoofed, table);
        }
    }
}

impl Stream {
    fn event(&mut self, header: &rtp::Header, payload: &[u8], ts_ns: u64, keys: &mut Vec<Key>) {
        if !self.starts.iter().any(|(known, _)| *known == header.timestamp) {
            if self.starts.len() == STARTS_MAX {
                self.starts.pop_front();
            }
            self.starts.push_back((header.timestamp, ts_ns));
        }
        let Self { events, starts, event_ns, .. } = self;
        let last_ns = std::mem::replace(event_ns, ts_ns);
        events.push(header.timestamp, payload, &mut |event: TelephoneEvent| {
            // One that the next one ends was released before that.
            let until_ns = if event.is_complete { ts_ns } else { last_ns };
            keys.extend(key_of(&event, starts, until_ns));
        });
    }

    /// The event that is pressed is over.
    fn release(&mut self, keys: &mut Vec<Key>) {
        let Self { events, starts, event_ns, .. } = self;
        events.finish(&mut |event: TelephoneEvent| {
            keys.extend(key_of(&event, starts, *event_ns));
        });
    }

    fn audio(&mut self, header: &rtp::Header, payload: &[u8], ts_ns: u64, keys: &mut Vec<Key>) {
        let codec = if header.payload_type == PCMA { CodecId::Pcma } else { CodecId::Pcmu };
        let Some(expansion) = expansion(codec) else { return };
        let samples: Vec<i16> = payload.iter().map(|byte| expansion[usize::from(*byte)]).collect();
        let begin = || Tones {
            detector: ToneDetector::new(),
            sequence: header.sequence.wrapping_sub(1),
            position: 0,
        };
        let tones = self.tones.get_or_insert_with(|| Box::new(begin()));
        let step = header.sequence.wrapping_sub(tones.sequence);
        if step == 0 || step > u16::MAX / 2 {
            // Again, or late: it would be heard at the wrong place.
            return;
        }
        tones.sequence = header.sequence;
        let position = tones.position;
        let at = |sample: u64| {
            let since = |samples: u64| samples.saturating_mul(SAMPLE_NS);
            ts_ns
                .saturating_add(since(sample.saturating_sub(position)))
                .saturating_sub(since(position.saturating_sub(sample)))
        };
        let mut sink = |tone: Tone| {
            keys.push(Key { key: tone.key, from_ns: at(tone.from), until_ns: at(tone.until) });
        };
        if step > 1 {
            tones.detector.interrupt(&mut sink);
        }
        tones.detector.push(&samples, &mut sink);
        tones.position += samples.len() as u64;
    }
}

fn key_of(event: &TelephoneEvent, starts: &VecDeque<(u32, u64)>, until_ns: u64) -> Option<Key> {
    let began = starts.iter().find(|(known, _)| *known == event.timestamp);
    let from_ns = began.map_or(until_ns, |(_, at_ns)| *at_ns);
    Some(Key { key: event.digit()?, from_ns, until_ns })
}

/// Whether media from there is a party's own: from a host that it announced, or from where its peer's media goes and
/// comes back (CALL-3).
fn is_own(call: &Call, party: Party, src: &Endpoint) -> bool {
    let announced = |known: &Announced| known.party == party && known.rtp.addr == src.addr;
    let alias = |(at, of): &(Endpoint, Party)| *of == party && at.addr == src.addr;
    call.announced.iter().any(announced) || call.aliases.iter().any(alias)
}

/// Streams of a call are told apart by where they go and who sends them.
fn stream_number(heard: &Heard<'_>, ssrc: u32) -> u64 {
    u64::from(ssrc) << 32 | u64::from(heard.src.port) << 16 | u64::from(heard.dst.port)
}
