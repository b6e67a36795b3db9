//! Capture files: pcap and pcapng in, pcapng out.
//!
//! The readers borrow each frame from one buffer and allocate nothing per packet. A file that is not
//! what it should be gives an error with the offset; a tail that was cut off ends the file, and is
//! counted. What a frame holds is steering's affair.

mod blocks;
mod classic;
mod error;
mod link;
mod merge;
mod ng;
mod order;
mod writer;

use std::{fs::File, io::Read, path::Path};

pub use error::PcapError;
pub use merge::Merge;
pub use writer::{InterfaceId, Writer};

use crate::frame::Frame;
use blocks::Blocks;

/// What a reader left out, beside the frames it gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Omissions {
    /// Records cut off by the end of the file: at most 1.
    pub truncated: u64,
    /// Packets of interfaces whose link type is not known.
    pub unknown_link: u64,
    /// Frames earlier than the one before them; they are given in the file's order.
    pub out_of_order: u64,
}

/// Reads one file, or a stream, of any supported format.
#[derive(Debug)]
pub struct Reader {
    blocks: Blocks,
    format: Format,
    source: u8,
    current: Option<Place>,
    ts_last_ns: u64,
    omissions: Omissions,
    bytes_total: Option<u64>,
}

#[derive(Debug)]
enum Format {
    Classic(classic::Classic),
    Ng(ng::Ng),
    /// After an error, or the end.
    Ended,
}

/// A frame found in the buffer.
#[derive(Debug, Clone, Copy)]
struct Place {
    ts_ns: u64,
    /// From the buffer's first unread byte.
    frame: usize,
    captured: usize,
    /// Bytes to the next record or block.
    span: u64,
    wire_len: u32,
    link: earwitness_wire::LinkType,
}

/// What a format found at the head of the buffer.
enum Found {
    Frame(Place),
    /// Not a frame, or one of an unknown link type: skip this many bytes.
    Other {
        span: u64,
        unknown_link: bool,
    },
    End,
    /// The file ends within a record.
    Truncated,
}

impl Reader {
    /// Opens a file; its frames carry `source`.
    ///
    /// # Errors
    /// [`PcapError`] with the path and offset.
    pub fn open(path: &Path, source: u8) -> Result<Self, PcapError> {
        let name = path.display().to_string();
        let file =
            File::open(path).map_err(|source| PcapError::Open { file: name.clone(), source })?;
        let bytes_total = file.metadata().ok().filter(|about| about.is_file()).map(|a| a.len());
        let mut reader = Self::from_input(name, Box::new(file), source)?;
        reader.bytes_total = bytes_total;
        Ok(reader)
    }

    /// Reads from a stream, such as standard input; `name` stands in errors.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn from_input(
        name: String,
        input: Box<dyn Read + Send>,
        source: u8,
    ) -> Result<Self, PcapError> {
        let mut blocks = Blocks::new(name, input);
        let magic = blocks.need(4)?;
        let magic = magic.first_chunk::<4>().copied();
        let format = match magic {
            Some(ng::SECTION_MAGIC) => Format::Ng(ng::Ng::new()),
            Some(magic) if classic::Classic::knows(magic) => {
                Format::Classic(classic::Classic::open(&mut blocks)?)
            }
            _ => return Err(blocks.not_a_capture()),
        };
        Ok(Self {
            blocks,
            format,
            source,
            current: None,
            ts_last_ns: 0,
            omissions: Omissions::default(),
            bytes_total: None,
        })
    }

    /// Goes to the next frame; false at the end.
    ///
    /// # Errors
    /// [`PcapError`] where the file is not what it should be; the reader is at its end then.
    #[inline]
    pub fn advance(&mut self) -> Result<bool, PcapError> {
        let found = self.find_frame();
        match &found {
            Ok(true) => {}
            Ok(false) | Err(_) => self.format = Format::Ended,
        }
        found
    }

    /// The frame that [`Reader::advance`] went to.
    #[inline]
    #[must_use]
    pub fn frame(&self) -> Option<Frame<'_>> {
        let place = self.current.as_ref()?;
        let bytes = &self.blocks.unread()[place.frame..][..place.captured];
        Some(Frame {
            ts_ns: place.ts_ns,
            bytes,
            wire_len: place.wire_len,
            link: place.link,
            source: self.source,
        })
    }

    /// Goes to the next frame and gives it.
    ///
    /// # Errors
    /// As [`Reader::advance`].
    #[expect(clippy::should_implement_trait, reason = "lends its buffer, which Iterator cannot")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, PcapError> {
        Ok(if self.advance()? { self.frame() } else { None })
    }

    /// What was left out so far.
    #[must_use]
    pub fn omissions(&self) -> Omissions {
        self.omissions
    }

    /// Bytes read so far, and how many there are if the source is a file.
    #[must_use]
    pub fn progress(&self) -> (u64, Option<u64>) {
        (self.blocks.offset(), self.bytes_total)
    }

    #[inline]
    fn find_frame(&mut self) -> Result<bool, PcapError> {
        if let Some(place) = self.current.take() {
            // The whole span was in the buffer when the frame was found.
            self.blocks.skip(place.span)?;
        }
        loop {
            let found = match &mut self.format {
                Format::Classic(classic) => classic.find(&mut self.blocks)?,
                Format::Ng(ng) => ng.find(&mut self.blocks, self.ts_last_ns)?,
                Format::Ended => return Ok(false),
            };
            match found {
                Found::Frame(place) => {
                    self.omissions.out_of_order += u64::from(place.ts_ns < self.ts_last_ns);
                    self.ts_last_ns = place.ts_ns;
                    self.current = Some(place);
                    return Ok(true);
                }
                Found::Other { span, unknown_link } => {
                    self.omissions.unknown_link += u64::from(unknown_link);
                    if !self.blocks.skip(span)? {
                        self.omissions.truncated += 1;
                        return Ok(false);
                    }
                }
                Found::End => return Ok(false),
                Found::Truncated => {
                    self.omissions.truncated += 1;
                    return Ok(false);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
