//! What of a call is recorded, over time: its takes, and what in them must not be heard (POL-4, POL-7, POL-8, POL-12).
//!
//! A *take* is what one recording is made of. Most calls have one, from their first packet to their last. A *span* is a
//! stretch that is silence, or cut out, in whatever take it falls: a pause, a mask, a key. Pure: times are packet times,
//! passed in; who may change what is asked elsewhere, what capture must be told follows from [`Coverage::wanted_at`].

mod united;

use std::sync::Arc;

use smallvec::SmallVec;

use super::Party;
use super::binding::{OPEN, TsNs};
use super::limits::{SPANS_PER_CALL_MAX, TAKES_PER_CALL_MAX};
use super::seldom::Seldom;
use crate::control::OnDemand;
pub use united::{Of, Times, United};

/// A take that begins here begins with the first media that there is.
pub const BEGINNING: TsNs = 0;

/// By which means somebody changed what is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// A rule, at the call's beginning or when its facts changed.
    Policy,
    /// A take's time limit.
    Limit,
    /// A feature code in telephone events (RFC 4733).
    Event,
    /// A feature code by SIP INFO.
    Info,
    /// A feature code as tones in the audio.
    Tone,
    /// A call to a feature code.
    Dialled,
    /// SIP MESSAGE out of a dialog.
    Message,
    /// SIP MESSAGE in the call's dialog.
    DialogMessage,
    /// The daemon's own socket.
    Socket,
}

impl By {
    /// The word in traces and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Limit => "time_limit",
            Self::Event => "rtp_event",
            Self::Info => "info",
            Self::Tone => "tone",
            Self::Dialled => "dialled",
            Self::Message => "message",
            Self::DialogMessage => "dialog_message",
            Self::Socket => "socket",
        }
    }

    /// Whether somebody said so, and no rule.
    #[must_use]
    pub const fn is_person(self) -> bool {
        !matches!(self, Self::Policy | Self::Limit)
    }
}

/// Who changed something, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    pub by: By,
    /// A party, a rule, a user of the machine; for people. Calls of one rule share its name.
    pub who: Option<Arc<str>>,
    /// An address.
    pub from: Option<Arc<str>>,
}

impl Cause {
    /// Of a rule, or of a limit that one set.
    #[must_use]
    pub fn rule(by: By, who: impl Into<Arc<str>>) -> Self {
        Self { by, who: Some(who.into()), from: None }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.by.name())?;
        if let Some(who) = &self.who {
            write!(f, ", {who}")?;
        }
        self.from.as_ref().map_or(Ok(()), |from| write!(f, ", from {from}"))
    }
}

/// What a pause becomes in the recording.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PauseStyle {
    /// Silence of the same length.
    #[default]
    Silence,
    /// Nothing: the recording goes on where it is resumed.
    Cut,
}

/// What was agreed for a take when it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// After so long the take ends by itself (POL-4 `time_limit`).
    pub length_max_ns: Option<u64>,
    /// A shorter recording is not kept (POL-4 `record_min_sec`).
    pub length_min_ns: u64,
    pub pause: PauseStyle,
}

/// What one recording is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Take {
    /// From 1, in the order in which they began; the recording's id is made of it.
    pub number: u32,
    pub from_ns: TsNs,
    /// Exclusive; [`OPEN`]: with the call.
    pub until_ns: TsNs,
    pub begun: Cause,
    /// Who asked for it besides, where two calls that became one had both.
    pub asked: Option<Box<Cause>>,
    /// None where it ended with the call, or has not ended.
    pub ended: Option<Box<Cause>>,
    pub terms: Terms,
}

impl Take {
    /// The person who wants it, if one does: only a rule that forbids it ends it then.
    #[must_use]
    pub fn asked(&self) -> Option<&Cause> {
        Some(&self.begun).filter(|begun| begun.by.is_person()).or(self.asked.as_deref())
    }
}

/// Why a stretch is not to be heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hidden {
    Pause,
    Mask,
    /// Keys of a feature code, or keys that are masked by rule.
    Keys,
}

impl Hidden {
    /// The word in sidecars.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Mask => "mask",
            Self::Keys => "keys",
        }
    }
}

