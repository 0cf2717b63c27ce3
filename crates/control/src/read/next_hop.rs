//! To which next hop, and to which MAC address, does a slave's own stack send? Its netns says: its routes and neighbours.

use crate::error::{Result, refused};
use crate::kernel::netlink::{ChosenRoute, Netlink};
use crate::port::host_end::is_tap;
use crate::refusal::Refusal;
use crate::slave::find;
use crate::slave::module_name::ModuleNames;
use crate::text::prefix_text;
use ipvl_core::{Addr, IfIndex, Mac};

/// What a slave's own stack does with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The next hop: a gateway, or the destination itself.
    pub addr: Addr,
    /// Its MAC address, if the slave's neighbour table has it.
    pub mac: Option<Mac>,
    /// The source address that the route suggests.
    pub source: Option<Addr>,
    /// What was asked, with the answers.
    pub notes: Vec<String>,
    /// Why the slave sends nothing to it, and what to do; none if it sends.
    pub silent: Option<(String, String)>,
}

/// The next hop of a slave's packets to `to`. None for a tap device: the guest's tables cannot be read.
pub fn next_hop(slave: &str, to: Addr) -> Result<Option<NextHop>> {
    let netlink = Netlink::open()?;
    if let Some(slave) = ModuleNames::default().take(&netlink, slave)? {
        return look_up(&slave.netlink, slave.device.ifindex, to).map(Some);
    }
    let found = find::slave(&netlink, slave)?;
    if is_tap(&found.host_end) {
        return Ok(None);
    }
    found.in_its_netns(&netlink, |there, ifindex| look_up(there, ifindex, to)).map(Some)
}

fn look_up(there: &Netlink, ifindex: IfIndex, to: Addr) -> Result<NextHop> {
    let gone = || refused("find", "the slave's device", Refusal::NoSlave);
    let device = there.link(ifindex, None)?.ok_or_else(gone)?;
    let name = &device.name;
    let silent = |why: String, remedy: String| NextHop {
        addr: to,
        mac: None,
        source: None,
        notes: Vec::new(),
        silent: Some((why, remedy)),
    };
    if !device.is_up() {
        return Ok(silent(format!("{name} is down"), format!("ip -n NETNS link set dev {name} up")));
    }
    let Some(route) = there.route_to(to, None, None)? else {
        let why = format!("{name}'s own stack has no route to {to}");
        return Ok(silent(
            why,
            format!("add one where {name} is: ip -n NETNS route add default dev {name}, or via a router"),
        ));
    };
    if route.is_local() {
        return Ok(silent(format!("{to} is an address of {name}'s own netns"), String::new()));
    }
    if route.oif != ifindex {
        let other = there.link(route.oif, None)?.unwrap_or_default().name;
        let why = format!("{name}'s own stack sends to {to} by {other}");
        return Ok(silent(why, format!("change the route where {name} is: ip -n NETNS route get {to}")));
    }
    resolve(there, name, route, to)
}

fn resolve(there: &Netlink, name: &str, route: ChosenRoute, to: Addr) -> Result<NextHop> {
    if route.is_broadcast() {
        let notes = vec![format!("what does {name}'s own routing table say of {to}? it is a broadcast address")];
        return Ok(NextHop { addr: to, mac: Some(Mac::BROADCAST), source: route.source, notes, silent: None });
    }
    let addr = route.gateway.unwrap_or(to);
    let via = route.gateway.map_or_else(|| "on the link".to_owned(), |gateway| format!("via {gateway}"));
    let matched = prefix_text(there.matched_prefix(to, None));
    let mut notes = vec![format!("what does {name}'s own routing table say of {to}? {matched}{via}")];
    let device = there.link(route.oif, None)?.unwrap_or_default();
    let mut mac = None;
    if device.flags & libc::IFF_NOARP as u32 == 0 {
        let found = there.neighbour(route.oif, addr)?;
        mac = found.and_then(|found| found.resolved());
        let answer = match (found, mac) {
            (Some(found), Some(mac)) => format!("{mac} ({})", found.word()),
            (Some(found), None) => format!("unresolved ({}): nothing answered", found.word()),
            (None, _) => "unresolved: it asks first".to_owned(),
        };
        notes.push(format!("which MAC address does {name} have for {addr}? {answer}"));
    }
    Ok(NextHop { addr, mac, source: route.source, notes, silent: None })
}
