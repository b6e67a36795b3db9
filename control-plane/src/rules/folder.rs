//! The folder of policy files, changed as a whole: a copy that has the change takes its place in one step.
//!
//! Whoever reads meanwhile, or after a crash, finds one or the other (`files` reads the folder that it has opened). What is in
//! the files is not looked at here.

use std::ffi::{CString, OsStr};
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use earwitness_policy::Faults;

use super::files::{self, Instead};
use super::version::Loaded;

/// Until a copy has the owner and the mode of the folder.
const MODE_OWN_FOLDER: u32 = 0o700;
/// The same for a file.
const MODE_OWN_FILE: u32 = 0o600;
/// What of a folder's mode is for files: reading and writing.
const MODE_OF_FILES: u32 = 0o666;

/// Why the folder stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error(
        "the daemon reads no folder of policies: name one in [policy] files, and start it again"
    )]
    NoFolder,
    #[error("{file} is no policy file: its name must end in .json or .toml")]
    Name { file: PathBuf },
    #[error("two files have the name {name}: one of them would take the place of the other")]
    Twice { name: String },
    #[error("cannot read {file}: {source}")]
    Read { file: PathBuf, source: io::Error },
    #[error("there is no {name} in {folder}: it has {known}")]
    Unknown { name: String, folder: PathBuf, known: String },
    #[error("{folder} is being changed by another `earwitness policy`: try again when it is done")]
    Busy { folder: PathBuf },
    #[error(
        "cannot change {folder} as a whole, as {path} is in it: take it out, or put the files there yourself and use `earwitness policy reload`"
    )]
    Nested { folder: PathBuf, path: PathBuf },
    #[error(
        "cannot make {copy}, a copy of the policies with the change: {source}; run as the owner of the folder that it is in"
    )]
    Copy { copy: PathBuf, source: io::Error },
    #[error(
        "cannot put {copy} in the place of {folder}: {source}; put the files there yourself and use `earwitness policy reload`"
    )]
    Exchange { copy: PathBuf, folder: PathBuf, source: io::Error },
}

impl FolderError {
    /// Whether the command was wrong, not the machine.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NoFolder
                | Self::Name { .. }
                | Self::Twice { .. }
                | Self::Read { .. }
                | Self::Unknown { .. }
        )
    }
}

/// What is to be otherwise.
#[derive(Debug, Clone)]
pub enum Edit {
    /// The file is there, with this text.
    Put { name: String, text: String },
    /// It is not.
    Remove { name: String },
}

impl Edit {
    /// A file, put there under its own name.
    ///
    /// # Errors
    /// It cannot be read, or is not named as policies are.
    pub fn put(file: &Path) -> Result<Self, FolderError> {
        let name = file.file_name().and_then(OsStr::to_str);
        let name = name.filter(|name| files::is_policy(Path::new(name)));
        let name = name.ok_or_else(|| FolderError::Name { file: file.to_owned() })?.to_owned();
        let text = files::text_of(file)
            .map_err(|source| FolderError::Read { file: file.to_owned(), source })?;
        Ok(Self::Put { name, text })
    }

    /// The file's name in the folder.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Put { name, .. } | Self::Remove { name } => name,
        }
    }
}

/// The folder, which nobody else changes as long as this lives.
#[derive(Debug)]
pub struct Folder {
    /// As the configuration has it.
    told: PathBuf,
    /// Where it is.
    path: PathBuf,
    copy: PathBuf,
    above: File,
}

impl Folder {
    /// The first folder of those that policies are read from.
    ///
    /// # Errors
    /// There is none, or somebody else changes it now.
    pub fn take(files: &[PathBuf]) -> Result<Self, FolderError> {
        let told = files.iter().find(|path| path.is_dir()).ok_or(FolderError::NoFolder)?.clone();
        let failed = |source| FolderError::Copy { copy: told.clone(), source };
        let path = fs::canonicalize(&told).map_err(failed)?;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(FolderError::NoFolder);
        };
        let mut copy_name = OsStr::new(".").to_owned();
        copy_name.push(name);
        copy_name.push(".next");
        let copy = parent.join(copy_name);
        let above = File::open(parent).map_err(failed)?;
        match above.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::Busy { folder: told }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        Ok(Self { told, path, copy, above })
    }

    /// Where a file of this name is, as faults tell it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.told.join(name)
    }

    /// A copy with the change.
    ///
    /// # Errors
    /// It makes no sense here, or there cannot be a copy; nothing is left of it.
    pub fn copy(self, edits: &[Edit]) -> Result<Copy, FolderError> {
        for (at, edit) in edits.iter().enumerate() {
            let name = edit.name();
            if edits[..at].iter().any(|other| other.name() == name) {
                return Err(FolderError::Twice { name: name.to_owned() });
            }
        }
        // What another left who was cut off; as he had the lock, he is gone.
        remove(&self.copy)?;
        let copy = Copy { folder: self };
        copy.fill(edits)?;
        Ok(copy)
    }

    fn known(&self) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(&self.path)?.map(|entry| Ok(entry?.path())).collect()
    }
}

