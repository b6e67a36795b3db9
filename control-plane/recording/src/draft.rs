//! A line in the making: what a packet means for it, and whether a doubtful one goes on.

use crate::drift::{Drift, Minimum};
use crate::limits::{
    DRIFT_PPM_MAX, JUMP_NS, PAUSE_NS, PAUSE_SHIFT_NS, SPELL_NS, TRIAL_NS, TRIAL_PACKETS, WINDOW_NS,
    YOUNG_FALL_NS,
};
use crate::run::{Line, Run, Spell, Tick};

/// Packets that make the first level of a line.
const LEVEL_PACKETS: u32 = 50;

/// What a packet means for the line before it.
pub(crate) enum Continuity {
    Goes,
    /// A pause or a jump: what follows is tried as a line of its own.
    Doubtful,
    /// Timestamps and time run apart: what follows is one.
    Ends,
}

#[derive(Copy, Clone, Debug)]
struct Window {
    number: u64,
    least: Minimum,
    packets: u32,
}

/// A line in the making, with its runs.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) clock_hz: u32,
    first_ticks: i64,
    first_arrival_ns: u64,
    last_arrival_ns: u64,
    newest_arrival_ns: u64,
    last_transit_ns: f64,
    packets: u32,
    /// Least transit while the line was young.
    initial_ns: f64,
    /// Transit may fall to here while it is: a burst after a stall, not a jump.
    young_floor_ns: f64,
    /// Transit above the reference, summed: how much jitter there is.
    above_ns: f64,
    windows: Vec<Window>,
    runs: Vec<Run>,
}

impl Draft {
    pub(crate) fn new(tick: &Tick) -> Self {
        let mut draft = Self {
            clock_hz: tick.clock_hz,
            first_ticks: tick.ticks,
            first_arrival_ns: tick.arrival_ns,
            last_arrival_ns: tick.arrival_ns,
            newest_arrival_ns: tick.arrival_ns,
            last_transit_ns: 0.0,
            packets: 0,
            initial_ns: 0.0,
            young_floor_ns: -(YOUNG_FALL_NS as f64),
            above_ns: 0.0,
            windows: Vec::new(),
            runs: Vec::new(),
        };
        draft.push(tick);
        draft
    }

    /// A draft that may turn out to be the continuation of `sure`, late by a stall.
    pub(crate) fn trial(tick: &Tick, sure: &Self) -> Self {
        let mut trial = Self::new(tick);
        let known_ns = sure.reference_ns() - sure.offset_of(&trial);
        trial.young_floor_ns = trial.young_floor_ns.min(known_ns - JUMP_NS as f64);
        trial
    }

    fn media_ns(&self, ticks: i64) -> f64 {
        (ticks - self.first_ticks) as f64 * (1e9 / f64::from(self.clock_hz))
    }

    fn transit_ns(&self, tick: &Tick) -> f64 {
        apart_ns(tick.arrival_ns, self.first_arrival_ns) - self.media_ns(tick.ticks)
    }

    /// Least transit of the last two windows.
    fn reference_ns(&self) -> f64 {
        let recent = &self.windows[self.windows.len().saturating_sub(2)..];
        recent.iter().map(|window| window.least.transit_ns).fold(f64::INFINITY, f64::min)
    }

    fn age_ns(&self) -> u64 {
        self.newest_arrival_ns.saturating_sub(self.first_arrival_ns)
    }

    pub(crate) fn is_young(&self) -> bool {
        self.packets < TRIAL_PACKETS || self.age_ns() < TRIAL_NS
    }

    pub(crate) fn push(&mut self, tick: &Tick) {
        let transit_ns = self.transit_ns(tick);
        if self.is_young() {
            self.initial_ns = self.initial_ns.min(transit_ns);
        }
        self.last_arrival_ns = tick.arrival_ns;
        self.newest_arrival_ns = self.newest_arrival_ns.max(tick.arrival_ns);
        self.last_transit_ns = transit_ns;
        self.packets += 1;
        let least = Minimum { media_ns: self.media_ns(tick.ticks), transit_ns };
        let number = tick.arrival_ns.saturating_sub(self.first_arrival_ns) / WINDOW_NS;
        self.note(Window { number, least, packets: 1 });
        self.above_ns += (transit_ns - self.reference_ns()).max(0.0);
        self.extend_run(tick);
    }

    fn note(&mut self, window: Window) {
        match self.windows.last_mut() {
            Some(last) if last.number >= window.number => {
                last.packets += window.packets;
                if window.least.transit_ns < last.least.transit_ns {
                    last.least = window.least;
                }
            }
            _ => self.windows.push(window),
        }
    }

    fn extend_run(&mut self, tick: &Tick) {
        let spell = Spell { from_ticks: tick.ticks, until_ticks: tick.ticks + tick.duration_ticks };
        if let Some(run) = self.runs.last_mut()
            && adopt(run, tick.rate_hz)
        {
            add_spell(run, spell, self.clock_hz);
            return;
        }
        let (first, rate_hz) = (tick.place, tick.rate_hz);
        self.runs.push(Run { first, line: 0, rate_hz, spells: vec![spell] });
    }

