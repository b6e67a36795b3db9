//! The files of a set: those of the configuration, a folder standing for those in it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use earwitness_catalog::CatalogError;
use earwitness_policy::load::Fault;
use earwitness_policy::{Faults, Source};

use super::version::Loaded;

/// Bytes of one file at most (S10): a million devices are a tenth of it.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Why there is no set.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    #[error(transparent)]
    Refused(#[from] Faults),
    #[error("the policies' history")]
    History(#[from] CatalogError),
    #[error("no runtime for the catalog: {source}")]
    Runtime { source: io::Error },
}

impl RulesError {
    /// Whether the files were wrong, not the machine.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

/// A folder that is read in another's place, and told as that one.
#[derive(Debug, Clone, Copy)]
pub struct Instead<'a> {
    pub folder: &'a Path,
    pub copy: &'a Path,
}

/// Names and texts.
type Texts = Vec<(String, String)>;

/// Names and texts of all files, of a folder those that end in `.json` or `.toml`, by name; and each that cannot be read.
fn read(paths: &[PathBuf], instead: Option<Instead<'_>>) -> (Texts, Vec<Fault>) {
    let mut texts = Vec::new();
    let mut faults = Vec::new();
    let mut take = |told: &Path, text: io::Result<String>| match text {
        Ok(text) => texts.push((told.display().to_string(), text)),
        Err(error) => faults.push(unreadable(told, &error)),
    };
    for path in paths {
        let at = instead.filter(|instead| path == instead.folder);
        let at = at.map_or(path.as_path(), |instead| instead.copy);
        if !at.is_dir() {
            take(path, text_of(at));
            continue;
        }
        match of_folder(at) {
            Ok(files) => {
                files.into_iter().for_each(|(name, text)| take(&path.join(name), text));
            }
            Err(error) => take(path, Err(error)),
        }
    }
    (texts, faults)
}

pub(super) fn text_of(path: &Path) -> io::Result<String> {
    at_most(File::open(path)?, FILE_BYTES_MAX)
}

fn at_most(file: impl Read, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    let bytes = file.take(bytes_max + 1).read_to_string(&mut text)?;
    if bytes as u64 > bytes_max {
        let problem = format!("it is larger than the {bytes_max} bytes that a file may have");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    Ok(text)
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    let problem = format!("cannot be read: {error}");
    Fault { file: path.display().to_string(), path: String::new(), problem }
}

/// Whether a file of a folder is one of its policies.
pub(super) fn is_policy(name: &Path) -> bool {
    let ending = name.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ["json", "toml"].iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// What is in a folder at one time: another that takes its place meanwhile is not looked into.
fn of_folder(folder: &Path) -> io::Result<Vec<(PathBuf, io::Result<String>)>> {
    let opened = File::open(folder)?;
    let opened_at = PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd()));
    let entries: io::Result<Vec<PathBuf>> =
        std::fs::read_dir(&opened_at)?.map(|entry| Ok(entry?.file_name().into())).collect();
    let mut names = entries?;
    // A link that leads nowhere is a file that cannot be read, not one that is not there.
    names.retain(|name| is_policy(name) && !opened_at.join(name).is_dir());
    names.sort();
    let text = |name: PathBuf| {
        let text = text_of(&opened_at.join(&name));
        (name, text)
    };
    Ok(names.into_iter().map(text).collect())
}

/// Reads and checks a set as a whole.
///
/// # Errors
/// Everything that is wrong, files that cannot be read included.
pub(super) fn load(paths: &[PathBuf], instead: Option<Instead<'_>>) -> Result<Loaded, Faults> {
    let (texts, mut unread) = read(paths, instead);
    let sources: Vec<Source<'_>> = texts.iter().map(|(name, text)| Source { name, text }).collect();
    let checked = earwitness_policy::load(&sources);
    if unread.is_empty() {
        return Ok(Loaded::new(checked?, &texts));
    }
    let Faults { faults, left_out } = checked.err().unwrap_or_default();
    unread.extend(faults);
    Err(Faults { faults: unread, left_out })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S10: what never ends is not read for ever.
    #[test]
    fn files_are_bounded() {
        assert_eq!(at_most(&b"12345"[..], 5).expect("it fits"), "12345");
        let refused = at_most(io::repeat(b' '), 5).expect_err("it is too large");
        assert_eq!(refused.kind(), io::ErrorKind::FileTooLarge);
    }

    /// POL-1: nothing is left out of a set in silence, and one file that cannot be read does not hide what is wrong
    /// with another.
    #[test]
    fn every_file_counts() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("a.JSON"), "{ \"tenants\": [{}] }").expect("written");
        std::fs::write(at("b.toml"), [0xff, 0xfe]).expect("written");
        std::fs::write(at("readme.txt"), "no policy").expect("written");
        std::fs::create_dir(at("old.json")).expect("made");
        std::os::unix::fs::symlink(at("nowhere"), at("c.json")).expect("linked");
        let refused = load(&[folder.path().to_owned(), at("d.json")], None).expect_err("refused");
        let found: Vec<String> = refused.faults.iter().map(ToString::to_string).collect();
        let expected = [
            "b.toml: cannot be read",
            "c.json: cannot be read",
            "d.json: cannot be read",
            "a.JSON: tenants[0].id",
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{expected} is not in {found}");
        }
    }
}
