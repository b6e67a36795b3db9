//! Writes pcapng: one section, interfaces with nanosecond clocks, enhanced packet blocks (REC-8).

use std::io::{self, Write};

use earwitness_wire::LinkType;

use super::link::number_of;

const COMMENT: u16 = 1;
const INTERFACE_NAME: u16 = 2;
const APPLICATION: u16 = 4;
const RESOLUTION: u16 = 9;
/// Powers of ten: nanoseconds.
const NANOSECONDS: u8 = 9;
const UNKNOWN_LENGTH: u64 = u64::MAX;
/// What the 16 bits of an option's length can say.
const OPTION_BYTES_MAX: usize = u16::MAX as usize;

/// An interface of the file being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterfaceId(u32);

/// Writes one pcapng file; the caller buffers.
#[derive(Debug)]
pub struct Writer<W: Write> {
    output: W,
    interfaces: u32,
    block: Vec<u8>,
    has_options: bool,
}

impl<W: Write> Writer<W> {
    /// Begins the file. `application` names what wrote it; `comment` may say what it holds.
    ///
    /// # Errors
    /// Of the output.
    pub fn new(output: W, application: &str, comment: Option<&str>) -> io::Result<Self> {
        let mut writer =
            Self { output, interfaces: 0, block: Vec::with_capacity(2048), has_options: false };
        writer.begin(0x0a0d_0d0a);
        writer.block.extend_from_slice(&0x1a2b_3c4d_u32.to_le_bytes());
        writer.block.extend_from_slice(&1u16.to_le_bytes());
        writer.block.extend_from_slice(&0u16.to_le_bytes());
        writer.block.extend_from_slice(&UNKNOWN_LENGTH.to_le_bytes());
        writer.option(APPLICATION, application.as_bytes());
        writer.comment(comment);
        writer.end()?;
        Ok(writer)
    }

    /// Describes an interface that packets can then name.
    ///
    /// # Errors
    /// Of the output.
    pub fn interface(
        &mut self,
        link: LinkType,
        name: &str,
        comment: Option<&str>,
    ) -> io::Result<InterfaceId> {
        self.begin(1);
        self.block.extend_from_slice(&number_of(link).to_le_bytes());
        self.block.extend_from_slice(&[0; 2]);
        // No snap length.
        self.block.extend_from_slice(&0u32.to_le_bytes());
        self.option(INTERFACE_NAME, name.as_bytes());
        self.option(RESOLUTION, &[NANOSECONDS]);
        self.comment(comment);
        self.end()?;
        self.interfaces += 1;
        Ok(InterfaceId(self.interfaces - 1))
    }

    /// Writes a packet.
    ///
    /// # Errors
    /// Of the output; `InvalidInput` for a frame of 4 GiB.
    pub fn packet(
        &mut self,
        interface: InterfaceId,
        ts_ns: u64,
        wire_len: u32,
        frame: &[u8],
        comment: Option<&str>,
    ) -> io::Result<()> {
        let captured = u32::try_from(frame.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.begin(6);
        for word in
            [interface.0, (ts_ns >> 32) as u32, ts_ns as u32, captured, wire_len.max(captured)]
        {
            self.block.extend_from_slice(&word.to_le_bytes());
        }
        self.padded(frame);
        self.comment(comment);
        self.end()
    }

    /// What is written to.
    pub fn output(&self) -> &W {
        &self.output
    }

    /// Flushes the output and gives it back.
    ///
    /// # Errors
    /// Of the output.
    pub fn finish(mut self) -> io::Result<W> {
        self.output.flush()?;
        Ok(self.output)
    }

    fn begin(&mut self, kind: u32) {
        self.block.clear();
        self.has_options = false;
        self.block.extend_from_slice(&kind.to_le_bytes());
        self.block.extend_from_slice(&[0; 4]);
    }

    fn comment(&mut self, comment: Option<&str>) {
        if let Some(text) = comment {
            let cut = text.floor_char_boundary(OPTION_BYTES_MAX);
            self.option(COMMENT, &text.as_bytes()[..cut]);
        }
    }

    /// Longer values are cut: the length has 16 bits.
    fn option(&mut self, code: u16, value: &[u8]) {
        let value = &value[..value.len().min(OPTION_BYTES_MAX)];
        self.has_options = true;
        self.block.extend_from_slice(&code.to_le_bytes());
        self.block.extend_from_slice(&(value.len() as u16).to_le_bytes());
        self.padded(value);
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.block.extend_from_slice(bytes);
        self.block.resize(self.block.len().next_multiple_of(4), 0);
    }

    fn end(&mut self) -> io::Result<()> {
        if self.has_options {
            self.block.extend_from_slice(&[0; 4]);
        }
        let span = u32::try_from(self.block.len() + 4).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.block[4..8].copy_from_slice(&span.to_le_bytes());
        self.block.extend_from_slice(&span.to_le_bytes());
        self.output.write_all(&self.block)
    }
}
