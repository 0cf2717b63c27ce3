//! What can this kernel do, what is wrong here, and what is to be done about it?

use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::kernel::single;
use crate::model::{Backend, Finding, Link, Severity};
use crate::port::hook::Hook;
use crate::port::object;
use crate::read::degraded::remedy;
use crate::read::view;
use crate::slave::agent_client;
use std::fs;
use std::path::Path;

const BACKLOG: &str = "/proc/sys/net/core/netdev_max_backlog";
const BPF_JIT: &str = "/proc/sys/net/core/bpf_jit_enable";
const FORCE_FORWARDING: &str = "/proc/sys/net/ipv6/conf/all/force_forwarding";
const FORWARDING: &str = "/proc/sys/net/ipv6/conf/all/forwarding";

/// Checks everything. A check that fails is a finding too.
pub fn doctor() -> Vec<Finding> {
    let mut findings = vec![programs(), hook(), backend(), jit(), forwarding(), backlog(), agent()];
    match view::links() {
        Ok(links) => findings.extend(links.iter().flat_map(slave)),
        Err(error) => findings.push(bad("slaves", &format!("cannot be read: {error}"), "run this as root")),
    }
    findings
}

fn programs() -> Finding {
    match object::load() {
        Ok(loaded) => {
            let count = |program: &object::Program| program.instructions.unwrap_or_default();
            let (xmit, rx) = (count(&loaded.slave_xmit), count(&loaded.master_rx));
            good("programs", &format!("accepted by the verifier: slave_xmit {xmit}, master_rx {rx} instructions"))
        }
        Err(error) => bad("programs", &error.to_string(), "run this as root, on Linux 5.10 or newer"),
    }
}

fn hook() -> Finding {
    match Hook::choose() {
        Hook::Tcx => good("hook", "tcx"),
        Hook::Clsact => good("hook", "clsact; tcx, in Linux 6.6 and newer, takes fewer instructions a packet"),
    }
}

fn backend() -> Finding {
    match Backend::choose(None, 1) {
        Ok(backend) => good("backend", &format!("{}: {}", backend.kind(), backend.why())),
        Err(refusal) => bad("backend", &refusal.to_string(), "unset IPVL_BACKEND"),
    }
}

fn jit() -> Finding {
    match read(BPF_JIT).as_deref() {
        Some("0") => limited("jit", "programs are interpreted, which is slow", "sysctl net.core.bpf_jit_enable=1"),
        _ => good("jit", "programs run as machine code"),
    }
}

fn forwarding() -> Finding {
    let possible = Path::new(FORCE_FORWARDING).exists() || read(FORWARDING).as_deref() == Some("1");
    match possible {
        true => good("l3s", "IPv6 can be forwarded for slaves"),
        false if !Path::new(FORWARDING).exists() => good("l3s", "IPv4 only: this kernel has no IPv6"),
        false => limited(
            "l3s",
            "host access in IPv6 is off: before Linux 6.17 forwarding is one switch for all interfaces",
            "sysctl net.ipv6.conf.all.forwarding=1 (makes the host a router: it forgets routes from advertisements)",
        ),
    }
}

fn backlog() -> Finding {
    let room = read(BACKLOG).and_then(|text| text.parse::<u32>().ok()).unwrap_or(1000);
    match room >= 2 * ipvl_core::maps::FLOOD_CHUNK {
        true => good("backlog", &format!("room for {room} packets: broadcasts reach all slaves")),
        false => limited(
            "backlog",
            &format!("room for {room} packets only: a broadcast may not reach every slave"),
            "sysctl net.core.netdev_max_backlog=1000",
        ),
    }
}

fn agent() -> Finding {
    let needed = view::links().is_ok_and(|links| !links.is_empty());
    match single::running(agent_client::NAME) {
        Ok(Some(pid)) => good("agent", &format!("runs as process {pid}")),
        Ok(None) if !needed => good("agent", "does not run, and there is nothing for it to do"),
        Ok(None) => bad("agent", "does not run: changes made with stock tools are not seen", "ipvl agent &"),
        Err(error) => bad("agent", &error.to_string(), ""),
    }
}

/// The findings about one slave.
fn slave(link: &Link) -> Vec<Finding> {
    let mut findings: Vec<Finding> = link.degraded.iter().map(|text| bad(&link.name, text, remedy(text))).collect();
    if let Some(upper) = upper(link) {
        let text = format!("it belongs to {upper}, which sends frames with MAC addresses or tags that are dropped");
        findings.push(limited(&link.name, &text, "use a macvlan or a bridge for that"));
    }
    findings
}

/// The bridge or bond that the slave belongs to, if that can be read.
fn upper(link: &Link) -> Option<String> {
    let netlink = Netlink::open().ok()?;
    let device: LinkInfo = netlink.link(link.ifindex, link.netnsid).ok()??;
    netlink.link(device.master?, link.netnsid).ok()?.map(|upper| upper.name)
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn good(subject: &str, text: &str) -> Finding {
    finding(Severity::Good, subject, text, "")
}

fn limited(subject: &str, text: &str, remedy: &str) -> Finding {
    finding(Severity::Limited, subject, text, remedy)
}

fn bad(subject: &str, text: &str, remedy: &str) -> Finding {
    finding(Severity::Bad, subject, text, remedy)
}

fn finding(severity: Severity, subject: &str, text: &str, remedy: &str) -> Finding {
    Finding { severity, subject: subject.to_owned(), text: text.to_owned(), remedy: remedy.to_owned() }
}
