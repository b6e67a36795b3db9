//! What is recorded of two calls that turned out to be one (CALL-5).
//!
//! The time that either covered is covered; takes that overlap are one, so that nothing is recorded twice. What either
//! hid is hidden. The last word of a person about whether it is recorded counts for what follows.

use std::ops::Range;

use smallvec::SmallVec;

use super::{Cause, Coverage, PauseStyle, Take, Terms};
use crate::call::Party;
use crate::call::binding::{OPEN, TsNs};
use crate::call::coverage::{BEGINNING, Wanted};
use crate::call::limits::{SPANS_PER_CALL_MAX, TAKES_PER_CALL_MAX};

/// Of which of the two calls something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The one that goes on, which began first.
    Ours,
    Theirs,
}

/// When media of the two calls began.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Before then nothing can have come to the other call.
    pub theirs_ns: TsNs,
    pub our_media_ns: Option<TsNs>,
    pub their_media_ns: Option<TsNs>,
}

/// What became of the takes and words of two calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct United {
    pub coverage: Coverage,
    /// Of each take, in their order, those that it is made of: whose, and the number that it had.
    pub made_of: Vec<Vec<(Of, u32)>>,
    /// Somebody stopped the recording of one call after whatever was asked for in the other: it is to stop now.
    pub stop: Option<Cause>,
}

/// A take on its way to be a part of one.
struct Part {
    of: Of,
    take: Take,
    media_ns: Option<TsNs>,
}

impl Coverage {
    /// Whether there is room for the takes and spans of both.
    #[must_use]
    pub fn fits(&self, theirs: &Self) -> bool {
        self.spans.len() + theirs.spans.len() <= SPANS_PER_CALL_MAX
            && self.takes.len() + theirs.takes.len() <= TAKES_PER_CALL_MAX
    }

    /// What both are together; their sides are the same.
    #[must_use]
    pub fn united(&self, theirs: &Self, times: &Times) -> United {
        let mut coverage = Self {
            takes: SmallVec::new(),
            spans: self.spans.iter().chain(&theirs.spans).cloned().collect(),
            keeps: false,
            kept: self.kept || theirs.kept,
            awaited: self.awaited,
            plain: false,
        };
        let mut made_of = Vec::new();
        for parts in runs(self.parts(Of::Ours, times).chain(theirs.parts(Of::Theirs, times))) {
            let number = coverage.takes.len() as u32 + 1;
            coverage.takes.push(one_take(number, &parts, times));
            made_of.push(parts.iter().map(|part| (part.of, part.take.number)).collect());
        }
        coverage.keeps = coverage.takes.is_empty() && (self.keeps || theirs.keeps);
        coverage.judge();
        let stop = coverage.is_open().then(|| last_stop(self, theirs)).flatten().cloned();
        United { coverage, made_of, stop }
    }

    /// Who was on one side is on the other.
    pub fn exchange_sides(&mut self) {
        for speaker in self.spans.iter_mut().filter_map(|span| span.speaker.as_mut()) {
            *speaker = speaker.other();
        }
    }

    fn parts(&self, of: Of, times: &Times) -> impl Iterator<Item = Part> {
        let (begin_ns, media_ns) = match of {
            Of::Ours => (BEGINNING, times.our_media_ns),
            // Only what began first begins where everything does.
            Of::Theirs => (times.theirs_ns, times.their_media_ns),
        };
        self.takes.iter().map(move |take| {
            let from_ns = take.from_ns.max(begin_ns);
            let take = Take { from_ns, until_ns: take.until_ns.max(from_ns), ..take.clone() };
            Part { of, take, media_ns }
        })
    }

    /// When what `speaker` said was kept by this, and is not by `now`.
    #[must_use]
    pub fn not_kept_by(&self, now: &Self, speaker: Party) -> Vec<Range<TsNs>> {
        if now.plain {
            return Vec::new();
        }
        let mut edges: Vec<TsNs> = [self, now].into_iter().flat_map(Self::edges).collect();
        edges.extend([BEGINNING, OPEN]);
        edges.sort_unstable();
        edges.dedup();
        let is_lost = |at_ns| {
            self.wanted_at(at_ns, speaker) == Wanted::Kept
                && now.wanted_at(at_ns, speaker) != Wanted::Kept
        };
        let mut lost: Vec<Range<TsNs>> = Vec::new();
        for pair in edges.windows(2).filter(|pair| is_lost(pair[0])) {
            match lost.last_mut().filter(|last| last.end == pair[0]) {
                Some(last) => last.end = pair[1],
                None => lost.push(pair[0]..pair[1]),
            }
        }
        lost
    }