/// A stretch that is not to be heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub what: Hidden,
    pub from_ns: TsNs,
    /// Exclusive; [`OPEN`]: until it is said.
    pub until_ns: TsNs,
    /// Who is not heard; none: nobody is.
    pub speaker: Option<Party>,
    pub begun: Cause,
    pub ended: Option<Cause>,
}

impl Span {
    fn hides(&self, at_ns: TsNs, speaker: Party) -> bool {
        self.from_ns <= at_ns && at_ns < self.until_ns && self.is_of(speaker)
    }

    fn is_of(&self, speaker: Party) -> bool {
        self.speaker.is_none_or(|only| only == speaker)
    }

    const fn is_open(&self) -> bool {
        self.until_ns == OPEN
    }

    /// An open mask that a person, or else a rule, began.
    fn is_mask_by(&self, by_person: bool) -> bool {
        self.what == Hidden::Mask && self.is_open() && self.begun.by.is_person() == by_person
    }
}

/// What shall become of a party's media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// It is recorded, or may be yet.
    Kept,
    /// That it came is recorded, not what was said.
    Hidden,
    /// It must not reach a disk.
    Denied,
}

/// Why nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unchanged {
    AlreadyRecording,
    NotRecording,
    AlreadyPaused,
    NotPaused,
    AlreadyMasked,
    NotMasked,
    /// The call has as many takes or spans as there may be (S10).
    TooMany,
}

impl Unchanged {
    /// The word in traces, answers and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AlreadyRecording => "already recording",
            Self::NotRecording => "not recording",
            Self::AlreadyPaused => "already paused",
            Self::NotPaused => "not paused",
            Self::AlreadyMasked => "already masked",
            Self::NotMasked => "not masked",
            Self::TooMany => "too many changes in one call",
        }
    }
}

/// The takes and spans of one call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Most calls have one.
    takes: SmallVec<[Take; 1]>,
    spans: Seldom<Span>,
    /// Media is kept until the first take begins, so that it may begin in the past.
    keeps: bool,
    /// It was so once: what came before the first take is left over.
    kept: bool,
    /// Somebody may begin a take: until then the keys of who does are listened to.
    awaited: bool,
    /// One take of everything, and nothing hidden: what most calls are.
    plain: bool,
}

impl Coverage {
    /// One take from the first packet to the last.
    #[must_use]
    pub fn whole(begun: Cause, terms: Terms) -> Self {
        let mut coverage = Self::default();
        // There is room for the first.
        let _ = coverage.begin(BEGINNING, begun, terms);
        coverage
    }

    /// None yet, but somebody may begin one.
    #[must_use]
    pub fn on_demand(on_demand: OnDemand) -> Self {
        let mut coverage = Self::default();
        coverage.set_on_demand(on_demand);
        coverage
    }

    /// Whether somebody may begin a take from now on, and from when.
    pub fn set_on_demand(&mut self, on_demand: OnDemand) {
        self.awaited = on_demand != OnDemand::Off;
        self.keeps = on_demand == OnDemand::FromStart && self.takes.is_empty();
        self.kept |= self.keeps;
    }

    /// A take begins. It may begin in the past, where media was kept, but not in the take before it.
    ///
    /// # Errors
    /// One is open, or there were too many.
    pub fn begin(&mut self, at_ns: TsNs, begun: Cause, terms: Terms) -> Result<(), Unchanged> {
        if self.is_open() {
            return Err(Unchanged::AlreadyRecording);
        }
        if self.takes.len() >= TAKES_PER_CALL_MAX {
            return Err(Unchanged::TooMany);
        }
        let from_ns = self.takes.last().map_or(at_ns, |last| last.until_ns.max(at_ns));
        let number = self.takes.len() as u32 + 1;
        let (until_ns, asked, ended) = (OPEN, None, None);
        self.takes.push(Take { number, from_ns, until_ns, begun, asked, ended, terms });
        self.keeps = false;
        self.judge();
        Ok(())
    }

    /// The open take ends; pauses and masks end with it.
    ///
    /// # Errors
    /// None is open.
    pub fn end(&mut self, at_ns: TsNs, ended: Cause) -> Result<(), Unchanged> {
        let open = self.takes.last_mut().filter(|take| take.until_ns == OPEN);
        let take = open.ok_or(Unchanged::NotRecording)?;
        take.until_ns = at_ns.max(take.from_ns);
        take.ended = Some(Box::new(ended.clone()));
        for span in self.spans.iter_mut().filter(|span| span.is_open()) {
            close(span, at_ns, ended.clone());
        }
        self.judge();
        Ok(())
    }

