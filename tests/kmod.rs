//! May the Rust object of the kernel module run in a kernel?
//!
//! `make kmod` builds and checks it as well. What the module does is judged by `make parity-kmod`.

use ipvl_testbed::requires;
use std::path::Path;
use std::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn run(words: &[&str]) {
    let output = Command::new(words[0]).args(&words[1..]).current_dir(ROOT).output().expect("run a script");
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{words:?}: {}", said.concat());
}

#[test]
fn the_check_finds_what_may_not_be_in_a_kernel() {
    run(&["scripts/kmod-check", "--self-test"]);
}

#[test]
fn the_object_has_nothing_that_may_not_be_in_a_kernel() {
    let sources = Path::new(ROOT).join("vm/cache/rust-src/version").exists();
    if requires(sources, "no sources of Rust's core in vm/cache: make kmod fetches them") {
        run(&["scripts/kmod", "rust"]);
    }
}