    /// Where what is wanted may change.
    fn edges(&self) -> impl Iterator<Item = TsNs> {
        let takes = self.takes.iter().flat_map(|take| [take.from_ns, take.until_ns]);
        takes.chain(self.spans.iter().flat_map(|span| [span.from_ns, span.until_ns]))
    }
}

/// Takes that overlap, in order of time; of those that begin together, ours first.
fn runs(parts: impl Iterator<Item = Part>) -> Vec<Vec<Part>> {
    let mut parts: Vec<Part> = parts.collect();
    parts.sort_by_key(|part| (part.take.from_ns, part.of == Of::Theirs));
    let mut runs: Vec<Vec<Part>> = Vec::new();
    let mut until_ns = BEGINNING;
    for part in parts {
        let overlaps = part.take.from_ns < until_ns;
        until_ns = until_ns.max(part.take.until_ns);
        match runs.last_mut() {
            Some(run) if overlaps => run.push(part),
            _ => runs.push(vec![part]),
        }
    }
    runs
}

/// The take that overlapping ones make. It ends as the last of them does, for the same reason.
fn one_take(number: u32, parts: &[Part], times: &Times) -> Take {
    let first = &parts[0].take;
    let last = parts.iter().map(|part| &part.take).max_by_key(|take| take.until_ns);
    let last = last.unwrap_or(first);
    let goes_on = |part: &&Part| part.take.until_ns == last.until_ns;
    let asked = parts.iter().filter(goes_on).find_map(|part| part.take.asked());
    Take {
        number,
        from_ns: first.from_ns,
        until_ns: last.until_ns,
        begun: first.begun.clone(),
        asked: asked.filter(|asked| **asked != first.begun).cloned().map(Box::new),
        ended: last.ended.clone(),
        terms: one_terms(parts, times),
    }
}

/// A recording is as long as the longest of them may be, it is kept if one of them would be, and its pauses keep their
/// length unless all cut them out.
fn one_terms(parts: &[Part], times: &Times) -> Terms {
    let terms = || parts.iter().map(|part| part.take.terms);
    let media_ns = [times.our_media_ns, times.their_media_ns].into_iter().flatten().min();
    let from_ns = parts[0].take.from_ns.max(media_ns.unwrap_or(BEGINNING));
    // A limit counts from where its own take began.
    let length_ns = |part: &Part| {
        let length_ns = part.take.terms.length_max_ns?;
        let begun_ns = part.media_ns.map_or(from_ns, |at_ns| part.take.from_ns.max(at_ns));
        Some(begun_ns.saturating_sub(from_ns).saturating_add(length_ns))
    };
    let limits = parts.iter().filter(|part| part.take.until_ns == OPEN).map(length_ns);
    Terms {
        length_max_ns: limits.reduce(|one, other| Some(one?.max(other?))).flatten(),
        length_min_ns: terms().map(|terms| terms.length_min_ns).min().unwrap_or(0),
        pause: match terms().all(|terms| terms.pause == PauseStyle::Cut) {
            true => PauseStyle::Cut,
            false => PauseStyle::Silence,
        },
    }
}

