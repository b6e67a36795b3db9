//! The second pass over one run: its audio, at its place, at its own rate.
//!
//! Packets are first noted, as pieces, and then decoded many at a time: for decoders in a process of
//! their own that is one round trip for a chunk.

use std::ops::Range;

use earwitness_codec::{CodecError, CodecId, Expander, Step};

use crate::canvas::Canvas;
use crate::codecs::Codecs;
use crate::conceal;
use crate::decode::{Bench, Decoded};
use crate::grid::{Grid, Stage};
use crate::limits::{NS_PER_S, PIECES_MAX, STORE_BYTES_MAX};
use crate::options::Noise;
use crate::order::Slot;
use crate::run::Line;
use crate::sequence::Place;
use crate::slip;

/// What is to be drawn.
#[derive(Clone, Debug)]
enum Subject {
    /// A payload, by its place in the store.
    Audio(Range<usize>),
    /// Nothing came: concealed up to `until`.
    Lost { until: i64 },
    /// RFC 3389, up to `until`; an empty payload goes on with what was said before.
    Noise { payload: Range<usize>, until: i64 },
}

/// One thing to be drawn. Positions are native samples, drift not counted.
#[derive(Clone, Debug)]
struct Piece {
    subject: Subject,
    codec: u8,
    at: i64,
    /// Samples that drift has moved it.
    drift: i64,
}

/// What the last packet was, as far as what follows depends on it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Tail {
    /// Nothing, an event, something unknown: a gap is silent.
    Silent,
    /// Audio: a gap by loss is concealed.
    Audio,
    /// Comfort noise: a gap is noise.
    Noise,
}

#[derive(Debug)]
pub(crate) struct Voice {
    grid: Grid,
    canvas: Canvas,
    bench: Bench,
    pieces: Vec<Piece>,
    /// Payloads of the pieces.
    store: Vec<u8>,
    decoded: Decoded,
    // What was noted last.
    tail: Tail,
    last: Option<Place>,
    /// Audio codec last heard: it renders comfort noise.
    codec: Option<u8>,
    /// Where the audio noted so far ends.
    noted_until: i64,
    /// Length of the last packet whose length was known.
    usual_samples: i64,
    /// Comfort noise goes on up to here.
    noise_until: i64,
    // What was drawn last.
    /// Where it ends on the canvas.
    drawn_until: i64,
    /// Drift corrected so far, in samples.
    corrected: i64,
    /// The last audio touched a mask: nothing may be derived from it.
    masked: bool,
    concealed_samples: u64,
    /// Packets that their codec refused, by codec.
    refused: Vec<(u8, u64)>,
}

impl Voice {
    /// A voice whose canvas begins with the chunk at `frame`.
    pub(crate) fn new(line: &Line, rate_hz: u32, frame: i64, stage: &Stage<'_>) -> Self {
        let grid = Grid::new(line, rate_hz, stage);
        let canvas = Canvas::new(grid.canvas_samples(), grid.base_for(frame), grid.masks(stage));
        Self {
            grid,
            canvas,
            bench: Bench::default(),
            pieces: Vec::new(),
            store: Vec::new(),
            decoded: Decoded::default(),
            tail: Tail::Silent,
            last: None,
            codec: None,
            noted_until: i64::MIN,
            usual_samples: i64::from(rate_hz / 50),
            noise_until: i64::MIN,
            drawn_until: i64::MIN,
            corrected: 0,
            masked: false,
            concealed_samples: 0,
            refused: Vec::new(),
        }
    }

    /// Frame of the recording where these ticks lie.
    pub(crate) fn frame_of(&self, ticks: i64, line: &Line, stage: &Stage<'_>) -> i64 {
        let drift = line.drifted_samples(ticks, self.grid.rate_hz);
        self.grid.frame_of(self.grid.sample_of(ticks) + drift, stage)
    }

    pub(crate) fn concealed_ns(&self) -> u64 {
        self.concealed_samples * NS_PER_S / u64::from(self.grid.rate_hz)
    }

    pub(crate) fn refused(&self) -> &[(u8, u64)] {
        &self.refused
    }

    /// Forgets what lies before the chunk that begins at `frame`.
    pub(crate) fn advance(&mut self, frame: i64) {
        self.canvas.advance(self.grid.base_for(frame));
        self.note_noise();
    }

    /// Whether nothing is left to be heard.
    pub(crate) fn is_spent(&self) -> bool {
        self.pieces.is_empty() && self.drawn_until.max(self.noise_until) < self.canvas.base()
    }

    /// The chunk's frames from `frame` on.
    pub(crate) fn copy_to(&self, frame: i64, out: &mut [i16]) {
        let index = frame - self.grid.origin;
        match &self.grid.resampler {
            Some(resampler) => self.canvas.resample_to(resampler, index, out),
            None => self.canvas.copy_to(index, out),
        }
    }

