//! By which routes does the host's stack reach a slave?

use crate::error::Result;
use crate::kernel::netlink::{AddressInfo, LinkInfo, Netlink, RouteInfo};
use crate::place::Place;
use crate::port::host_end::{HostEnd, place_of};
use crate::port::tables::PortMaps;
use ipvl_core::{Addr, IfIndex, Slot};
use std::cell::OnceCell;

/// The protocol number of the routes to slaves. It is among no other program's: iproute2 names none so, and FRR takes routes
/// with its own numbers (186 to 198) for its own, removes those that it does not know, and announces none.
pub const PROTOCOL: u8 = 157;

/// An address with the length of its prefix in bits of its own family.
pub type Prefix = (Addr, u8);

/// A route to a slave: its table and its destination.
pub type Route = (u32, Prefix);

/// A VRF: its ifindex and its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vrf {
    /// The device.
    pub ifindex: IfIndex,
    /// What its members are routed by.
    pub table: u32,
}

/// The route to one prefix, with the source address that the host uses.
pub fn route(host_end: IfIndex, (table, (dst, prefix_len)): Route, prefsrc: Option<Addr>) -> RouteInfo {
    RouteInfo { dst, prefix_len, oif: host_end, protocol: PROTOCOL, table, prefsrc }
}

/// The host's own addresses from which it may speak to the slaves of a master.
pub struct Sources {
    on_master: Vec<AddressInfo>,
    /// On all links, such as a bridge that the master belongs to; read when they are needed.
    elsewhere: OnceCell<Vec<AddressInfo>>,
}

impl Sources {
    /// Reads those on the master.
    pub fn read(netlink: &Netlink, master: IfIndex) -> Result<Self> {
        Ok(Self { on_master: netlink.addresses(Some(master), None)?, elsewhere: OnceCell::new() })
    }

    /// The host's address in the IPv4 network of a slave's address: the slave has a route to that one. One of the master's
    /// comes first. By default the kernel takes the host's first address. In IPv6 it chooses like this by itself (RFC 6724,
    /// rule 8).
    pub fn toward(&self, netlink: &Netlink, addr: Addr) -> Option<Addr> {
        let there = u32::from_be_bytes(addr.as_v4()?);
        let read = || netlink.addresses(None, None).unwrap_or_default();
        let mut on_master = near(&self.on_master, there);
        let on_other = || near(self.elsewhere.get_or_init(read), there).find(|info| !is_slave(netlink, info.ifindex));
        on_master.next().or_else(on_other).map(|info| info.addr)
    }
}

/// Those of these addresses of which the network has `there`.
fn near(infos: &[AddressInfo], there: u32) -> impl Iterator<Item = &AddressInfo> {
    infos.iter().filter(move |info| {
        let here = info.addr.as_v4().map(u32::from_be_bytes);
        let mask = !u32::MAX.checked_shr(info.prefix_len.into()).unwrap_or(0);
        here.is_some_and(|here| here & mask == there & mask)
    })
}

/// Whether a device of this netns is a slave: its addresses are not the host's. It is asked about the few devices that have
/// an address near: to list all links for each new route takes the longer, the more slaves there are.
fn is_slave(netlink: &Netlink, device: IfIndex) -> bool {
    let link = |ifindex| netlink.uncounted_link(ifindex, None).ok().flatten();
    let Some(itself) = link(device) else { return false };
    let other_end = itself.link.filter(|_| itself.link_netnsid.is_none()).and_then(link);
    let is_its_host_end = |end: &LinkInfo| HostEnd::of(end).is_some() && place_of(end) == Some(Place::here(device));
    is_its_host_end(&itself) || other_end.is_some_and(|end| is_its_host_end(&end))
}

/// The VRF that a link belongs to.
pub fn vrf_of(netlink: &Netlink, link: &LinkInfo) -> Result<Option<Vrf>> {
    let upper = link.master.map(|upper| netlink.link(upper, None)).transpose()?.flatten();
    Ok(upper.and_then(|upper| Some(Vrf { ifindex: upper.ifindex, table: upper.vrf_table? })))
}

/// The routing table of a link in this VRF, or in none.
pub fn table(vrf: Option<Vrf>) -> u32 {
    vrf.map_or(RouteInfo::MAIN, |vrf| vrf.table)
}

/// Adds routes to all addresses of a slave, before the slave changes to a mode in which the host's stack forwards to it. The
/// agent keeps them in sync from then on.
pub fn add_all(netlink: &Netlink, maps: &PortMaps, host_end: IfIndex, slot: Slot) -> Result<()> {
    let Some(link) = netlink.link(host_end, None)? else { return Ok(()) };
    let Some(HostEnd { master, .. }) = HostEnd::of(&link) else { return Ok(()) };
    let (table, sources) = (table(vrf_of(netlink, &link)?), Sources::read(netlink, master)?);
    for prefix in owned(maps, slot)? {
        netlink.add_route(&route(host_end, (table, prefix), sources.toward(netlink, prefix.0)))?;
    }
    Ok(())
}

fn owned(maps: &PortMaps, slot: Slot) -> Result<Vec<Prefix>> {
    let all = maps.owned()?.into_iter().filter(|(addr, _, entry)| entry.slot == slot && !addr.is_link_local());
    Ok(all.map(|(addr, bits, _)| (addr, addr.len_of(bits))).collect())
}

/// Whether the address is in the prefix.
pub fn covers((prefix, len): Prefix, addr: Addr) -> bool {
    let differing = u128::from_be_bytes(prefix.0) ^ u128::from_be_bytes(addr.0);
    prefix.full_len() == addr.full_len() && differing.leading_zeros() >= prefix.bits_of(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_uses_its_address_in_the_slaves_network() {
        let of = |addr, prefix_len| AddressInfo {
            ifindex: IfIndex(1),
            addr: Addr::v4(addr),
            prefix_len,
            scope: 0,
            flags: 0,
            created: 0,
        };
        let infos = [of([192, 0, 2, 1], 24), of([10, 0, 0, 1], 8), of([203, 0, 113, 1], 32)];
        let toward = |ip: [u8; 4]| near(&infos, u32::from_be_bytes(ip)).next().map(|info| info.addr);
        assert_eq!(toward([192, 0, 2, 80]), Some(Addr::v4([192, 0, 2, 1])));
        assert_eq!(toward([10, 9, 9, 9]), Some(Addr::v4([10, 0, 0, 1])));
        assert_eq!(toward([203, 0, 113, 2]), None);
    }
}
