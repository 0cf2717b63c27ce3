//! How are the routes that files give a slave's netns added, deleted and listed? They are known by their protocol number.

use super::address::{addr, family_and_bytes};
use super::socket::{Netlink, about, unless_gone};
use super::uapi::*;
use super::wire::{Attribute, Message, Reply, attributes, read_u32};
use crate::error::Result;
use ipvl_core::{Addr, IfIndex};
use std::fmt;

/// The protocol number of routes and rules that came from files. As that of the routes to slaves, no other program has it.
pub const FROM_FILES: u8 = 158;
/// `struct rtmsg`.
const RTMSG: usize = 12;
const FLAGS: usize = 8;
const ONLINK: u32 = 4;

/// A route that a file gives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InsideRoute {
    /// The destination, and its length in bits of the address's own family.
    pub dst: (Addr, u8),
    /// Out of the slave, or nowhere.
    pub kind: RouteKind,
    /// The gateway; none if the destination is on the link.
    pub gateway: Option<Addr>,
    /// The lowest of several to one destination is used.
    pub metric: u32,
    /// The source address that it suggests.
    pub src: Option<Addr>,
    /// Its table.
    pub table: u32,
    /// In bytes; the device's by default.
    pub mtu: Option<u32>,
    /// Whether the gateway is on the link although no address says so.
    pub onlink: bool,
}

/// What becomes of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouteKind {
    /// They go out of the slave.
    Unicast,
    /// They are dropped.
    Blackhole,
    /// They are refused: no route to host.
    Unreachable,
    /// They are refused: prohibited.
    Prohibit,
}

impl RouteKind {
    /// The kinds, with the kernel's numbers and ip(8)'s words.
    const ALL: [(Self, u8, &'static str); 4] = [
        (Self::Unicast, RTN_UNICAST, ""),
        (Self::Blackhole, 6, "blackhole "),
        (Self::Unreachable, 7, "unreachable "),
        (Self::Prohibit, 8, "prohibit "),
    ];

    fn number(self) -> u8 {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or(RTN_UNICAST, |(_, number, _)| *number)
    }

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or("", |(.., word)| word)
    }
}

impl InsideRoute {
    /// The table that routes are in where nothing is said.
    pub const MAIN: u32 = RT_TABLE_MAIN;

    /// Whether the kernel takes only one of both in a netns.
    pub fn has_place_of(&self, other: &Self) -> bool {
        (self.dst, self.table, self.metric) == (other.dst, other.table, other.metric)
    }

    /// The metric that the kernel takes where none is given.
    pub fn default_metric(dst: Addr) -> u32 {
        if dst.as_v4().is_some() { 0 } else { 1024 }
    }
}

impl Netlink {
    /// Adds a route of a file. One of somebody else to the same destination with the same metric stays, and is an error.
    pub fn add_inside_route(&self, ifindex: IfIndex, route: &InsideRoute) -> Result<()> {
        let message = message(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, ifindex, route);
        self.order(about("add", &format_args!("route {route}")), message)
    }

    /// Deletes it, unless it is gone.
    pub fn delete_inside_route(&self, ifindex: IfIndex, route: &InsideRoute) -> Result<()> {
        let message = message(RTM_DELROUTE, NLM_F_ACK, ifindex, route);
        unless_gone(self.order(about("delete", &format_args!("route {route}")), message)).map(drop)
    }

    /// All routes of files in this netns, with their devices; those that lead nowhere have none.
    pub fn inside_routes(&self) -> Result<Vec<(IfIndex, InsideRoute)>> {
        self.all_routes(FROM_FILES, parse)
    }
}

fn parse(reply: Reply<'_>) -> Option<(IfIndex, InsideRoute)> {
    let (header, rest) = reply.payload.split_at_checked(RTMSG)?;
    let (kind, ..) = *RouteKind::ALL.iter().find(|(_, number, _)| *number == header[7])?;
    if header[5] != FROM_FILES {
        return None;
    }
    let default = if header[0] == libc::AF_INET as u8 { Addr::UNSPECIFIED_4 } else { Addr::UNSPECIFIED_6 };
    let (dst, table, onlink) = ((default, header[1]), u32::from(header[4]), read_u32(header, FLAGS) & ONLINK != 0);
    let mut route = InsideRoute { dst, kind, gateway: None, metric: 0, src: None, table, mtu: None, onlink };
    let mut oif = IfIndex::NONE;
    for attribute in attributes(rest) {
        match attribute.kind {
            RTA_DST => route.dst.0 = addr(attribute.value)?,
            RTA_OIF if kind == RouteKind::Unicast => oif = attribute.ifindex(),
            RTA_GATEWAY => route.gateway = addr(attribute.value),
            RTA_PRIORITY => route.metric = attribute.u32(),
            RTA_PREFSRC => route.src = addr(attribute.value),
            RTA_TABLE => route.table = attribute.u32(),
            RTA_METRICS => route.mtu = attribute.nested().find(|a| a.kind == RTAX_MTU).map(Attribute::u32),
            _ => {}
        }
    }
    Some((oif, route))
}

fn message(kind: u16, flags: u16, ifindex: IfIndex, route: &InsideRoute) -> Message {
    let (family, dst) = family_and_bytes(route.dst.0);
    let leads_out = route.kind == RouteKind::Unicast;
    let on_link = leads_out && route.gateway.is_none() && route.dst.0.as_v4().is_some();
    let scope = if on_link { RT_SCOPE_LINK } else { 0 };
    let mut header = [0; RTMSG];
    header[..2].copy_from_slice(&[family, route.dst.1]);
    header[5..8].copy_from_slice(&[FROM_FILES, scope, route.kind.number()]);
    header[FLAGS..].copy_from_slice(&if route.onlink { ONLINK } else { 0 }.to_ne_bytes());
    Message::new(kind, flags, &header)
        .bytes(RTA_DST, &dst)
        .option(leads_out.then_some(ifindex), |m, ifindex| m.ifindex(RTA_OIF, ifindex))
        .u32(RTA_TABLE, route.table)
        .u32(RTA_PRIORITY, route.metric)
        .option(route.gateway, |m, addr| m.bytes(RTA_GATEWAY, &family_and_bytes(addr).1))
        .option(route.src, |m, addr| m.bytes(RTA_PREFSRC, &family_and_bytes(addr).1))
        .option(route.mtu, |m, mtu| m.nest(RTA_METRICS, |m| m.u32(RTAX_MTU, mtu)))
}

/// As ip(8) prints it.
impl fmt::Display for InsideRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}/{}", self.kind.word(), self.dst.0, self.dst.1)?;
        self.gateway.map_or(Ok(()), |gateway| write!(f, " via {gateway}"))?;
        if self.table != RT_TABLE_MAIN {
            write!(f, " table {}", self.table)?;
        }
        self.src.map_or(Ok(()), |src| write!(f, " src {src}"))?;
        if self.metric != Self::default_metric(self.dst.0) {
            write!(f, " metric {}", self.metric)?;
        }
        self.mtu.map_or(Ok(()), |mtu| write!(f, " mtu {mtu}"))?;
        if self.onlink { f.write_str(" onlink") } else { Ok(()) }
    }
}
