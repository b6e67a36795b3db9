//! The seam to the file system: every call that can fail for want of space or a broken disk.
//!
//! The log takes a `Disk` so that tests can make any of these fail without root. Reading and writing
//! through a mapping is not here: S3 (allocated whole before it is mapped) is what makes that safe.

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use memmap2::{Advice, MmapRaw};

use crate::limits::HEADER_BYTES;
use crate::syscall;

/// How an existing file is opened.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Access {
    Read,
    Write,
}

/// What the log asks of a file system.
pub trait Disk: Debug + Send + Sync {
    /// Makes a folder and its parents, if they are missing.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// A new file of `bytes` zeros, all of it allocated; on an error there is no file.
    fn create(&self, path: &Path, bytes: u64) -> io::Result<File>;
    fn open(&self, path: &Path, access: Access) -> io::Result<File>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Names in a folder; none if it is missing.
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>>;
    /// Contents and length, durable. After an error the file is never synced again (S6).
    fn sync_file(&self, file: &File) -> io::Result<()>;
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Faults every page of a file's mapping in for writing; reports what would else be a SIGBUS.
    fn populate(&self, file: &File, map: &MmapRaw) -> io::Result<()>;
    fn read_at(&self, file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize>;
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()>;
}

/// The real one.
#[derive(Copy, Clone, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn create(&self, path: &Path, bytes: u64) -> io::Result<File> {
        // The group may read: the control plane runs as another user.
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o640).open(path)?;
        syscall::overwrite_in_place(&file);
        let allocated = match syscall::fallocate(&file, bytes) {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                write_zeros(&file, bytes)
            }
            // In memory, so that touching it does not read ahead what nobody has written.
            Ok(()) => file.write_all_at(&HEADER_PAGE, 0),
            other => other,
        };
        if let Err(error) = allocated {
            // The first error says more than a failure to clean up behind it.
            let _ = fs::remove_file(path);
            return Err(error);
        }
        Ok(file)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<File> {
        OpenOptions::new().read(true).write(access == Access::Write).open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        match fs::read_dir(dir) {
            Ok(entries) => entries.map(|entry| entry.map(|entry| entry.file_name())).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    /// A file in memory has nothing to be told of its first write: its pages are writable once they are mapped for reading,
    /// which takes sixteen of them a fault and half the time. On a disk that order would take four times as long.
    fn populate(&self, file: &File, map: &MmapRaw) -> io::Result<()> {
        let how =
            if syscall::is_in_memory(file) { Advice::PopulateRead } else { Advice::PopulateWrite };
        map.advise(how)
    }

    fn read_at(&self, file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        file.read_at(bytes, offset)
    }

    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }
}

/// Of a new file.
static HEADER_PAGE: [u8; HEADER_BYTES as usize] = [0; HEADER_BYTES as usize];

/// Allocation for file systems without `fallocate`.
fn write_zeros(mut file: &File, bytes: u64) -> io::Result<()> {
    static CHUNK: [u8; 64 << 10] = [0; 64 << 10];
    let mut left = bytes;
    while left > 0 {
        let count = left.min(CHUNK.len() as u64) as usize;
        file.write_all(&CHUNK[..count])?;
        left -= count as u64;
    }
    Ok(())
}
