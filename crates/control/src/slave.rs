//! How are slaves made and changed?

pub(crate) mod adding;
pub(crate) mod agent_client;
pub(crate) mod alias_event;
pub(crate) mod backend;
mod check;
pub(crate) mod declare;
mod device_change;
pub(crate) mod find;
pub(crate) mod flowtable;
pub(crate) mod module;
pub(crate) mod module_name;
pub(crate) mod module_owner;
pub(crate) mod parent;
pub(crate) mod peers;
pub(crate) mod rates;
pub(crate) mod remove;
pub(crate) mod routes;
pub(crate) mod tap;
pub(crate) mod tidy;
pub(crate) mod upgrade;
pub(crate) mod uplink;

use crate::error::{Result, refused};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::{LinkChange, LinkInfo, Netlink};
use crate::kernel::netns;
use crate::model::{Change, LinkSpec};
use crate::policy_words::PolicyKeys;
use crate::port::host_end;
use crate::port::{ARPHRD_NONE, sysctl};
use crate::rate::RatesChange;
use crate::refusal::Refusal;
use crate::slave::adding::Adding;
use crate::slave::check::{check, checked_mtu};
use crate::slave::device_change::device_change;
use crate::slave::module::ModuleSlave;
use crate::slave::module_name::ModuleNames;
use find::Found;
use ipvl_core::{IfIndex, Mode, Slave};
use std::os::fd::{AsFd, BorrowedFd};

/// Makes slaves and returns their names. If one cannot be made, none of this call remains. Starts the agent.
pub fn add(specs: &[LinkSpec]) -> Result<Vec<String>> {
    let lock = Lock::acquire(LOCK_WAIT)?;
    let mut adding = Adding::new(specs.len())?;
    for spec in specs {
        if let Err(error) = adding.add(spec, None, &PolicyKeys::default()) {
            adding.undo();
            return Err(error);
        }
    }
    drop(lock);
    let host_ends: Vec<IfIndex> = adding.added.iter().map(|slave| slave.host_end).collect();
    let synced = if host_ends.is_empty() { Ok(()) } else { agent_client::sync(&host_ends) };
    if let Err(error) = synced {
        let _lock = Lock::acquire(LOCK_WAIT)?;
        adding.undo();
        return Err(error);
    }
    Ok(adding.names)
}

/// Changes a slave. The agent changes what is in the slave's own netns.
pub fn set(name: &str, change: &Change) -> Result<()> {
    let lock = Lock::acquire(LOCK_WAIT)?;
    let netlink = Netlink::open()?;
    if let Some(slave) = ModuleNames::default().take(&netlink, name)? {
        return set_in_module(&netlink, &slave, change);
    }
    let mut found = find::slave(&netlink, name)?;
    let master = found.master_link(&netlink)?;
    let mtu = change.mtu.map(|mtu| checked_mtu(mtu, master.mtu)).transpose();
    mtu.map_err(|refusal| refused("change", name, refusal))?;
    if change.netns.is_some() && host_end::is_tap(&found.host_end) {
        return Err(refused("move", name, Refusal::TapStays));
    }
    let netns = change.netns.as_ref().map(netns::open).transpose()?;
    let before = found.port.maps.slave(found.slot)?;
    let (host_end, slot) = (found.host_end.ifindex, found.slot);
    let limited = rates::change(&netlink, &mut found.port, host_end, slot, change.rates);
    let undo = limited.map_err(|error| error.about(name))?;
    let done = reconfigure(&netlink, &mut found, &master, change);
    if done.is_err() {
        rates::change(&netlink, &mut found.port, host_end, slot, undo)?;
    }
    done?;
    found.port.stop_forwarding_if_unused(&netlink)?;
    drop(lock);
    let done = agent_client::sync(&[host_end])
        .and_then(|()| change_device(&netlink, &found, change, netns.as_ref().map(|fd| fd.as_fd())));
    if done.is_err() {
        restore(&netlink, &mut found, before, undo)?;
    }
    done.map_err(|error| error.about(name))
}

