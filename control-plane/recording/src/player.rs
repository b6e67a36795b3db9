//! The second pass over one stream: its packets, to the voices of its runs, chunk by chunk.

use earwitness_codec::CodecError;

use crate::codecs::Kind;
use crate::grid::Stage;
use crate::limits::{CHUNK_MS, OVERLAP_MS, VOICES_MAX};
use crate::order::{Ordered, Slot};
use crate::owner::{Span, VoiceId};
use crate::stream::{SourceError, StreamInput};
use crate::survey::{Survey, Ticker};
use crate::voice::Voice;

/// Why a stream could not be played to its end.
#[derive(Debug)]
pub(crate) enum PlayError {
    Source(SourceError),
    Decoder(CodecError),
}

impl From<SourceError> for PlayError {
    fn from(source: SourceError) -> Self {
        Self::Source(source)
    }
}

/// The packet that comes next, and where it goes.
#[derive(Copy, Clone, Debug)]
struct Pending {
    slot: Slot,
    kind: Kind,
    /// `None` for what has no place in media time.
    ticks: Option<i64>,
    run: usize,
}

/// The packets in sending order once more.
#[derive(Debug)]
enum Slots<'a> {
    /// As the first pass found them.
    Kept(std::slice::Iter<'a, Slot>),
    Again(Box<Ordered<'a>>),
}

impl<'a> Slots<'a> {
    fn of(input: StreamInput<'a>, survey: &'a Survey) -> Self {
        match &survey.slots {
            Some(slots) => Self::Kept(slots.iter()),
            None => Self::Again(Box::new(Ordered::new(input, &survey.codecs, survey.count))),
        }
    }

    #[inline]
    fn next(&mut self) -> Result<Option<Slot>, SourceError> {
        match self {
            Self::Kept(slots) => Ok(slots.next().copied()),
            Self::Again(ordered) => ordered.next(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Player<'a> {
    /// Position among the streams.
    id: usize,
    input: StreamInput<'a>,
    survey: &'a Survey,
    slots: Slots<'a>,
    ticker: Ticker,
    pending: Option<Pending>,
    run: usize,
    /// By run; a few at a time.
    voices: Vec<(usize, Voice)>,
    concealed_ns: u64,
    /// Packets that their codec refused, by codec, of voices that are through.
    refused: Vec<(u8, u64)>,
}

impl<'a> Player<'a> {
    pub(crate) fn new(id: usize, input: StreamInput<'a>, survey: &'a Survey) -> Self {
        Self {
            id,
            input,
            survey,
            slots: Slots::of(input, survey),
            ticker: Ticker::default(),
            pending: None,
            run: 0,
            voices: Vec::new(),
            concealed_ns: 0,
            refused: Vec::new(),
        }
    }

    pub(crate) fn concealed_ms(&self) -> u64 {
        let open: u64 = self.voices.iter().map(|(_, voice)| voice.concealed_ns()).sum();
        (self.concealed_ns + open) / 1_000_000
    }

    /// Packets that their codec refused, by codec; a codec may be named more than once.
    pub(crate) fn refused(&self) -> impl Iterator<Item = (u8, u64)> {
        let open = self.voices.iter().flat_map(|(_, voice)| voice.refused());
        self.refused.iter().chain(open).copied()
    }

    /// Draws everything that belongs to the chunk at `frame`, and what overlaps it.
    pub(crate) fn fill(
        &mut self,
        frame: i64,
        spans: &[Span],
        stage: &Stage<'_>,
    ) -> Result<(), PlayError> {
        let ahead_ms = u64::from(CHUNK_MS + OVERLAP_MS);
        let horizon = frame + (u64::from(stage.rate_hz) * ahead_ms / 1_000) as i64;
        self.advance(frame);
        loop {
            let next = match self.pending.take() {
                Some(pending) => Some(pending),
                None => self.peek(frame, stage)?,
            };
            let Some(pending) = next else { break };
            if let Some(ticks) = pending.ticks {
                let line = &self.survey.lines[self.survey.runs[pending.run].line];
                let voice = self.voice(pending.run, frame, stage);
                let at = voice.frame_of(ticks, line, stage);
                if at >= horizon {
                    self.pending = Some(pending);
                    break;
                }
                self.note(&pending, ticks, at, spans, stage)?;
            } else if let Some((_, voice)) = self.voices.last_mut() {
                voice.pass(&pending.slot);
            }
        }
        let codecs = &self.survey.codecs;
        for (_, voice) in &mut self.voices {
            voice.draw(codecs, stage).map_err(PlayError::Decoder)?;
        }
        Ok(())
    }

    /// Moves the voices to the chunk, and drops those that are through.
    fn advance(&mut self, frame: i64) {
        let current = self.run;
        for (_, voice) in &mut self.voices {
            voice.advance(frame);
        }
        let through = self.voices.extract_if(.., |(run, voice)| *run < current && voice.is_spent());
        for (_, voice) in through.collect::<Vec<_>>() {
            self.retire(&voice);
        }
    }

    fn retire(&mut self, voice: &Voice) {
        self.concealed_ns += voice.concealed_ns();
        self.refused.extend(voice.refused());
    }

    /// Reads the next packet, finds its run, and tells the voice what it comes after.
    fn peek(&mut self, frame: i64, stage: &Stage<'_>) -> Result<Option<Pending>, SourceError> {
        let Some(slot) = self.slots.next()? else { return Ok(None) };
        if self.survey.closed_at.is_some_and(|closed_at| slot.place >= closed_at) {
            return Ok(None);
        }
        let kind = self.survey.codecs.kind(slot.codec);
        let runs = &self.survey.runs;
        while runs.get(self.run + 1).is_some_and(|next| next.first <= slot.place) {
            self.run += 1;
        }
        let run = self.run;
        if !self.survey.is_timed(&slot) || runs.is_empty() {
            return Ok(Some(Pending { slot, kind, ticks: None, run }));
        }
        let ticks = self.ticker.advance(slot.timestamp);
        self.voice(run, frame, stage).approach(&slot, ticks, stage);
        Ok(Some(Pending { slot, kind, ticks: Some(ticks), run }))
    }

    fn voice(&mut self, run: usize, frame: i64, stage: &Stage<'_>) -> &mut Voice {
        let at = match self.voices.iter().position(|(known, _)| *known == run) {
            Some(at) => at,
            None => {
                if self.voices.len() >= VOICES_MAX {
                    let (_, oldest) = self.voices.remove(0);
                    self.retire(&oldest);
                }
                let Survey { lines, runs, .. } = self.survey;
                let rate_hz = runs[run].rate_hz();
                let line = &lines[runs[run].line];
                self.voices.push((run, Voice::new(line, rate_hz, frame, stage)));
                self.voices.len() - 1
            }
        };
        &mut self.voices[at].1
    }

    /// Tells the voice of a packet.
    fn note(
        &mut self,
        pending: &Pending,
        ticks: i64,
        at: i64,
        spans: &[Span],
        stage: &Stage<'_>,
    ) -> Result<(), PlayError> {
        let Pending { slot, kind, run, .. } = *pending;
        let (survey, input) = (self.survey, self.input);
        let heard = is_heard(spans, VoiceId { stream: self.id, run }, at, stage.rate_hz);
        let line = &survey.lines[survey.runs[run].line];
        let Some((_, voice)) = self.voices.iter_mut().find(|(known, _)| *known == run) else {
            return Ok(());
        };
        let (Kind::Audio | Kind::Noise, Some(codec), true) = (kind, slot.codec, heard) else {
            voice.pass(&slot);
            return Ok(());
        };
        let read = input.packets.read(slot.index, &mut |packet| {
            let payload = slot.payload(packet.payload);
            match kind {
                // Only that it came was recorded (a mask): nothing is made up for it.
                _ if payload.is_empty() => voice.pass(&slot),
                Kind::Noise => voice.hush(&slot, ticks, payload),
                _ => voice.speak(&slot, codec, ticks, payload, line, survey.codecs.expander(codec)),
            }
        });
        if let Err(error @ SourceError::Failed { .. }) = read {
            return Err(error.into());
        }
        if voice.is_full() {
            voice.draw(&survey.codecs, stage).map_err(PlayError::Decoder)?;
        }
        Ok(())
    }

    /// Frames from `frame` on, as this run has them; silence if it has none.
    pub(crate) fn copy_to(&self, run: usize, frame: i64, out: &mut [i16]) {
        match self.voices.iter().find(|(known, _)| *known == run) {
            Some((_, voice)) => voice.copy_to(frame, out),
            None => out.fill(0),
        }
    }
}

/// Whether the run has any frame of the recording near `at`: what nobody hears is not decoded, but a
/// second before it is heard it is, so that a decoder with memory is warm.
fn is_heard(spans: &[Span], id: VoiceId, at: i64, rate_hz: u32) -> bool {
    let second = i64::from(rate_hz);
    if at < -second {
        return false;
    }
    let first = spans.partition_point(|span| span.until <= at - second);
    spans[first..].iter().take_while(|span| span.from <= at + second).any(|span| span.voice == id)
}
