//! How far a session is, and how long it will still take.

use std::fmt;
use std::time::{Duration, Instant};

use super::session::Case;
use super::{Session, search};

/// Time that has gone, beside what was expected of the parts that are done.
#[derive(Debug)]
pub struct Progress {
    began: Instant,
    done: Duration,
    all: Duration,
}

impl Progress {
    /// Of a session that begins; says how long it will take.
    pub fn of(session: &Session, cases: &[Case]) -> Self {
        let once: Duration = cases.iter().map(|case| case.expected(session.packets)).sum();
        let searches = (1..=search::rounds(session)).flat_map(|round| {
            // Whoever takes part has been measured by then.
            let takes_part = move |case: &&Case| search::may_take_part(case, session, round);
            let expected = move |case: &Case| search::expected(case, session, round);
            cases.iter().filter(takes_part).map(expected)
        });
        let all = once * session.rounds + searches.sum::<Duration>();
        eprintln!("{} receivers, {} rounds: about {}", cases.len(), session.rounds, Clock(all));
        Self { began: Instant::now(), done: Duration::ZERO, all }
    }

    /// A part is done, of which so much was expected.
    pub fn after(&mut self, expected: Duration) -> String {
        self.done += expected;
        let gone = self.began.elapsed();
        let pace = gone.as_secs_f64() / self.done.as_secs_f64().max(f64::MIN_POSITIVE);
        let left = self.all.saturating_sub(self.done).mul_f64(pace);
        format!("[{} gone, about {} left]", Clock(gone), Clock(left))
    }
}

/// Minutes and seconds.
struct Clock(Duration);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        write!(f, "{}:{:02}", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_from_what_was_done() {
        let began = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        let all = Duration::from_secs(100);
        let mut progress = Progress { began, done: Duration::ZERO, all };
        // Three times slower than expected.
        assert_eq!(progress.after(Duration::from_secs(20)), "[1:00 gone, about 4:00 left]");
        assert_eq!(progress.after(Duration::from_secs(100)), "[1:00 gone, about 0:00 left]");
    }
}
