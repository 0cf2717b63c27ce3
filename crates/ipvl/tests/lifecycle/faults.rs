//! Does the agent reach the right state when any one of its calls fails once?
//!
//! strace lets one system call of the agent fail: each access to a map is one call of bpf(2), each request to the kernel or
//! frame to the wire one of sendto(2).

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ipvl_testbed::{Lab, require_root, wait_until};

use crate::common::{SOON, agent, run};

/// More than an agent makes for one change of addresses.
const MAP_CALLS: u32 = 60;
const REQUESTS: u32 = 16;
/// As many as for one change of groups.
const GROUP_MAP_CALLS: u32 = 24;

#[test]
fn a_map_operation_that_fails_is_done_again() {
    each_fails("bpf", "ENOMEM", MAP_CALLS);
}

#[test]
fn a_request_that_fails_is_made_again() {
    each_fails("sendto", "ENOBUFS", REQUESTS);
}

#[test]
fn a_group_is_received_whatever_fails_once() {
    each_fails_in_joins("bpf", "ENOMEM", GROUP_MAP_CALLS);
    each_fails_in_joins("ioctl", "ENOBUFS", 2);
}

/// Fails unless the table agrees with a slave's device after each change of its addresses during which the n-th call fails.
fn each_fails(call: &str, error: &str, most: u32) {
    require_root!();
    if !has_strace() {
        return;
    }
    let lab = Lab::new(1);
    lab.add_slave(0, "mode l2", &[]);
    let log = std::env::temp_dir().join(format!("ipvl-{}-{call}", std::process::id()));
    let mut injected = 0;
    for n in 1..=most {
        let agent = agent(&lab.host);
        let mut strace = attach(agent, call, &format!("inject={call}:error={error}:when={n}"), &log);
        let (old, new) = (n % 2, 1 - n % 2);
        for addr in [format!("10.0.0.2{new}/32"), format!("fd00::2{new}/64")] {
            run(&lab.slaves[0], &format!("ip addr add {addr} dev ipvl0 nodad"));
        }
        for addr in [format!("10.0.0.2{old}/32"), format!("fd00::2{old}/64")] {
            // Nothing is there at first.
            let _ = lab.slaves[0].exec(["ip", "addr", "del", &addr, "dev", "ipvl0"]);
        }
        let mut shown = String::new();
        let right = wait_until(SOON, || {
            shown = lab.ipvl("addr show");
            let has = |which: u32| {
                shown.matches(&format!("::2{which} ")).count() + shown.matches(&format!(".2{which} ")).count()
            };
            (has(old), has(new)) == (0, 2)
        });
        strace.kill().expect("end strace");
        strace.wait().expect("strace");
        injected += fs::read_to_string(&log).expect("what strace saw").matches("(INJECTED)").count();
        assert!(right, "{call} number {n} failed once: {shown}");
    }
    let _ = fs::remove_file(&log);
    // The agent makes few calls for the last of them.
    assert!(injected > most as usize / 2, "only {injected} calls failed");
}

/// Whether there is strace; says so if not.
pub fn has_strace() -> bool {
    let found = Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok();
    if !found {
        eprintln!("SKIPPED: there is no strace; make setup installs it");
    }
    found
}

/// Fails unless the table agrees with the groups that a slave has joined after each change during which the n-th call fails.
fn each_fails_in_joins(call: &str, error: &str, most: u32) {
    require_root!();
    if !has_strace() {
        return;
    }
    let lab = Lab::new(1);
    lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    let socket = lab.slaves[0].within(|| UdpSocket::bind("0.0.0.0:5000").expect("bind"));
    let (addr, group) = (Ipv4Addr::new(10, 0, 0, 10), |which: u32| Ipv4Addr::new(239, 1, 2, which as u8));
    let log = std::env::temp_dir().join(format!("ipvl-{}-joins-{call}", std::process::id()));
    let mut injected = 0;
    for n in 1..=most {
        let mut strace = attach(agent(&lab.host), call, &format!("inject={call}:error={error}:when={n}"), &log);
        let (old, new) = (n % 2, 1 - n % 2);
        socket.join_multicast_v4(&group(new), &addr).expect("join");
        // It is in no group at first.
        let _ = socket.leave_multicast_v4(&group(old), &addr);
        let (mut shown, mut master) = (String::new(), String::new());
        let right = wait_until(SOON, || {
            shown = lab.ipvl("-d link show ipvl0");
            master = run(&lab.host, "ip maddr show dev eth0");
            let has = |text: &str, which: u32| text.contains(&format!("01:00:5e:01:02:0{which}"));
            [&shown, &master].iter().all(|text| has(text, new) && !has(text, old))
        });
        strace.kill().expect("end strace");
        strace.wait().expect("strace");
        injected += fs::read_to_string(&log).expect("what strace saw").matches("(INJECTED)").count();
        assert!(right, "{call} number {n} failed once: {shown} {master}");
    }
    let _ = fs::remove_file(&log);
    assert!(injected > most as usize / 2, "only {injected} calls failed");
}

/// Attached when this returns.
fn attach(agent: u32, call: &str, inject: &str, log: &Path) -> Child {
    let pid = agent.to_string();
    let trace = format!("trace={call}");
    let arguments = ["-f", "-e", &trace, "-e", inject, "-p", &pid, "-o"];
    let mut strace = Command::new("strace").args(arguments).arg(log).stderr(Stdio::piped()).spawn().expect("strace");
    let mut told = BufReader::new(strace.stderr.take().expect("a pipe")).lines();
    let first = told.next().expect("a line").expect("text");
    assert!(first.contains("attached"), "{first}");
    std::thread::spawn(move || told.for_each(drop));
    strace
}
