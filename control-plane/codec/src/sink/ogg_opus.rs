//! Ogg Opus files (RFC 7845) through libopus: granule positions tell the exact length.
//!
//! Two channels are two streams without coupling (mapping family 1), so that nothing of one party
//! is in the other's channel; mid-side coding would mix them.

use std::io::{Seek, Write};

use ogg::PacketWriter;
use ogg::writing::PacketWriteEndInfo;
use opus::{Application, Bitrate, MSEncoder};

use super::{AudioShape, Format, Sink, SinkError, Written};

/// Always the same: a file of one stream needs no other, and the same input makes the same bytes.
const SERIAL: u32 = 0x4561_7277;
/// Packets of 20 ms.
const PACKETS_PER_SECOND: u32 = 50;
/// Granule positions count at 48 kHz whatever the input (RFC 7845 section 4).
const GRANULES_PER_PACKET: u64 = 960;
/// A page a second.
const PACKETS_PER_PAGE: u64 = 50;
/// Room for a packet of two streams.
const PACKET_BYTES_MAX: usize = 2 * 1_277;
/// Of 10: speech of telephone quality gains nothing from more, which costs twice the time.
const COMPLEXITY: i32 = 4;
/// RFC 7845 section 5.2.
const VENDOR: &[u8] = b"earwitness";

/// An Ogg Opus file being written.
pub(super) struct OggOpusWriter<W: Write> {
    format: Format,
    shape: AudioShape,
    encoder: MSEncoder,
    pages: PacketWriter<'static, Counted<W>>,
    /// Interleaved samples short of a packet.
    pending: Vec<i16>,
    /// The last packet, which may prove to be the last of all.
    held: Option<Vec<u8>>,
    /// Packets given to `pages`.
    packets: u64,
    samples: u64,
    /// In granules.
    pre_skip: u64,
}

impl<W: Write + Seek> OggOpusWriter<W> {
    pub(super) fn create(
        format: Format,
        kbps: u16,
        shape: AudioShape,
        file: W,
    ) -> Result<Self, SinkError> {
        if !matches!(shape.sample_rate, 8_000 | 12_000 | 16_000 | 24_000 | 48_000) {
            return Err(SinkError::Shape { format, shape });
        }
        let mut encoder = build(kbps, shape).map_err(|error| failed(format, &error))?;
        let lookahead = encoder.get_lookahead().map_err(|error| failed(format, &error))?;
        let pre_skip = lookahead.max(0) as u64 * 48_000 / u64::from(shape.sample_rate);
        let pages = PacketWriter::new(Counted { file, bytes: 0 });
        let mut writer = Self {
            format,
            shape,
            encoder,
            pages,
            pending: Vec::new(),
            held: None,
            packets: 0,
            samples: 0,
            pre_skip,
        };
        // RFC 7845 section 3: each header on pages of its own, at granule position 0.
        let end = PacketWriteEndInfo::EndPage;
        writer.pages.write_packet(writer.head(), SERIAL, end, 0)?;
        writer.pages.write_packet(tags(), SERIAL, end, 0)?;
        Ok(writer)
    }

    /// RFC 7845 section 5.1.
    fn head(&self) -> Vec<u8> {
        let mut head = b"OpusHead\x01".to_vec();
        head.push(self.shape.channels);
        head.extend((self.pre_skip as u16).to_le_bytes());
        head.extend(self.shape.sample_rate.to_le_bytes());
        head.extend(0_i16.to_le_bytes());
        match self.shape.channels {
            1 => head.push(0),
            // Family 1, two streams, none of them coupled, left is the first.
            _ => head.extend([1, 2, 0, 0, 1]),
        }
        head
    }

    fn packet_samples(&self) -> usize {
        (self.shape.sample_rate / PACKETS_PER_SECOND) as usize * usize::from(self.shape.channels)
    }

    /// Encodes one packet and lets go of the one before it.
    fn encode(&mut self, interleaved: &[i16]) -> Result<(), SinkError> {
        let packet = self
            .encoder
            .encode_vec(interleaved, PACKET_BYTES_MAX)
            .map_err(|error| failed(self.format, &error))?;
        if let Some(before) = self.held.replace(packet) {
            self.packets += 1;
            // The first goes alone, so that readers know where the sound begins before it ends.
            let end = if self.packets % PACKETS_PER_PAGE == 1 {
                PacketWriteEndInfo::EndPage
            } else {
                PacketWriteEndInfo::NormalPacket
            };
            let granule = self.packets * GRANULES_PER_PACKET;
            self.pages.write_packet(before, SERIAL, end, granule)?;
        }
        Ok(())
    }
}

impl<W: Write + Seek + Send> Sink<W> for OggOpusWriter<W> {
    fn write(&mut self, interleaved: &[i16]) -> Result<(), SinkError> {
        self.samples += self.shape.frames(interleaved)? as u64;
        self.pending.extend_from_slice(interleaved);
        let packet = self.packet_samples();
        let whole = self.pending.len() - self.pending.len() % packet;
        let pending = std::mem::take(&mut self.pending);
        for samples in pending[..whole].chunks_exact(packet) {
            self.encode(samples)?;
        }
        self.pending = pending;
        self.pending.drain(..whole);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(W, Written), SinkError> {
        // RFC 7845 section 4.4: the last granule position cuts the padding off.
        let length = self.pre_skip + self.samples * 48_000 / u64::from(self.shape.sample_rate);
        let packet = self.packet_samples();
        let mut rest = std::mem::take(&mut self.pending);
        let held = |writer: &Self| writer.packets + u64::from(writer.held.is_some());
        while held(&self) * GRANULES_PER_PACKET < length || self.held.is_none() {
            rest.resize(packet, 0);
            self.encode(&rest)?;
            rest.clear();
        }
        let last = self.held.take().unwrap_or_default();
        self.pages.write_packet(last, SERIAL, PacketWriteEndInfo::EndStream, length)?;
        let Counted { mut file, bytes } = self.pages.into_inner();
        file.flush()?;
        Ok((file, Written { samples: self.samples, bytes }))
    }
}

fn build(kbps: u16, shape: AudioShape) -> Result<MSEncoder, opus::Error> {
    let mapping: &[u8] = if shape.channels == 1 { &[0] } else { &[0, 1] };
    let voice = Application::Voip;
    let mut encoder = MSEncoder::new(shape.sample_rate, shape.channels, 0, mapping, voice)?;
    encoder.set_bitrate(Bitrate::Bits(i32::from(kbps).max(6) * 1_000))?;
    encoder.set_vbr(true)?;
    encoder.set_complexity(COMPLEXITY)?;
    Ok(encoder)
}

fn tags() -> Vec<u8> {
    let mut tags = b"OpusTags".to_vec();
    tags.extend((VENDOR.len() as u32).to_le_bytes());
    tags.extend(VENDOR);
    tags.extend(0_u32.to_le_bytes());
    tags
}

fn failed(format: Format, error: &opus::Error) -> SinkError {
    SinkError::Encoder { format, reason: error.description().to_owned() }
}

/// A file that counts what is written to it.
struct Counted<W> {
    file: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}
