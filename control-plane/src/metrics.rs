//! What Prometheus sees: every stage's counters under one registry, capture's included (OPS-1, CAP-8).
//!
//! A metric is here only if something moves it. Names and meanings: `docs/metrics.md`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use earwitness_catalog::RecordingRow;
use earwitness_ipc::{CaptureStats, SourceInfo};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::rules::Rules;

/// All metrics of the control plane, and the last word of capture.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    capture: CaptureView,
    pub capture_connected: IntGauge,
    pub capture_source: IntGaugeVec,
    pub capture_restarts: IntCounter,
    pub capture_faults: IntCounter,
    pub log_records: IntCounterVec,
    pub log_errors: IntCounter,
    pub log_bytes: IntGauge,
    pub segments_released: IntCounter,
    pub erased_packets: IntCounter,
    pub control_commands: IntCounterVec,
    pub control_refused: IntCounterVec,
    pub sip_messages: IntCounterVec,
    pub sip_rejected: IntCounterVec,
    pub sip_flaws: IntCounterVec,
    pub sdp_rejected: IntCounter,
    pub tcp_faults: IntCounterVec,
    pub verdicts: IntCounterVec,
    pub calls_active: IntGauge,
    pub calls_started: IntCounter,
    pub calls_ended: IntCounterVec,
    pub calls_evicted: IntCounter,
    pub legs_joined: IntCounterVec,
    pub legs_apart: IntCounter,
    pub registrations: IntGauge,
    pub registrations_left_out: IntCounter,
    /// Of the vectors above, what is counted for each record.
    pub signalling_records: IntCounter,
    pub sip_over_udp: IntCounter,
    media_bound: IntCounter,
    media_unbound: IntCounter,
    pub recordings: IntCounterVec,
    pub recordings_pending: IntGauge,
    pub recorded_milliseconds: IntCounter,
    pub rtp_packets: IntCounterVec,
    pub finish_seconds: Histogram,
    pub catalog_errors: IntCounter,
    pub policy_loads: IntCounterVec,
    policy_number: IntGauge,
    policy_tenants: IntGauge,
}

/// Registers metrics under our prefix. Names are constants, so that registering cannot fail at run time other
/// than by a mistake that every start would show.
struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn keep<M: Collector + Clone + 'static>(&self, made: prometheus::Result<M>) -> M {
        let metric = made.expect("a metric's name is a constant of ours");
        self.0.register(Box::new(metric.clone())).expect("each name is registered once");
        metric
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.keep(IntCounter::new(name, help))
    }

    fn counters(&self, name: &str, help: &str, label: &str) -> IntCounterVec {
        self.keep(IntCounterVec::new(Opts::new(name, help), &[label]))
    }

    fn counters_by(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.keep(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.keep(IntGauge::new(name, help))
    }
}

impl Metrics {
    /// These rules are in force.
    pub fn policy(&self, rules: &Rules) {
        self.policy_number.set(rules.version.as_ref().map_or(0, |version| version.number));
        self.policy_tenants.set(rules.policy.extent().tenants as i64);
    }

