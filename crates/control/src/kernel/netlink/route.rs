//! How are the host's routes to slaves added, deleted and listed, and where does its default route lead?

use super::address::{addr, family_and_bytes};
use super::socket::{Netlink, about, unless_gone};
use super::uapi::*;
use super::wire::{Message, Reply, attributes};
use crate::error::Result;
use ipvl_core::{Addr, IfIndex};

/// `struct rtmsg`.
const RTMSG: usize = 12;
const NO_SCOPE: u8 = 0;

/// A route to a link, without a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteInfo {
    /// The destination.
    pub dst: Addr,
    /// In bits of the address's own family.
    pub prefix_len: u8,
    /// The link.
    pub oif: IfIndex,
    /// `RTPROT_*`.
    pub protocol: u8,
    /// Its table: [`RouteInfo::MAIN`], or that of a VRF.
    pub table: u32,
    /// The source address it suggests.
    pub prefsrc: Option<Addr>,
}

impl RouteInfo {
    /// The table of links that belong to no VRF.
    pub const MAIN: u32 = RT_TABLE_MAIN;

    fn is_same(&self, other: &Self) -> bool {
        (self.dst, self.prefix_len, self.oif, self.table) == (other.dst, other.prefix_len, other.oif, other.table)
    }
}

impl Netlink {
    /// Adds a route, unless there is one to the same destination with the same metric, whatever made that; whether the route
    /// is there now.
    pub fn add_route(&self, route: &RouteInfo) -> Result<bool> {
        let message = with_source(message(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, route), route);
        match self.order(about("add", route), message) {
            Err(error) if error.is_exists() => {
                let ours = self.routes_of_protocol(route.protocol)?;
                Ok(ours.iter().any(|other| other.is_same(route)))
            }
            other => other.map(|()| true),
        }
    }

    /// Gives a route another source address, in one step: no packet finds it missing. False if it is gone.
    pub fn change_route(&self, route: &RouteInfo) -> Result<bool> {
        let message = with_source(message(RTM_NEWROUTE, NLM_F_ACK | NLM_F_REPLACE, route), route);
        unless_gone(self.order(about("change", route), message)).map(|done| done.is_some())
    }

    /// Deletes a route; false if it is gone already.
    pub fn delete_route(&self, route: &RouteInfo) -> Result<bool> {
        let result = self.order(about("delete", route), message(RTM_DELROUTE, NLM_F_ACK, route));
        unless_gone(result).map(|done| done.is_some())
    }

    /// All routes of `protocol`, of both families and in any table.
    pub fn routes_of_protocol(&self, protocol: u8) -> Result<Vec<RouteInfo>> {
        let routes = self.all_routes(protocol, parse)?.into_iter();
        Ok(routes.filter(|route| route.protocol == protocol).collect())
    }

    /// The links of the default routes in the main table: IPv4's before IPv6's, the lowest metric first.
    pub fn default_route_links(&self) -> Result<Vec<IfIndex>> {
        let mut links = self.default_route_links_of(libc::AF_INET as u8)?;
        links.extend(self.default_route_links_of(libc::AF_INET6 as u8)?);
        Ok(links)
    }

    /// Whether there is a default route, in IPv4 and in IPv6.
    pub fn has_default_routes(&self) -> Result<(bool, bool)> {
        let has = |family: libc::c_int| Ok(!self.default_route_links_of(family as u8)?.is_empty());
        Ok((has(libc::AF_INET)?, has(libc::AF_INET6)?))
    }

    fn default_route_links_of(&self, family: u8) -> Result<Vec<IfIndex>> {
        let header = rtmsg(family, 0, RT_TABLE_UNSPEC, 0, NO_SCOPE, RTN_UNICAST);
        let message = || Message::new(RTM_GETROUTE, NLM_F_DUMP, &header).u32(RTA_TABLE, RT_TABLE_MAIN);
        let result = self.list(about("list", &"default routes"), message, parse_default);
        let mut links = unless_gone(result)?.unwrap_or_default();
        links.sort();
        Ok(links.into_iter().map(|(_, oif)| oif).collect())
    }

    /// The routes of both families that `parse` takes. Kernels that can, list only those of `protocol`, if it is not 0.
    pub(super) fn all_routes<T>(&self, protocol: u8, parse: fn(Reply<'_>) -> Option<T>) -> Result<Vec<T>> {
        let mut all = Vec::new();
        for family in [libc::AF_INET, libc::AF_INET6] {
            let header = rtmsg(family as u8, 0, RT_TABLE_UNSPEC, protocol, NO_SCOPE, 0);
            let message = || Message::new(RTM_GETROUTE, NLM_F_DUMP, &header);
            all.extend(unless_gone(self.list(about("list", &"routes"), message, parse))?.unwrap_or_default());
        }
        Ok(all)
    }
}

impl std::fmt::Display for RouteInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "route {}/{} to link {}", self.dst, self.prefix_len, self.oif)
    }
}

/// The route in a message, if it is one to a link.
pub(super) fn parse(reply: Reply<'_>) -> Option<RouteInfo> {
    let (header, rest) = reply.payload.split_at_checked(RTMSG)?;
    let default = if header[0] == libc::AF_INET as u8 { Addr::UNSPECIFIED_4 } else { Addr::UNSPECIFIED_6 };
    let (mut dst, mut oif, mut prefsrc, mut table) = (default, IfIndex::NONE, None, u32::from(header[4]));
    for attribute in attributes(rest) {
        match attribute.kind {
            RTA_DST => dst = addr(attribute.value)?,
            RTA_OIF => oif = attribute.ifindex(),
            RTA_PREFSRC => prefsrc = addr(attribute.value),
            RTA_TABLE => table = attribute.u32(),
            _ => {}
        }
    }
    Some(RouteInfo { dst, prefix_len: header[1], oif, protocol: header[5], table, prefsrc })
}

/// The metric and the link of a default route in use.
fn parse_default(reply: Reply<'_>) -> Option<(u32, IfIndex)> {
    let (header, rest) = reply.payload.split_at_checked(RTMSG)?;
    let is_default = header[1] == 0 && header[7] == RTN_UNICAST;
    let (mut metric, mut oif, mut table) = (0, None, u32::from(header[4]));
    for attribute in attributes(rest) {
        match attribute.kind {
            RTA_PRIORITY => metric = attribute.u32(),
            RTA_OIF => oif = Some(attribute.ifindex()),
            RTA_TABLE => table = attribute.u32(),
            _ => {}
        }
    }
    oif.filter(|_| is_default && table == RT_TABLE_MAIN).map(|oif| (metric, oif))
}

fn message(kind: u16, flags: u16, route: &RouteInfo) -> Message {
    let (family, dst) = family_and_bytes(route.dst);
    let header = rtmsg(family, route.prefix_len, RT_TABLE_UNSPEC, route.protocol, RT_SCOPE_LINK, RTN_UNICAST);
    Message::new(kind, flags, &header).bytes(RTA_DST, &dst).ifindex(RTA_OIF, route.oif).u32(RTA_TABLE, route.table)
}

fn with_source(message: Message, route: &RouteInfo) -> Message {
    message.option(route.prefsrc, |m, addr| m.bytes(RTA_PREFSRC, &family_and_bytes(addr).1))
}

fn rtmsg(family: u8, dst_len: u8, table: u8, protocol: u8, scope: u8, kind: u8) -> [u8; RTMSG] {
    [family, dst_len, 0, 0, table, protocol, scope, kind, 0, 0, 0, 0]
}
