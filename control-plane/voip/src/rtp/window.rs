//! Which of the last sequence numbers came, and the runs of those that did not.

use crate::limits::RTP_WINDOW_PACKETS;

const WORDS: usize = RTP_WINDOW_PACKETS / 64;

/// A ring of marks, one per sequence number, up to the highest.
#[derive(Clone, Debug)]
pub(super) struct Window {
    marks: [u64; WORDS],
    /// The first number of the series; extended by the count of wraps.
    first: u64,
    /// The highest number of the series.
    highest: u64,
    runs: Runs,
}

/// Runs of lost packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Runs {
    pub(super) lost: u64,
    pub(super) count: u64,
    pub(super) longest: u64,
    /// The run that has not ended.
    current: u64,
}

impl Runs {
    fn note(&mut self, came: bool) {
        if came {
            self.current = 0;
            return;
        }
        self.lost += 1;
        self.count += u64::from(self.current == 0);
        self.current += 1;
        self.longest = self.longest.max(self.current);
    }
}

impl Window {
    /// A series that begins with this number, which came.
    pub(super) fn new(first: u64) -> Self {
        let mut window = Self { marks: [0; WORDS], first, highest: first, runs: Runs::default() };
        window.set(first);
        window
    }

    pub(super) const fn highest(&self) -> u64 {
        self.highest
    }

    /// How many numbers the series has.
    pub(super) const fn expected(&self) -> u64 {
        self.highest - self.first + 1
    }

    /// Moves the highest number ahead; those between did not come yet.
    pub(super) fn advance(&mut self, to: u64) {
        while self.highest < to {
            self.highest += 1;
            if let Some(leaving) = self.highest.checked_sub(RTP_WINDOW_PACKETS as u64)
                && leaving >= self.first
            {
                let came = self.has(leaving);
                self.runs.note(came);
            }
            self.clear(self.highest);
        }
        self.set(to);
    }

    /// Marks a number that is not above the highest.
    pub(super) fn fill(&mut self, number: u64) -> Fill {
        if number + (RTP_WINDOW_PACKETS as u64) <= self.highest {
            return Fill::TooOld;
        }
        if self.has(number) {
            return Fill::Again;
        }
        if number < self.first {
            // The series began earlier than it seemed.
            for between in number..self.first {
                self.clear(between);
            }
            self.first = number;
        }
        self.set(number);
        Fill::New
    }

    /// The runs of what did not come, as if nothing more came.
    pub(super) fn runs(&self) -> Runs {
        let mut runs = self.runs;
        let oldest = (self.highest + 1).saturating_sub(RTP_WINDOW_PACKETS as u64).max(self.first);
        for number in oldest..=self.highest {
            runs.note(self.has(number));
        }
        runs
    }

    const fn place(number: u64) -> (usize, u64) {
        let index = number as usize % RTP_WINDOW_PACKETS;
        (index / 64, 1 << (index % 64))
    }

    fn has(&self, number: u64) -> bool {
        let (word, bit) = Self::place(number);
        number >= self.first && self.marks[word] & bit != 0
    }

    fn set(&mut self, number: u64) {
        let (word, bit) = Self::place(number);
        self.marks[word] |= bit;
    }

    fn clear(&mut self, number: u64) {
        let (word, bit) = Self::place(number);
        self.marks[word] &= !bit;
    }
}

/// What a number below the highest was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    New,
    Again,
    TooOld,
}