    /// What the next packet means for this line.
    pub(crate) fn continues(&self, tick: &Tick) -> Continuity {
        let transit_ns = self.transit_ns(tick);
        let step_ns = transit_ns - self.last_transit_ns;
        let allowance_ns = JUMP_NS as f64 + self.age_ns() as f64 * (DRIFT_PPM_MAX * 1e-6);
        let creeps = !self.is_young()
            && (transit_ns < self.initial_ns - allowance_ns
                || self.reference_ns() > self.initial_ns + allowance_ns);
        if creeps {
            return Continuity::Ends;
        }
        let floor_ns = if self.is_young() {
            self.young_floor_ns
        } else {
            self.reference_ns() - JUMP_NS as f64
        };
        let paused = tick.arrival_ns.saturating_sub(self.last_arrival_ns) >= PAUSE_NS;
        if paused || step_ns.abs() >= JUMP_NS as f64 || transit_ns < floor_ns {
            return Continuity::Doubtful;
        }
        Continuity::Goes
    }

    /// The level of `trial` above ours: transit that a packet of it has too much.
    fn shift_to(&self, trial: &Self) -> f64 {
        self.offset_of(trial) + trial.reference_ns() - self.reference_ns()
    }

    /// Transit of the trial's first packet on our scale.
    fn offset_of(&self, trial: &Self) -> f64 {
        apart_ns(trial.first_arrival_ns, self.first_arrival_ns) - self.media_ns(trial.first_ticks)
    }

    /// Whether the trial is a line of its own.
    pub(crate) fn parts_from(&self, trial: &Self) -> bool {
        let known = self.packets >= TRIAL_PACKETS && trial.packets >= TRIAL_PACKETS;
        let threshold_ns = if known {
            let spread_ns = self.above_ns / f64::from(self.packets);
            spread_ns.max(PAUSE_SHIFT_NS as f64)
        } else {
            JUMP_NS as f64
        };
        self.shift_to(trial).abs() > threshold_ns
    }

    /// Whether `next` is where this line would have it, and the few packets of `trial` before it
    /// were just late.
    pub(crate) fn passes_over(&self, trial: &Self, next: &Tick) -> bool {
        let returns_ns = self.transit_ns(next) - self.reference_ns();
        trial.packets < TRIAL_PACKETS
            && self.shift_to(trial) > 0.0
            && returns_ns.abs() < JUMP_NS as f64
    }

    pub(crate) fn absorb(&mut self, trial: Self) {
        let offset_ns = self.offset_of(&trial);
        let shift_media_ns = self.media_ns(trial.first_ticks);
        for window in &trial.windows {
            let least = Minimum {
                media_ns: window.least.media_ns + shift_media_ns,
                transit_ns: window.least.transit_ns + offset_ns,
            };
            let begun_ns = trial.first_arrival_ns + window.number * WINDOW_NS;
            let number = begun_ns.saturating_sub(self.first_arrival_ns) / WINDOW_NS;
            self.note(Window { number, least, packets: window.packets });
        }
        if self.is_young() {
            self.initial_ns = self.initial_ns.min(trial.initial_ns + offset_ns);
        }
        self.last_arrival_ns = trial.last_arrival_ns;
        self.newest_arrival_ns = self.newest_arrival_ns.max(trial.newest_arrival_ns);
        self.last_transit_ns = trial.last_transit_ns + offset_ns;
        self.packets += trial.packets;
        self.above_ns += trial.above_ns;
        let mut runs = trial.runs.into_iter();
        if let (Some(last), Some(next)) = (self.runs.last_mut(), runs.next()) {
            if adopt(last, next.rate_hz) {
                for spell in next.spells {
                    add_spell(last, spell, self.clock_hz);
                }
            } else {
                self.runs.push(next);
            }
        }
        self.runs.extend(runs);
    }

    pub(crate) fn finish(self, lines: &mut Vec<Line>, runs: &mut Vec<Run>) {
        let minima: Vec<Minimum> = self.windows.iter().map(|window| window.least).collect();
        let mut packets = 0;
        let level_ns = self
            .windows
            .iter()
            .take_while(|window| {
                let wanted = packets < LEVEL_PACKETS;
                packets += window.packets;
                wanted
            })
            .map(|window| window.least.transit_ns)
            .fold(f64::INFINITY, f64::min);
        let line = lines.len();
        lines.push(Line {
            clock_hz: self.clock_hz,
            first_ticks: self.first_ticks,
            first_arrival_ns: self.first_arrival_ns,
            level_ns,
            drift: Drift::measure(&minima),
        });
        runs.extend(self.runs.into_iter().map(|run| Run { line, ..run }));
    }
}

/// Whether audio of this rate can go on in the run; a run without a rate takes it.
fn adopt(run: &mut Run, rate_hz: Option<u32>) -> bool {
    if run.rate_hz.is_none() {
        run.rate_hz = rate_hz;
    }
    rate_hz.is_none() || run.rate_hz == rate_hz
}

/// From one moment back to another. The difference is small against 2^53 ns, the moments are not.
fn apart_ns(later_ns: u64, earlier_ns: u64) -> f64 {
    later_ns.wrapping_sub(earlier_ns) as i64 as f64
}

fn add_spell(run: &mut Run, spell: Spell, clock_hz: u32) {
    let pause_ticks = (SPELL_NS / 1_000_000) as i64 * i64::from(clock_hz) / 1_000;
    match run.spells.last_mut() {
        Some(last) if spell.from_ticks - last.until_ticks < pause_ticks => {
            last.from_ticks = last.from_ticks.min(spell.from_ticks);
            last.until_ticks = last.until_ticks.max(spell.until_ticks);
        }
        _ => run.spells.push(spell),
    }
}
