//! Blocks of one segment file, read into memory of our own.
//!
//! Reading instead of mapping makes the checksum hold for the very bytes that are used, whatever
//! happens to the file meanwhile, and turns an unreadable sector into an error instead of a SIGBUS.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use crate::block::{self, BlockHeader, HEADER_LEN};
use crate::disk::Disk;
use crate::limits::{
    BLOCK_ALIGN, BLOCK_BYTES_MAX, BLOCK_HEADER_BYTES, ERASING_LOOKS_MAX, HEADER_BYTES, READ_BYTES,
};
use crate::map::ERASING_AT;

/// Why a block is not believed that may be believed when it is read again.
const CHECKSUM: &str = "block checksum is wrong";

/// What a block must say of itself to belong here.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Identity {
    pub(crate) seq: u32,
    /// Unknown where the header is lost.
    pub(crate) epoch: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct BlockReader {
    disk: Arc<dyn Disk>,
    file: File,
    identity: Identity,
    buffer: Vec<u8>,
    /// File offset of the buffer's first byte.
    start: u64,
    /// How much is read at least, where there is so much.
    ahead: usize,
}

impl BlockReader {
    pub(crate) fn new(disk: Arc<dyn Disk>, file: File, identity: Identity) -> Self {
        Self { disk, file, identity, buffer: Vec::new(), start: 0, ahead: READ_BYTES }
    }

    /// For blocks that are not read in order: no more at a time than `bytes`.
    pub(crate) fn read_ahead(self, bytes: usize) -> Self {
        Self { ahead: bytes, ..self }
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    pub(crate) fn set_identity(&mut self, identity: Identity) {
        self.identity = identity;
    }

    /// Forgets what was read, so that it is read again, and nothing is left of it in memory.
    pub(crate) fn forget(&mut self) {
        shorten(&mut self.buffer, 0);
    }

    /// The block at `offset`, checked; nothing at or behind `limit` is looked at. Its bytes are then
    /// lent by [`Self::stored`]. The error is the reason why there is none.
    ///
    /// E2: where it is not valid it may be that it is being overwritten: then it is read again.
    pub(crate) fn read(&mut self, offset: u64, limit: u64) -> Result<BlockHeader, &'static str> {
        let mut result = self.read_once(offset, limit);
        if result != Err(CHECKSUM) {
            return result;
        }
        let mut before = self.erasing();
        for _ in 0..ERASING_LOOKS_MAX {
            self.forget();
            result = self.read_once(offset, limit);
            let now = self.erasing();
            if result != Err(CHECKSUM) || (now == before && now.is_multiple_of(2)) {
                break;
            }
            before = now;
            std::thread::sleep(Duration::from_millis(1));
        }
        result
    }

    /// The segment's word `erasing`; an even constant where it cannot be read.
    fn erasing(&self) -> u64 {
        let mut word = [0; 8];
        let read = read_fully(&*self.disk, &self.file, &mut word, ERASING_AT as u64);
        if read == word.len() { u64::from_ne_bytes(word) } else { 0 }
    }

