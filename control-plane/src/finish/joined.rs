//! What the recordings of one call say of it together: most calls have one.

use std::borrow::Cow;

use earwitness_recording::{CodecUse, PacketTotals, RenderReport, StreamReport};

use super::job::Recorded;

/// The report of the only recording, or what those of several say as if they were one: digits and gaps in their order,
/// counts as sums, quality of the worst.
pub(super) fn report(recordings: &[Recorded]) -> Option<Cow<'_, RenderReport>> {
    let (first, others) = recordings.split_first()?;
    if others.is_empty() {
        return Some(Cow::Borrowed(&first.finished.report));
    }
    let mut sum = first.finished.report.clone();
    for other in others {
        let report = &other.finished.report;
        sum.digits.extend(report.digits.iter().cloned());
        sum.gaps.extend(report.gaps.iter().cloned());
        // All have the same voices, in the same order.
        for (stream, more) in sum.streams.iter_mut().zip(&report.streams) {
            add_stream(stream, more);
        }
    }
    Some(Cow::Owned(sum))
}

fn add_stream(sum: &mut StreamReport, more: &StreamReport) {
    let weight = |stream: &StreamReport| stream.packets.received as f64;
    let packets = (weight(sum) + weight(more)).max(1.0);
    sum.jitter_ms = (sum.jitter_ms * weight(sum) + more.jitter_ms * weight(more)) / packets;
    sum.jitter_max_ms = sum.jitter_max_ms.max(more.jitter_max_ms);
    sum.mos = [sum.mos, more.mos].into_iter().flatten().reduce(f64::min);
    add_packets(&mut sum.packets, &more.packets);
    more.codecs.iter().for_each(|used| add_codec(&mut sum.codecs, used));
}

fn add_packets(sum: &mut PacketTotals, more: &PacketTotals) {
    sum.received += more.received;
    sum.lost += more.lost;
    sum.duplicate += more.duplicate;
    sum.late += more.late;
}

fn add_codec(sum: &mut Vec<CodecUse>, more: &CodecUse) {
    let same =
        |known: &&mut CodecUse| known.payload_type == more.payload_type && known.name == more.name;
    match sum.iter_mut().find(same) {
        Some(known) => {
            known.packets += more.packets;
            known.undecodable += more.undecodable;
        }
        None => sum.push(more.clone()),
    }
}
