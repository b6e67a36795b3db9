//! Documents point to what is there.

use std::path::Path;

use crate::tree::{Source, assert_none, root, sources};

/// Endings by which a quoted word is known for a path of ours.
const ENDINGS: [&str; 7] = [".md", ".rs", ".toml", ".sh", ".sql", ".service", ".txt"];

/// Targets of links to files, without their anchors.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .map(|target| target.split('#').next().unwrap_or_default().to_owned())
        .filter(|target| {
            !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:")
        })
        .collect()
}

/// Quoted words that are paths with a folder; those with wildcards or placeholders are patterns.
fn quoted_paths(text: &str) -> Vec<String> {
    let prose = text.split("```").step_by(2);
    let quoted = prose.flat_map(|prose| prose.split('`').skip(1).step_by(2));
    quoted
        .map(|word| word.split("::").next().unwrap_or_default())
        .filter(|word| word.contains('/') && ENDINGS.iter().any(|ending| word.ends_with(ending)))
        .filter(|word| {
            !word.starts_with(['/', '~', '<']) && !word.contains(['*', '<', '$', ' ', '{'])
        })
        .map(str::to_owned)
        .collect()
}

fn exists(from: &str, target: &str) -> bool {
    let root = root();
    let folder = Path::new(from).parent().unwrap_or(Path::new(""));
    root.join(folder).join(target).exists() || root.join(target).exists()
}

#[test]
fn links_lead_somewhere() {
    let mut stale = Vec::new();
    for Source { path, text } in sources("md") {
        for target in links(&text).into_iter().chain(quoted_paths(&text)) {
            if !exists(&path, &target) {
                stale.push(format!("{path}: {target}"));
            }
        }
    }
    assert_none("stale links", &stale);
}

/// Comments point to documents, too.
#[test]
fn documents_named_in_comments_exist() {
    let mut stale = Vec::new();
    for Source { path, text } in sources("rs") {
        let comments = text.lines().filter(|line| line.trim_start().starts_with("//"));
        for target in comments.flat_map(quoted_paths).filter(|target| target.ends_with(".md")) {
            if !exists(&path, &target) {
                stale.push(format!("{path}: {target}"));
            }
        }
    }
    assert_none("documents that are not there", &stale);
}
