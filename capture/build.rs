//! Builds the XDP program from `ebpf/program` into `OUT_DIR/earwitness-xdp`.

use std::process::ExitCode;

use earwitness_ebpf_build::{Program, build};

fn main() -> ExitCode {
    build(Program {
        folder: "../ebpf/program",
        object: "earwitness-xdp",
        parts: &["../ebpf/abi", "../ebpf/wire"],
    })
}
