//! What would happen to this packet, and why? Core itself decides, on a copy of the tables.

mod by_host;
mod explanation;
mod fate;
mod in_module;
mod judged;
mod route;

use crate::error::{Result, refused};
use crate::kernel::netlink::Netlink;
use crate::port::Port;
use crate::read::snapshot::Snapshot;
use crate::read::trace::Trace;
use crate::refusal::Refusal;
use crate::slave::find;
pub use explanation::Explanation;
use fate::Fate;
pub(super) use fate::obstacle;
pub use fate::remedy;
use in_module::ModulePort;
use ipvl_core::{
    Action, Flood, FloodThen, FloodTo, Frame, IfIndex, Mac, Owner, OwnerEntry, Reason, Reply, Slot, Tables, Verdict,
};
use judged::Policies;
use route::Router;
use std::collections::BTreeMap;

/// Where a frame is looked at.
pub struct Place<'a> {
    /// A connection to the master's netns.
    pub netlink: &'a Netlink,
    /// The master.
    pub master: IfIndex,
    /// The host end and the slot of the slave that sends it; none if the master receives it.
    pub source: Option<(IfIndex, Slot)>,
}

/// What happens to a frame that a slave sends or a master receives; `device` is the name of one of them.
pub fn explain(device: &str, frame: &[u8]) -> Result<Explanation> {
    let netlink = Netlink::open()?;
    if let Some(port) = in_module::find(&netlink, device)? {
        return explain_in_module(&netlink, &port, &frame);
    }
    let (port, source) = find_port(&netlink, device)?;
    let names = names(&netlink, &port)?;
    let place = Place { netlink: &netlink, master: port.master, source };
    let snapshot = Snapshot::read(&port)?;
    let told = explain_at(&place, &snapshot, names, &frame)?;
    match Policies::read(&netlink, &port, &snapshot)? {
        Some(policies) => policies.ask(source.map(|(_, slot)| slot), &frame, told),
        None => Ok(told),
    }
}

/// The same, by these tables; slaves are called by `names`.
pub fn explain_at(
    place: &Place<'_>,
    snapshot: &Snapshot,
    names: BTreeMap<Slot, String>,
    frame: &impl Frame,
) -> Result<Explanation> {
    let owner = ipvl_core::destination(frame).map(|dst| snapshot.owner(dst));
    let source = place.source.map(|(_, slot)| slot);
    explained(Trace::new(snapshot, names), source, frame, |decided| fate(decided, frame, place, owner))
}

/// A frame that a slave of our kernel module sends, or a master with such slaves receives.
fn explain_in_module(netlink: &Netlink, port: &ModulePort, frame: &impl Frame) -> Result<Explanation> {
    let owner = ipvl_core::destination(frame).map(|dst| port.snapshot.owner(dst));
    let tables = Trace::of_module(&port.snapshot, port.names.clone());
    let explanation =
        explained(tables, port.source, frame, |decided| by_host::fate(netlink, port, decided, frame, owner))?;
    let questions = explanation.questions.into_iter().chain(port.unknown.iter().cloned()).collect();
    Ok(Explanation { questions, ..explanation })
}

fn explained(
    tables: Trace<'_>,
    source: Option<Slot>,
    frame: &impl Frame,
    carry_out: impl FnOnce(Fate) -> Result<Fate>,
) -> Result<Explanation> {
    let verdict = match source {
        Some(slot) => ipvl_core::egress(frame, &tables, Some(slot)),
        None => ipvl_core::ingress(frame, &tables),
    };
    let text = sentence(verdict, frame, &tables);
    let Fate { verdict, notes, text, lost, remedy } = carry_out(Fate::of(verdict, text))?;
    let questions = tables.questions().into_iter().chain(notes).collect();
    Ok(Explanation { verdict, questions, text, lost, remedy })
}

/// What the kernel does with the frame after the decision; `owner` is that of its destination.
fn fate(decided: Fate, frame: &impl Frame, place: &Place<'_>, owner: Option<Owner>) -> Result<Fate> {
    let input = place.source.map_or(place.master, |(host_end, _)| host_end);
    let router = Router { netlink: place.netlink, master: place.master, input };
    let leaves = || obstacle(place.netlink, place.master);
    Ok(match (decided.verdict.action(), owner) {
        (Action::Route, _) => router.by_program(frame)?,
        (Action::Wire | Action::OnLink, _) => decided.unless(leaves()?),
        (Action::Host, Some(Owner::Slave(_))) => router.by_stack(frame)?,
        (Action::Host, Some(Owner::Nobody)) if place.source.is_some() => router.by_stack(frame)?,
        (Action::Drop(reason), _) => Fate::dropped(reason),
        // The program tries, and drops a solicitation behind extension headers, which no stack sends.
        (Action::Answer, _) if Reply::to(frame, Mac([0; 6])).is_none() => Fate::dropped(Reason::ActionFailed),
        (Action::Flood(Flood { then: FloodThen::Wire | FloodThen::WireAndHost, .. }), _) => match leaves()? {
            Some((why, remedy)) => Fate { remedy, text: format!("{}; but {why}", decided.text), ..decided },
            None => decided,
        },
        _ => decided,
    })
}

/// The port, and for a slave its host end and slot.
fn find_port(netlink: &Netlink, device: &str) -> Result<(Port, Option<(IfIndex, Slot)>)> {
    if let Ok(link) = find::link(netlink, device)
        && let Some(port) = Port::find(netlink, link.ifindex)?
    {
        return Ok((port, None));
    }
    match find::slave(netlink, device) {
        Ok(found) => Ok((found.port, Some((found.host_end.ifindex, found.slot)))),
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

fn sentence(verdict: Verdict, frame: &impl Frame, tables: &Trace<'_>) -> String {
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
fn joined(flood: Flood, frame: &impl Frame, tables: &Trace<'_>) -> String {
    match flood.group(frame).filter(|_| flood.to != FloodTo::Nobody) {
        Some(group) => {
            tables.members(group);
            tables.is_joining();
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
    /// Reads the tables of a port, except the digests of recent broadcasts and the transaction ids of DHCP requests.
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
            joining: maps.are_joins_unseen()?,
            asked: BTreeMap::new(),
        })
    }
}
