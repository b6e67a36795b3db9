//! One recording of all that start one. What it is like, the first says that says anything of it; how much of the call
//! it holds is what all want: it begins with the earliest and ends with the latest, and is too short only if it is so
//! for all.

use super::start::{Start, Starts};
use crate::decision::{Answer, Begins, Form, Outcome, Parts, Voices};
use crate::index::Cell;
use crate::trace::Tell;

/// The recording; `None` where nothing starts one.
pub fn merged(starts: &Starts, tell: &mut impl Tell) -> Option<Outcome> {
    let mut all = starts.iter();
    let mut outcome = of_one(all.next()?);
    for start in all {
        let next = of_one(start);
        outcome.begins = outcome.begins.min(next.begins);
        outcome.parts.audio |= next.parts.audio;
        outcome.parts.video |= next.parts.video;
        if next.voices == Voices::Both {
            outcome.voices = Voices::Both;
        }
        outcome.form.take_in(next.form);
    }
    tell.note(|| described(&outcome));
    Some(outcome)
}

fn of_one(start: &Start) -> Outcome {
    let Cell { format, min_s, sample_rate, time_limit_s, ref url, .. } = start.cell;
    Outcome {
        answer: Answer::Record,
        begins: begins(&start.cell),
        parts: start.parts,
        voices: start.voices,
        form: Form {
            format,
            sample_rate,
            min_s: min_s.unwrap_or(0),
            time_limit_s,
            url: url.clone(),
            method: start.method,
            label: start.label.clone(),
            media_name: start.media_name.clone(),
        },
        ..Outcome::ignore()
    }
}

fn begins(cell: &Cell) -> Begins {
    if cell.on_bridge == Some(true) {
        Begins::OnBridge
    } else if cell.on_answer == Some(true) {
        Begins::OnAnswer
    } else {
        Begins::AtOnce
    }
}

fn described(outcome: &Outcome) -> String {
    let Outcome { begins, parts, voices, form, .. } = outcome;
    let Parts { audio, video } = *parts;
    let mut text = format!("begins {}", begins.name());
    let mut add = |what: String| text += &format!(", {what}");
    match (audio, video) {
        (_, true) => add("audio and video".to_owned()),
        (true, false) => add("audio".to_owned()),
        (false, false) => {}
    }
    if *voices == Voices::Caller {
        add("the caller alone".to_owned());
    }
    if let Some(format) = form.format {
        add(format.name().to_owned());
    }
    if let Some(rate) = form.sample_rate {
        add(format!("{rate} samples a second"));
    }
    if form.min_s > 0 {
        add(format!("deleted if shorter than {} s", form.min_s));
    }
    if let Some(limit) = form.time_limit_s {
        add(format!("at most {limit} s"));
    }
    if let Some(url) = &form.url {
        add(format!("sent to {url}"));
    }
    text
}
