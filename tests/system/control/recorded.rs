//! A recording beside what was on the wire: what it must have, sample by sample, and where it must be silent.

use std::path::Path;

use earwitness_fixtures::codec::mu_law_value;
use earwitness_fixtures::spec::Party;
use earwitness_tests::check::{Wav, milliseconds};
use serde_json::Value;

use crate::wire::Spoken;

/// Of a sample at 8 kHz.
pub(super) const SAMPLE_US: i64 = 125;
/// Rows tell times in ms, and two clocks stamped the packets: so near to an edge both are right.
const EDGE_US: i64 = 2_000;
/// Of a packet.
const PACKET_US: i64 = 20_000;
/// How far a stream may lie from where its packets came.
const REACH_SAMPLES: i64 = 400;
/// Around an edge, packets tell how much they are late.
const AROUND_US: i64 = 100_000;

/// A stretch that is not to be heard, in µs of Unix time.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) what: String,
    pub(super) from_us: i64,
    pub(super) until_us: i64,
    pub(super) begun_by: String,
    side: Option<Party>,
}

/// A recording's row and its file.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) wav: Wav,
    pub(super) began_us: i64,
    /// Its end, or when it was stopped.
    until_us: i64,
    pub(super) hidden: Vec<Span>,
}

fn us(at: &Value) -> i64 {
    milliseconds(at.as_str().expect("a text")).expect("a time") * 1_000
}

impl Recorded {
    pub(super) fn read(row: &Value, data_dir: &Path) -> Self {
        let path = data_dir.join(row["path"].as_str().expect("a path"));
        let wav = Wav::read(&path).expect("a recording");
        assert_eq!(row["packets"]["lost"], 0, "{row:#}");
        let span = |span: &Value| Span {
            what: span["what"].as_str().expect("a word").to_owned(),
            from_us: us(&span["from"]),
            until_us: us(&span["until"]),
            begun_by: span["begun_by"].as_str().expect("a text").to_owned(),
            side: span["side"].as_str().map(|side| match side {
                "caller" => Party::Caller,
                _ => Party::Callee,
            }),
        };
        let hidden = row["hidden"].as_array().expect("a list").iter().map(span).collect();
        let until = &row["take"]["until"];
        let until_us = us(if until.is_null() { &row["ended_at"] } else { until });
        Self { wav, began_us: us(&row["started_at"]), until_us, hidden }
    }
}

impl Recorded {
    pub(super) fn pauses(&self) -> Vec<&Span> {
        self.hidden.iter().filter(|span| span.what == "pause").collect()
    }

    /// One side beside what that party sent.
    pub(super) fn side(&self, party: Party, voice: Vec<Spoken>) -> Side<'_> {
        let voice: Vec<Spoken> =
            voice.into_iter().filter(|packet| self.has(packet.at_us)).collect();
        let mut side = Side { recorded: self, party, voice, place: 0 };
        side.place = side.find_place();
        side
    }

    pub(super) fn has(&self, at_us: i64) -> bool {
        (self.began_us - EDGE_US..self.until_us).contains(&at_us)
    }

    pub(super) fn hides(&self, at_us: i64, party: Party) -> bool {
        self.spans(party).any(|span| (span.from_us..span.until_us).contains(&at_us))
    }

    /// Whether a time is so near to where something hidden begins or ends that it may count as either.
    fn is_at_edge(&self, at_us: i64, party: Party) -> bool {
        let is_near = |edge_us: i64| (at_us - edge_us).abs() <= EDGE_US;
        let is_of_span = |span: &Span| is_near(span.from_us) || is_near(span.until_us);
        [self.began_us, self.until_us].into_iter().any(is_near) || self.spans(party).any(is_of_span)
    }

    fn spans(&self, party: Party) -> impl Iterator<Item = &Span> {
        self.hidden.iter().filter(move |span| span.side.is_none_or(|side| side == party))
    }
}

/// Whether a time lies between two takes of a call.
pub(super) fn is_between(takes: &[Recorded], at_us: i64) -> bool {
    takes.windows(2).any(|pair| (pair[0].until_us..pair[1].began_us).contains(&at_us))
}

