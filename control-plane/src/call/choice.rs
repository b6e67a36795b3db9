//! Which leg of a call is heard when: nobody twice, nobody left out.
//!
//! The leg on which both parties are heard best is heard as long as it lasts; another one where it does not: before and
//! behind a transfer, or while a party that is on hold has nothing to say. Each side is looked at by itself, so that a
//! party whose voice is on one leg alone is heard from there.

use std::cmp::Reverse;
use std::ops::Range;

use super::binding::{OPEN, TsNs};
use super::leg::InviteIndex;
use super::select::{Heard, KeptApart, Question, Selection, score};
use super::{Party, Prefer, Unrecorded};

/// A stretch that short, at the seam of two legs, is the same media on its way through a box.
const SEAM_NS: u64 = 500_000_000;

type Stretches = Vec<Range<TsNs>>;

/// Of the choices of several INVITEs, who is heard of which and when.
pub(super) fn in_turn(question: &Question<'_>, choices: Vec<Selection>) -> Selection {
    let mut legs: Vec<Candidate> =
        choices.into_iter().filter_map(|choice| Candidate::new(question, choice)).collect();
    legs.sort_by_key(|leg| Reverse(leg.rank));
    let mut covered: [Stretches; 2] = [Vec::new(), Vec::new()];
    for leg in &mut legs {
        let wanted = without(std::slice::from_ref(&leg.extent), &leg.holds);
        leg.take(&wanted, &mut covered);
    }
    // What is played to who waits, where nobody else speaks.
    for leg in &mut legs {
        let all = [leg.extent.clone()];
        leg.take(&all, &mut covered);
    }
    let mut selection = Selection::default();
    for leg in legs {
        leg.give(question, &mut selection);
    }
    let Selection { heard, kept_apart } = &mut selection;
    let is_heard = |apart: &KeptApart| {
        let is_it = |known: &&Heard| known.flow == apart.flow;
        heard.iter().filter(is_it).any(|known| apart.ssrc.is_none_or(|ssrc| ssrc == known.ssrc))
    };
    kept_apart.retain(|apart| !is_heard(apart));
    selection
}

/// One leg that may be heard.
struct Candidate {
    choice: Selection,
    /// Both parties before one, then what was asked for, then the more packets, then the first.
    rank: (usize, u8, u64, Reverse<InviteIndex>),
    extent: Range<TsNs>,
    /// When it has nothing to say.
    holds: Stretches,
    /// When each side is heard.
    windows: [Stretches; 2],
}

const fn place(side: Party) -> usize {
    match side {
        Party::Caller => 0,
        Party::Callee => 1,
    }
}

impl Candidate {
    fn new(question: &Question<'_>, choice: Selection) -> Option<Self> {
        let invite = choice.heard.first()?.invite;
        let (talk, is_over) =
            question.invites?.get(invite).map(|known| (known.talk, known.is_over))?;
        let spans = choice.heard.iter().filter_map(|heard| span(question, heard));
        let extent = spans.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end))?;
        let holds = question.holds.iter().filter(|hold| hold.talk == talk);
        let mut holds: Stretches = holds.map(|hold| hold.from_ns..hold.until_ns).collect();
        let is_its = |lack: &&Unrecorded| (lack.first..=lack.last).contains(&invite);
        let lacks = question.unrecorded.iter().filter(is_its);
        holds.extend(lacks.map(|lack| lack.from_ns..lack.until_ns));
        // What still comes when a leg is over is no conversation, where another one goes on.
        let ends = question.legs.iter().filter(|leg| leg.invite == invite).map(|leg| leg.ended_ns);
        holds.extend(ends.flatten().max().filter(|_| is_over).map(|end_ns| end_ns..OPEN));
        let (speakers, packets) = score(question, &choice);
        let asked = match question.prefer {
            Prefer::Best => 0,
            Prefer::First => u8::MAX - invite.0,
            Prefer::Last => invite.0,
        };
        let rank = (speakers, asked, packets, Reverse(invite));
        Some(Self { choice, rank, extent, holds, windows: [Vec::new(), Vec::new()] })
    }

    /// Takes those of the stretches that are not covered yet, for each side that it has.
    fn take(&mut self, wanted: &[Range<TsNs>], covered: &mut [Stretches; 2]) {
        for side in [Party::Caller, Party::Callee] {
            if !self.choice.heard.iter().any(|heard| heard.speaker == side) {
                continue;
            }
            let covered = &mut covered[place(side)];
            let own = &mut self.windows[place(side)];
            let goes_on = |stretch: &Range<TsNs>| {
                own.iter().any(|window| window.end == stretch.start || stretch.end == window.start)
            };
            let free = without(wanted, covered).into_iter();
            let long = free.filter(|stretch| {
                covered.is_empty() || stretch.end - stretch.start >= SEAM_NS || goes_on(stretch)
            });
            let news: Stretches = long.collect();
            covered.extend(news.iter().cloned());
            own.extend(news);
        }
    }

    /// What is heard of it, in its windows.
    fn give(self, question: &Question<'_>, selection: &mut Selection) {
        let Self { choice, windows, extent, .. } = self;
        selection.kept_apart.extend(choice.kept_apart);
        for heard in choice.heard {
            let windows = joined(windows[place(heard.speaker)].clone());
            if windows == std::slice::from_ref(&extent) {
                selection.heard.push(heard);
                continue;
            }
            let Some(own) = span(question, &heard) else { continue };
            let mut is_heard = false;
            for window in windows {
                let (from_ns, until_ns) = (own.start.max(window.start), own.end.min(window.end));
                if from_ns < until_ns {
                    is_heard = true;
                    selection.heard.push(Heard { from_ns, until_ns: Some(until_ns), ..heard });
                }
            }
            if !is_heard {
                let why = "the same conversation is heard on another leg";
                selection.kept_apart.push(KeptApart {
                    flow: heard.flow,
                    ssrc: Some(heard.ssrc),
                    why,
                });
            }
        }
    }
}

/// From the first to the last packet.
fn span(question: &Question<'_>, heard: &Heard) -> Option<Range<TsNs>> {
    let flow = question.media.flows.get(heard.flow)?;
    let known = flow.ssrcs.iter().find(|known| known.ssrc == heard.ssrc)?;
    let window = heard.window();
    let (from, until) = (known.first_ns.max(window.start), (known.last_ns + 1).min(window.end));
    (from < until).then_some(from..until)
}

/// What is left of stretches where others do not cover them.
fn without(stretches: &[Range<TsNs>], others: &[Range<TsNs>]) -> Stretches {
    let mut left: Stretches = stretches.to_vec();
    for other in others {
        let cut = |stretch: Range<TsNs>| {
            let before = stretch.start..stretch.end.min(other.start);
            let behind = stretch.start.max(other.end)..stretch.end;
            [before, behind].into_iter().filter(|part| part.start < part.end)
        };
        left = left.into_iter().flat_map(cut).collect();
    }
    left
}

/// Stretches in order, those that touch as one.
fn joined(mut stretches: Stretches) -> Stretches {
    stretches.sort_by_key(|stretch| stretch.start);
    let mut all: Stretches = Vec::new();
    for stretch in stretches {
        match all.last_mut() {
            Some(last) if stretch.start <= last.end => last.end = last.end.max(stretch.end),
            _ => all.push(stretch),
        }
    }
    all
}