    /// The next packet of this run is known: notes what lies between the last one and it.
    pub(crate) fn approach(&mut self, slot: &Slot, ticks: i64, stage: &Stage<'_>) {
        let next = self.grid.sample_of(ticks);
        let lost = self.last.is_some_and(|last| {
            last.epoch != slot.place.epoch || last.number + 1 != slot.place.number
        });
        match (self.tail, self.codec) {
            (Tail::Audio, Some(codec)) if lost && next > self.noted_until => {
                let most = conceal::samples_max(self.grid.rate_hz) as i64;
                let until = next.min(self.noted_until + most);
                self.note(Subject::Lost { until }, codec, self.noted_until, 0);
            }
            (Tail::Noise, Some(_)) if stage.noise == Noise::Comfort => {
                self.noise_until = next;
                self.note_noise();
            }
            _ => {}
        }
    }

    /// Notes comfort noise as far as the canvas reaches.
    fn note_noise(&mut self) {
        let until = self.noise_until.min(self.canvas.reach() - self.corrected);
        let at = self.noted_until.max(self.canvas.base() - self.corrected);
        if let Some(codec) = self.codec.filter(|_| at < until) {
            self.note(Subject::Noise { payload: 0..0, until }, codec, at, 0);
            self.noted_until = until;
        }
    }

    /// A packet that is not heard.
    pub(crate) fn pass(&mut self, slot: &Slot) {
        self.last = Some(slot.place);
        self.tail = Tail::Silent;
    }

    /// RFC 3389: from here on the sender is silent, in this way.
    pub(crate) fn hush(&mut self, slot: &Slot, ticks: i64, payload: &[u8]) {
        self.last = Some(slot.place);
        self.tail = Tail::Noise;
        let at = self.grid.sample_of(ticks);
        self.noted_until = self.noted_until.max(at);
        if let Some(codec) = self.codec {
            let payload = self.keep(payload);
            self.note(Subject::Noise { payload, until: at }, codec, at, 0);
        }
    }

    /// A packet of audio.
    pub(crate) fn speak(
        &mut self,
        slot: &Slot,
        codec: u8,
        ticks: i64,
        payload: &[u8],
        line: &Line,
        expander: Option<Expander>,
    ) {
        self.last = Some(slot.place);
        self.tail = Tail::Audio;
        self.codec = Some(codec);
        let at = self.grid.sample_of(ticks);
        let drift = line.drifted_samples(ticks, self.grid.rate_hz);
        if slot.duration_ticks > 0 {
            self.usual_samples = self.grid.samples_in(i64::from(slot.duration_ticks));
        }
        self.noted_until = at + self.usual_samples;
        // Where nothing waits to be drawn before it.
        if self.pieces.is_empty()
            && expander.is_some_and(|it| self.draw_now(it, at, drift, payload))
        {
            return;
        }
        let payload = self.keep(payload);
        self.note(Subject::Audio(payload), codec, at, drift);
    }

    /// Draws audio that needs no decoder; false if it does.
    fn draw_now(&mut self, expander: Expander, at: i64, drift: i64, payload: &[u8]) -> bool {
        let mut samples = std::mem::take(&mut self.decoded.samples);
        let is_drawn = expander.expand(payload, &mut samples);
        if is_drawn {
            self.place_audio(at, drift, &samples);
        }
        self.decoded.samples = samples;
        is_drawn
    }

    fn keep(&mut self, payload: &[u8]) -> Range<usize> {
        let from = self.store.len();
        self.store.extend_from_slice(payload);
        from..self.store.len()
    }

    fn note(&mut self, subject: Subject, codec: u8, at: i64, drift: i64) {
        self.pieces.push(Piece { subject, codec, at, drift });
    }

    /// Whether so much is noted that it should be drawn now.
    pub(crate) fn is_full(&self) -> bool {
        self.pieces.len() >= PIECES_MAX || self.store.len() >= STORE_BYTES_MAX
    }

    /// Draws what is noted.
    pub(crate) fn draw(&mut self, codecs: &Codecs, stage: &Stage<'_>) -> Result<(), CodecError> {
        let pieces = std::mem::take(&mut self.pieces);
        let mut decoded = std::mem::take(&mut self.decoded);
        for row in pieces.chunk_by(|a, b| a.codec == b.codec) {
            let codec = row[0].codec;
            let steps = steps(row, &self.store, codecs);
            self.bench.run(codec, &steps, codecs, stage.decoders, &mut decoded)?;
            self.place(row, codecs, &decoded);
        }
        self.decoded = decoded;
        self.pieces = pieces;
        self.pieces.clear();
        self.store.clear();
        Ok(())
    }

