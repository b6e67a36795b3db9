//! What may depend on what: the doors between the processes stay narrow.

use std::collections::{HashMap, HashSet};
use std::process::Command;

use serde_json::Value;

use crate::tree::root;

/// Names of the packages that each package depends on, without its tests.
fn graph() -> HashMap<String, Vec<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let names: HashMap<String, String> = list(&metadata["packages"])
        .iter()
        .map(|package| (text(&package["id"]), text(&package["name"])))
        .collect();
    let is_dev_only = |dependency: &Value| {
        list(&dependency["dep_kinds"]).iter().all(|kind| kind["kind"] == "dev")
    };
    list(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| {
            let dependencies = list(&node["deps"]);
            let shipped = dependencies.iter().filter(|dependency| !is_dev_only(dependency));
            let shipped = shipped.map(|dependency| names[&text(&dependency["pkg"])].clone());
            (names[&text(&node["id"])].clone(), shipped.collect())
        })
        .collect()
}

/// Everything that `package` is built with.
fn closure(graph: &HashMap<String, Vec<String>>, package: &str) -> HashSet<String> {
    assert!(graph.contains_key(package), "no package {package}");
    let mut found = HashSet::new();
    let mut open = vec![package.to_owned()];
    while let Some(name) = open.pop() {
        for dependency in graph.get(&name).into_iter().flatten() {
            if found.insert(dependency.clone()) {
                open.push(dependency.clone());
            }
        }
    }
    found
}

fn assert_apart(package: &str, forbidden: &[&str]) {
    let closure = closure(&graph(), package);
    let found: Vec<&&str> = forbidden.iter().filter(|name| closure.contains(**name)).collect();
    assert!(found.is_empty(), "{package} depends on {found:?}");
}

#[test]
fn capture_knows_nothing_of_calls() {
    let forbidden = [
        "earwitness-voip",
        "earwitness-catalog",
        "earwitness-codec",
        "earwitness-recording",
        "earwitness-policy",
        "earwitness",
        "axum",
        "tokio",
        "sqlx",
    ];
    assert_apart("earwitness-capture", &forbidden);
}

#[test]
fn control_plane_has_no_way_to_the_kernel() {
    assert_apart("earwitness", &["aya", "aya-obj", "earwitness-capture", "earwitness-abi"]);
}

/// Protocol logic is sans-I/O: no runtime, no files, no FFmpeg below it.
#[test]
fn protocols_are_pure() {
    assert_apart("earwitness-voip", &["tokio", "mio", "libc", "sqlx", "ffmpeg-next"]);
    assert_apart("earwitness-policy", &["tokio", "mio", "libc", "sqlx"]);
}

/// A generator that shares the parser's code cannot find its errors.
#[test]
fn fixtures_are_independent() {
    let graph = graph();
    let ours = closure(&graph, "earwitness-fixtures");
    let ours: Vec<&String> = ours.iter().filter(|name| name.starts_with("earwitness")).collect();
    assert!(ours.is_empty(), "earwitness-fixtures depends on {ours:?}");
}
