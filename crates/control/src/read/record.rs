//! What is known of a slave besides its own device: from its host end, its master and the table?

use crate::error::Result;
use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::port::Port;
use crate::port::host_end::HostEnd;
use crate::rate::Rates;
use crate::slave::peers::peer_of;
use crate::slave::rates::{has_input_limit, rates};
use ipvl_core::{IfIndex, Mac, PortEntry, Slave, Slot};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Stands for a name that cannot be read.
pub const UNKNOWN: &str = "?";

/// A slave, without its own device.
#[derive(Clone)]
pub struct SlaveRecord {
    /// The host end.
    pub host_end: LinkInfo,
    /// The master. If it is not here, only its ifindex is known.
    pub master: Rc<LinkInfo>,
    /// Whether the table says that the master has left.
    pub master_gone: bool,
    /// Whether the master does not run its program.
    pub unattached: bool,
    /// Its slot.
    pub slot: Slot,
    /// Its entry in the table.
    pub slave: Slave,
    /// The limits of its rates.
    pub rates: Rates,
    /// The groups that it has joined. Only [`slave_records`] reads them.
    pub groups: Vec<Mac>,
}

/// The slave behind a host end, once its entry is in the table.
pub fn slave_record(netlink: &Netlink, host_end: IfIndex) -> Result<Option<SlaveRecord>> {
    let Some(host_end) = netlink.link(host_end, None)? else { return Ok(None) };
    let Some(described) = HostEnd::of(&host_end) else { return Ok(None) };
    let Some(port) = Port::of_host_end(netlink, host_end.ifindex, described.master)? else { return Ok(None) };
    if port.maps.slot_of(host_end.ifindex)? != Some(described.slot) {
        return Ok(None);
    }
    let (slot, slave) = (described.slot, port.maps.slave(described.slot)?);
    let (master, master_gone) = (Rc::new(master_of(netlink, &port)?), is_master_gone(&port)?);
    let unattached = port.is_departed();
    let rates = rates(netlink, &port, &host_end, slot)?;
    Ok(Some(SlaveRecord { host_end, master, master_gone, unattached, slot, slave, rates, groups: Vec::new() }))
}

/// All slaves of all masters in this netns, in the order of their masters and slots.
pub fn slave_records(netlink: &Netlink) -> Result<Vec<SlaveRecord>> {
    let mut host_ends: BTreeMap<IfIndex, LinkInfo> =
        netlink.links(None)?.into_iter().filter(|l| HostEnd::of(l).is_some()).map(|l| (l.ifindex, l)).collect();
    let mut records = Vec::new();
    for port in Port::all(netlink)? {
        let master = master_of(netlink, &port)?;
        records.extend(records_of(netlink, &port, &master, is_master_gone(&port)?, &mut host_ends)?);
    }
    Ok(records)
}

/// The slaves of one port, in the order of their slots. Their host ends are taken out of `host_ends`.
pub fn records_of(
    netlink: &Netlink,
    port: &Port,
    master: &LinkInfo,
    master_gone: bool,
    host_ends: &mut BTreeMap<IfIndex, LinkInfo>,
) -> Result<Vec<SlaveRecord>> {
    let (mut joined, unattached) = (groups_by_slot(port)?, port.is_departed());
    // In this order: a slave that is being added is written before its slot can be found.
    let (slots, slaves) = (port.maps.slots()?, port.maps.slaves()?);
    let (mut records, master) = (Vec::new(), Rc::new(master.clone()));
    for (ifindex, slot) in slots {
        let Some(host_end) = host_ends.remove(&ifindex) else { continue };
        // The highest slot in use is raised last: a slave above it is read by itself.
        let slave = slaves.get(slot.0 as usize).map_or_else(|| port.maps.slave(slot), |slave| Ok(*slave))?;
        let (master, groups) = (Rc::clone(&master), joined.remove(&slot).unwrap_or_default());
        let output = if slave.is_limited() { port.maps.rate(slot)? } else { None };
        let rates = Rates { input: None, output };
        records.push(SlaveRecord { host_end, master, master_gone, unattached, slot, slave, rates, groups });
    }
    add_input_rates(netlink, &mut records)?;
    Ok(records)
}

/// The groups that slaves have joined, sorted.
fn groups_by_slot(port: &Port) -> Result<BTreeMap<Slot, Vec<Mac>>> {
    let mut joined = BTreeMap::<_, Vec<_>>::new();
    for (group, members) in port.maps.groups()? {
        members.slots().for_each(|slot| joined.entry(slot).or_default().push(group.mac));
    }
    joined.values_mut().for_each(|groups| groups.sort());
    Ok(joined)
}

/// Adds the limits of what slaves get, which are their host ends'.
fn add_input_rates(netlink: &Netlink, records: &mut [SlaveRecord]) -> Result<()> {
    if !records.iter().any(|record| has_input_limit(&record.host_end)) {
        return Ok(());
    }
    let limits = netlink.limits()?;
    records.iter_mut().for_each(|record| record.rates.input = limits.get(&record.host_end.ifindex).copied());
    Ok(())
}

/// The slave's device, empty if it cannot be read: one unreadable slave must not hide the others.
pub fn readable_peer(netlink: &Netlink, host_end: &LinkInfo) -> LinkInfo {
    peer_of(netlink, host_end).ok().flatten().unwrap_or_default()
}

/// The master of a port. If it is not here, only its ifindex is known.
pub fn master_of(netlink: &Netlink, port: &Port) -> Result<LinkInfo> {
    Ok(netlink.link(port.master, None)?.unwrap_or_else(|| absent(port.master)))
}

/// A master that is not here.
pub fn absent(master: IfIndex) -> LinkInfo {
    LinkInfo { ifindex: master, name: UNKNOWN.to_owned(), ..LinkInfo::default() }
}

/// A name to show.
pub fn shown_name(name: String) -> String {
    if name.is_empty() { UNKNOWN.to_owned() } else { name }
}

/// Whether the table says that the master has left this netns.
pub fn is_master_gone(port: &Port) -> Result<bool> {
    Ok(port.maps.port()?.has(PortEntry::MASTER_GONE))
}
