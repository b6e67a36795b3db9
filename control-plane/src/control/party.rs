//! Keys in a party's media: telephone events, and tones where they are asked for.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use earwitness_codec::{CodecId, expansion};
use earwitness_voip::dtmf::{EventDecoder, TelephoneEvent, Tone, ToneDetector};
use earwitness_voip::rtp;
use earwitness_wire::Endpoint;

use super::keys::Key;
use super::limits::KEYPADS_MAX;
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
    tones: Option<Box<Tones>>,
}

#[derive(Debug)]
struct Tones {
    detector: ToneDetector,
    sequence: u16,
    /// Samples given to the detector.
    position: u64,
}

#[derive(Debug, Default)]
pub(super) struct Streams {
    streams: HashMap<(CallSlot, u64), Stream>,
}

impl Streams {
    /// A call has become a part of another. Most calls are listened to by nobody.
    pub(super) fn moved(&mut self, from: CallSlot, into: CallSlot) {
        let own: Vec<u64> =
            self.streams.keys().filter(|(of, _)| *of == from).map(|(_, stream)| *stream).collect();
        for stream in own {
            if let Some(state) = self.streams.remove(&(from, stream)) {
                self.streams.insert((into, stream), state);
            }
        }
    }

    pub(super) fn forget(&mut self, slot: CallSlot) {
        self.streams.retain(|(of, _), _| *of != slot);
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
            By::Event
        } else if self.settings.tones && matches!(header.payload_type, PCMU | PCMA) {
            state.audio(&header, payload, heard.ts_ns, &mut keys);
            By::Tone
        } else {
            return;
        };
        let pad = Pad { slot: heard.slot, party: heard.speaker, by, stream };
        for key in keys {
            self.key(pad, key, heard, table);
        }
    }

    fn key(&mut self, pad: Pad, key: Key, heard: &Heard<'_>, table: &mut CallTable) {
        let peer: IpAddr = heard.src.to_socket_addr().ip();
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
        if table.get(pad.slot).is_some_and(|call| is_own(call, pad.party, &heard.src)) {
            self.pressed(pad, (peer, heard.origin), &pressed, table);
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
        let starts = &self.starts;
        self.events.push(header.timestamp, payload, &mut |event: TelephoneEvent| {
            let Some(key) = event.digit() else { return };
            let began = starts.iter().find(|(known, _)| *known == event.timestamp);
            let from_ns = began.map_or(ts_ns, |(_, at_ns)| *at_ns);
            keys.push(Key { key, from_ns, until_ns: ts_ns });
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
