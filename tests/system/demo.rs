//! `make demo`'s script with the programs under test: two phones, a mirrored port, XDP in the driver.

use crate::script::play;

/// REC-1, REC-4, CAP-1, CAP-4: the call of two real phones is recorded from a mirrored port by XDP in native mode, each
/// side is what was said, and storage is clean. The script checks; here it must also have taken its own way.
#[test]
fn two_phones_are_recorded() {
    let out = play("../../scripts/demo.sh", &[]);
    assert!(out.contains("mode=bpf_ring"), "XDP in the driver was not taken:\n{out}");
    assert!(out.contains("alice@10.20.0.1 → bob@10.20.0.2"), "{out}");
    assert!(out.contains("caller, left   correlation"), "{out}");
}
