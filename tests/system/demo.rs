//! `make demo`'s script with the programs under test: two phones, a mirrored port, XDP in the driver.

use std::path::Path;
use std::process::Command;

use earwitness_tests::program::binary;

/// REC-1, REC-4, CAP-1, CAP-4: the call of two real phones is recorded from a mirrored port by XDP in native mode, each
/// side is what was said, and storage is clean. The script checks; here it must also have taken its own way.
#[test]
fn two_phones_are_recorded() {
    let folder = binary().parent().map(Path::to_owned).expect("a program lies in a folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/demo.sh");
    let output = Command::new(script)
        .env("EARWITNESS_BIN_DIR", folder)
        .output()
        .expect("the script can be started");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("mode=bpf_ring"), "XDP in the driver was not taken:\n{out}");
    assert!(out.contains("alice@10.20.0.1 → bob@10.20.0.2"), "{out}");
    assert!(out.contains("caller, left   correlation"), "{out}");
}
