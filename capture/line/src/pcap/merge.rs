//! Several files as one stream, by time.
//!
//! Each file is given in its own order; where two files have frames at hand, the earlier goes first,
//! and the file named first where the times are equal. Same files in the same order, same stream.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{Omissions, PcapError, Reader};
use crate::{frame::Frame, limits::PCAP_FILES_MAX};

/// Merges readers by the times of their frames.
#[derive(Debug)]
pub struct Merge {
    readers: Vec<Reader>,
    /// Next frames of all readers but the current one: time, then place in `readers`.
    waiting: BinaryHeap<Reverse<(u64, usize)>>,
    current: Option<usize>,
    begun: bool,
}

impl Merge {
    /// # Panics
    /// With more than `PCAP_FILES_MAX` readers, which their frames' `source` could not tell apart.
    #[must_use]
    pub fn new(readers: Vec<Reader>) -> Self {
        assert!(readers.len() <= PCAP_FILES_MAX, "at most {PCAP_FILES_MAX} files");
        let waiting = BinaryHeap::with_capacity(readers.len());
        Self { readers, waiting, current: None, begun: false }
    }

    /// The next frame of all files.
    ///
    /// # Errors
    /// As [`Reader::advance`]; the file at fault ends, the others go on with the next call.
    #[expect(clippy::should_implement_trait, reason = "lends its buffer, which Iterator cannot")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, PcapError> {
        self.advance()?;
        Ok(self.frame())
    }

    /// The frame that [`Merge::next`] gave.
    #[inline]
    #[must_use]
    pub fn frame(&self) -> Option<Frame<'_>> {
        self.readers[self.current?].frame()
    }

    /// Sums over the files.
    #[must_use]
    pub fn omissions(&self) -> Omissions {
        self.readers.iter().fold(Omissions::default(), |sum, reader| {
            let one = reader.omissions();
            Omissions {
                truncated: sum.truncated + one.truncated,
                unknown_link: sum.unknown_link + one.unknown_link,
                out_of_order: sum.out_of_order + one.out_of_order,
            }
        })
    }

    /// Bytes read so far, and how many there are if every source is a file.
    #[must_use]
    pub fn progress(&self) -> (u64, Option<u64>) {
        self.readers.iter().fold((0, Some(0)), |(read, total), reader| {
            let (one, of) = reader.progress();
            (read + one, total.zip(of).map(|(sum, of)| sum + of))
        })
    }

    fn advance(&mut self) -> Result<(), PcapError> {
        if !self.begun {
            self.begin()?;
        }
        if let Some(index) = self.current.take()
            && self.readers[index].advance()?
        {
            let ts_ns = self.ts_ns(index);
            match self.waiting.peek() {
                // The same file goes on: the usual case, and the only one with a single file.
                None => self.current = Some(index),
                Some(&Reverse(next)) if (ts_ns, index) < next => self.current = Some(index),
                Some(_) => self.waiting.push(Reverse((ts_ns, index))),
            }
        }
        if self.current.is_none() {
            self.current = self.waiting.pop().map(|Reverse((_, index))| index);
        }
        Ok(())
    }

    /// Finds the first frame of each file; a file at fault is at its end when this is called again.
    fn begin(&mut self) -> Result<(), PcapError> {
        for index in 0..self.readers.len() {
            let waits = self.waiting.iter().any(|&Reverse((_, other))| other == index);
            if !waits && self.readers[index].advance()? {
                let ts_ns = self.ts_ns(index);
                self.waiting.push(Reverse((ts_ns, index)));
            }
        }
        self.begun = true;
        Ok(())
    }

    fn ts_ns(&self, index: usize) -> u64 {
        self.readers[index].frame().map_or(0, |frame| frame.ts_ns)
    }
}
