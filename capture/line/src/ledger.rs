//! The counters of the exit, by source (CAP-8).

use earwitness_ipc::CaptureStats;

/// One set of counters for each source that was seen.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sources: Vec<CaptureStats>,
}

impl Ledger {
    /// The counters of a source; made at its first packet.
    #[inline]
    pub(crate) fn of(&mut self, source: u8) -> &mut CaptureStats {
        let index = usize::from(source);
        if index >= self.sources.len() {
            self.grow(index);
        }
        &mut self.sources[index]
    }

    #[cold]
    fn grow(&mut self, index: usize) {
        for source in self.sources.len()..=index {
            // `index` came from a u8.
            self.sources.push(CaptureStats { source: source as u8, ..CaptureStats::default() });
        }
    }

    pub(crate) fn source(&self, source: u8) -> CaptureStats {
        let none = || CaptureStats { source, ..CaptureStats::default() };
        self.sources.get(usize::from(source)).cloned().unwrap_or_else(none)
    }

    pub(crate) fn total(&self) -> CaptureStats {
        let mut total = CaptureStats::default();
        self.sources.iter().for_each(|source| total.add(source));
        total
    }
}
