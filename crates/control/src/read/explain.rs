//! What would happen to this packet, and why? The core itself, run on a copy of the tables.

use crate::error::{Result, refused};
use crate::kernel::netlink::Netlink;
use crate::port::Port;
use crate::read::snapshot::{Asked, Snapshot};
use crate::refusal::Refusal;
use crate::slave::find;
use ipvl_core::{Action, Flood, FloodTo, Owner, OwnerEntry, Slot, Tables, Then, Verdict};
use std::collections::BTreeMap;

/// A verdict with its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What becomes of the frame.
    pub verdict: Verdict,
    /// What the decision asked the tables, and what they answered.
    pub questions: Vec<String>,
    /// The verdict in a sentence.
    pub text: String,
}

/// What becomes of a frame that a slave sends, or that a master receives, going by `device`'s name.
pub fn explain(device: &str, frame: &[u8]) -> Result<Explanation> {
    let netlink = Netlink::open()?;
    let (port, slot) = place(&netlink, device)?;
    let snapshot = Snapshot::read(&port)?;
    let asked = Asked::new(&snapshot, names(&netlink, &port)?);
    let verdict = match slot {
        Some(slot) => ipvl_core::egress(&frame, &asked, Some(slot)),
        None => ipvl_core::ingress(&frame, &asked),
    };
    let text = sentence(verdict, frame, &asked);
    Ok(Explanation { verdict, text, questions: asked.questions() })
}

fn place(netlink: &Netlink, device: &str) -> Result<(Port, Option<Slot>)> {
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

fn sentence(verdict: Verdict, frame: &[u8], asked: &Asked<'_>) -> String {
    match verdict.action() {
        Action::Deliver(slot) => format!("delivered to {}", asked.name(slot)),
        Action::Flood(flood) => {
            format!("{}{}, then {}", audience(flood.to, asked), joined(flood, frame, asked), then(flood.then))
        }
        Action::Wire => "sent out of the master as it is".to_owned(),
        Action::Route => "sent out by the host's routing table".to_owned(),
        Action::OnLink => "sent out of the master, straight to its destination".to_owned(),
        Action::Host => "passed to the host's stack".to_owned(),
        Action::Answer => "answered on the spot: the address is at the shared MAC".to_owned(),
        Action::Drop(reason) => format!("dropped as {reason}:{}", reason.meaning()),
    }
}

fn audience(to: FloodTo, asked: &Asked<'_>) -> String {
    match to {
        FloodTo::Nobody => "copied to no sibling".to_owned(),
        FloodTo::One(slot) => format!("copied to {}", asked.name(slot)),
        FloodTo::All => "copied to all l2 slaves that are up".to_owned(),
        FloodTo::Bridged => "copied to all l2 siblings with flag bridge that are up".to_owned(),
        FloodTo::Reflected(_) => "copied to those l2 slaves that the switch alone connects with the sender".to_owned(),
    }
}

/// Who has to have joined which group for a copy.
fn joined(flood: Flood, frame: &[u8], asked: &Asked<'_>) -> String {
    match flood.group(&frame).filter(|_| flood.to != FloodTo::Nobody) {
        Some(group) => {
            asked.members(group);
            format!(" and have joined {}", group.mac)
        }
        None => String::new(),
    }
}

fn then(then: Then) -> &'static str {
    match then {
        Then::Wire => "sent out of the master",
        Then::WireAndHost => "sent out of the master and passed to the host's stack",
        Then::Host => "passed to the host's stack",
        Then::Nowhere => "nowhere else",
    }
}

impl Snapshot {
    /// Reads the tables of a port. Who broadcast what a moment ago is not part of it.
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
