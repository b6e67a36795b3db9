//! The disk below the data folder: how much is free, and, when asked, how fast it writes.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What a test writes at most, and for how long.
pub const WRITE_TEST_MIB: u64 = 64;
const WRITE_TEST_TIME_MAX: Duration = Duration::from_secs(10);
const CHUNK_BYTES: usize = 1 << 20;

/// Bytes that may still be written, in the folder or, where it is still to be made, the nearest one above it.
pub(super) fn free_bytes(folder: &Path) -> Option<u64> {
    let folder = folder.ancestors().find(|folder| folder.is_dir())?;
    let path = CString::new(folder.as_os_str().as_bytes()).ok()?;
    // SAFETY: numbers only, for which zeros are valid.
    let mut space: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends in NUL, and the kernel writes at most one such structure.
    let told = unsafe { libc::statvfs(path.as_ptr(), &raw mut space) };
    (told == 0).then(|| space.f_bavail * space.f_frsize)
}

/// Writes a file into `folder`, syncs it, removes it. Returns bytes a second.
///
/// # Errors
/// What the folder or the disk says.
pub(super) fn write_speed(folder: &Path) -> io::Result<u64> {
    let (trial, mut file) = Trial::begin(folder)?;
    let chunk = noise();
    let began = Instant::now();
    let mut written = 0;
    while written < WRITE_TEST_MIB << 20 && began.elapsed() < WRITE_TEST_TIME_MAX {
        file.write_all(&chunk)?;
        written += chunk.len() as u64;
    }
    file.sync_data()?;
    let elapsed_us = began.elapsed().as_micros().max(1);
    drop(trial);
    Ok(u64::try_from(u128::from(written) * 1_000_000 / elapsed_us).unwrap_or(u64::MAX))
}

/// The file of a test. It goes with this.
struct Trial(PathBuf);

impl Trial {
    fn begin(folder: &Path) -> io::Result<(Self, File)> {
        let path = folder.join(format!("doctor-{}.tmp", std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok((Self(path), file))
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "the test's file is left behind; remove it");
        }
    }
}

/// Bytes that a file system does not make smaller: xorshift64 (Marsaglia 2003).
fn noise() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_ne_bytes()
    };
    (0..CHUNK_BYTES / 8).flat_map(|_| word()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OPS-3: the test leaves nothing behind, and a folder that is not there is an error.
    #[test]
    fn a_write_test_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write_speed(folder.path()).unwrap() > 0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let error = write_speed(&folder.path().join("missing")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn free_space_is_told_of_folders_still_to_be_made() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_bytes(&folder.path().join("a/b")).unwrap() > 0);
    }
}
