//! What would happen to this packet, and why? Core itself decides, on a copy of the tables.

use crate::error::{Result, refused};
use crate::kernel::netlink::Netlink;
use crate::port::Port;
use crate::read::snapshot::Snapshot;
use crate::read::trace::Trace;
use crate::refusal::Refusal;
use crate::slave::find;
use ipvl_core::{Action, Flood, FloodThen, FloodTo, Owner, OwnerEntry, Slot, Tables, Verdict};
use std::collections::BTreeMap;

/// A verdict with its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What happens to the frame.
    pub verdict: Verdict,
    /// The questions to the tables on which the decision rests, with the answers.
    pub questions: Vec<String>,
    /// The verdict in a sentence.
    pub text: String,
}

/// What happens to a frame that a slave sends or a master receives; `device` is the name of one of them.
pub fn explain(device: &str, frame: &[u8]) -> Result<Explanation> {
    let netlink = Netlink::open()?;
    let (port, slot) = find_port(&netlink, device)?;
    let snapshot = Snapshot::read(&port)?;
    let tables = Trace::new(&snapshot, names(&netlink, &port)?);
    let verdict = match slot {
        Some(slot) => ipvl_core::egress(&frame, &tables, Some(slot)),
        None => ipvl_core::ingress(&frame, &tables),
    };
    let text = sentence(verdict, frame, &tables);
    Ok(Explanation { verdict, text, questions: tables.questions() })
}

fn find_port(netlink: &Netlink, device: &str) -> Result<(Port, Option<Slot>)> {
    if let Ok(link) = find::link(netlink, device)
        && let Some(port) = Port::find(netlink, link.ifindex)?
    {
        return Ok((port, None));
    }
    match find::slave(netlink, device) {
        Ok(found) => Ok((found.port, Some(found.slot))),
        Err(_) => Err(refused("explain what happens at", device, Refusal::NoSlave)),
    }
}

fn names(netlink: &Netlink, port: &Port) -> Result<BTreeMap<Slot, String>> {
    let mut names = BTreeMap::new();
    for (host_end, slot) in port.maps.slots()? {
        if let Some(slave) = find::peer(netlink, host_end)? {
            names.insert(slot, slave.name);
        }
    }
    Ok(names)
}

fn sentence(verdict: Verdict, frame: &[u8], tables: &Trace<'_>) -> String {
    match verdict.action() {
        Action::Deliver(slot) => format!("delivered to {}", tables.name(slot)),
        Action::Flood(flood) => {
            format!("{}{}, then {}", recipients(flood.to, tables), joined(flood, frame, tables), then(flood.then))
        }
        Action::Wire => "sent out of the master as it is".to_owned(),
        Action::Route => "sent out by the host's routing table".to_owned(),
        Action::OnLink => "sent out of the master, straight to its destination".to_owned(),
        Action::Host => "passed to the host's stack".to_owned(),
        Action::Answer => "answered by ipvl itself, with the shared MAC address".to_owned(),
        Action::Drop(reason) => format!("dropped as {reason}:{}", reason.meaning()),
    }
}

fn recipients(to: FloodTo, tables: &Trace<'_>) -> String {
    match to {
        FloodTo::Nobody => "copied to no sibling".to_owned(),
        FloodTo::One(slot) => format!("copied to {}", tables.name(slot)),
        FloodTo::All => "copied to all l2 slaves that are up".to_owned(),
        FloodTo::Bridged => "copied to all l2 siblings with flag bridge that are up".to_owned(),
        FloodTo::Reflected(_) => "copied to those l2 slaves that the sender reaches only by the switch".to_owned(),
    }
}

/// The group that a slave must have joined to get a copy.
fn joined(flood: Flood, frame: &[u8], tables: &Trace<'_>) -> String {
    match flood.group(&frame).filter(|_| flood.to != FloodTo::Nobody) {
        Some(group) => {
            tables.members(group);
            format!(" and have joined {}", group.mac)
        }
        None => String::new(),
    }
}

fn then(then: FloodThen) -> &'static str {
    match then {
        FloodThen::Wire => "sent out of the master",
        FloodThen::WireAndHost => "sent out of the master and passed to the host's stack",
        FloodThen::Host => "passed to the host's stack",
        FloodThen::Nowhere => "nowhere else",
    }
}

impl Snapshot {
    /// Reads the tables of a port, except the digests of recent broadcasts.
    pub fn read(port: &Port) -> Result<Self> {
        let maps = &port.maps;
        let owner = |entry: OwnerEntry| Owner::found(Some(&entry));
        let slaves: Result<BTreeMap<_, _>> =
            maps.slots()?.into_iter().map(|(_, slot)| Ok((slot, maps.slave(slot)?))).collect();
        Ok(Self {
            port: maps.port()?,
            slaves: slaves?,
            owners: maps.owners()?.into_iter().map(|(addr, entry)| (addr, owner(entry))).collect(),
            prefixes: maps.prefixes()?.into_iter().map(|(addr, len, entry)| (addr, len as u8, owner(entry))).collect(),
            groups: maps.groups()?.into_iter().collect(),
            sent: BTreeMap::new(),
        })
    }
}
