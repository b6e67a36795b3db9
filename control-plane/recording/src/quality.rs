//! Counts and quality of the call, from what both passes found (CALL-7).

use earwitness_voip::rtp;
use earwitness_voip::rtp::quality::{Network, impairment, mos, rating};

use crate::codecs::Kind;
use crate::player::Player;
use crate::report::{RenderReport, StreamReport};
use crate::stream::StreamInput;
use crate::survey::Survey;

/// Below this a lost packet says little of how the call was.
const SCORED_PACKETS_MIN: u64 = 50;

/// Adds one stream to the report.
pub(crate) fn add_stream(
    report: &mut RenderReport,
    input: &StreamInput<'_>,
    survey: &Survey,
    player: &Player<'_>,
) {
    let mut packets = survey.totals;
    let mut codecs = survey.uses.clone();
    for (codec, count) in player.refused() {
        packets.undecodable += count;
        if let Some((_, used)) = codecs.iter_mut().find(|(known, _)| *known == Some(codec)) {
            used.undecodable += count;
        }
    }
    for (_, used) in &codecs {
        if !report.codecs.contains(&used.name) {
            report.codecs.push(used.name.clone());
        }
    }
    report.packets.add(&packets);
    let score = score(survey);
    report.digits.extend(survey.digits.iter().cloned());
    report.gaps.extend(survey.gaps.iter().cloned());
    let drift = survey.lines.iter().rev().find_map(|line| line.drift.as_ref());
    report.streams.push(StreamReport {
        side: input.side,
        src: input.key.src.to_string(),
        dst: input.key.dst.to_string(),
        ssrc: input.key.ssrc,
        first_arrival_ns: survey.arrivals_ns.map(|(first_ns, _)| first_ns),
        last_arrival_ns: survey.arrivals_ns.map(|(_, last_ns)| last_ns),
        packets,
        jitter_ms: rounded(survey.jitter.mean_ns() / 1e6, 3),
        jitter_max_ms: rounded(survey.jitter.max_ns / 1e6, 3),
        mos: score,
        codecs: codecs.into_iter().map(|(_, used)| used).collect(),
        concealed_ms: player.concealed_ms(),
        restarts: survey.lines.len().saturating_sub(1) as u32,
        drift_ppm: drift.map(|drift| drift.ppm()),
    });
}

/// The worst score among streams long enough to have one; among all where none is.
pub(crate) fn worst(report: &RenderReport) -> Option<f64> {
    let least = |packets: u64| {
        let long = report.streams.iter().filter(|stream| stream.packets.received >= packets);
        long.filter_map(|stream| stream.mos).reduce(f64::min)
    };
    least(SCORED_PACKETS_MIN).or_else(|| least(0))
}

/// ITU-T G.107 by loss and its bursts, for the codec that most packets had. A tap knows no delay.
fn score(survey: &Survey) -> Option<f64> {
    let audio = survey.uses.iter().filter(|(codec, _)| survey.codecs.kind(*codec) == Kind::Audio);
    // Of equals the first.
    let (codec, _) = audio.rev().max_by_key(|(_, used)| used.packets)?;
    let spec = survey.codecs.spec((*codec)?);
    let lost = survey.totals.lost + survey.totals.late;
    let loss = rtp::Report {
        expected: survey.unique + survey.totals.late + survey.totals.lost,
        lost,
        loss_runs: survey.loss_bursts,
        ..rtp::Report::default()
    };
    let network = Network {
        loss_percent: loss.loss_percent(),
        burst_ratio: loss.burst_ratio(),
        delay_ms: 0.0,
    };
    Some(rounded(mos(rating(impairment(spec.id.name(), &spec.fmtp), network)), 2))
}

/// To as many decimals as its measure is good for.
fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (value * scale).round() / scale
}
