//! SPECIFICATION.md: each requirement that works names a test that exists.
//!
//! A row of its tables begins with an id, as `| CAP-1 |`, and names tests in backquotes as `path/file.rs::test`.

use std::collections::HashMap;

use crate::tree::{Source, assert_none, root, sources};

/// Ids with the tests that their rows name.
fn rows(text: &str) -> Vec<(String, Vec<String>)> {
    let mut rows = Vec::new();
    for line in text.lines() {
        let Some(cell) = line.strip_prefix("| ").and_then(|rest| rest.split(' ').next()) else {
            continue;
        };
        if is_id(cell) {
            let quoted = line.split('`').skip(1).step_by(2);
            let tests = quoted.filter(|text| text.contains(".rs::")).map(str::to_owned);
            rows.push((cell.to_owned(), tests.collect()));
        }
    }
    rows
}

fn is_id(word: &str) -> bool {
    word.split_once('-').is_some_and(|(group, number)| {
        !group.is_empty()
            && group.chars().all(|c| c.is_ascii_uppercase())
            && number.parse::<u32>().is_ok()
    })
}

/// A function of that name, or a name that a macro of the file makes into one.
fn has_test(file: &Source, test: &str) -> bool {
    file.text.lines().any(|line| {
        let line = line.trim_start();
        let named = |line: &str| {
            line.strip_prefix(test).is_some_and(|rest| rest.starts_with([':', '(', '<']))
        };
        named(line) || line.split("fn ").nth(1).is_some_and(named)
    })
}

#[test]
fn each_requirement_names_tests_that_exist() {
    let path = root().join("SPECIFICATION.md");
    let text = std::fs::read_to_string(&path).expect("SPECIFICATION.md is there");
    let files: HashMap<String, Source> =
        sources("rs").into_iter().map(|file| (file.path.clone(), file)).collect();
    let rows = rows(&text);
    assert!(!rows.is_empty(), "no row begins with an id");
    let mut faults = Vec::new();
    for (id, tests) in rows {
        if tests.is_empty() {
            faults.push(format!("{id} names no test"));
        }
        for name in tests {
            let (path, test) = name.rsplit_once("::").expect("it has a ::");
            match files.get(path) {
                None => faults.push(format!("{id}: no file {path}")),
                Some(file) if !has_test(file, test) => {
                    faults.push(format!("{id}: no test {test} in {path}"));
                }
                Some(_) => {}
            }
        }
    }
    assert_none("SPECIFICATION.md", &faults);
}

#[test]
fn rows_are_read() {
    let text =
        "| id | what |\n|---|---|\n| CAP-1 | parses | `a/b.rs::c` and `d/e.rs::f` |\n| x | y |\n";
    let expected = vec![("CAP-1".to_owned(), vec!["a/b.rs::c".to_owned(), "d/e.rs::f".to_owned()])];
    assert_eq!(rows(text), expected);
}
