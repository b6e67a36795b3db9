//! Builds the load generator from `perf/generator` into `OUT_DIR/earwitness-generator`.

use std::process::ExitCode;

use earwitness_ebpf_build::{Program, build};

fn main() -> ExitCode {
    build(Program {
        folder: "generator",
        object: "earwitness-generator",
        parts: &["generator-abi"],
    })
}
