//! How are slaves removed, one or many?

use crate::error::{Result, refused};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::Netlink;
use crate::port::Port;
use crate::port::host_end::HostEnd;
use crate::refusal::Refusal;
use crate::slave::agent_client;
use crate::slave::find::Directory;
use ipvl_core::Slot;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// Removes a slave, wherever it is.
pub fn delete(name: &str) -> Result<()> {
    delete_all(&[name.to_owned()])
}

/// Removes slaves, wherever they are, or none if one of the names is not a slave's. Deleting a device waits until no CPU
/// uses it; all together wait once.
pub fn delete_all(names: &[String]) -> Result<()> {
    let lock = Lock::acquire(LOCK_WAIT)?;
    let netlink = Netlink::open()?;
    let doomed = find(&netlink, names)?;
    take_out(lock, &netlink, doomed)
}

/// Removes them, and with the last one waits for the agent's end.
pub(crate) fn take_out(lock: Lock, netlink: &Netlink, doomed: BTreeMap<u32, Doomed>) -> Result<()> {
    let host_ends: Vec<u32> =
        doomed.values().flat_map(|(_, slaves)| slaves.iter().map(|(host_end, _)| *host_end)).collect();
    match host_ends[..] {
        [host_end] => _ = netlink.delete_link(host_end)?,
        _ => netlink.delete_links(&host_ends)?,
    }
    let mut last = false;
    for (mut port, slaves) in doomed.into_values() {
        port.remove_slaves(netlink, &Vec::from_iter(slaves))?;
        last |= port.detach_if_unused(netlink)?;
    }
    drop(lock);
    if last && !has_slaves(netlink)? { agent_client::await_end() } else { Ok(()) }
}

/// A port, and which of its slaves are to go: host ends and slots.
pub(crate) type Doomed = (Port, BTreeSet<(u32, Slot)>);

/// The slaves of these names, by their masters.
fn find(netlink: &Netlink, names: &[String]) -> Result<BTreeMap<u32, Doomed>> {
    let mut directory = Directory::default();
    let mut found: BTreeMap<u32, Doomed> = BTreeMap::new();
    for name in names {
        let none = || refused("find", name, Refusal::NoSlave);
        let link = directory.host_end(netlink, name)?;
        let HostEnd { master, slot } = HostEnd::of(&link).ok_or_else(none)?;
        let (_, slaves) = match found.entry(master) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let port = Port::of_host_end(netlink, link.ifindex, master)?.ok_or_else(none)?;
                unknown.insert((port, BTreeSet::new()))
            }
        };
        if !slaves.insert((link.ifindex, slot)) {
            return Err(none());
        }
    }
    Ok(found)
}

fn has_slaves(netlink: &Netlink) -> Result<bool> {
    Ok(netlink.links(None)?.iter().any(|link| HostEnd::of(link).is_some()))
}
