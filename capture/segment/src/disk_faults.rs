//! A disk that fails when told to: the stand-in for full and broken ones.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use memmap2::MmapRaw;

use crate::disk::{Access, Disk, RealDisk};

/// What can be made to fail.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Operation {
    Create,
    Open,
    Rename,
    Remove,
    List,
    SyncFile,
    SyncDir,
    Populate,
    Read,
    Write,
}

#[derive(Debug)]
struct Fault {
    operation: Operation,
    errno: i32,
    /// Calls that pass before the fault.
    pass: u32,
    /// Calls that then fail.
    times: u32,
}

/// A real disk with planned faults. All clones of a handle share one plan: put it in an `Arc`.
#[derive(Debug, Default)]
pub struct FaultDisk {
    real: RealDisk,
    plan: Mutex<Vec<Fault>>,
}

impl FaultDisk {
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `operation` fail `times` times with `errno`, once it has passed `pass` times.
    pub fn fail(&self, operation: Operation, errno: i32, pass: u32, times: u32) {
        self.plan().push(Fault { operation, errno, pass, times });
    }

    /// Drops all faults planned.
    pub fn heal(&self) {
        self.plan().clear();
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Vec<Fault>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, operation: Operation) -> io::Result<()> {
        for fault in self.plan().iter_mut().filter(|fault| fault.operation == operation) {
            if fault.pass > 0 {
                fault.pass -= 1;
            } else if fault.times > 0 {
                fault.times -= 1;
                return Err(io::Error::from_raw_os_error(fault.errno));
            }
        }
        Ok(())
    }
}

impl Disk for FaultDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.real.create_dir(dir)
    }

    fn create(&self, path: &Path, bytes: u64) -> io::Result<File> {
        self.check(Operation::Create)?;
        self.real.create(path, bytes)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<File> {
        self.check(Operation::Open)?;
        self.real.open(path, access)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check(Operation::Rename)?;
        self.real.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.check(Operation::Remove)?;
        self.real.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.check(Operation::List)?;
        self.real.list(dir)
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        self.check(Operation::SyncFile)?;
        self.real.sync_file(file)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.check(Operation::SyncDir)?;
        self.real.sync_dir(dir)
    }

    fn populate(&self, file: &File, map: &MmapRaw) -> io::Result<()> {
        self.check(Operation::Populate)?;
        self.real.populate(file, map)
    }

    fn read_at(&self, file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.check(Operation::Read)?;
        self.real.read_at(file, bytes, offset)
    }

    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check(Operation::Write)?;
        self.real.write_at(file, bytes, offset)
    }
}
