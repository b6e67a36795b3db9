//! Who is heard on a side, where several of its streams talk at the same time.
//!
//! At each moment one run is heard, never a mix: the one of the highest priority; of these the one
//! that began last (an answer after early media). A stretch where nobody sends stays with who sent
//! before it, for concealment and noise.

use std::collections::BTreeSet;

use crate::limits::NS_PER_S;

/// A run of a stream, by position.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VoiceId {
    pub(crate) stream: usize,
    pub(crate) run: usize,
}

/// A spell that wants to be heard, in frames of the recording.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) priority: i32,
    /// First frame of the run, not of the spell: who pauses and goes on does not jump the queue.
    pub(crate) run_from: i64,
    pub(crate) voice: VoiceId,
}

/// Frames of the recording that one run has for itself.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) voice: VoiceId,
}

/// Divides a side's time among its runs. The spans are in order, touch, and cover all time.
pub(crate) fn divide(claims: &[Claim]) -> Vec<Span> {
    let mut edges: Vec<(i64, bool, usize)> = Vec::with_capacity(claims.len() * 2);
    for (index, claim) in claims.iter().enumerate().filter(|(_, claim)| claim.from < claim.until) {
        edges.push((claim.from, true, index));
        edges.push((claim.until, false, index));
    }
    edges.sort_unstable();
    let mut active = BTreeSet::new();
    let mut spans: Vec<Span> = Vec::new();
    for (at, begins, index) in edges {
        let claim = &claims[index];
        let rank = (claim.priority, claim.run_from, claim.voice, index);
        if begins {
            active.insert(rank);
        } else {
            active.remove(&rank);
        }
        if let Some(&(_, _, voice, _)) = active.last() {
            hand_over(&mut spans, at, voice);
        }
    }
    if let Some(first) = spans.first_mut() {
        first.from = i64::MIN;
    }
    spans
}

/// From `at` on, `voice` is heard.
fn hand_over(spans: &mut Vec<Span>, at: i64, voice: VoiceId) {
    if let Some(last) = spans.last_mut() {
        if last.voice == voice {
            return;
        }
        last.until = at;
        if last.from == at {
            spans.pop();
        }
    }
    match spans.last_mut() {
        Some(last) if last.voice == voice => last.until = i64::MAX,
        _ => spans.push(Span { from: at, until: i64::MAX, voice }),
    }
}

/// Frames for a time relative to the recording's start, rounded to the nearest.
pub(crate) fn frames(at_ns: i64, rate_hz: u32) -> i64 {
    let scaled = i128::from(at_ns) * i128::from(rate_hz);
    (scaled + i128::from(NS_PER_S / 2)).div_euclid(i128::from(NS_PER_S)) as i64
}

#[cfg(test)]
mod tests {
    use super::{Claim, Span, VoiceId, divide, frames};

    fn claim(stream: usize, priority: i32, from: i64, until: i64) -> Claim {
        Claim { from, until, priority, run_from: from, voice: VoiceId { stream, run: 0 } }
    }

    fn heard(claims: &[Claim]) -> Vec<(i64, usize)> {
        divide(claims).iter().map(|span| (span.from, span.voice.stream)).collect()
    }

    /// REC-2: the answer is heard, not the early media that goes on beside it; unless marked.
    #[test]
    fn later_stream_is_heard() {
        assert_eq!(heard(&[claim(0, 0, 0, 100), claim(1, 0, 40, 200)]), [(i64::MIN, 0), (40, 1)]);
        assert_eq!(heard(&[claim(0, 1, 0, 100), claim(1, 0, 40, 200)]), [(i64::MIN, 0), (100, 1)]);
    }

    /// A short stream in between takes its time and gives it back.
    #[test]
    fn interruption_ends() {
        assert_eq!(
            heard(&[claim(0, 0, 0, 100), claim(1, 0, 40, 60)]),
            [(i64::MIN, 0), (40, 1), (60, 0)]
        );
    }

    /// Nobody's time stays with who spoke last; spans touch and have no end.
    #[test]
    fn holes_are_filled() {
        let spans = divide(&[claim(0, 0, 0, 10), claim(1, 0, 50, 60)]);
        assert_eq!(spans[0].until, 50);
        assert_eq!(
            spans[1],
            Span { from: 50, until: i64::MAX, voice: VoiceId { stream: 1, run: 0 } }
        );
        assert!(divide(&[]).is_empty());
    }

    /// Sample-exact: rounding is to the nearest frame, also before the start.
    #[test]
    fn frames_are_rounded() {
        assert_eq!(frames(62_500, 8_000), 1);
        assert_eq!(frames(62_499, 8_000), 0);
        assert_eq!(frames(-125_000, 8_000), -1);
        assert_eq!(frames(36_000_000_000_000, 48_000), 1_728_000_000);
    }
}
