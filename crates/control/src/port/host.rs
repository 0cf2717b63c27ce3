//! Which addresses are the host's own, so that no slave may own them?

use crate::error::Result;
use crate::kernel::netlink::{AddressInfo, Netlink};
use crate::port::host_end::{HostEnd, place_of};
use crate::port::tables::PortMaps;
use ipvl_core::{Addr, IfIndex, MoveReason, OwnerEntry, Router, Slot};
use std::collections::{BTreeMap, BTreeSet};

/// Prefixes longer than this have neither a network nor a broadcast address (RFC 3021).
const LONGEST_WITH_BROADCAST: u8 = 30;

/// The addresses on the host's own links.
pub struct HostAddresses(Vec<AddressInfo>);

impl HostAddresses {
    /// Reads them, once for all ports.
    pub fn read(netlink: &Netlink) -> Result<Self> {
        let slaves = local_slaves(netlink)?;
        let all = netlink.addresses(None, None)?.into_iter();
        Ok(Self(all.filter(|info| !slaves.contains(&info.ifindex)).collect()))
    }

    fn owned(&self) -> BTreeSet<Addr> {
        self.0.iter().flat_map(|info| std::iter::once(info.addr).chain(edges(info))).collect()
    }
}

/// Writes which addresses are the host's. The host takes precedence over every slave, whichever had the address first, and
/// finds room in a full table: the slave with most entries loses one. Adds to `evicted` the slots that lost an address, and
/// which, also if it fails then.
pub fn write_addresses(
    maps: &mut PortMaps,
    master: IfIndex,
    addresses: &HostAddresses,
    evicted: &mut Vec<(Slot, Addr)>,
) -> Result<()> {
    let host = addresses.owned();
    for (addr, entry) in maps.owners()? {
        if entry.slot == OwnerEntry::HOST && !host.contains(&addr) {
            maps.release(addr)?;
        }
    }
    write_router(maps, master, &addresses.0)?;
    let mut largest = None;
    for addr in host {
        let owner = maps.owner(addr)?.map(|entry| entry.slot);
        if owner == Some(OwnerEntry::HOST) {
            continue;
        }
        let entry = owner.map_or(OwnerEntry::host(), |slot| OwnerEntry::host().moved(slot, MoveReason::Host));
        if !maps.assign_if_room(addr, entry)? {
            let victims = match &mut largest {
                Some(victims) => victims,
                none => none.insert(Victims::read(maps)?),
            };
            evicted.extend(victims.evict(maps)?);
            maps.assign(addr, entry)?;
        }
        evicted.extend(owner.map(|slot| (slot, addr)));
    }
    Ok(())
}

/// The entries of slaves in a full table, by slot.
struct Victims(BTreeMap<Slot, Vec<Addr>>);

impl Victims {
    fn read(maps: &PortMaps) -> Result<Self> {
        let mut victims = Self(BTreeMap::new());
        for (addr, entry) in maps.owners()?.into_iter().filter(|(_, entry)| entry.slot != OwnerEntry::HOST) {
            victims.0.entry(entry.slot).or_default().push(addr);
        }
        Ok(victims)
    }

    /// Releases an address of the slave with most entries.
    fn evict(&mut self, maps: &mut PortMaps) -> Result<Option<(Slot, Addr)>> {
        let Some((slot, addrs)) = self.0.iter_mut().max_by_key(|(_, addrs)| addrs.len()) else { return Ok(None) };
        let Some(addr) = addrs.pop() else { return Ok(None) };
        maps.release(addr)?;
        Ok(Some((*slot, addr)))
    }
}

/// ICMP errors to slaves come from the master's own addresses.
fn write_router(maps: &mut PortMaps, master: IfIndex, addresses: &[AddressInfo]) -> Result<()> {
    let masters = addresses.iter().filter(|info| info.ifindex == master);
    let (v4, mut v6): (Vec<&AddressInfo>, Vec<&AddressInfo>) = masters.partition(|info| info.addr.as_v4().is_some());
    v6.sort_by_key(|info| info.scope);
    let v4 = v4.first().and_then(|info| info.addr.as_v4()).unwrap_or_default();
    let v6 = v6.first().map_or(Addr::UNSPECIFIED_6, |info| info.addr);
    maps.set_router(Router { v4, v6 })
}

/// The slaves, of any port, in this netns: their addresses are not the host's.
fn local_slaves(netlink: &Netlink) -> Result<BTreeSet<IfIndex>> {
    let links = netlink.links(None)?;
    let places = links.iter().filter(|link| HostEnd::of(link).is_some()).filter_map(place_of);
    Ok(places.filter(|place| place.netns.is_none()).map(|place| place.ifindex).collect())
}

/// The first and the last address of the IPv4 network that an address is in (RFC 1122, 3.2.1.3; RFC 919): they stand for
/// the network and for all its stations. IPv6 has no broadcast, and the first address of a network, the routers' anycast
/// address (RFC 4291, 2.6.1), is one that a router owns.
pub fn edges(info: &AddressInfo) -> Vec<Addr> {
    edges_of(info.addr, info.prefix_len)
}

/// The same, of an address with a prefix length.
pub fn edges_of(addr: Addr, prefix_len: u8) -> Vec<Addr> {
    match addr.as_v4() {
        Some(ip) if prefix_len <= LONGEST_WITH_BROADCAST => {
            let host_bits = u32::MAX.checked_shr(prefix_len.into()).unwrap_or(0);
            let ip = u32::from_be_bytes(ip);
            [ip & !host_bits, ip | host_bits].map(|edge| Addr::v4(edge.to_be_bytes())).to_vec()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_two_edges_and_a_point_to_point_link_none() {
        let info = |prefix_len| AddressInfo {
            ifindex: IfIndex(1),
            addr: Addr::v4([10, 0, 7, 9]),
            prefix_len,
            scope: 0,
            flags: 0,
            created: 0,
        };
        assert_eq!(edges(&info(24)), [Addr::v4([10, 0, 7, 0]), Addr::v4([10, 0, 7, 255])]);
        assert!(edges(&info(31)).is_empty() && edges(&info(32)).is_empty());
    }
}
