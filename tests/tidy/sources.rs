//! One noun a file, a map at its top, no marks of unfinished work.

use crate::tree::{Source, assert_none, sources};

const LINES_MAX: usize = 800;
const EMPTY_NAMES: [&str; 8] =
    ["util", "utils", "helper", "helpers", "common", "misc", "stuff", "shared"];

/// Put together here, so that this file does not hold them.
fn marks() -> [String; 8] {
    [
        ("TO", "DO"),
        ("FIX", "ME"),
        ("XX", "X:"),
        ("HA", "CK:"),
        ("todo", "!("),
        ("unimplemented", "!("),
        ("dbg", "!("),
        ("/wo", "rk/"),
    ]
    .map(|(a, b)| format!("{a}{b}"))
}

/// What `judge` finds in each line, with its place.
fn lines(files: &[Source], judge: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut faults = Vec::new();
    for Source { path, text } in files {
        for (number, line) in text.lines().enumerate() {
            if let Some(fault) = judge(line) {
                faults.push(format!("{path}:{}: {fault}", number + 1));
            }
        }
    }
    faults
}

#[test]
fn files_are_short() {
    let long = ["rs", "ts", "svelte", "py", "sh"].into_iter().flat_map(|extension| {
        let files = if extension == "rs" { sources("rs") } else { sources_or_none(extension) };
        files.into_iter().filter_map(|file| {
            let count = file.text.lines().count();
            (count > LINES_MAX).then(|| format!("{}: {count} lines", file.path))
        })
    });
    assert_none("longer than 800 lines", &long.collect::<Vec<_>>());
}

fn sources_or_none(extension: &str) -> Vec<Source> {
    std::panic::catch_unwind(|| sources(extension)).unwrap_or_default()
}

#[test]
fn names_say_something() {
    let empty = sources("rs").into_iter().filter(|file| {
        let mut parts = file.path.trim_end_matches(".rs").split('/');
        parts.any(|part| EMPTY_NAMES.contains(&part))
    });
    assert_none("names that say nothing", &empty.map(|file| file.path).collect::<Vec<_>>());
}

#[test]
fn modules_open_with_what_they_are_for() {
    let silent = sources("rs").into_iter().filter(|file| {
        // An interpreter line or an attribute of the file may come first.
        let first = file.text.lines().find(|line| !line.is_empty() && !line.starts_with('#'));
        !first.is_some_and(|line| line.starts_with("//!"))
    });
    assert_none("no //! at the top", &silent.map(|file| file.path).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_undone() {
    let marks = marks();
    let faults = lines(&sources("rs"), |line| {
        let mark = marks.iter().find(|mark| line.contains(mark.as_str()))?;
        Some(format!("{mark} in {:?}", line.trim()))
    });
    assert_none("unfinished", &faults);
}

/// Modules that several test programs include use different parts in each: only there `allow` is right.
#[test]
fn exceptions_are_expected_with_a_reason() {
    let (outer, inner) = (concat!("#[al", "low("), concat!("#![al", "low("));
    let skip = concat!("#[ign", "ore");
    let mut files = sources("rs");
    files.retain(|file| !(file.path.contains("/tests/") && file.path.ends_with("/mod.rs")));
    let faults = lines(&files, |line| {
        let line = line.trim();
        let blanket = line.starts_with(outer) || line.starts_with(inner);
        // A measurement is run by hand, on a quiet machine; no test may be timed.
        let skipped = line.starts_with(skip) && !line.contains("\"a measurement");
        (blanket || skipped).then(|| line.to_owned())
    });
    assert_none("allow or ignore; use expect with a reason", &faults);
}

#[test]
fn re_exports_have_names() {
    let faults = lines(&sources("rs"), |line| {
        let line = line.trim();
        let glob = line.starts_with("pub use ") && line.ends_with("::*;");
        glob.then(|| line.to_owned())
    });
    assert_none("glob re-exports", &faults);
}
