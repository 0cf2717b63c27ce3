//! By which routes does the host's stack reach a slave?

use crate::error::Result;
use crate::netlink::{Netlink, RouteInfo};
use crate::plan::{Prefix, is_link_local};
use crate::tables::PortMaps;
use ipvl_core::{Addr, Slot};

/// The routes to slaves carry this protocol number (`/etc/iproute2/rt_protos` leaves it free).
pub const PROTOCOL: u8 = 197;

/// The route to one prefix.
pub fn route(host_end: u32, (dst, prefix_len): Prefix) -> RouteInfo {
    RouteInfo { dst, prefix_len, oif: host_end, protocol: PROTOCOL, prefsrc: None }
}

/// Leads the host's stack to all that a slave owns, before the slave changes to a mode in which its packets come that
/// way. The agent takes care of them from then on.
pub fn prepare(netlink: &Netlink, maps: &PortMaps, host_end: u32, slot: Slot) -> Result<()> {
    for prefix in owned(maps, slot)? {
        netlink.add_route(&route(host_end, prefix))?;
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
