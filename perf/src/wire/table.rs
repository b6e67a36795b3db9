//! What came out: a table of medians with their spread, and ratios to those that are compared with.

use std::fmt::Write as _;

use earwitness_wire::Verdict;

use super::Session;
use super::round::Run;
use super::session::Case;
use super::system::{Source, System};
use crate::figure::{Figure, Spread};
use crate::report::Report;

/// Everything that was measured.
pub struct Outcome<'a> {
    pub session: &'a Session,
    pub cases: &'a [Case],
    pub bare: &'a [f64],
    pub copy_ns: f64,
}

/// One run, for who watches.
pub fn line(name: &str, run: &Run) -> String {
    let mut text = format!(
        "{name}: {:.2} Mpps, kernel {:.0} ns, process {:.0} ns, {:.3} CPU-s per Mpkt, lost {} of {}",
        run.mpps(),
        run.kernel_ns,
        run.process_ns,
        run.cpu_seconds_per_mpkt(),
        run.lost,
        run.all
    );
    for (place, count) in &run.lost_by {
        let _ = write!(text, ", {place} {count}");
    }
    if run.refused > 0 {
        let _ = write!(text, ", refused by the wire {}", run.refused);
    }
    text
}

impl Outcome<'_> {
    /// For people, in Markdown.
    pub fn table(&self) -> String {
        let traffic = &self.session.traffic;
        let mut text = format!(
            "{} packets a run, {} calls, {} set-ups a second, {} of 1,000 to be ignored. {}\n\n\
             | receiver | Mpps | kernel ns | process ns | CPU-s per Mpkt | × tcpdump | × stenotype | × AF_XDP floor \
             | lost | bytes a packet | RSS MiB | Mpps without loss |\n\
             |---|---|---|---|---|---|---|---|---|---|---|---|\n",
            self.session.packets,
            traffic.calls,
            traffic.set_ups,
            traffic.background,
            if self.session.quick { "Quick: not for claims." } else { "" }
        );
        for case in self.cases {
            text.push_str(&self.row(case));
        }
        let bare = Spread::of(self.bare).map_or(0.0, |spread| spread.median);
        let _ = writeln!(
            text,
            "\nSending alone: {bare:.0} ns a packet. Copy of a frame into a mapped file: {:.1} ns.",
            self.copy_ns
        );
        if let Some(line) = self.claim() {
            let _ = writeln!(text, "\n{line}");
        }
        for failure in self.failures() {
            let _ = writeln!(text, "\nNot measured: {failure}");
        }
        text
    }

    fn failures(&self) -> Vec<String> {
        self.cases.iter().flat_map(|case| case.failures.iter().cloned()).collect()
    }

    /// The rate without loss beside that of the best peer, round by round.
    fn claim(&self) -> Option<String> {
        let own = System::Earwitness(Source::BpfRing, Verdict::Record);
        let own = self.compared().find(|case| case.system == own)?;
        let ratios: Vec<String> = own
            .lossless
            .iter()
            .enumerate()
            .filter_map(|(round, rate)| {
                let peers = self.compared().filter(|case| case.system.is_peer());
                let best = peers.filter_map(|case| case.lossless.get(round)).copied();
                let best = best.max_by(f64::total_cmp).filter(|best| *best > 0.0)?;
                Some(format!("{:.1}", rate / best))
            })
            .collect();
        let all = ratios.join(", ");
        (!all.is_empty()).then(|| {
            format!("Rate without loss, {} beside the best peer, each round: {all} ×.", own.name)
        })
    }

    fn compared(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter().filter(|case| case.is_compared(self.session))
    }

    fn row(&self, case: &Case) -> String {
        let of = |what: fn(&Run) -> f64| spread(case, what);
        let cost = of(Run::cpu_seconds_per_mpkt);
        let ratio = |to: System| {
            let other = self.cost_of(to)?;
            Some(format!("{:.2}", cost.as_ref()?.median / other))
        };
        let lost = of(Run::lost_share).map_or(String::new(), |spread| percent(&spread));
        let cells = [
            case.name.clone(),
            range(of(Run::mpps).as_ref(), 2),
            range(of(|run| run.kernel_ns).as_ref(), 0),
            range(of(|run| run.process_ns).as_ref(), 0),
            range(cost.as_ref(), 3),
            ratio(System::Tcpdump).unwrap_or_default(),
            ratio(System::Stenotype).unwrap_or_default(),
            ratio(System::AfXdpDrop).unwrap_or_default(),
            lost,
            range(of(bytes_a_packet).as_ref(), 0),
            range(of(|run| run.resident_kib as f64 / 1024.0).as_ref(), 0),
            range(Spread::of(&megas(&case.lossless)).as_ref(), 2),
        ];
        format!("| {} |\n", cells.join(" | "))
    }

    fn cost_of(&self, system: System) -> Option<f64> {
        let case = self.compared().find(|case| case.system == system)?;
        spread(case, Run::cpu_seconds_per_mpkt).map(|spread| spread.median)
    }

    /// Kernel's and process's part of the cost of each, in CPU seconds of a million packets.
    pub fn costs(&self) -> Vec<(String, f64, f64)> {
        let cost = |case: &Case| {
            let kernel = spread(case, |run| run.kernel_ns)?.median / 1000.0;
            let process = spread(case, |run| run.process_ns)?.median / 1000.0;
            Some((case.name.clone(), kernel, process))
        };
        self.cases.iter().filter_map(cost).collect()
    }

    /// For programs.
    pub fn report(&self) -> Report {
        let mut report = Report { failures: self.failures(), ..Report::new("wire") };
        let mut put = |name: &str, unit: &str, values: &[f64]| {
            if let Some(spread) = Spread::of(values) {
                let (name, unit) = (name.to_owned(), unit.to_owned());
                report.figures.push(Figure { name, unit, spread });
            }
        };
        put("generator, sending alone", "ns per packet", self.bare);
        put("floor: copy into a mapped file", "ns per packet", &[self.copy_ns]);
        for case in self.cases {
            let of = |what: fn(&Run) -> f64| case.runs.iter().map(what).collect::<Vec<_>>();
            put(&case.name, "CPU-s per Mpkt", &of(Run::cpu_seconds_per_mpkt));
            put(&case.name, "kernel ns per packet", &of(|run| run.kernel_ns));
            put(&case.name, "process ns per packet", &of(|run| run.process_ns));
            put(&case.name, "whole machine, ns per packet", &of(|run| run.machine_ns));
            put(&case.name, "Mpps", &of(Run::mpps));
            put(&case.name, "share lost", &of(Run::lost_share));
            put(&case.name, "refused by the wire", &of(|run| run.refused as f64));
            put(&case.name, "bytes written per packet", &of(bytes_a_packet));
            put(&case.name, "RSS MiB", &of(|run| run.resident_kib as f64 / 1024.0));
            put(&case.name, "Mpps without loss", &megas(&case.lossless));
        }
        report
    }
}

fn bytes_a_packet(run: &Run) -> f64 {
    run.bytes as f64 / run.taken.max(1) as f64
}

fn megas(rates: &[f64]) -> Vec<f64> {
    rates.iter().map(|rate| rate / 1e6).collect()
}

fn spread(case: &Case, what: impl Fn(&Run) -> f64) -> Option<Spread> {
    Spread::of(&case.runs.iter().map(what).collect::<Vec<_>>())
}

/// Median, and from where to where.
fn range(spread: Option<&Spread>, decimals: usize) -> String {
    match spread {
        None => String::new(),
        Some(Spread { median, rounds: 1, .. }) => format!("{median:.decimals$}"),
        Some(Spread { median, min, max, .. }) => {
            format!("{median:.decimals$} ({min:.decimals$}–{max:.decimals$})")
        }
    }
}

fn percent(spread: &Spread) -> String {
    if spread.max == 0.0 { "0".to_owned() } else { format!("{:.2} %", spread.median * 100.0) }
}