    /// A registry with every metric at zero.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let capture = CaptureView::default();
        registry.register(Box::new(capture.clone())).expect("each name is registered once");
        let make = Maker(&registry);
        let source = Opts::new(
            "earwitness_capture_source",
            "How each interface is received: 1 for the mode in use.",
        );
        let finish = HistogramOpts::new(
            "earwitness_finish_seconds",
            "Time to finish a recording, from the job's start to its row in the catalog.",
        )
        .buckets(vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]);
        let media = make.counters(
            "earwitness_media_packets_total",
            "Media packets read from the log: of a call, or of none.",
            "of",
        );
        let log_records = make.counters(
            "earwitness_log_records_total",
            "Records read from the segment log, by class.",
            "class",
        );
        let sip_messages = make.counters(
            "earwitness_sip_messages_total",
            "SIP messages understood, by transport.",
            "transport",
        );
        Self {
            capture_connected: make
                .gauge("earwitness_capture_connected", "1 while the capture process is connected."),
            capture_source: make.keep(IntGaugeVec::new(source, &["interface", "mode"])),
            capture_restarts: make.counter(
                "earwitness_capture_restarts_total",
                "How often a capture process ended, and another was started.",
            ),
            capture_faults: make.counter(
                "earwitness_capture_faults_total",
                "Faults that the capture process reported.",
            ),
            signalling_records: log_records.with_label_values(&["signalling"]),
            log_records,
            log_errors: make.counter(
                "earwitness_log_errors_total",
                "Blocks of the segment log that could not be read.",
            ),
            log_bytes: make.gauge("earwitness_log_bytes", "Size of the segment log."),
            segments_released: make
                .counter("earwitness_segments_released_total", "Segments given back for reuse."),
            erased_packets: make.counter(
                "earwitness_erased_packets_total",
                "Packets whose payload was destroyed in the log: a decision came after it.",
            ),
            control_commands: make.counters_by(
                "earwitness_control_commands_total",
                "Commands to start, stop, pause or mask a recording, by what became of them.",
                &["operation", "by", "result"],
            ),
            control_refused: make.counters_by(
                "earwitness_control_refused_total",
                "Commands of those that were refused, by why.",
                &["by", "reason"],
            ),
            sip_over_udp: sip_messages.with_label_values(&["udp"]),
            sip_messages,
            sip_rejected: make.counters(
                "earwitness_sip_rejected_total",
                "SIP messages refused, by what was wrong.",
                "kind",
            ),
            sip_flaws: make.counters(
                "earwitness_sip_flaws_total",
                "Rules that understood SIP messages broke, by rule.",
                "kind",
            ),
            sdp_rejected: make.counter("earwitness_sdp_rejected_total", "SDP bodies refused."),
            tcp_faults: make.counters(
                "earwitness_tcp_faults_total",
                "Trouble in streams that carry SIP, by kind.",
                "kind",
            ),
            verdicts: make.counters(
                "earwitness_verdicts_total",
                "Verdicts sent to capture, by verdict.",
                "verdict",
            ),
            calls_active: make.gauge("earwitness_calls_active", "Calls followed now."),
            calls_started: make.counter("earwitness_calls_started_total", "Calls seen."),
            calls_ended: make.counters(
                "earwitness_calls_ended_total",
                "Calls over, by reason.",
                "reason",
            ),
            calls_evicted: make.counter(
                "earwitness_calls_evicted_total",
                "Calls given up because too many were open at once.",
            ),
            legs_joined: make.counters(
                "earwitness_legs_joined_total",
                "Legs found to be a part of a call that was there already, by what said so.",
                "by",
            ),
            legs_apart: make.counter(
                "earwitness_legs_apart_total",
                "Legs that belong to a call and are calls of their own, because it would be too large.",
            ),
            registrations: make.gauge(
                "earwitness_registrations",
                "Devices that are registered now, as seen on the tap.",
            ),
            registrations_left_out: make.counter(
                "earwitness_registrations_left_out_total",
                "Registrations that were not followed because there were too many.",
            ),
            media_bound: media.with_label_values(&["call"]),
            media_unbound: media.with_label_values(&["none"]),
            recordings: make.counters(
                "earwitness_recordings_total",
                "Recordings, by result.",
                "result",
            ),
            recordings_pending: make
                .gauge("earwitness_recordings_pending", "Calls that wait to become a recording."),
            recorded_milliseconds: make.counter(
                "earwitness_recorded_milliseconds_total",
                "Length of all finished recordings.",
            ),
            rtp_packets: make.counters(
                "earwitness_rtp_packets_total",
                "RTP packets of finished recordings, by fate.",
                "fate",
            ),
            finish_seconds: make.keep(Histogram::with_opts(finish)),
            policy_loads: make.counters(
                "earwitness_policy_loads_total",
                "Sets of policies that were read while running, by what became of them.",
                "result",
            ),
            policy_number: make.gauge(
                "earwitness_policy_version",
                "Number of the set of policies in force; 0: there is none.",
            ),
            policy_tenants: make
                .gauge("earwitness_policy_tenants", "Tenants of the set of policies in force."),
            catalog_errors: make.counter(
                "earwitness_catalog_errors_total",
                "Writes to the catalog that failed and were tried again.",
            ),
            capture,
            registry,
        }
    }

    /// Counts a media record: of a call, or of none. Called for each packet, so without a look-up by label.
    #[inline]
    pub fn media(&self, bound: bool) {
        if bound { self.media_bound.inc() } else { self.media_unbound.inc() }
    }

    /// Counts a finished recording.
    pub fn recorded(&self, row: &RecordingRow) {
        self.recordings.with_label_values(&["done"]).inc();
        self.recorded_milliseconds.inc_by(row.duration_ms);
        let packets = &row.packets;
        for (fate, count) in [
            ("received", packets.received),
            ("lost", packets.lost),
            ("duplicate", packets.duplicate),
            ("late", packets.late),
        ] {
            self.rtp_packets.with_label_values(&[fate]).inc_by(count);
        }
    }

    /// Takes the counters of one capture source; they replace what was said before.
    pub fn capture_stats(&self, stats: &CaptureStats) {
        self.capture.take(stats);
    }

    /// A new capture process counts from zero: what the last one counted is kept as a base.
    pub fn capture_started(&self, sources: &[SourceInfo]) {
        self.capture.rebase();
        self.capture_source.reset();
        for source in sources {
            self.capture_source
                .with_label_values(&[source.interface.as_str(), source.mode.name()])
                .set(1);
        }
    }

    /// SIP messages that could not be read, by what was wrong.
    #[must_use]
    pub fn sip_rejections(&self) -> BTreeMap<String, u64> {
        by_label(&self.sip_rejected)
    }

    /// Rules that SIP messages broke and were read all the same, by rule.
    #[must_use]
    pub fn sip_flaw_counts(&self) -> BTreeMap<String, u64> {
        by_label(&self.sip_flaws)
    }

    /// Everything in Prometheus' text format.
    #[must_use]
    pub fn text(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }

    /// Capture's totals since this process began to listen.
    #[must_use]
    pub fn capture_total(&self) -> CaptureStats {
        self.capture.total()
    }
}

