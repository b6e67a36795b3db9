//! Encoded bytes on their way from an encoder to a sink that can only be written to the end.
//!
//! The encoder has one handle, the renderer the other, which moves on what is there. What was moved
//! on cannot be patched any more: formats that go back to their header keep all until they finish.

use std::io::{self, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits::SPOOL_BYTES_MAX;

#[derive(Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    /// Place in the file of `bytes[0]`.
    base: u64,
    /// Where the encoder writes next.
    position: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Spool {
    held: Arc<Mutex<Held>>,
}

impl Spool {
    fn with<T>(&self, act: impl FnOnce(&mut Held) -> T) -> T {
        // A panic elsewhere leaves bytes that are whole: each act is one step.
        act(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Moves on everything that is there.
    pub(crate) fn drain_to(&self, sink: &mut dyn Write) -> io::Result<()> {
        self.with(|held| {
            sink.write_all(&held.bytes)?;
            held.base += held.bytes.len() as u64;
            held.bytes.clear();
            Ok(())
        })
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|held| {
            let from = held.position.checked_sub(held.base).ok_or(io::ErrorKind::NotSeekable)?;
            let from = usize::try_from(from).map_err(|_| io::ErrorKind::FileTooLarge)?;
            let until = from.saturating_add(bytes.len());
            if until > SPOOL_BYTES_MAX {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            if until > held.bytes.len() {
                held.bytes.resize(until, 0);
            }
            held.bytes[from..until].copy_from_slice(bytes);
            held.position += bytes.len() as u64;
            Ok(bytes.len())
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Spool {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.with(|held| {
            let end = held.base + held.bytes.len() as u64;
            let position = match to {
                SeekFrom::Start(position) => Some(position),
                SeekFrom::End(offset) => end.checked_add_signed(offset),
                SeekFrom::Current(offset) => held.position.checked_add_signed(offset),
            };
            let position = position.filter(|&position| (held.base..=end).contains(&position));
            held.position = position.ok_or(io::ErrorKind::NotSeekable)?;
            Ok(held.position)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::Spool;

    /// REC-1: a header may be patched as long as it is here, and not when it is gone.
    #[test]
    fn patches_reach_what_is_held() {
        let mut spool = Spool::default();
        let mut sink = Vec::new();
        spool.write_all(b"head body").expect("room");
        spool.seek(SeekFrom::Start(0)).expect("held");
        spool.write_all(b"HEAD").expect("held");
        spool.seek(SeekFrom::End(0)).expect("held");
        spool.write_all(b" tail").expect("room");
        spool.drain_to(&mut sink).expect("memory");
        assert_eq!(sink, b"HEAD body tail");
        spool.write_all(b"!").expect("room");
        assert!(spool.seek(SeekFrom::Start(0)).is_err());
        spool.drain_to(&mut sink).expect("memory");
        assert_eq!(sink, b"HEAD body tail!");
    }
}