    /// Puts what was decoded where it belongs.
    fn place(&mut self, row: &[Piece], codecs: &Codecs, decoded: &Decoded) {
        let mut samples = decoded.samples.as_slice();
        let mut counts = decoded.counts.iter();
        for piece in row {
            let mut next = || {
                let count = counts.next().copied().flatten()?;
                let (audio, rest) = samples.split_at_checked(count)?;
                samples = rest;
                Some(audio)
            };
            match piece.subject {
                Subject::Audio(_) => match next() {
                    Some(audio) => self.place_audio(piece.at, piece.drift, audio),
                    None => self.refuse(piece.codec),
                },
                Subject::Lost { until } if is_memoryless(codecs, piece.codec) => {
                    self.conceal(piece.at, until);
                }
                Subject::Lost { .. } => {
                    if let Some(audio) = next() {
                        self.place_concealed(piece, audio);
                    }
                }
                Subject::Noise { .. } => {
                    if let Some(audio) = next() {
                        let at = piece.at + self.corrected;
                        self.canvas.draw(at, audio);
                        self.drawn_until = at + audio.len() as i64;
                    }
                }
            }
        }
    }

    fn place_audio(&mut self, at: i64, drift: i64, audio: &[i16]) {
        let (mut at, slip) = (at + self.corrected, drift - self.corrected);
        self.corrected = drift;
        let mut count = audio.len() as i64;
        if slip != 0 && at == self.drawn_until {
            let slipped = slip::slip(audio, slip);
            count = slipped.len() as i64;
            self.masked = self.canvas.draw(at, &slipped);
        } else {
            // A gap before it takes up whatever drift there is.
            at += slip;
            self.masked = self.canvas.draw(at, audio);
        }
        self.drawn_until = at + count;
    }

    /// Loss in audio whose samples do not depend on each other.
    fn conceal(&mut self, at: i64, until: i64) {
        let (at, until) = (self.hole(at), until + self.corrected);
        if self.masked || at >= until {
            return;
        }
        let rate_hz = self.grid.rate_hz;
        if let Some((history, gap)) = self.canvas.around(at, until) {
            let made = conceal::conceal(history, gap, rate_hz);
            self.concealed_samples += made as u64;
            self.canvas.cut(at, at + made as i64);
        }
    }

    /// What the decoder made up for loss; it ends softly where the loss is longer.
    fn place_concealed(&mut self, piece: &Piece, audio: &[i16]) {
        let at = self.hole(piece.at);
        if self.masked {
            return;
        }
        let mut audio = audio.to_vec();
        if audio.len() >= conceal::samples_max(self.grid.rate_hz) {
            conceal::fade_out(&mut audio, self.grid.rate_hz);
        }
        self.concealed_samples += audio.len() as u64;
        self.canvas.draw(at, &audio);
    }

    /// Where a hole that was noted at `at` begins: not before what is drawn.
    fn hole(&self, at: i64) -> i64 {
        (at + self.corrected).max(self.drawn_until)
    }

    fn refuse(&mut self, codec: u8) {
        match self.refused.iter_mut().find(|(known, _)| *known == codec) {
            Some((_, count)) => *count += 1,
            None => self.refused.push((codec, 1)),
        }
    }
}

/// What the decoder is asked for. Loss in codecs without memory is none of its business: what was
/// received stays as it was, up to the last sample.
fn steps<'a>(row: &[Piece], store: &'a [u8], codecs: &Codecs) -> Vec<Step<'a>> {
    let payload = |range: &Range<usize>| store.get(range.clone()).unwrap_or(&[]);
    let length = |piece: &Piece, until: i64| usize::try_from(until - piece.at).unwrap_or(0);
    row.iter()
        .enumerate()
        .filter_map(|(index, piece)| match &piece.subject {
            Subject::Audio(range) => Some(Step::Packet(payload(range))),
            Subject::Lost { .. } if is_memoryless(codecs, piece.codec) => None,
            Subject::Lost { until } => {
                let next = row.get(index + 1).and_then(|next| match &next.subject {
                    Subject::Audio(range) => Some(payload(range)),
                    Subject::Lost { .. } | Subject::Noise { .. } => None,
                });
                Some(Step::Lost { samples: length(piece, *until), next })
            }
            Subject::Noise { payload: range, until } => {
                Some(Step::Noise { payload: payload(range), samples: length(piece, *until) })
            }
        })
        .collect()
}

fn is_memoryless(codecs: &Codecs, codec: u8) -> bool {
    matches!(codecs.spec(codec).id, CodecId::Pcmu | CodecId::Pcma | CodecId::L16)
}
