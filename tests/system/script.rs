//! Scripts that play with real phones, with the programs under test.

use std::path::Path;
use std::process::Command;

use earwitness_tests::program::binary;

/// Runs a script, named from here, which must end well and say that storage is clean. Gives what it said.
#[track_caller]
pub(crate) fn play(script: &str, arguments: &[&str]) -> String {
    let programs = binary().parent().map(Path::to_owned).expect("a program lies in a folder");
    let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("system").join(script))
        .args(arguments)
        .env("EARWITNESS_BIN_DIR", programs)
        .output()
        .expect("the script can be started");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("clean"), "{out}\n{err}");
    out.into_owned()
}
