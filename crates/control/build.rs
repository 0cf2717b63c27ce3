//! How does the eBPF object get into this crate? `crates/ebpf` is built for the BPF target, by whichever toolchain is
//! here that can.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "bpfel-unknown-none";
/// Makes the object the same bytes in whichever folder it is built.
const WRAPPER: &str = "../../scripts/rustc-by-name";
const SET_UP: &str = "run `make setup`, which installs it";

fn main() {
    for watched in ["../ebpf/src", "../ebpf/Cargo.toml", "../ebpf/Cargo.lock", "../core/src", WRAPPER] {
        println!("cargo:rerun-if-changed={watched}");
    }
    println!("cargo:rerun-if-env-changed=PATH");
    if let Err(missing) = build() {
        eprintln!("cannot build the eBPF programs: {missing}");
        std::process::exit(1);
    }
}

fn build() -> Result<(), String> {
    let linker = linker()?;
    let wrapper = Path::new(WRAPPER).canonicalize().map_err(|e| format!("{WRAPPER}: {e}"))?;
    let target_dir = PathBuf::from(env::var("OUT_DIR").map_err(|e| e.to_string())?).join("bpf");
    let mut cargo = toolchain()?;
    for variable in ["RUSTC_WORKSPACE_WRAPPER", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        cargo.env_remove(variable);
    }
    let status = cargo
        .args(["build", "--release", "--locked", "--quiet", "--target", TARGET])
        .current_dir("../ebpf")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC_WRAPPER", wrapper)
        .env("RUSTFLAGS", format!("-C linker={} -C target-cpu=v3 --cfg bpf_target_arch=\"x86_64\"", linker.display()))
        .env("CARGO_TARGET_DIR", &target_dir)
        .status()
        .map_err(|e| format!("cannot run cargo: {e}"))?;
    if !status.success() {
        return Err(format!("cargo build of crates/ebpf failed ({status})"));
    }
    let object = target_dir.join(TARGET).join("release/ipvl-ebpf");
    println!("cargo:rustc-env=IPVL_OBJECT={}", object.display());
    Ok(())
}

/// Debian's rustc with its prebuilt core for BPF, or a rustup nightly that can build one.
fn toolchain() -> Result<Command, String> {
    if Path::new("/usr/lib/rustlib").join(TARGET).is_dir() && Path::new("/usr/bin/cargo").exists() {
        let mut cargo = Command::new("/usr/bin/cargo");
        cargo.env("RUSTC", "/usr/bin/rustc").env_remove("RUSTUP_TOOLCHAIN");
        return Ok(cargo);
    }
    if nightly_has_sources() {
        let mut cargo = Command::new("rustup");
        cargo.args(["run", "nightly", "cargo", "-Zbuild-std=core"]).env_remove("RUSTC").env_remove("CARGO");
        return Ok(cargo);
    }
    Err(format!("no rustc for the BPF target (Debian's libstd-rust-web-dev-bpf, or a nightly with rust-src); {SET_UP}"))
}

fn nightly_has_sources() -> bool {
    let sysroot = Command::new("rustup").args(["run", "nightly", "rustc", "--print", "sysroot"]).output();
    sysroot.is_ok_and(|output| {
        let root = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Path::new(&root).join("lib/rustlib/src/rust/library/core").is_dir()
    })
}

fn linker() -> Result<PathBuf, String> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let paths = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>();
    home.map(|home| home.join("bin"))
        .into_iter()
        .chain(paths)
        .map(|dir| dir.join("bpf-linker"))
        .find(|path| path.is_file())
        .ok_or_else(|| format!("bpf-linker is missing; {SET_UP}"))
}