/// Whether it is clear what became of what came at that time.
pub(super) fn is_clear(takes: &[Recorded], at_us: i64, party: Party) -> bool {
    !takes.iter().any(|take| take.is_at_edge(at_us, party))
}

/// One channel, and the packets that it was made of.
#[derive(Debug)]
pub(super) struct Side<'r> {
    recorded: &'r Recorded,
    party: Party,
    voice: Vec<Spoken>,
    /// Where in the channel the sample with the voice's first RTP timestamp lies.
    place: i64,
}

impl Side<'_> {
    fn channel(&self) -> &[i16] {
        &self.recorded.wav.channels[self.party.index()]
    }

    /// By the first packet that is heard: its samples are found near to where it came.
    fn find_place(&self) -> i64 {
        let packet = &self.voice[1];
        let decoded: Vec<i16> = packet.encoded.iter().map(|code| mu_law_value(*code)).collect();
        let about = (packet.at_us - self.recorded.began_us) / SAMPLE_US;
        let from = (about - REACH_SAMPLES).max(0);
        let near = &self.channel()[from as usize..(about + REACH_SAMPLES) as usize + decoded.len()];
        let found = near.windows(decoded.len()).position(|piece| piece == decoded);
        let found = found.unwrap_or_else(|| panic!("{:?} is not heard near {about}", self.party));
        from + found as i64 - packet.timestamp
    }

    /// The channel has what came on the wire, each packet in its place, to the sample; and nothing of what is hidden.
    pub(super) fn check_sound(&self) {
        let Self { recorded, party, .. } = self;
        let mut heard = 0;
        for packet in &self.voice {
            for (code, at) in packet.encoded.iter().zip(self.place + packet.timestamp..) {
                let Some(sample) = self.channel().get(at as usize) else { break };
                let at_us = recorded.began_us + at * SAMPLE_US;
                let times = [packet.at_us, at_us];
                // The packet that came just before a take ended may be whole, or end with it.
                if at_us > recorded.until_us
                    || times.iter().any(|time| recorded.is_at_edge(*time, *party))
                {
                    continue;
                }
                let is_hidden = times.iter().any(|time| recorded.hides(*time, *party));
                let said = if is_hidden { 0 } else { mu_law_value(*code) };
                assert_eq!(
                    *sample, said,
                    "{party:?}, sample {at}, came at {}: {:#?}",
                    packet.at_us, recorded.hidden
                );
                heard += usize::from(said != 0);
            }
        }
        let length = self.channel().len();
        let beyond_us = recorded.began_us + length as i64 * SAMPLE_US - recorded.until_us;
        assert!(beyond_us <= PACKET_US + EDGE_US, "{party:?}: {beyond_us} us too long");
        assert!(heard * 4 > length, "{party:?}: only {heard} of {length} samples are compared");
    }

    /// When the silence begins and ends that a span is in.
    pub(super) fn silence_around(&self, span: &Span) -> (i64, i64) {
        let middle_us = i64::midpoint(span.from_us, span.until_us) - self.recorded.began_us;
        let middle = (middle_us / SAMPLE_US) as usize;
        let (before, after) = self.channel().split_at(middle);
        let is_heard = |sample: &i16| *sample != 0;
        let from = before.iter().rposition(is_heard).map_or(0, |at| at + 1);
        let until = middle + after.iter().position(is_heard).unwrap_or(after.len());
        let time = |at: usize| self.recorded.began_us + at as i64 * SAMPLE_US;
        (time(from), time(until))
    }

    /// How much packets around a span's edges are off their time on the wire: what the phone did, not Earwitness.
    pub(super) fn late_us(&self, span: &Span) -> i64 {
        let around = self.voice.iter().filter(|packet| {
            [span.from_us, span.until_us].iter().any(|edge| (packet.at_us - edge).abs() < AROUND_US)
        });
        let late = |packet: &Spoken| {
            let placed_us = (self.place + packet.timestamp) * SAMPLE_US + self.recorded.began_us;
            (placed_us - packet.at_us).abs()
        };
        around.map(late).max().expect("packets came around it")
    }
}
