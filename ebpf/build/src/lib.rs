//! Builds a program for BPF from a build script: the object is `OUT_DIR/NAME`.
//!
//! The target needs another toolchain than the rest: Debian's `rustc-web`, which brings `core` for it, or rustup's
//! nightly, which compiles `core` from `rust-src`. The first that is there serves; `make setup` installs one.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

const REMEDY: &str = "run `make setup`";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// A program with a workspace of its own.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Its folder, from that of the crate whose build script this is.
    pub folder: &'a str,
    /// The name of its binary.
    pub object: &'a str,
    /// Crates of this repository that it is made of, from the same place.
    pub parts: &'a [&'a str],
}

/// Builds it, and tells cargo when it must be built again. The object is `OUT_DIR` and the name.
#[must_use]
pub fn build(program: Program<'_>) -> ExitCode {
    match try_build(program) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            println!("cargo::error={}: {problem}", program.object);
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
    object: String,
    program: PathBuf,
    target_dir: PathBuf,
    target: &'static str,
    /// The architecture the program runs on: layouts of kernel structures depend on it.
    arch: String,
    path: OsString,
}

fn try_build(program: Program<'_>) -> Result<(), String> {
    let manifest_dir = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    let folder = manifest_dir.join(program.folder);
    let parts = program.parts.iter().map(|part| manifest_dir.join(part));
    for input in parts.chain([folder.clone()]) {
        println!("cargo::rerun-if-changed={}", input.join("src").display());
        println!("cargo::rerun-if-changed={}", input.join("Cargo.toml").display());
    }
    println!("cargo::rerun-if-changed={}", folder.join("Cargo.lock").display());
    println!("cargo::rerun-if-changed={DEBIAN_RUSTC}");
    println!("cargo::rerun-if-env-changed=PATH");
    let endian = variable("CARGO_CFG_TARGET_ENDIAN")?;
    if endian != "little" {
        return Err(format!("built for little-endian machines, and this one is {endian}-endian"));
    }
    let job = Job {
        object: program.object.to_owned(),
        program: folder,
        target_dir: out_dir.join("bpf-target"),
        target: "bpfel-unknown-none",
        arch: variable("CARGO_CFG_TARGET_ARCH")?,
        path: path_with_linker()?,
    };
    let toolchain = job.toolchain()?;
    let built = job.run(&toolchain)?;
    fs::copy(&built, out_dir.join(program.object))
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
                "cargo::warning={}: built with rustup's nightly, as rustc-web is not installed",
                self.object
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
            .args(["--release", "--locked", "--target", self.target, "--bin", &self.object])
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
        Ok(self.target_dir.join(self.target).join("release").join(&self.object))
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