/// Who stopped a recording last, unless somebody has asked for one since.
fn last_stop<'c>(ours: &'c Coverage, theirs: &'c Coverage) -> Option<&'c Cause> {
    let takes = || ours.takes.iter().chain(&theirs.takes);
    let stops = takes().filter_map(|take| {
        let ended = take.ended.as_deref().filter(|ended| ended.by.is_person())?;
        Some((take.until_ns, ended))
    });
    let (at_ns, stop) = stops.max_by_key(|(at_ns, _)| *at_ns)?;
    let is_asked_since = |take: &Take| take.from_ns >= at_ns && take.asked().is_some();
    (!takes().any(is_asked_since)).then_some(stop)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::By;
    use super::*;

    fn by(by: By) -> Cause {
        Cause { by, who: None, from: None }
    }

    const TIMES: Times = Times { theirs_ns: 50, our_media_ns: Some(12), their_media_ns: Some(60) };

    fn whole() -> Coverage {
        Coverage::whole(by(By::Policy), Terms::default())
    }

    fn limited(length_ns: u64) -> Coverage {
        let terms = Terms { length_max_ns: Some(length_ns), ..Terms::default() };
        Coverage::whole(by(By::Policy), terms)
    }

    /// What is done to a coverage: a word, and how long after the one before.
    #[derive(Debug, Clone, Copy)]
    enum Word {
        Begin,
        End,
        Pause,
        Resume,
        Mask(Option<Party>),
        Unmask(Option<Party>),
        Keys(Party),
    }

    fn words() -> impl Strategy<Value = Vec<(Word, By, u64)>> {
        let party = prop_oneof![Just(Party::Caller), Just(Party::Callee)];
        let side = prop::option::of(party.clone());
        let word = prop_oneof![
            3 => Just(Word::Begin),
            2 => Just(Word::End),
            1 => Just(Word::Pause),
            1 => Just(Word::Resume),
            1 => side.clone().prop_map(Word::Mask),
            1 => side.prop_map(Word::Unmask),
            1 => party.prop_map(Word::Keys),
        ];
        let means = prop_oneof![Just(By::Policy), Just(By::Message), Just(By::Limit)];
        prop::collection::vec((word, means, 1..20_u64), 0..12)
    }

    fn spoken(words: &[(Word, By, u64)], begins_whole: bool, mut at_ns: u64) -> Coverage {
        let mut coverage = if begins_whole { whole() } else { Coverage::default() };
        for (word, means, after_ns) in words {
            at_ns += after_ns;
            let cause = by(*means);
            // What cannot be is no word.
            let _ = match *word {
                Word::Begin => coverage.begin(at_ns, cause, Terms::default()),
                Word::End => coverage.end(at_ns, cause),
                Word::Pause => coverage.pause(at_ns, cause),
                Word::Resume => coverage.resume(at_ns, &cause),
                Word::Mask(side) => coverage.mask(side, at_ns, cause),
                Word::Unmask(side) => coverage.unmask(side, at_ns, &cause),
                Word::Keys(side) => coverage.hide_keys(side, at_ns - 1, at_ns, cause),
            };
        }
        coverage
    }

    fn is_taken(coverage: &Coverage, at_ns: u64) -> bool {
        coverage.takes.iter().any(|take| take.from_ns <= at_ns && at_ns < take.until_ns)
    }

    fn is_hidden(coverage: &Coverage, at_ns: u64, speaker: Party) -> bool {
        coverage.spans.iter().any(|span| span.hides(at_ns, speaker))
    }

    proptest! {
        /// CALL-5, POL-7, POL-8: at every time, what either recorded is in one take, what either hid is hidden, and what
        /// is not kept any more is said.
        #[test]
        fn nothing_is_lost_nor_heard(
            (ours, theirs) in (words(), words()),
            (our_whole, their_whole) in any::<(bool, bool)>(),
        ) {
            let ours = spoken(&ours, our_whole, 10);
            let theirs = spoken(&theirs, their_whole, TIMES.theirs_ns);
            let United { coverage, made_of, .. } = ours.united(&theirs, &TIMES);
            let sides = [Party::Caller, Party::Callee];
            for at_ns in 0..400 {
                let is_theirs = at_ns >= TIMES.theirs_ns && is_taken(&theirs, at_ns);
                prop_assert_eq!(is_taken(&coverage, at_ns), is_taken(&ours, at_ns) || is_theirs);
                let of_it = coverage.takes.iter().filter(|t| t.from_ns <= at_ns && at_ns < t.until_ns);
                prop_assert!(of_it.count() <= 1, "recorded twice");
                for side in sides {
                    let hidden = is_hidden(&ours, at_ns, side) || is_hidden(&theirs, at_ns, side);
                    prop_assert_eq!(is_hidden(&coverage, at_ns, side), hidden);
                    for before in [&ours, &theirs] {
                        let is_lost = before.wanted_at(at_ns, side) == Wanted::Kept
                            && coverage.wanted_at(at_ns, side) != Wanted::Kept;
                        let told = before.not_kept_by(&coverage, side);
                        prop_assert_eq!(told.iter().any(|lost| lost.contains(&at_ns)), is_lost);
                    }
                }
            }
            let parts: usize = made_of.iter().map(Vec::len).sum();
            prop_assert_eq!(parts, ours.takes.len() + theirs.takes.len());
            for (number, take) in (1..).zip(&coverage.takes) {
                prop_assert_eq!(take.number, number);
            }
            prop_assert_eq!(made_of.len(), coverage.takes.len());
        }
    }

    /// CALL-5: two calls that were recorded as they came are one that is.
    #[test]
    fn two_whole_calls_are_one() {
        let united = whole().united(&whole(), &TIMES);
        assert!(united.coverage.is_plain());
        assert_eq!(united.made_of, [[(Of::Ours, 1), (Of::Theirs, 1)]]);
        assert_eq!(united.stop, None);
    }

    /// CALL-5, POL-7: what was stopped and begun again stays two recordings where the other call has nothing between.
    #[test]
    fn what_does_not_overlap_stays_apart() {
        let mut ours = whole();
        ours.end(100, by(By::Message)).expect("it was open");
        let mut theirs = Coverage::default();
        theirs.begin(150, by(By::Socket), Terms::default()).expect("none was open");
        let United { coverage, made_of, stop } = ours.united(&theirs, &TIMES);
        let takes: Vec<_> =
            coverage.takes.iter().map(|t| (t.number, t.from_ns, t.until_ns)).collect();
        assert_eq!(takes, [(1, BEGINNING, 100), (2, 150, OPEN)]);
        assert_eq!(made_of, [[(Of::Ours, 1)], [(Of::Theirs, 1)]]);
        assert_eq!(stop, None, "it was asked for since");
    }

    /// POL-7: who stopped one leg has stopped the conversation, unless somebody asked for it since; what a person asked
    /// for is a person's, also where a rule had begun before.
    #[test]
    fn the_last_word_counts() {
        let mut stopped = whole();
        stopped.end(100, by(By::Message)).expect("it was open");
        let united = stopped.united(&whole(), &TIMES);
        assert_eq!(united.stop, Some(by(By::Message)));
        assert!(united.coverage.is_open(), "what the other leg has until then is kept");
        assert_eq!(whole().united(&stopped, &TIMES).stop, Some(by(By::Message)));
        let mut asked = Coverage::default();
        asked.begin(120, by(By::Event), Terms::default()).expect("none was open");
        assert_eq!(stopped.united(&asked, &TIMES).stop, None);
        let mut limited = whole();
        limited.end(100, by(By::Limit)).expect("it was open");
        assert_eq!(limited.united(&whole(), &TIMES).stop, None, "nobody said so");
        let both = whole().united(&asked, &TIMES).coverage;
        assert_eq!(both.takes[0].begun, by(By::Policy));
        assert_eq!(both.takes[0].asked(), Some(&by(By::Event)));
    }

    /// POL-4: a limit counts from where its own take began; of two the later end holds, and none where one has none.
    #[test]
    fn the_longest_may_be() {
        let due = |ours: &Coverage, theirs: &Coverage| {
            ours.united(theirs, &TIMES).coverage.due_ns(TIMES.our_media_ns)
        };
        // Our media began at 12, theirs at 60.
        assert_eq!(due(&limited(100), &limited(100)), Some(160));
        assert_eq!(due(&limited(200), &limited(100)), Some(212));
        assert_eq!(due(&limited(100), &whole()), None);
        let terms = |length_min_ns, pause| Terms { length_min_ns, pause, ..Terms::default() };
        let cut = Coverage::whole(by(By::Policy), terms(5, PauseStyle::Cut));
        let silent = Coverage::whole(by(By::Policy), terms(3, PauseStyle::Silence));
        let one = cut.united(&silent, &TIMES).coverage.takes[0].terms;
        assert_eq!((one.length_min_ns, one.pause), (3, PauseStyle::Silence));
    }

    /// POL-8: a pause of either is one of both, and one word ends them.
    #[test]
    fn one_word_ends_both_pauses() {
        let [mut ours, mut theirs] = [whole(), whole()];
        ours.pause(100, by(By::Message)).expect("it was recording");
        theirs.pause(110, by(By::Message)).expect("it was recording");
        let mut both = ours.united(&theirs, &TIMES).coverage;
        assert_eq!(both.wanted(Party::Caller), Wanted::Hidden);
        both.resume(130, &by(By::Message)).expect("it was paused");
        assert_eq!(both.wanted(Party::Caller), Wanted::Kept);
        assert_eq!(whole().not_kept_by(&both, Party::Caller), std::slice::from_ref(&(100..130)));
    }

    /// POL-7: where media is kept for who may ask for it, it is kept until nobody can any more.
    #[test]
    fn what_is_kept_for_a_demand_is_kept() {
        let kept = Coverage::on_demand(crate::control::OnDemand::FromStart);
        let both = kept.united(&kept, &TIMES).coverage;
        assert!(both.is_kept() && both.takes.is_empty());
        let mut asked = Coverage::default();
        asked.begin(100, by(By::Event), Terms::default()).expect("none was open");
        asked.end(120, by(By::Event)).expect("it was open");
        let both = kept.united(&asked, &TIMES).coverage;
        assert_eq!(both.left_over_until(), Some(100));
        assert_eq!(kept.not_kept_by(&both, Party::Caller), std::slice::from_ref(&(120..OPEN)));
    }
}
