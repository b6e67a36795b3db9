//! A take as recordings, rows and sidecars have it: what is hidden in it, how it began and ended, and by whom.

use std::sync::Arc;

use earwitness_catalog::{DestinationRow, EventRow, HiddenRow, TakeRow, Timestamp};
use earwitness_recording::{Blank, Format, RenderOptions, Silence};

use super::job::side;
use crate::call::Call;
use crate::call::binding::{OPEN, TsNs};
use crate::call::coverage::{BEGINNING, By, Cause, Hidden, PauseStyle, Span, Take};
use crate::call::decide::TakeForm;

/// The options of one take's render.
pub(super) fn options(call: &Call, take: &Take, general: &RenderOptions) -> RenderOptions {
    let silence = |span: &Span| Silence {
        from_ns: span.from_ns,
        until_ns: span.until_ns,
        side: span.speaker.map(side),
        becomes: match (span.what, take.terms.pause) {
            (Hidden::Pause, PauseStyle::Cut) => Blank::Cut,
            _ => Blank::Silence,
        },
    };
    let form = call.form(take.number).map(|known| &known.form);
    RenderOptions {
        silences: call.coverage.hidden_in(take).map(silence).collect(),
        length_min_ns: take.terms.length_min_ns,
        format: form.and_then(|form| form.format).map_or(general.format, format),
        sample_rate: form.and_then(|form| form.sample_rate).or(general.sample_rate),
        ..general.clone()
    }
}

const fn format(format: earwitness_policy::document::Format) -> Format {
    match format {
        earwitness_policy::document::Format::Wav => Format::Wav,
        earwitness_policy::document::Format::Mp3 => Format::Mp3,
        earwitness_policy::document::Format::Opus => Format::OggOpus,
    }
}

/// Where the recording shall go and what it is called, as a rule says.
pub(super) fn destination(call: &Call, take: u32) -> DestinationRow {
    let Some(TakeForm { form, .. }) = call.form(take) else { return DestinationRow::default() };
    let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
    DestinationRow {
        url: text(&form.url),
        method: form.method.map(|method| method.name().to_owned()),
        label: text(&form.label),
        media_name: text(&form.media_name),
    }
}

/// Why a recording ended: as its call did, or before it.
pub(super) fn end_reason(call: &Call, take: &Take) -> Option<String> {
    match take.ended.as_ref().map(|ended| ended.by) {
        None => call.end_reason.clone(),
        Some(By::Limit) => Some(By::Limit.name().to_owned()),
        Some(by) => Some(format!("stopped_by_{}", by.name())),
    }
}

/// A recording that was not kept.
pub(super) fn too_short(call: &Call, take: &Take, length_ns: u64) -> EventRow {
    let at_ns = if take.until_ns == OPEN { call.over_ns() } else { take.until_ns };
    let number = take.number;
    let [is_ms, min_ms] = [length_ns, take.terms.length_min_ns].map(|ns| ns / 1_000_000);
    EventRow {
        at: Timestamp::from_ns(at_ns),
        what: "recording".into(),
        detail: format!(
            "recording {number} is not kept: {is_ms} ms, at least {min_ms} ms are asked for"
        )
        .into(),
    }
}

/// The take, for its recording's row and sidecar.
pub(super) fn take_row(take: &Take) -> TakeRow {
    TakeRow {
        number: take.number,
        from: moment(take.from_ns),
        until: moment(take.until_ns),
        begun_by: take
            .asked
            .iter()
            .fold(take.begun.to_string(), |begun, by| format!("{begun}; {by}")),
        ended_by: take.ended.as_deref().map(Cause::to_string),
    }
}

/// What is hidden in it, in order of time.
pub(super) fn hidden_rows(call: &Call, take: &Take) -> Vec<HiddenRow> {
    let mut spans: Vec<&Span> = call.coverage.hidden_in(take).collect();
    spans.sort_by_key(|span| (span.from_ns, span.until_ns));
    let row = |span: &Span| HiddenRow {
        what: span.what.name().to_owned(),
        from: Timestamp::from_ns(span.from_ns),
        until: moment(span.until_ns),
        side: span.speaker.map(|party| party.name().to_owned()),
        begun_by: span.begun.to_string(),
        ended_by: span.ended.as_ref().map(Cause::to_string),
    };
    spans.into_iter().map(row).collect()
}

/// An open end is none.
fn moment(at_ns: TsNs) -> Option<Timestamp> {
    (at_ns != BEGINNING && at_ns != OPEN).then(|| Timestamp::from_ns(at_ns))
}