/// Changes a slave of the kernel module, which needs no agent.
pub(crate) fn set_in_module(netlink: &Netlink, slave: &ModuleSlave, change: &Change) -> Result<()> {
    let name = &slave.device.name;
    let gone = || refused("find the master of", name, Refusal::NoLink);
    let master = netlink.link(slave.master, None)?.ok_or_else(gone)?;
    let mtu = change.mtu.map(|mtu| checked_mtu(mtu, master.mtu)).transpose();
    mtu.map_err(|refusal| refused("change", name, refusal))?;
    let netns = change.netns.as_ref().map(netns::open).transpose()?;
    if change.rates != RatesChange::default() {
        return Err(refused("limit", name, Refusal::OfModule));
    }
    slave.set(change, netns.as_ref())
}

/// Undoes a change of the entry after another part of the change has failed.
fn restore(netlink: &Netlink, found: &mut Found, before: Slave, undo: RatesChange) -> Result<()> {
    let lock = Lock::acquire(LOCK_WAIT)?;
    rates::change(netlink, &mut found.port, found.host_end.ifindex, found.slot, undo)?;
    let undone = found.port.maps.slave(found.slot)?.with_options(before.options());
    found.port.maps.set_slave(found.slot, undone)?;
    alias_event::publish(netlink, found.described(), undone);
    drop(lock);
    agent_client::sync(&[found.host_end.ifindex])
}

/// Changes the slave's device as `ip link set` would in the slave's netns.
fn change_device(netlink: &Netlink, found: &Found, change: &Change, netns: Option<BorrowedFd<'_>>) -> Result<()> {
    let Some(device) = device_change(change, netns) else { return Ok(()) };
    found.in_its_netns(netlink, |there, ifindex| there.set_link(ifindex, &device))
}

/// Checks whether such a slave could be made, as far as that can be known without making it.
pub fn probe(spec: &LinkSpec) -> Result<()> {
    let netlink = Netlink::open()?;
    let master = find::link(&netlink, &spec.master);
    let fits = master.and_then(|master| check(&netlink, spec, &master));
    fits.map_err(|refusal| refused("use", &spec.master, refusal))
}

/// Changes a slave's options, by one write that no packet sees half of.
fn reconfigure(netlink: &Netlink, found: &mut Found, master: &LinkInfo, change: &Change) -> Result<()> {
    let old = found.port.maps.slave(found.slot)?;
    let slave = old.with_options(old.options().changed(change.options));
    if slave.mode() == Mode::L2 && master.arp_type == ARPHRD_NONE {
        return Err(refused("change", &found.name, Refusal::NeedsEthernet(Mode::L2)));
    }
    if slave.host() {
        sysctl::start_forwarding(&master.name, &mut found.port.maps, true)?;
    }
    if slave.host() && !old.host() {
        sysctl::prepare_host_end(&found.host_end.name, slave)?;
        if old.up() && !old.local() {
            routes::add_all(netlink, &found.port.maps, old.host_end, found.slot)?;
        }
    }
    match (slave.mode() == Mode::L2) == (old.mode() == Mode::L2) {
        _ if slave == old => {}
        true => found.port.maps.set_slave(found.slot, slave)?,
        false => change_mode(netlink, found, slave)?,
    }
    if slave != old {
        alias_event::publish(netlink, found.described(), slave);
    }
    if old.host() && !slave.host() {
        sysctl::prepare_host_end(&found.host_end.name, slave)?;
    }
    Ok(())
}

/// Writes a new mode to the table and to the slave's device, one right after the other: in between, the slave's stack and
/// the table disagree about which of them resolves neighbours. If the device refuses, the agent tries again and reports.
fn change_mode(netlink: &Netlink, found: &mut Found, slave: Slave) -> Result<()> {
    let place = found.place(netlink);
    let is_tap = host_end::is_tap(&found.host_end);
    let Found { port, slot, .. } = found;
    // ARP is always off on a tap device: the guest behind it resolves neighbours itself.
    let Some(place) = place.ok().filter(|_| !is_tap) else { return port.maps.set_slave(*slot, slave) };
    let noarp = LinkChange { noarp: Some(slave.mode() != Mode::L2), ..LinkChange::default() };
    place.enter(netlink, |there, ifindex| {
        port.maps.set_slave(*slot, slave)?;
        let _ = there.set_link(ifindex, &noarp);
        Ok(())
    })
}
