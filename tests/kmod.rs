//! May the Rust object of the kernel module run in a kernel?
//!
//! `make kmod` builds and checks it as well. What the module does is judged by `make parity-kmod`.

use ipvl_testbed::requires;
use std::path::Path;
use std::process::{self, Command};
use std::{env, fs};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn run(words: &[&str]) {
    said(words);
}

fn said(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).current_dir(ROOT).output().expect("run a script");
    let [said, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{words:?}: {said}{errors}");
    said
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

#[test]
fn modprobe_finds_the_installed_module_before_the_kernels_own() {
    let kernel = Path::new(ROOT).join("vm/cache/6.12/lib/modules");
    if !requires(kernel.exists(), "no Linux 6.12 in vm/cache: vm/fetch 6.12 fetches it") {
        return;
    }
    let place = env::temp_dir().join(format!("ipvl-kmod-{}", process::id()));
    fs::create_dir(&place).expect("a folder");
    run(&["cp", "-r", &path(kernel.parent().expect("lib")), &path(&place)]);
    let release = fs::read_dir(&kernel).expect("list").next().expect("one kernel").expect("its folder").file_name();
    let loads = |alias: &str| {
        let words = ["modprobe", "-d", &path(&place), "-S", &release.to_string_lossy(), "--show-depends", alias];
        said(&words).lines().last().map(|line| line.trim_end().to_owned()).expect("a module")
    };
    assert!(loads("rtnl-link-ipvlan").ends_with("kernel/drivers/net/ipvlan/ipvlan.ko"), "the kernel has its own");

    run(&["env", "KERNEL=6.12", &format!("DESTDIR={}", path(&place)), "scripts/kmod-install"]);
    for (alias, module) in [("rtnl-link-ipvlan", "ipvlan"), ("rtnl-link-ipvtap", "ipvtap"), ("ipvlan", "ipvlan")] {
        assert!(loads(alias).ends_with(&format!("updates/{module}.ko")), "{alias}: {}", loads(alias));
    }
    fs::remove_dir_all(&place).expect("remove the folder");
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
