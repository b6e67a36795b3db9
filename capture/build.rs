//! Builds the XDP program from `ebpf/program` into `OUT_DIR/earwitness-xdp`.
//!
//! Its target needs another toolchain than the rest: Debian's `rustc-web`, which brings `core` for it, or rustup's
//! nightly, which compiles `core` from `rust-src`. The first that is there serves; `make setup` installs one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

const OBJECT: &str = "earwitness-xdp";
const REMEDY: &str = "run `make setup`";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            println!("cargo::error=XDP program: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// The compiler that builds for BPF.
enum Toolchain {
    /// Debian's rustc-web: a stable compiler with `core` for the target.
    Debian,
    /// rustup's nightly with rust-src.
    Nightly,
}

/// What the object is built from and for.
struct Job {
    program: PathBuf,
    target_dir: PathBuf,
    target: &'static str,
    /// The architecture the program runs on: layouts of kernel structures depend on it.
    arch: String,
    path: OsString,
}

fn build() -> Result<(), String> {
    let manifest_dir = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    let ebpf = manifest_dir.parent().ok_or("capture/ has no parent folder")?.join("ebpf");
    for input in ["abi/src", "abi/Cargo.toml", "wire/src", "wire/Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", ebpf.join(input).display());
    }
    for input in ["program/src", "program/Cargo.toml", "program/Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", ebpf.join(input).display());
    }
    println!("cargo::rerun-if-changed={DEBIAN_RUSTC}");
    println!("cargo::rerun-if-env-changed=PATH");
    let endian = variable("CARGO_CFG_TARGET_ENDIAN")?;
    if endian != "little" {
        return Err(format!("built for little-endian machines, and this one is {endian}-endian"));
    }
    let job = Job {
        program: ebpf.join("program"),
        target_dir: out_dir.join("xdp-target"),
        target: "bpfel-unknown-none",
        arch: variable("CARGO_CFG_TARGET_ARCH")?,
        path: path_with_linker()?,
    };
    let toolchain = job.toolchain()?;
    let built = job.run(&toolchain)?;
    fs::copy(&built, out_dir.join(OBJECT))
        .map_err(|error| format!("{}: {error}", built.display()))?;
    Ok(())
}

impl Job {
    fn toolchain(&self) -> Result<Toolchain, String> {
        let sysroot = output(Command::new(DEBIAN_RUSTC).args(["--print", "sysroot"]));
        if sysroot
            .is_some_and(|root| Path::new(&root).join("lib/rustlib").join(self.target).is_dir())
        {
            return Ok(Toolchain::Debian);
        }
        let mut nightly = Command::new("rustup");
        nightly.args(["run", "nightly", "rustc", "--print", "sysroot"]);
        clean(&mut nightly);
        let sysroot = output(&mut nightly);
        if sysroot
            .is_some_and(|root| Path::new(&root).join("lib/rustlib/src/rust/library").is_dir())
        {
            println!(
                "cargo::warning=XDP program: built with rustup's nightly, as rustc-web is not installed"
            );
            return Ok(Toolchain::Nightly);
        }
        Err(format!(
            "no compiler for BPF: neither Debian's rustc-web with libstd-rust-web-dev-bpf, nor rustup's nightly with \
             rust-src; {REMEDY}"
        ))
    }

    /// Gives the object's path.
    fn run(&self, toolchain: &Toolchain) -> Result<PathBuf, String> {
        let mut cargo = match toolchain {
            Toolchain::Debian => {
                let mut cargo = Command::new(variable("CARGO")?);
                clean(&mut cargo);
                // BOOTSTRAP: inline assembly for this target is not stable yet.
                cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
                cargo.arg("build");
                cargo
            }
            Toolchain::Nightly => {
                let mut cargo = Command::new("rustup");
                clean(&mut cargo);
                cargo.args(["run", "nightly", "cargo", "build", "-Zbuild-std=core"]);
                cargo
            }
        };
        let flags = [
            &format!("--cfg=bpf_target_arch=\"{}\"", self.arch),
            "-Cdebuginfo=2",
            "-Clinker=bpf-linker",
            "-Clink-arg=--btf",
        ];
        cargo
            .args(["--release", "--locked", "--target", self.target, "--bin", OBJECT])
            .current_dir(&self.program)
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            .env("CARGO_TARGET_DIR", &self.target_dir)
            .env("PATH", &self.path);
        let result = cargo.output().map_err(|error| format!("cargo does not start: {error}"))?;
        if !result.status.success() {
            // The whole story for the person, one line for the summary.
            eprintln!("{}", String::from_utf8_lossy(&result.stderr));
            return Err(format!(
                "cargo {}, see above; if a tool is missing, {REMEDY}",
                result.status
            ));
        }
        Ok(self.target_dir.join(self.target).join("release").join(OBJECT))
    }
}

/// What the outer cargo tells its children must not reach the inner one.
fn clean(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let keeps = ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_HTTP_PROXY", "RUSTUP_HOME"];
        let foreign = ["CARGO", "RUSTC", "RUSTFLAGS", "RUSTDOC", "RUSTUP", "CLIPPY", "MAKEFLAGS"];
        if foreign.iter().any(|prefix| text.starts_with(prefix)) && !keeps.contains(&&*text) {
            command.env_remove(&name);
        }
    }
}

/// The search path, with cargo's own folder of binaries if bpf-linker is only there.
fn path_with_linker() -> Result<OsString, String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    folders.extend(home.map(|home| home.join("bin")));
    folders.push(PathBuf::from("/usr/local/bin"));
    if !folders.iter().any(|folder| folder.join("bpf-linker").is_file()) {
        return Err(format!("bpf-linker is not installed; {REMEDY}"));
    }
    env::join_paths(folders).map_err(|error| format!("PATH: {error}"))
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("{name} is not set: cargo sets it"))
}

/// The first line a command prints; none if it fails.
fn output(command: &mut Command) -> Option<String> {
    let result = command.output().ok()?;
    let text = String::from_utf8(result.stdout).ok()?;
    result.status.success().then(|| text.trim().to_owned())
}