    /// Other terms hold for the open take. Returns whether they are others.
    pub fn agree(&mut self, terms: Terms) -> bool {
        let open = self.takes.last_mut().filter(|take| take.until_ns == OPEN);
        open.is_some_and(|take| std::mem::replace(&mut take.terms, terms) != terms)
    }

    /// Nobody is recorded from now on, until it is said.
    ///
    /// # Errors
    /// Nothing is recorded or kept, it is paused already, or there were too many spans.
    pub fn pause(&mut self, at_ns: TsNs, begun: Cause) -> Result<(), Unchanged> {
        if self.is_paused() {
            return Err(Unchanged::AlreadyPaused);
        }
        self.hide(Hidden::Pause, None, at_ns, begun)
    }

    /// # Errors
    /// It is not paused.
    pub fn resume(&mut self, at_ns: TsNs, ended: &Cause) -> Result<(), Unchanged> {
        if !self.is_paused() {
            return Err(Unchanged::NotPaused);
        }
        // Where two calls became one, each may have been paused.
        let is_pause = |span: &&mut Span| span.is_open() && span.what == Hidden::Pause;
        self.spans.iter_mut().filter(is_pause).for_each(|pause| close(pause, at_ns, ended.clone()));
        Ok(())
    }

    /// Silence for one speaker, or for both, until it is said: by people, or by the rules, each for themselves.
    ///
    /// # Errors
    /// Nothing is recorded or kept, it is masked already, or there were too many spans.
    pub fn mask(
        &mut self,
        speaker: Option<Party>,
        at_ns: TsNs,
        begun: Cause,
    ) -> Result<(), Unchanged> {
        let by_person = begun.by.is_person();
        let hides_it = |span: &Span| span.is_mask_by(by_person) && covers(span, speaker);
        if self.spans.iter().any(hides_it) {
            return Err(Unchanged::AlreadyMasked);
        }
        self.hide(Hidden::Mask, speaker, at_ns, begun)
    }

    /// Ends masks of one speaker, or all: what people have masked by a person's word, what a rule has masked by a rule's.
    ///
    /// # Errors
    /// There is none.
    pub fn unmask(
        &mut self,
        speaker: Option<Party>,
        at_ns: TsNs,
        ended: &Cause,
    ) -> Result<(), Unchanged> {
        let mut found = false;
        let by_person = ended.by.is_person();
        let is_meant = |span: &&mut Span| {
            span.is_mask_by(by_person) && (speaker.is_none() || span.speaker == speaker)
        };
        for mask in self.spans.iter_mut().filter(is_meant) {
            close(mask, at_ns, ended.clone());
            found = true;
        }
        found.then_some(()).ok_or(Unchanged::NotMasked)
    }

    /// Hides keys that a party pressed: from `from_ns` to `until_ns`, which have passed.
    ///
    /// # Errors
    /// There were too many spans.
    pub fn hide_keys(
        &mut self,
        speaker: Party,
        from_ns: TsNs,
        until_ns: TsNs,
        begun: Cause,
    ) -> Result<(), Unchanged> {
        let joins = |span: &&mut Span| {
            span.what == Hidden::Keys
                && span.speaker == Some(speaker)
                && span.from_ns <= until_ns
                && from_ns <= span.until_ns
        };
        if let Some(span) = self.spans.iter_mut().find(joins) {
            span.from_ns = span.from_ns.min(from_ns);
            span.until_ns = span.until_ns.max(until_ns);
            return Ok(());
        }
        let ended = Some(begun.clone());
        let (what, speaker) = (Hidden::Keys, Some(speaker));
        self.add(Span { what, from_ns, until_ns, speaker, begun, ended })
    }

    fn hide(
        &mut self,
        what: Hidden,
        speaker: Option<Party>,
        from_ns: TsNs,
        begun: Cause,
    ) -> Result<(), Unchanged> {
        // What is kept may be recorded yet.
        if !self.is_open() && !self.keeps {
            return Err(Unchanged::NotRecording);
        }
        self.add(Span { what, from_ns, until_ns: OPEN, speaker, begun, ended: None })
    }