    fn read_once(&mut self, offset: u64, limit: u64) -> Result<BlockHeader, &'static str> {
        if !offset.is_multiple_of(BLOCK_ALIGN) || offset < HEADER_BYTES {
            return Err("no block can begin here");
        }
        let identity = self.identity;
        let bytes = self.window(offset, HEADER_LEN, limit)?;
        let header = BlockHeader::decode(array(bytes))?;
        let ours = header.seq == identity.seq
            && identity.epoch.is_none_or(|epoch| epoch == header.epoch)
            && header.offset() == offset;
        if !ours {
            return Err("block of another segment");
        }
        let length = HEADER_LEN + header.stored_len as usize;
        let bytes = self.window(offset, length, limit)?;
        let (head, stored) = bytes[..length].split_at(HEADER_LEN);
        if !block::verify(array(head), stored) {
            return Err(CHECKSUM);
        }
        Ok(header)
    }

    /// Bytes of the file, if they are there from the last block that was read.
    pub(crate) fn held(&self, offset: u64, length: usize) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.buffer.get(from..from.checked_add(length)?)
    }

    /// What lies behind the header of the block that [`Self::read`] read last.
    pub(crate) fn stored(&self, header: &BlockHeader) -> &[u8] {
        let from = (header.offset() + BLOCK_HEADER_BYTES - self.start) as usize;
        &self.buffer[from..from + header.stored_len as usize]
    }

    /// The records' bytes of the block read last: unpacked into `unpacked` if need be.
    pub(crate) fn raw<'a>(
        &'a self,
        header: &BlockHeader,
        unpacked: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], &'static str> {
        let stored = self.stored(header);
        if !header.compressed {
            return Ok(stored);
        }
        unpack(stored, header.raw_len, unpacked)?;
        Ok(unpacked)
    }

    /// The first valid block at or behind `from`.
    pub(crate) fn find_valid(&mut self, from: u64, limit: u64) -> Option<BlockHeader> {
        let mut offset = from.next_multiple_of(BLOCK_ALIGN).max(HEADER_BYTES);
        while offset + BLOCK_HEADER_BYTES <= limit {
            match self.window(offset, HEADER_LEN, limit) {
                Ok(window) => {
                    let skip = candidate(window);
                    offset += skip;
                    if skip > 0 {
                        continue;
                    }
                    if let Ok(header) = self.read(offset, limit) {
                        return Some(header);
                    }
                    offset += BLOCK_ALIGN;
                }
                // A sector that cannot be read: go on behind its page.
                Err(_) => offset = (offset + 1).next_multiple_of(HEADER_BYTES),
            }
        }
        None
    }

    /// At least `length` bytes from `offset`, and what else is there already.
    fn window(&mut self, offset: u64, length: usize, limit: u64) -> Result<&[u8], &'static str> {
        debug_assert!(length <= HEADER_LEN + BLOCK_BYTES_MAX as usize);
        if offset.checked_add(length as u64).is_none_or(|end| end > limit) {
            return Err("block runs over the end");
        }
        if self.held(offset, length).is_none() {
            self.fill(offset, length, limit)?;
        }
        Ok(&self.buffer[(offset - self.start) as usize..])
    }

    fn fill(&mut self, offset: u64, length: usize, limit: u64) -> Result<(), &'static str> {
        let wanted = length.max(self.ahead).min((limit - offset) as usize);
        resize(&mut self.buffer, wanted);
        self.start = offset;
        let filled = read_fully(&*self.disk, &self.file, &mut self.buffer, offset);
        shorten(&mut self.buffer, filled);
        if filled < length { Err("file cannot be read here") } else { Ok(()) }
    }
}

/// Reads until `buffer` is full, the file ends, or it cannot be read. Returns how much was read.
pub(crate) fn read_fully(disk: &dyn Disk, file: &File, buffer: &mut [u8], offset: u64) -> usize {
    let mut filled = 0;
    while filled < buffer.len() {
        match disk.read_at(file, &mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    filled
}

/// Leaves nothing behind the new end: what was read may be media that is erased in its file since (CAP-9).
pub(crate) fn shorten(buffer: &mut Vec<u8>, length: usize) {
    let length = length.min(buffer.len());
    buffer[length..].fill(0);
    buffer.truncate(length);
}

fn resize(buffer: &mut Vec<u8>, length: usize) {
    shorten(buffer, length);
    buffer.resize(length, 0);
}

/// Unpacks LZ4 into exactly `raw_len` bytes.
pub(crate) fn unpack(
    stored: &[u8],
    raw_len: u32,
    unpacked: &mut Vec<u8>,
) -> Result<(), &'static str> {
    resize(unpacked, raw_len as usize);
    match lz4_flex::block::decompress_into(stored, unpacked) {
        Ok(length) if length == raw_len as usize => Ok(()),
        _ => Err("block does not unpack"),
    }
}

/// Bytes to the first cache line of the window that could begin a block.
fn candidate(window: &[u8]) -> u64 {
    let lines = window.chunks(BLOCK_ALIGN as usize);
    lines.take_while(|line| !block::has_magic(line)).count() as u64 * BLOCK_ALIGN
}

fn array(bytes: &[u8]) -> &[u8; HEADER_LEN] {
    bytes.first_chunk().expect("a window is at least as long as was asked for")
}
