//! The files of the repository.

use std::path::{Path, PathBuf};

/// Folders that hold what is built or fetched, not what is written.
const SKIPPED: [&str; 5] = ["target", ".git", "node_modules", "dist", ".cache"];

pub(crate) fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests lie in the repository").to_owned()
}

/// A file with its path from the root, `/` between folders.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Every text file whose name ends in `.extension`, in order of path.
pub(crate) fn sources(extension: &str) -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    walk(&root, &mut |path| {
        if path.extension().is_some_and(|e| e == extension) {
            let relative = path.strip_prefix(&root).expect("below the root");
            let text = std::fs::read_to_string(path).expect("sources are text");
            found.push(Source { path: relative.to_string_lossy().into_owned(), text });
        }
    });
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "no .{extension} file");
    found
}

fn walk(dir: &Path, visit: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(dir).expect("the repository can be read").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            if !SKIPPED.iter().any(|skipped| name == *skipped) {
                walk(&path, visit);
            }
        } else {
            visit(&path);
        }
    }
}

/// Fails with all of `faults`, a line each.
pub(crate) fn assert_none(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}:\n  {}", faults.join("\n  "));
}
