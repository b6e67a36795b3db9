//! The file system calls of a durable write, behind a seam so that their failures can be tested.
//!
//! Only what S4 and S6 need: make a folder, write a new file, sync it, rename it, sync the folder.
//! Paths are absolute or relative to the process; which names there are is `archive`'s business.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// A file being written.
pub trait DiskFile: Write + Seek + Send {
    /// Content and length are durable when this returns. After an error the file is given up: the
    /// kernel may have dropped the dirty pages, and a second sync would claim success (S6).
    fn sync(&mut self) -> io::Result<()>;
}

/// The calls. The real ones are [`RealDisk`]; tests stand in with failures.
pub trait Disk {
    /// Makes one folder; it is no error that it is there. `true` if it was made now.
    fn create_dir(&self, path: &Path) -> io::Result<bool>;
    /// Opens a new, empty file for writing; what had this name is removed first, never reused.
    fn create_file(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Opens a file for reading; `None` if it is not there.
    fn open_file(&self, path: &Path) -> io::Result<Option<Box<dyn Read>>>;
    /// It is no error that the file is not there.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
}

/// The machine's own file system.
#[derive(Copy, Clone, Debug, Default)]
pub struct RealDisk;

impl DiskFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

impl Disk for RealDisk {
    fn create_dir(&self, path: &Path) -> io::Result<bool> {
        match fs::create_dir(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn create_file(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.remove_file(path)?;
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Box::new(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn open_file(&self, path: &Path) -> io::Result<Option<Box<dyn Read>>> {
        match File::open(path) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}