fn by_label(counters: &IntCounterVec) -> BTreeMap<String, u64> {
    let families = counters.collect();
    let metrics = families.iter().flat_map(MetricFamily::get_metric);
    let by_label = metrics.filter_map(|metric| {
        let label = metric.get_label().first()?.value().to_owned();
        Some((label, metric.get_counter().get_value() as u64))
    });
    by_label.collect()
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Capture's counters arrive as totals by source and are shown as they are, so that one scrape is one moment and
/// the equation of CAP-8 holds in it.
#[derive(Debug, Clone, Default)]
struct CaptureView {
    state: Arc<Mutex<CaptureTotals>>,
}

#[derive(Debug, Default)]
struct CaptureTotals {
    /// What earlier capture processes counted.
    base: CaptureStats,
    by_source: Vec<CaptureStats>,
}

impl CaptureTotals {
    fn total(&self) -> CaptureStats {
        let mut total = self.base.clone();
        self.by_source.iter().for_each(|stats| total.add(stats));
        total
    }
}

impl CaptureView {
    fn take(&self, stats: &CaptureStats) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.by_source.iter_mut().find(|known| known.source == stats.source) {
            Some(known) => known.clone_from(stats),
            None => state.by_source.push(stats.clone()),
        }
    }

    fn rebase(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut base = state.total();
        // What the ended process still held went with its memory.
        base.lost.core_ring += std::mem::take(&mut base.held);
        *state = CaptureTotals { base, by_source: Vec::new() };
    }

    fn total(&self) -> CaptureStats {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).total()
    }
}

