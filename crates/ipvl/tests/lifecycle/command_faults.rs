//! Does a command leave nothing behind when any one of its calls fails once, and does it do its work when it is repeated?
//!
//! strace lets one system call of the command fail, as in `faults.rs`, which does the same to an agent.

use std::fs;
use std::path::PathBuf;

use ipvl_testbed::{Lab, Output, ipvl_path, require_root};

use crate::common::{agents, expect_as_before, kill_agent, links, soon, traces};
use crate::faults::has_strace;

/// Of the calls of a command that makes or removes a master's only slave, each so many are tried: it loads programs first.
const STRIDE: usize = 9;
/// More calls than any of these commands makes, also while it waits for the lock.
const MOST: u32 = 1000;
const ADD: &str = "link add link eth0 name ipvl9 type ipvlan mode l2";
const DEL: &str = "link del ipvl9";

#[test]
fn a_slave_beside_others_is_made_and_removed_whatever_fails_once() {
    require_root!();
    let Some(faults) = Faults::new("beside") else { return };
    faults.lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    // The agent has read it: what it leaves in the netns stays as it is from here on.
    soon("its address is in the table", || faults.lab.ipvl("addr show").contains("10.0.0.10"));
    faults.each("bpf", "ENOMEM", 1);
    faults.each("sendto", "ENOBUFS", 1);
}

#[test]
fn the_first_slave_is_made_and_the_last_removed_whatever_fails_once() {
    require_root!();
    let Some(faults) = Faults::new("alone") else { return };
    faults.each("bpf", "ENOMEM", STRIDE);
    faults.each("sendto", "ENOBUFS", 2);
}

#[test]
fn an_agent_in_which_a_call_fails_as_it_starts_ends_or_does_its_work() {
    require_root!();
    let Some(faults) = Faults::new("agent") else { return };
    faults.lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    for (call, error, stride) in [("bpf", "ENOMEM", 7), ("sendto", "ENOBUFS", 4)] {
        for n in (1..MOST).step_by(stride) {
            if !faults.agent_starts(call, error, n) {
                break;
            }
        }
    }
}

struct Faults {
    lab: Lab,
    log: PathBuf,
}

impl Faults {
    /// None without strace.
    fn new(name: &str) -> Option<Self> {
        let log = std::env::temp_dir().join(format!("ipvl-{}-{name}", std::process::id()));
        has_strace().then(|| Self { lab: Lab::new(1), log })
    }

    /// Makes and removes a slave again and again; of each command, one call fails once, each time another.
    fn each(&self, call: &str, error: &str, stride: usize) {
        let before = traces(&self.lab.host);
        let mut going = (true, true);
        for n in (1..MOST).step_by(stride) {
            going.0 = going.0 && self.fails_once(ADD, &format!("{call}:error={error}:when={n}"), &before, false);
            if !links(&self.lab.host).contains("ipvl9") {
                self.lab.ipvl(ADD);
            }
            let full = traces(&self.lab.host);
            going.1 = going.1 && self.fails_once(DEL, &format!("{call}:error={error}:when={n}"), &full, true);
            if links(&self.lab.host).contains("ipvl9") {
                self.lab.ipvl(DEL);
            }
            expect_as_before(&self.lab.host, &before);
            if going == (false, false) {
                return;
            }
        }
        panic!("a command makes more than {MOST} calls of {call}");
    }

    /// Runs a command in which a call fails: it says so and has changed nothing, or it succeeds. Whether the call was made.
    /// A command that removes may have begun to.
    fn fails_once(&self, command: &str, inject: &str, before: &str, removes: bool) -> bool {
        let (output, injected) = self.inject(command, inject);
        let done = links(&self.lab.host).contains("ipvl9") != removes;
        if output.ok {
            assert!(done, "{command}, {inject}: it says that it has succeeded: {output:?}");
        } else {
            assert!(output.stderr.lines().any(|line| line.len() > 10), "{command}, {inject}: no message: {output:?}");
            assert!(injected, "{command}, {inject}: {output:?}");
            if !removes {
                expect_as_before(&self.lab.host, before);
            }
        }
        injected
    }

    fn inject(&self, command: &str, inject: &str) -> (Output, bool) {
        let call = inject.split(':').next().unwrap_or_default();
        let ipvl = ipvl_path().display().to_string();
        let (trace, inject, log) =
            (format!("trace={call}"), format!("inject={inject}"), self.log.display().to_string());
        let strace = ["strace", "-e", &trace, "-e", &inject, "-o", &log, &ipvl];
        let output = self.lab.host.exec(strace.into_iter().chain(command.split(' ')));
        (output, fs::read_to_string(&self.log).is_ok_and(|log| log.contains("(INJECTED)")))
    }

    /// Starts an agent in which a call fails; whether the call was made. What happened meanwhile is in the table soon, by
    /// this agent or, if it has ended, by the next.
    fn agent_starts(&self, call: &str, error: &str, n: u32) -> bool {
        let lab = &self.lab;
        kill_agent(&lab.host);
        let address = format!("10.0.1.{}", n % 200 + 1);
        lab.slaves[0].run(["ip", "addr", "add", &format!("{address}/32"), "dev", "ipvl0"]);
        let (ipvl, trace) = (ipvl_path().display().to_string(), format!("trace={call}"));
        let (inject, log) = (format!("inject={call}:error={error}:when={n}"), self.log.display().to_string());
        let mut strace = lab.host.command(["strace", "-f", "-e", &trace, "-e", &inject, "-o", &log, &ipvl, "agent"]);
        let mut strace = strace.stderr(std::process::Stdio::null()).spawn().expect("strace");
        let mut injected = false;
        soon(&format!("{call} number {n} fails: the address is in the table"), || {
            injected = fs::read_to_string(&self.log).is_ok_and(|log| log.contains("(INJECTED)"));
            if strace.try_wait().expect("wait").is_some() && agents(&lab.host).is_empty() {
                // Any command that needs an agent starts one.
                let _ = lab.try_ipvl("link set ipvl0 type ipvlan bridge");
            }
            lab.ipvl("addr show").contains(&address)
        });
        strace.kill().expect("end strace");
        strace.wait().expect("strace");
        lab.slaves[0].run(["ip", "addr", "del", &format!("{address}/32"), "dev", "ipvl0"]);
        soon("an agent", || !agents(&lab.host).is_empty());
        injected
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.log);
    }
}
