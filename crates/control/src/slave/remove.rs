//! How are slaves removed, one or many?

use crate::error::{Result, refused};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::Netlink;
use crate::port::Port;
use crate::port::host_end::HostEnd;
use crate::refusal::Refusal;
use crate::slave::agent_client;
use crate::slave::find::SlaveNames;
use crate::slave::module::ModuleSlave;
use crate::slave::module_name::ModuleNames;
use ipvl_core::{IfIndex, Slot};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// Removes a slave, wherever it is.
pub fn delete(name: &str) -> Result<()> {
    delete_all(&[name.to_owned()])
}

/// Removes slaves, wherever they are, or none of them if one name belongs to no slave. Deleting a device waits until no CPU
/// uses it; devices that are deleted together wait only once.
pub fn delete_all(names: &[String]) -> Result<()> {
    let lock = Lock::acquire(LOCK_WAIT)?;
    let netlink = Netlink::open()?;
    let (in_module, pairs) = split(&netlink, names)?;
    let removals = find(&netlink, &pairs)?;
    in_module.iter().try_for_each(ModuleSlave::delete)?;
    if removals.is_empty() { Ok(()) } else { remove(lock, &netlink, removals) }
}

/// The slaves of the kernel module that have these names, and the names of the others.
fn split(netlink: &Netlink, names: &[String]) -> Result<(Vec<ModuleSlave>, Vec<String>)> {
    let (mut in_module, mut pairs): (Vec<ModuleSlave>, Vec<String>) = (Vec::new(), Vec::new());
    let mut known = ModuleNames::default();
    for name in names {
        if in_module.iter().any(|slave| slave.device.name == *name) {
            return Err(refused("find", name, Refusal::NoSlave));
        }
        match known.take(netlink, name)? {
            Some(slave) => in_module.push(slave),
            None => pairs.push(name.clone()),
        }
    }
    Ok((in_module, pairs))
}

/// Removes slaves, by their masters. After the last slave of all, waits for the agent to end.
pub(crate) fn remove(lock: Lock, netlink: &Netlink, removals: BTreeMap<IfIndex, Removal>) -> Result<()> {
    let slaves = removals.values().flat_map(|removal| &removal.slaves);
    let host_ends: Vec<IfIndex> = slaves.map(|(host_end, _)| *host_end).collect();
    match host_ends[..] {
        [host_end] => _ = netlink.delete_link(host_end)?,
        _ => netlink.delete_links(&host_ends)?,
    }
    let mut last = false;
    for Removal { mut port, slaves } in removals.into_values() {
        port.remove_slaves(netlink, &Vec::from_iter(slaves))?;
        last |= port.detach_if_unused(netlink)?;
    }
    drop(lock);
    if last && !has_slaves(netlink)? { agent_client::await_end() } else { Ok(()) }
}

/// Slaves of one port that are to be removed.
pub(crate) struct Removal {
    /// The port.
    pub port: Port,
    /// Host ends and slots.
    pub slaves: BTreeSet<(IfIndex, Slot)>,
}

/// The slaves of these names, by their masters.
fn find(netlink: &Netlink, names: &[String]) -> Result<BTreeMap<IfIndex, Removal>> {
    let mut slave_names = SlaveNames::default();
    let mut found: BTreeMap<IfIndex, Removal> = BTreeMap::new();
    for name in names {
        let none = || refused("find", name, Refusal::NoSlave);
        let link = slave_names.host_end(netlink, name)?;
        let HostEnd { master, slot } = HostEnd::of(&link).ok_or_else(none)?;
        let removal = match found.entry(master) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let port = Port::of_host_end(netlink, link.ifindex, master)?.ok_or_else(none)?;
                entry.insert(Removal { port, slaves: BTreeSet::new() })
            }
        };
        if !removal.slaves.insert((link.ifindex, slot)) {
            return Err(none());
        }
    }
    Ok(found)
}

fn has_slaves(netlink: &Netlink) -> Result<bool> {
    Ok(netlink.links(None)?.iter().any(|link| HostEnd::of(link).is_some()))
}