/// Name, help, and how the value is read.
type CaptureCounter = (&'static str, &'static str, fn(&CaptureStats) -> u64);

const CAPTURE_COUNTERS: [CaptureCounter; 9] = [
    (
        "earwitness_capture_received_packets_total",
        "Packets offered by the network, lost ones included.",
        |stats| stats.received,
    ),
    ("earwitness_capture_received_bytes_total", "Their bytes.", |stats| stats.received_bytes),
    ("earwitness_capture_stored_packets_total", "Packets written to a segment.", |stats| {
        stats.stored
    }),
    ("earwitness_capture_stored_bytes_total", "Their bytes.", |stats| stats.stored_bytes),
    (
        "earwitness_capture_ignored_packets_total",
        "Packets dropped because policy wants nothing of their flow.",
        |stats| stats.ignored,
    ),
    (
        "earwitness_capture_ignored_in_driver_packets_total",
        "Of the ignored packets: those that the XDP program dropped.",
        |stats| stats.ignored_in_driver,
    ),
    (
        "earwitness_capture_unmatched_packets_total",
        "Packets that are neither signalling nor media of a call.",
        |stats| stats.unmatched,
    ),
    ("earwitness_capture_flows_seen_total", "Undecided flows that entered the ring.", |stats| {
        stats.flows_seen
    }),
    (
        "earwitness_capture_table_evictions_total",
        "Entries given up because a table was full.",
        |stats| stats.verdicts_evicted + stats.flows_evicted + stats.events_dropped,
    ),
];

impl Collector for CaptureView {
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let total = self.total();
        let mut families = Vec::new();
        for (name, help, value) in CAPTURE_COUNTERS {
            let metric =
                IntCounter::new(name, help).expect("a metric's name is a constant of ours");
            metric.inc_by(value(&total));
            families.extend(metric.collect());
        }
        let held = IntGauge::new(
            "earwitness_capture_held_packets",
            "Packets in a ring or in reassembly now.",
        )
        .expect("a metric's name is a constant of ours");
        held.set(total.held.cast_signed());
        families.extend(held.collect());
        let lost = Opts::new(
            "earwitness_capture_lost_packets_total",
            "Packets lost, by the place that lost them.",
        );
        families.extend(labelled(lost, "place", total.lost.places()));
        let rejected = Opts::new(
            "earwitness_capture_rejected_packets_total",
            "Of the unmatched: what the parser refused, by cause.",
        );
        let causes = total.rejected.causes().map(|(cause, count)| (cause.name(), count));
        families.extend(labelled(rejected, "cause", causes));
        families
    }
}

fn labelled<'a>(
    opts: Opts,
    label: &str,
    values: impl IntoIterator<Item = (&'a str, u64)>,
) -> Vec<MetricFamily> {
    let metric = IntCounterVec::new(opts, &[label]).expect("a metric's name is a constant of ours");
    for (value, count) in values {
        metric.with_label_values(&[value]).inc_by(count);
    }
    metric.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CAP-8: the equation holds in every scrape, also after capture was started again.
    #[test]
    fn totals_survive_a_restart_of_capture() {
        let metrics = Metrics::new();
        let mut stats =
            CaptureStats { received: 10, stored: 6, held: 4, ..CaptureStats::default() };
        metrics.capture_stats(&stats);
        metrics.capture_started(&[]);
        stats.held = 0;
        stats.received = 6;
        metrics.capture_stats(&stats);
        let total = metrics.capture_total();
        assert_eq!((total.received, total.stored, total.lost.core_ring), (16, 12, 4));
        assert_eq!(total.unaccounted(), 0);
        let text = metrics.text();
        assert!(text.contains("earwitness_capture_received_packets_total 16"), "{text}");
        assert!(
            text.contains("earwitness_capture_lost_packets_total{place=\"core_ring\"} 4"),
            "{text}"
        );
    }
}
