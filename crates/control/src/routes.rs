//! By which routes does the host's stack reach a slave?

use crate::error::Result;
use crate::netlink::{LinkInfo, Netlink, RouteInfo};
use crate::plan::{Prefix, is_link_local};
use crate::tables::PortMaps;
use ipvl_core::{Addr, Slot};

/// The routes to slaves carry this protocol number (`/etc/iproute2/rt_protos` leaves it free).
pub const PROTOCOL: u8 = 197;

/// A route to a slave: its table and its destination.
pub type Route = (u32, Prefix);

/// A VRF: its ifindex and its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vrf {
    /// The device.
    pub ifindex: u32,
    /// What its members are routed by.
    pub table: u32,
}

/// The route to one prefix.
pub fn route(host_end: u32, (table, (dst, prefix_len)): Route) -> RouteInfo {
    RouteInfo { dst, prefix_len, oif: host_end, protocol: PROTOCOL, table, prefsrc: None }
}

/// The VRF that a link belongs to.
pub fn vrf_of(netlink: &Netlink, link: &LinkInfo) -> Result<Option<Vrf>> {
    let upper = link.master.map(|upper| netlink.link(upper, None)).transpose()?.flatten();
    Ok(upper.and_then(|upper| Some(Vrf { ifindex: upper.ifindex, table: upper.vrf_table? })))
}

/// The table by which the host's stack routes what comes in or goes out there.
pub fn table(vrf: Option<Vrf>) -> u32 {
    vrf.map_or(RouteInfo::MAIN, |vrf| vrf.table)
}

/// Leads the host's stack to all that a slave owns, before the slave changes to a mode in which its packets come that
/// way. The agent takes care of them from then on.
pub fn prepare(netlink: &Netlink, maps: &PortMaps, host_end: u32, slot: Slot) -> Result<()> {
    let Some(link) = netlink.link(host_end, None)? else { return Ok(()) };
    let table = table(vrf_of(netlink, &link)?);
    for prefix in owned(maps, slot)? {
        netlink.add_route(&route(host_end, (table, prefix)))?;
    }
    Ok(())
}

fn owned(maps: &PortMaps, slot: Slot) -> Result<Vec<Prefix>> {
    let all = maps.owned()?.into_iter().filter(|(addr, _, entry)| entry.slot == slot.0 && !is_link_local(*addr));
    Ok(all.map(|(addr, bits, _)| (addr, family_len(addr, bits))).collect())
}

/// A length in bits of a 16-byte address, in bits of the address's own family.
pub fn family_len(addr: Addr, bits: u32) -> u8 {
    (if addr.as_v4().is_some() { bits.saturating_sub(96) } else { bits }) as u8
}
