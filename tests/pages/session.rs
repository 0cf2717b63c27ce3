//! Where are a page's commands typed? On a lab's host, which has a /run of its own, so that short names are free; or on the
//! machine outside.

use crate::page::{Body, Section, Step};
use ipvl_testbed::{Driver, Lab, Output, ipvl_path, wait_until};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// For what must be so soon, also on an emulated machine; only a failure waits this long.
const SOON: Duration = Duration::from_secs(20);
const OWN_RUN: &str = "mount -t tmpfs none /run && mkdir /run/netns && echo ready && exec sleep infinity";

pub struct Session {
    pub lab: Lab,
    /// Keeps the mounts.
    keeper: Child,
    patience: Duration,
}

impl Session {
    pub fn new(driver: Driver) -> Self {
        let lab = Lab::of(driver, 0);
        let mut command = lab.host.command(["unshare", "--mount", "bash", "-c", OWN_RUN]);
        let mut keeper = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("start a process");
        let mut said = String::new();
        BufReader::new(keeper.stdout.take().expect("its output")).read_line(&mut said).expect("read");
        assert_eq!(said, "ready\n", "no /run of its own");
        Self { lab, keeper, patience: SOON }
    }

    /// For a test that expects failures.
    pub fn impatient(mut self) -> Self {
        self.patience = Duration::ZERO;
        self
    }

    /// Types what a section has for this body, up to the first command that does not do what the page says: that one.
    pub fn play(&self, section: &Section, body: Body) -> Option<String> {
        section.steps.iter().filter(|step| step.is_for(body)).find_map(|step| self.try_step(step).err())
    }

    fn try_step(&self, step: &Step) -> Result<(), String> {
        let mut last = (false, String::new());
        let patience = if step.expected.is_patient() { self.patience } else { Duration::ZERO };
        let met = wait_until(patience, || {
            let output = if step.outside { self.outside(&step.command) } else { self.host(&step.command) };
            last = (output.ok, said(&output));
            step.expected.met_by(last.0, &last.1)
        });
        let (ok, output) = last;
        let ended = if ok { "it succeeded" } else { "it failed" };
        met.then_some(())
            .ok_or_else(|| format!("{}: {}\n    {:?}, but {ended}: {output}", step.place, step.command, step.expected))
    }

    /// Types a line on the host.
    pub fn host(&self, line: &str) -> Output {
        let folder = ipvl_path().canonicalize().map(|path| path.parent().map(|parent| parent.display().to_string()));
        let folder = folder.ok().flatten().unwrap_or_default();
        let text = format!("cd '{ROOT}' && PATH='{folder}':$PATH\n{line}");
        let keeper = self.keeper.id().to_string();
        self.lab.host.exec(["nsenter", "--mount", "--target", &keeper, "env", "LC_ALL=C", "bash", "-c", &text])
    }

    /// Types a line on the machine outside.
    pub fn outside(&self, line: &str) -> Output {
        self.lab.ext.exec(["env", "LC_ALL=C", "bash", "-c", line])
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may be gone already, with its namespace.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// Standard output and error, with single blanks.
fn said(output: &Output) -> String {
    let all = format!("{} {}", output.stdout, output.stderr);
    all.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The lines that the kernel has logged since it started.
pub fn kernel_log() -> Vec<String> {
    let output = Command::new("dmesg").output().expect("run dmesg");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}