    fn add(&mut self, span: Span) -> Result<(), Unchanged> {
        if self.spans.len() >= SPANS_PER_CALL_MAX {
            return Err(Unchanged::TooMany);
        }
        self.spans.push(span);
        self.judge();
        Ok(())
    }

    /// Whether media is kept for a take that has not begun.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        self.keeps
    }

    /// Whether somebody may begin a take that no rule wants.
    #[must_use]
    pub const fn is_awaited(&self) -> bool {
        self.awaited
    }

    fn judge(&mut self) {
        let all = |take: &Take| (take.from_ns, take.until_ns) == (BEGINNING, OPEN);
        self.plain = self.spans.is_empty() && matches!(self.takes.as_slice(), [one] if all(one));
    }

    /// In the order in which they began.
    #[must_use]
    pub fn takes(&self) -> &[Take] {
        &self.takes
    }

    /// What is hidden in `take`, as far as it lies in it.
    pub fn hidden_in(&self, take: &Take) -> impl Iterator<Item = &Span> {
        let (from_ns, until_ns) = (take.from_ns, take.until_ns);
        self.spans.iter().filter(move |span| span.from_ns < until_ns && from_ns < span.until_ns)
    }

    /// Whether a take is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.takes.last().is_some_and(|take| take.until_ns == OPEN)
    }

    /// Whether somebody stopped it, and not a rule.
    fn is_stopped(&self) -> bool {
        let ended = self.takes.last().and_then(|last| last.ended.as_deref());
        ended.is_some_and(|ended| ended.by.is_person())
    }

    /// Until when media was kept that is in no take, if there was any.
    #[must_use]
    pub fn left_over_until(&self) -> Option<TsNs> {
        let until_ns = self.takes.first().map_or(OPEN, |first| first.from_ns);
        (self.kept && until_ns > BEGINNING).then_some(until_ns)
    }

    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.spans.iter().any(|span| span.is_open() && span.what == Hidden::Pause)
    }

    /// Whether the rules want nothing of what this speaker says.
    #[must_use]
    pub fn is_masked_by_rule(&self, speaker: Party) -> bool {
        self.spans.iter().any(|span| span.is_mask_by(false) && span.is_of(speaker))
    }

    /// Whether anything of the call is recorded, or may be yet.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.keeps || !self.takes.is_empty()
    }

    /// Whether all media is recorded as it comes: nobody has changed anything.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.plain
    }

    /// What shall become of what `speaker` says from now on.
    #[must_use]
    pub fn wanted(&self, speaker: Party) -> Wanted {
        let is_hidden = || self.spans.iter().any(|span| span.is_open() && span.is_of(speaker));
        match self.is_open() || self.keeps {
            true if is_hidden() => Wanted::Hidden,
            true => Wanted::Kept,
            // Who stopped it may start it again: then nothing of what is said from that word on is missing.
            false if self.awaited || self.is_stopped() => Wanted::Hidden,
            false => Wanted::Denied,
        }
    }

    /// The same of what `speaker` said at `at_ns`.
    #[must_use]
    pub fn wanted_at(&self, at_ns: TsNs, speaker: Party) -> Wanted {
        if self.plain {
            return Wanted::Kept;
        }
        let is_taken = |take: &Take| take.from_ns <= at_ns && at_ns < take.until_ns;
        if self.spans.iter().any(|span| span.hides(at_ns, speaker)) {
            return Wanted::Hidden;
        }
        let kept = match self.takes.first() {
            Some(first) if self.kept && at_ns < first.from_ns => true,
            Some(_) => self.takes.iter().any(is_taken),
            None => self.keeps,
        };
        if kept { Wanted::Kept } else { Wanted::Denied }
    }

    /// Whether the open take ends by itself.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        let last = self.takes.last();
        last.is_some_and(|take| take.until_ns == OPEN && take.terms.length_max_ns.is_some())
    }

    /// When the open take's time is up; `first_media_ns` is when the call's first packet came.
    #[must_use]
    pub fn due_ns(&self, first_media_ns: Option<TsNs>) -> Option<TsNs> {
        let take = self.takes.last().filter(|take| take.until_ns == OPEN)?;
        let length_ns = take.terms.length_max_ns?;
        Some(take.from_ns.max(first_media_ns?).saturating_add(length_ns))
    }
}

/// Whether `span` hides all that a span of `speaker` would.
fn covers(span: &Span, speaker: Option<Party>) -> bool {
    span.speaker.is_none() || span.speaker == speaker
}

