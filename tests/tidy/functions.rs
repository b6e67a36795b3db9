//! A function fits a screen.

use crate::tree::{Source, assert_none, sources};

const LINES_MAX: usize = 70;

/// Functions that are tables, one entry after the other: nothing in them branches.
const TABLES: [(&str, &str); 3] = [
    ("control-plane/src/metrics.rs", "new"),
    ("control-plane/voip/src/sip/torture.rs", "valid"),
    ("control-plane/voip/src/sip/torture.rs", "further"),
];

/// First and last line of each function, by rustfmt's indentation.
fn functions(text: &str) -> Vec<(usize, usize, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some(name) = name(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let end = format!("{}}}", &line[..indent]);
        let last = lines[number..].iter().position(|line| *line == end || one_line(line));
        if let Some(length) = last {
            found.push((number + 1, number + length + 1, name.to_owned()));
        }
    }
    found
}

/// A signature without a body, or with one on its own line.
fn one_line(line: &str) -> bool {
    name(line).is_some() && (line.ends_with('}') || line.ends_with(';'))
}

fn name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    for word in
        ["pub(crate) ", "pub(super) ", "pub ", "const ", "async ", "unsafe ", "extern \"C\" "]
    {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    rest.strip_prefix("fn ")?.split(['(', '<']).next()
}

#[test]
fn functions_fit_a_screen() {
    let mut long = Vec::new();
    for Source { path, text } in sources("rs") {
        for (first, last, name) in functions(&text) {
            let count = last + 1 - first;
            if count > LINES_MAX && !TABLES.contains(&(path.as_str(), name.as_str())) {
                long.push(format!("{path}:{first}: {name} has {count} lines"));
            }
        }
    }
    assert_none("longer than 70 lines", &long);
}

#[test]
fn functions_are_found() {
    let text = "impl A {\n    pub const fn one(&self) -> u8 { 1 }\n    fn two<T>(\n        t: T,\n    ) {\n        t;\n    }\n}\n";
    let found = functions(text);
    assert_eq!(found, [(2, 2, "one".to_owned()), (3, 7, "two".to_owned())]);
}
