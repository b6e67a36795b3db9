//! The buffered input under both formats: large reads, no copy but the tail's, offsets for errors.

use std::{
    fmt,
    io::{ErrorKind, Read},
};

use super::PcapError;
use crate::limits::{PCAP_BUFFER_BYTES, PCAP_READ_BYTES};

/// A window onto a file. What is unread starts at `start` and lies contiguous.
pub(super) struct Blocks {
    name: String,
    input: Box<dyn Read + Send>,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Of `start` in the file.
    offset: u64,
    ended: bool,
}

impl Blocks {
    pub(super) fn new(name: String, input: Box<dyn Read + Send>) -> Self {
        let buffer = vec![0; PCAP_BUFFER_BYTES].into_boxed_slice();
        Self { name, input, buffer, start: 0, end: 0, offset: 0, ended: false }
    }

    /// At least `bytes` unread bytes, or all there are before the end of the file.
    #[inline]
    pub(super) fn need(&mut self, bytes: usize) -> Result<&[u8], PcapError> {
        if self.end - self.start < bytes {
            self.fill(bytes)?;
        }
        Ok(self.unread())
    }

    /// Everything buffered and not skipped.
    #[inline]
    pub(super) fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Goes on by `bytes`; false where the file ends before.
    #[inline]
    pub(super) fn skip(&mut self, bytes: u64) -> Result<bool, PcapError> {
        let buffered = (self.end - self.start) as u64;
        if bytes <= buffered {
            self.start += bytes as usize;
            self.offset += bytes;
            return Ok(true);
        }
        self.skip_far(bytes)
    }

    /// Of the first unread byte.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn malformed(&self, at: u64, expected: &'static str, found: u64) -> PcapError {
        PcapError::Malformed { file: self.name.clone(), offset: self.offset + at, expected, found }
    }

    pub(super) fn link_type(&self, at: u64, link: u16) -> PcapError {
        PcapError::LinkType { file: self.name.clone(), offset: self.offset + at, link }
    }

    pub(super) fn header_truncated(&self) -> PcapError {
        let offset = self.offset + self.unread().len() as u64;
        PcapError::HeaderTruncated { file: self.name.clone(), offset }
    }

    pub(super) fn not_a_capture(&self) -> PcapError {
        let found = self.unread().iter().take(4).copied().collect();
        PcapError::NotCapture { file: self.name.clone(), found }
    }

    #[cold]
    fn fill(&mut self, bytes: usize) -> Result<(), PcapError> {
        assert!(bytes <= self.buffer.len(), "formats ask for what a buffer can hold");
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < bytes && !self.ended {
            self.read_once()?;
        }
        Ok(())
    }

    #[cold]
    fn skip_far(&mut self, bytes: u64) -> Result<bool, PcapError> {
        let mut left = bytes;
        loop {
            let step = left.min((self.end - self.start) as u64);
            self.start += step as usize;
            self.offset += step;
            left -= step;
            if left == 0 || self.ended {
                return Ok(left == 0);
            }
            (self.start, self.end) = (0, 0);
            self.read_once()?;
        }
    }

    fn read_once(&mut self) -> Result<(), PcapError> {
        // Less than there is room for: what is read next lies in the cache still.
        let until = self.buffer.len().min(self.end + PCAP_READ_BYTES);
        match self.input.read(&mut self.buffer[self.end..until]) {
            Ok(0) => self.ended = true,
            Ok(count) => self.end += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(source) => {
                let offset = self.offset + self.unread().len() as u64;
                return Err(PcapError::Read { file: self.name.clone(), offset, source });
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocks")
            .field("name", &self.name)
            .field("offset", &self.offset)
            .field("unread", &(self.end - self.start))
            .finish_non_exhaustive()
    }
}