fn close(span: &mut Span, at_ns: TsNs, ended: Cause) {
    span.until_ns = at_ns.max(span.from_ns);
    span.ended = Some(ended);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause() -> Cause {
        Cause::rule(By::Policy, "a test")
    }

    fn whole() -> Coverage {
        Coverage::whole(cause(), Terms::default())
    }

    /// POL-7: what was begun again is a take of its own, and the first is untouched.
    #[test]
    fn each_start_is_a_take() {
        let mut coverage = whole();
        assert!(coverage.is_plain());
        assert_eq!(coverage.begin(5, cause(), Terms::default()), Err(Unchanged::AlreadyRecording));
        coverage.end(100, cause()).expect("one was open");
        let first = coverage.takes()[0].clone();
        assert_eq!(coverage.end(110, cause()), Err(Unchanged::NotRecording));
        assert_eq!(coverage.wanted(Party::Caller), Wanted::Denied);
        coverage.begin(90, cause(), Terms::default()).expect("none was open");
        assert_eq!(coverage.takes()[0], first);
        let second = &coverage.takes()[1];
        assert_eq!((second.number, second.from_ns, second.until_ns), (2, 100, OPEN));
        let wanted = [50, 99, 100, 500].map(|at| coverage.wanted_at(at, Party::Callee));
        assert_eq!(wanted, [Wanted::Kept; 4]);
        coverage.end(200, cause()).expect("one was open");
        coverage.begin(300, cause(), Terms::default()).expect("none was open");
        assert_eq!(coverage.wanted_at(250, Party::Caller), Wanted::Denied);
    }

    /// POL-8, POL-12: a pause hides both, a mask may hide one; each ends by its own word, and both with the take.
    #[test]
    fn pauses_and_masks_hide() {
        let mut coverage = whole();
        coverage.pause(100, cause()).expect("it was recording");
        assert_eq!(coverage.pause(110, cause()), Err(Unchanged::AlreadyPaused));
        coverage.mask(Some(Party::Callee), 150, cause()).expect("it was not masked");
        coverage.resume(200, &cause()).expect("it was paused");
        assert_eq!(coverage.resume(210, &cause()), Err(Unchanged::NotPaused));
        let of = |coverage: &Coverage, at| {
            [Party::Caller, Party::Callee].map(|party| coverage.wanted_at(at, party))
        };
        assert_eq!(of(&coverage, 99), [Wanted::Kept; 2]);
        assert_eq!(of(&coverage, 100), [Wanted::Hidden; 2]);
        assert_eq!(of(&coverage, 200), [Wanted::Kept, Wanted::Hidden]);
        assert_eq!(coverage.wanted(Party::Callee), Wanted::Hidden);
        assert_eq!(coverage.mask(Some(Party::Callee), 220, cause()), Err(Unchanged::AlreadyMasked));
        coverage.end(300, cause()).expect("one was open");
        assert_eq!(coverage.pause(310, cause()), Err(Unchanged::NotRecording));
        coverage.begin(400, cause(), Terms::default()).expect("none was open");
        assert_eq!(of(&coverage, 400), [Wanted::Kept; 2]);
        let take = coverage.takes()[0].clone();
        assert_eq!(coverage.hidden_in(&take).count(), 2);
        let take = coverage.takes()[1].clone();
        assert_eq!(coverage.hidden_in(&take).count(), 0);
    }

    /// POL-12: keys that follow each other closely are one span, of who pressed them.
    #[test]
    fn keys_are_hidden_where_they_were_pressed() {
        let mut coverage = whole();
        coverage.hide_keys(Party::Caller, 100, 200, cause()).expect("room");
        coverage.hide_keys(Party::Caller, 190, 300, cause()).expect("room");
        coverage.hide_keys(Party::Caller, 400, 500, cause()).expect("room");
        assert_eq!(coverage.wanted_at(250, Party::Caller), Wanted::Hidden);
        assert_eq!(coverage.wanted_at(350, Party::Caller), Wanted::Kept);
        assert_eq!(coverage.wanted_at(250, Party::Callee), Wanted::Kept);
        assert_eq!(coverage.hidden_in(&coverage.takes()[0].clone()).count(), 2);
    }

    /// POL-4: the limit counts from the take's first media.
    #[test]
    fn a_limit_counts_from_the_first_media() {
        let terms = Terms { length_max_ns: Some(50), ..Terms::default() };
        let mut coverage = Coverage::whole(cause(), terms);
        assert_eq!(coverage.due_ns(None), None);
        assert_eq!(coverage.due_ns(Some(1_000)), Some(1_050));
        coverage.end(1_050, cause()).expect("one was open");
        assert_eq!(coverage.due_ns(Some(1_000)), None);
        coverage.begin(2_000, cause(), terms).expect("none was open");
        assert_eq!(coverage.due_ns(Some(1_000)), Some(2_050));
    }

    /// POL-7: where media is kept a take may begin in the past.
    #[test]
    fn what_is_kept_can_be_taken_later() {
        let coverage = Coverage::default();
        assert!(!coverage.is_any());
        assert_eq!(coverage.wanted(Party::Caller), Wanted::Denied);
        let now = Coverage::on_demand(OnDemand::FromNow);
        assert_eq!(now.wanted(Party::Caller), Wanted::Hidden);
        assert_eq!((now.wanted_at(5, Party::Caller), now.is_any()), (Wanted::Denied, false));
        let mut coverage = Coverage::on_demand(OnDemand::FromStart);
        assert_eq!(coverage.wanted_at(5, Party::Caller), Wanted::Kept);
        assert_eq!(coverage.left_over_until(), Some(OPEN));
        coverage.begin(BEGINNING, cause(), Terms::default()).expect("none was open");
        assert!(coverage.is_plain());
        assert_eq!(coverage.left_over_until(), None);
        let mut coverage = Coverage::on_demand(OnDemand::FromStart);
        coverage.pause(20, cause()).expect("it is kept");
        assert_eq!(coverage.wanted(Party::Caller), Wanted::Hidden);
        coverage.resume(40, &cause()).expect("it was paused");
        assert_eq!(coverage.wanted(Party::Caller), Wanted::Kept);
        coverage.begin(BEGINNING, cause(), Terms::default()).expect("none was open");
        let wanted = [10, 30, 50].map(|at| coverage.wanted_at(at, Party::Caller));
        assert_eq!(wanted, [Wanted::Kept, Wanted::Hidden, Wanted::Kept]);
        let mut now = Coverage::on_demand(OnDemand::FromNow);
        assert_eq!(now.pause(20, cause()), Err(Unchanged::NotRecording));
        let mut coverage = Coverage::on_demand(OnDemand::FromStart);
        coverage.begin(70, cause(), Terms::default()).expect("none was open");
        assert_eq!(coverage.left_over_until(), Some(70));
        coverage.end(90, cause()).expect("one was open");
        let wanted = [60, 80, 95].map(|at| coverage.wanted_at(at, Party::Caller));
        assert_eq!(wanted, [Wanted::Kept, Wanted::Kept, Wanted::Denied]);
    }

    /// POL-7: who stopped it may start it again, and misses nothing then; what a rule ends is denied.
    #[test]
    fn what_somebody_stopped_may_go_on() {
        let mut coverage = whole();
        coverage.end(100, Cause { by: By::Event, who: None, from: None }).expect("one was open");
        assert_eq!(coverage.wanted(Party::Caller), Wanted::Hidden);
        assert_eq!(coverage.wanted_at(150, Party::Caller), Wanted::Denied);
        let mut coverage = whole();
        coverage.end(100, Cause::rule(By::Limit, "a test")).expect("one was open");
        assert_eq!(coverage.wanted(Party::Caller), Wanted::Denied);
    }

    /// S10: no call has more takes and spans than there may be.
    #[test]
    fn changes_are_bounded() {
        let mut coverage = Coverage::default();
        for at in 0..TAKES_PER_CALL_MAX as u64 {
            coverage.begin(at * 10, cause(), Terms::default()).expect("room");
            coverage.end(at * 10 + 5, cause()).expect("open");
        }
        assert_eq!(coverage.begin(9_999, cause(), Terms::default()), Err(Unchanged::TooMany));
        let mut coverage = whole();
        for at in 0..SPANS_PER_CALL_MAX as u64 {
            coverage.pause(at * 10, cause()).expect("room");
            coverage.resume(at * 10 + 5, &cause()).expect("paused");
        }
        assert_eq!(coverage.pause(99_999, cause()), Err(Unchanged::TooMany));
    }
}