fn remove(copy: &Path) -> Result<(), FolderError> {
    match fs::remove_dir_all(copy) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(FolderError::Copy { copy: copy.to_owned(), source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The folder with the change, beside it: removed when this ends.
#[derive(Debug)]
pub struct Copy {
    folder: Folder,
}

impl Copy {
    fn fill(&self, edits: &[Edit]) -> Result<(), FolderError> {
        let Folder { told, path, copy, .. } = &self.folder;
        let failed = |source| FolderError::Copy { copy: copy.clone(), source };
        DirBuilder::new().mode(MODE_OWN_FOLDER).create(copy).map_err(failed)?;
        let known = self.folder.known().map_err(failed)?;
        let edited = |file: &Path| {
            edits.iter().find(|edit| file.file_name() == Some(OsStr::new(edit.name())))
        };
        for file in known.iter().filter(|file| edited(file).is_none()) {
            if file.is_dir() && !file.is_symlink() {
                return Err(FolderError::Nested { folder: told.clone(), path: file.clone() });
            }
            let name = file.file_name().unwrap_or_default();
            fs::hard_link(file, copy.join(name)).map_err(failed)?;
        }
        let of_folder = fs::metadata(path).map_err(failed)?;
        for edit in edits {
            match edit {
                Edit::Put { name, text } => {
                    let before = fs::metadata(path.join(name)).ok();
                    put(&copy.join(name), text, before.as_ref(), &of_folder).map_err(failed)?;
                }
                Edit::Remove { name } => {
                    let is_it = |file: &&PathBuf| file.file_name() == Some(OsStr::new(name));
                    if !known.iter().find(is_it).is_some_and(|file| files::is_policy(file)) {
                        let (name, folder) = (name.clone(), told.clone());
                        return Err(FolderError::Unknown { name, folder, known: names(&known) });
                    }
                }
            }
        }
        let opened = File::open(copy).map_err(failed)?;
        give(&opened, &of_folder, of_folder.mode()).map_err(failed)?;
        opened.sync_all().map_err(failed)
    }

    /// What all files are with the change.
    ///
    /// # Errors
    /// Everything that is wrong, as if the change were made.
    pub fn check(&self, files: &[PathBuf]) -> Result<Loaded, Faults> {
        let Folder { told, copy, .. } = &self.folder;
        files::load(files, Some(Instead { folder: told, copy }))
    }

    /// Puts it in the folder's place.
    ///
    /// # Errors
    /// The system does not let it; the folder is as it was.
    pub fn place(&self) -> Result<(), FolderError> {
        let Folder { path, copy, above, .. } = &self.folder;
        let failed =
            |source| FolderError::Exchange { copy: copy.clone(), folder: path.clone(), source };
        exchange(copy, path).map_err(failed)?;
        above.sync_all().map_err(failed)
    }

    /// Puts the folder back that was there before.
    ///
    /// # Errors
    /// The system does not let it; the change stays.
    pub fn take_back(&self) -> Result<(), FolderError> {
        self.place()
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // The next change removes what stays.
        let _ = remove(&self.folder.copy);
    }
}

fn names(known: &[PathBuf]) -> String {
    let names = known.iter().filter(|file| files::is_policy(file));
    let mut names: Vec<_> =
        names.map(|file| file.file_name().unwrap_or_default().to_string_lossy()).collect();
    names.sort();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Owner, group and mode are those of the file before; of a new one those of the folder, as far as they are for files.
fn put(at: &Path, text: &str, before: Option<&Metadata>, folder: &Metadata) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE_OWN_FILE).open(at)?;
    file.write_all(text.as_bytes())?;
    let mode = before.map_or(folder.mode() & MODE_OF_FILES, MetadataExt::mode);
    give(&file, before.unwrap_or(folder), mode)?;
    file.sync_all()
}

fn give(file: &File, owner: &Metadata, mode: u32) -> io::Result<()> {
    let is = file.metadata()?;
    if (is.uid(), is.gid()) != (owner.uid(), owner.gid()) {
        fchown(file, Some(owner.uid()), Some(owner.gid()))?;
    }
    file.set_permissions(Permissions::from_mode(mode & 0o7777))
}

/// Two paths change places in one step.
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    let text = |path: &Path| CString::new(path.as_os_str().as_bytes());
    let (one, other) = (text(one)?, text(other)?);
    // SAFETY: both are texts that end in NUL and live through the call, which reads no other memory.
    let failed = unsafe {
        libc::renameat2(
            libc::AT_FDCWD,
            one.as_ptr(),
            libc::AT_FDCWD,
            other.as_ptr(),
            libc::RENAME_EXCHANGE,
        )
    };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = r#"{ "tenants": [{ "id": "a" }] }"#;

    fn names_in(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn put(name: &str, text: &str) -> Edit {
        Edit::Put { name: name.to_owned(), text: text.to_owned() }
    }

    /// A folder `policies` with a tenant and a note, in another.
    fn policies() -> (tempfile::TempDir, Vec<PathBuf>) {
        let above = tempfile::tempdir().unwrap();
        let policies = above.path().join("policies");
        fs::create_dir(&policies).unwrap();
        fs::set_permissions(&policies, Permissions::from_mode(0o750)).unwrap();
        fs::write(policies.join("a.json"), TENANT).unwrap();
        fs::set_permissions(policies.join("a.json"), Permissions::from_mode(0o604)).unwrap();
        fs::write(policies.join("note.txt"), "no policy").unwrap();
        (above, vec![policies])
    }

    /// POL-1: a change is there as a whole or not at all, can be taken back, and is read by whom the files before were.
    #[test]
    fn changed_as_a_whole() {
        let (above, files) = policies();
        let copy = |edits: &[Edit]| Folder::take(&files).unwrap().copy(edits).unwrap();
        let change = copy(&[put("a.json", "{}"), put("b.json", TENANT)]);
        assert_eq!(change.check(&files).unwrap().files.len(), 2);
        assert_eq!(names_in(&files[0]), ["a.json", "note.txt"]);
        change.place().unwrap();
        let mode = |name: &str| fs::metadata(files[0].join(name)).unwrap().mode() & 0o777;
        assert_eq!([mode(""), mode("a.json"), mode("b.json")], [0o750, 0o604, 0o640]);
        assert_eq!(names_in(&files[0]), ["a.json", "b.json", "note.txt"]);
        change.take_back().unwrap();
        drop(change);
        assert_eq!(names_in(&files[0]), ["a.json", "note.txt"]);
        assert_eq!(fs::read_to_string(files[0].join("a.json")).unwrap(), TENANT);
        let change = copy(&[Edit::Remove { name: "a.json".to_owned() }]);
        change.place().unwrap();
        drop(change);
        assert_eq!(names_in(&files[0]), ["note.txt"]);
        assert_eq!(names_in(above.path()), ["policies"], "nothing is left of the copies");
    }

    /// POL-1: what is checked is the whole set; its faults are told of where the files would be.
    #[test]
    fn faults_name_the_file_that_would_be() {
        let (above, files) = policies();
        let twice = Folder::take(&files).unwrap().copy(&[put("b.json", TENANT)]).unwrap();
        let faults = twice.check(&files).unwrap_err();
        let told = faults.to_string();
        assert!(told.contains("policies/b.json") && !told.contains(".next"), "{told}");
        drop(twice);
        assert_eq!(names_in(above.path()), ["policies"]);
    }

    /// POL-1: what cannot be a change is refused with its reason, and leaves nothing.
    #[test]
    fn refusals() {
        let (above, files) = policies();
        let refused = |edits: &[Edit]| Folder::take(&files).unwrap().copy(edits).unwrap_err();
        for name in ["c.json", "note.txt", "../policies/a.json"] {
            let gone = refused(&[Edit::Remove { name: name.to_owned() }]);
            assert!(gone.is_usage() && gone.to_string().ends_with("it has a.json"), "{gone}");
        }
        let twice = refused(&[put("b.json", "{}"), put("b.json", "{}")]);
        assert!(matches!(twice, FolderError::Twice { .. }), "{twice}");
        let held = Folder::take(&files).unwrap();
        assert!(matches!(Folder::take(&files), Err(FolderError::Busy { .. })));
        drop(held);
        fs::create_dir(files[0].join("more")).unwrap();
        let nested = refused(&[put("b.json", "{}")]);
        assert!(matches!(nested, FolderError::Nested { .. }), "{nested}");
        assert_eq!(names_in(above.path()), ["policies"]);
        assert!(matches!(Folder::take(&[above.path().join("none")]), Err(FolderError::NoFolder)));
        let unnamed = Edit::put(&files[0].join("note.txt")).unwrap_err();
        assert!(matches!(unnamed, FolderError::Name { .. }), "{unnamed}");
    }

    /// POL-1: a copy that somebody left who was cut off is in nobody's way.
    #[test]
    fn what_was_cut_off_is_removed() {
        let (above, files) = policies();
        fs::create_dir(above.path().join(".policies.next")).unwrap();
        fs::write(above.path().join(".policies.next/z.json"), "{").unwrap();
        let change = Folder::take(&files).unwrap().copy(&[put("b.json", "{}")]).unwrap();
        change.check(&files).unwrap();
        change.place().unwrap();
        assert_eq!(names_in(&files[0]), ["a.json", "b.json", "note.txt"]);
    }
}
