//! What did a killed command leave half done, and how is it undone?

use crate::error::Result;
use crate::kernel::netlink::{LinkInfo, NEW_GROUP, Netlink};
use crate::port::Port;
use crate::port::host_end::HostEnd;
use ipvl_core::IfIndex;
use std::collections::{BTreeMap, BTreeSet};

/// Removes entries without a device, and devices without an entry. The caller has the lock, so no command is at work on any
/// of them.
pub fn tidy(netlink: &Netlink, ports: &mut BTreeMap<IfIndex, Port>) -> Result<()> {
    let links = netlink.links(None)?;
    let present: BTreeSet<IfIndex> = links.iter().map(|link| link.ifindex).collect();
    for port in ports.values_mut() {
        let mut gone = port.maps.slots()?;
        gone.retain(|(host_end, _)| !present.contains(host_end));
        port.remove_slaves(netlink, &gone)?;
    }
    for link in &links {
        if is_half_made(link, ports, &present)? && !may_be_complete(netlink, link) {
            netlink.delete_link(link.ifindex)?;
        }
    }
    Ok(())
}

/// All ports of this netns by their masters. A master that came back under another ifindex is taken in. The caller has the
/// lock.
pub fn ports(netlink: &Netlink) -> Result<BTreeMap<IfIndex, Port>> {
    let mut ports: BTreeMap<IfIndex, Port> =
        Port::all_repaired(netlink)?.into_iter().map(|port| (port.master, port)).collect();
    for port in ports.values_mut() {
        if let (true, Some(link)) = (port.is_back()?, netlink.link(port.master, None)?) {
            port.master_returned(netlink, &link, false)?;
        }
    }
    Ok(ports)
}

fn is_half_made(link: &LinkInfo, ports: &BTreeMap<IfIndex, Port>, present: &BTreeSet<IfIndex>) -> Result<bool> {
    let Some(described) = HostEnd::of(link) else { return Ok(link.group == NEW_GROUP) };
    let entry = ports.get(&described.master).map(|port| port.maps.slot_of(link.ifindex)).transpose()?.flatten();
    Ok(entry != Some(described.slot) || !present.contains(&described.master))
}

/// Whether a device that looks half made is a slave with a master that has left and may return, or of another version.
fn may_be_complete(netlink: &Netlink, link: &LinkInfo) -> bool {
    match Port::departed(netlink, link.ifindex) {
        Ok(Some(port)) => {
            let slot = port.maps.slot_of(link.ifindex).ok().flatten();
            HostEnd::of(link).is_some_and(|described| slot == Some(described.slot))
        }
        Ok(None) => false,
        Err(_) => true,
    }
}
