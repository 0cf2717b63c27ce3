//! What can this kernel do, what is wrong here, and what is to be done about it?

mod drops;
mod finding;
mod flowtable;
mod inside;
mod place;
mod slave;

use crate::error::{Result, refused};
use crate::kernel::netlink::{Events, Netlink};
use crate::kernel::sysctl;
use crate::model::{AddressEntry, AddressStatus, Backend, Finding, Link};
use crate::port::hook::Hook;
use crate::port::object;
use crate::read::view;
use crate::refusal::Refusal;
use crate::slave::agent_client::{self, Health};
use crate::slave::module;
use finding::{bad, good, limited};
use ipvl_core::IfIndex;
use ipvl_core::maps::JOINS_LEN;
use std::collections::BTreeSet;

const BACKLOG: &str = "net/core/netdev_max_backlog";
const BPF_JIT: &str = "net/core/bpf_jit_enable";
const FORCE_FORWARDING: &str = "net/ipv6/conf/all/force_forwarding";
const FORWARDING: &str = "net/ipv6/conf/all/forwarding";

/// Checks everything, of the slaves only the one of this name if there is one. A check that fails is a finding too.
pub fn doctor(name: Option<&str>) -> Result<Vec<Finding>> {
    let netlink = Netlink::open()?;
    let mut links = view::links()?;
    if let Some(name) = name {
        links.retain(|link| link.name == name || link.host_end.1 == name);
        if links.is_empty() {
            return Err(refused("examine", name, Refusal::NoSlave));
        }
    }
    let mut findings = kernel_findings();
    findings.extend(place::slaves_of_others(&netlink)?);
    findings.extend(examine(&netlink, &links)?);
    Ok(findings)
}

/// The findings about this kernel and the agent.
pub fn kernel_findings() -> Vec<Finding> {
    vec![
        programs(),
        hook(),
        backend(),
        module(),
        jit(),
        joins(),
        forwarding(),
        flowtable::finding(),
        backlog(),
        agent(),
    ]
}

/// The findings about slaves and their masters.
fn examine(netlink: &Netlink, links: &[Link]) -> Result<Vec<Finding>> {
    let addresses = view::addresses()?;
    let (inside, pairs): (Vec<_>, Vec<_>) = links.iter().cloned().partition(Link::is_in_module);
    let links = &pairs[..];
    let mut findings = Vec::new();
    for link in &inside {
        findings.extend(slave::in_module(netlink, link, &addresses)?);
    }
    let masters: BTreeSet<&(IfIndex, String)> = links.iter().map(|link| &link.master).collect();
    for master in &masters {
        findings.extend(slave::master(netlink, master)?);
    }
    for link in links {
        let is_declared =
            |entry: &AddressEntry| entry.slave.as_ref() == Some(&link.name) && entry.status == AddressStatus::Declared;
        findings.extend(slave::slave(netlink, link, &addresses)?);
        // What cannot be entered is in `link.degraded` already.
        findings.extend(inside::inside(netlink, link, addresses.iter().any(is_declared)).unwrap_or_default());
    }
    findings.extend(slave::rules(links));
    if !links.is_empty() {
        let host_ends = links.iter().map(|link| link.host_end.0);
        let counters: Vec<IfIndex> = host_ends.chain(masters.iter().map(|master| master.0)).collect();
        findings.extend(drops::growing(&counters)?);
    }
    Ok(findings)
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

fn module() -> Finding {
    match module::is_loaded() {
        true => good("module", "ipvl's kernel module is loaded: it makes `type ipvlan`, without an agent"),
        false => good("module", "ipvl's kernel module is not loaded, and not needed: slaves are pairs"),
    }
}

fn jit() -> Finding {
    match sysctl::get(BPF_JIT).as_deref() {
        Some("0") => limited("jit", "programs are interpreted, which is slow", "sysctl net.core.bpf_jit_enable=1"),
        _ => good("jit", "programs run as machine code"),
    }
}

fn joins() -> Finding {
    match Events::open_groups().and_then(|events| events.map(|events| events.count_joins(JOINS_LEN)).transpose()) {
        Ok(Some(_)) => good("joins", "a slave gets a multicast group from the moment it has joined it"),
        Ok(None) => {
            limited("joins", "a slave gets a multicast group up to a second after it has joined it", "Linux 6.14")
        }
        Err(error) => limited("joins", &error.to_string(), "run this as root"),
    }
}

fn forwarding() -> Finding {
    let possible = sysctl::get(FORCE_FORWARDING).is_some() || sysctl::is(FORWARDING, "1");
    match possible {
        true => good("l3s", "IPv6 can be forwarded for slaves"),
        false if sysctl::get(FORWARDING).is_none() => good("l3s", "IPv4 only: this kernel has no IPv6"),
        false => limited(
            "l3s",
            "host access in IPv6 is off: before Linux 6.17 forwarding is one switch for all interfaces",
            "sysctl net.ipv6.conf.all.forwarding=1 (makes the host a router: it forgets routes from advertisements)",
        ),
    }
}

fn backlog() -> Finding {
    let room = sysctl::get(BACKLOG).and_then(|text| text.parse::<u32>().ok()).unwrap_or(1000);
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
    let needed = view::links().is_ok_and(|links| !links.iter().all(Link::is_in_module));
    match agent_client::health() {
        Ok(Health::Answers(pid)) => good("agent", &format!("runs as process {pid}, and answers")),
        Ok(Health::None) if !needed => good("agent", "does not run, and is not needed"),
        Ok(Health::None) => bad("agent", "does not run: changes by other tools are not noticed", "ipvl agent &"),
        Ok(Health::Silent(error)) | Err(error) => bad("agent", &error.to_string(), ""),
    }
}
