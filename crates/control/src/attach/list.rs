//! Which slaves does an engine have, and what are they like?

use super::attachment::{Attached, Attachment};
use crate::error::Result;
use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::kernel::netns;
use crate::port::Port;
use crate::port::host_end::{HostEnd, owner_of};
use crate::rate::Rates;
use crate::slave::module::{self, ModuleSlave};
use crate::slave::module_owner;
use crate::slave::peers::peer_of;
use crate::slave::rates::rates;
use ipvl_core::{Addr, IfIndex, Mac, Slot};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;

/// What each slot of a port owns.
type Owned = BTreeMap<Slot, Vec<(Addr, u8)>>;

/// Ports that were read already, by master: with the master's name, and what its slaves own.
pub type PortCache = BTreeMap<IfIndex, (Port, Option<String>, Owned)>;

/// The slaves with an owner that begins with `owner_prefix`.
pub fn attached(owner_prefix: &str) -> Result<Vec<Attached>> {
    let netlink = Netlink::open()?;
    let mut ports = PortCache::new();
    let mut all = Vec::new();
    for link in owned(&netlink, |owner| owner.starts_with(owner_prefix))? {
        all.extend(describe(&netlink, &link, &mut ports)?);
    }
    for slave in module_owner::owned(&netlink, |owner| owner.starts_with(owner_prefix))? {
        all.push(describe_in_module(&netlink, &slave)?);
    }
    Ok(all)
}

/// The host ends of slaves with an owner for which `is_meant` is true.
pub fn owned(netlink: &Netlink, is_meant: impl Fn(&str) -> bool) -> Result<Vec<LinkInfo>> {
    let links = netlink.links(None)?.into_iter();
    Ok(links.filter(|link| owner_of(link).is_some_and(&is_meant)).collect())
}

/// The slave behind a host end, if it is in the table.
pub fn describe(netlink: &Netlink, host_end: &LinkInfo, ports: &mut PortCache) -> Result<Option<Attached>> {
    let Some(HostEnd { master, slot }) = HostEnd::of(host_end) else { return Ok(None) };
    let (port, name, owned) = match ports.entry(master) {
        Entry::Occupied(cached) => cached.into_mut(),
        Entry::Vacant(unread) => {
            let Some(port) = Port::of_host_end(netlink, host_end.ifindex, master)? else { return Ok(None) };
            let (name, owned) = (netlink.link(master, None)?.map(|link| link.name), owned_by_slot(&port)?);
            unread.insert((port, name, owned))
        }
    };
    if port.maps.slot_of(host_end.ifindex)? != Some(slot) {
        return Ok(None);
    }
    let device = peer_of(netlink, host_end).ok().flatten();
    Ok(Some(Attached {
        owner: owner_of(host_end).unwrap_or_default().to_owned(),
        ifindex: device.as_ref().map_or(IfIndex::NONE, |device| device.ifindex),
        netnsid: host_end.link_netnsid,
        mtu: device.as_ref().map_or(host_end.mtu, |device| device.mtu),
        name: device.map(|device| device.name),
        master: name.clone(),
        in_module: false,
        host_end: (host_end.ifindex, host_end.name.clone()),
        mac: host_end.mac.unwrap_or(Mac([0; 6])),
        mode: port.maps.slave(slot)?.mode(),
        rates: rates(netlink, port, host_end, slot)?,
        addresses: owned.get(&slot).cloned().unwrap_or_default(),
    }))
}

/// A slave of our kernel module. Its addresses are those on its device, and those that are declared for it.
pub fn describe_in_module(netlink: &Netlink, slave: &ModuleSlave) -> Result<Attached> {
    let device = &slave.device;
    let on_device = slave.netlink.addresses(Some(device.ifindex), None)?.into_iter().map(|info| info.addr);
    let addresses: BTreeSet<Addr> = on_device.chain(slave.declared_addresses()).collect();
    Ok(Attached {
        owner: module_owner::owner_of(device).unwrap_or_default().to_owned(),
        name: Some(device.name.clone()),
        ifindex: device.ifindex,
        netnsid: slave.netnsid,
        master: netlink.link(slave.master, None)?.map(|link| link.name),
        in_module: true,
        host_end: (device.ifindex, device.name.clone()),
        mac: device.mac.unwrap_or(Mac([0; 6])),
        mtu: device.mtu,
        mode: slave.options().mode,
        rates: Rates::default(),
        addresses: addresses.into_iter().map(|addr| (addr, addr.full_len())).collect(),
    })
}

/// The module's slave of this owner in the netns where it was made: elsewhere another may have given itself that name.
pub fn in_its_netns(netlink: &Netlink, wanted: &Attachment) -> Result<Option<ModuleSlave>> {
    let netns = wanted.spec.netns.as_ref().map(netns::open).transpose()?;
    let id = netns.map_or(Ok(None), |there| module::id_of(netlink, there.as_fd()))?;
    let found = module_owner::owned(netlink, |owner| owner == wanted.owner)?;
    Ok(found.into_iter().find(|slave| slave.netnsid == id))
}

fn owned_by_slot(port: &Port) -> Result<Owned> {
    let mut by_slot = Owned::new();
    for (addr, bits, entry) in port.maps.owned()? {
        by_slot.entry(entry.slot).or_default().push((addr, addr.len_of(bits)));
    }
    by_slot.values_mut().for_each(|addresses| addresses.sort());
    Ok(by_slot)
}
