//! Can this test run here? A test is skipped only without root or on a kernel that lacks something, and always says so.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use crate::netns::Netns;

/// Leaves the test, loudly, when it does not run as root.
#[macro_export]
macro_rules! require_root {
    () => {
        if !$crate::requires_root() {
            return;
        }
    };
}

/// Leaves the test, loudly, on a kernel older than the one that brought what it needs.
#[macro_export]
macro_rules! require_kernel {
    ($version:expr, $what:expr) => {
        if !$crate::requires_kernel($version, $what) {
            return;
        }
    };
}

/// Leaves the test, loudly, on a kernel that has no devices of this kind (`"bond"`, `"vlan id 5"`: what follows `type`).
#[macro_export]
macro_rules! require_device {
    ($kind:expr) => {
        if !$crate::requires_device($kind) {
            return;
        }
    };
}

/// True for root; otherwise says that the test is skipped.
#[must_use]
pub fn requires_root() -> bool {
    rustix::process::geteuid().is_root() || skip("not root: run the tests as root for real namespaces")
}

/// True if the kernel is `version` ("6.6") or later; otherwise says that the test is skipped, and for want of `what`.
#[must_use]
pub fn requires_kernel(version: &str, what: &str) -> bool {
    kernel_is_at_least(version) || skip(&format!("{what} came with Linux {version}, this is {}", release()))
}

/// True if the kernel can make a device of this kind; otherwise says that the test is skipped.
#[must_use]
pub fn requires_device(kind: &str) -> bool {
    let probe = Netns::new("probe");
    probe.run("ip link add lower type veth peer name other".split(' '));
    let needs_lower = ["vlan", "macvlan"].contains(&kind.split(' ').next().unwrap_or_default());
    let link = if needs_lower { "link lower" } else { "" };
    let made = probe.exec(format!("ip link add {link} name probe type {kind}").split_whitespace());
    made.ok || skip(&format!("this kernel has no devices of type {kind}: {}", made.stderr.trim()))
}

/// True if the running kernel is `version` or later.
#[must_use]
pub fn kernel_is_at_least(version: &str) -> bool {
    numbers(&release()) >= numbers(version)
}

fn release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("read the kernel's release").trim().to_owned()
}

fn numbers(release: &str) -> (u32, u32) {
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// True if the condition holds; otherwise says that the test is skipped, and why.
#[must_use]
pub fn requires(condition: bool, why: &str) -> bool {
    condition || skip(why)
}

/// Writes past the test harness's capture: a test that did not run must be visible in a run that passed. If the
/// environment names a file in `SKIPS`, the test is added to it: its program, its name and the reason. With `NO_SKIPS` in
/// the environment the test fails instead.
fn skip(why: &str) -> bool {
    assert!(std::env::var_os("NO_SKIPS").is_none(), "{why}");
    let thread = std::thread::current();
    let test = thread.name().expect("a test that may be skipped asks in a thread that has the test's name");
    writeln!(std::io::stderr(), "SKIPPED {test}: {why}").expect("write to standard error");
    if let Some(list) = std::env::var_os("SKIPS") {
        note_skipped(Path::new(&list), test, why).unwrap_or_else(|error| panic!("write to {list:?}: {error}"));
    }
    false
}

/// One write for each line: other tests append to the same file.
fn note_skipped(list: &Path, test: &str, why: &str) -> io::Result<()> {
    let line = format!("{}\t{test}\t{why}\n", std::env::current_exe()?.display());
    OpenOptions::new().create(true).append(true).open(list)?.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_compare_by_number() {
        assert!(numbers("6.12.117+deb12-amd64") > numbers("6.6"));
        assert!(numbers("6.1.0-56-amd64") < numbers("6.6"));
        assert_eq!(numbers("6.6"), numbers("6.6.0"));
    }
}
