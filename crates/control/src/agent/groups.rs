//! Which multicast groups has each slave joined? The list of the slave's own kernel says so; it is read again whenever it
//! may have changed.
//!
//! Since Linux 6.14 the kernel reports joins. On older kernels our programs see IGMP and MLD reports, and pass on which
//! slave sent one. Neither reports `ip maddr` or packet sockets, so every slave is read again now and then as well.

use super::log::{log_error, log_link_error};
use super::registry::McastReception;
use super::state::Agent;
use crate::error::Result;
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::{Event, LinkInfo, Netlink, What};
use crate::kernel::netns;
use crate::place::{NsId, Place};
use crate::port::Port;
use crate::port::groups::{Lists, is_master_in_sync, set_joined, sync_master};
use crate::port::host_end::is_tap;
use ipvl_core::{Addr, IfIndex, Mac, Mode, Slave, Slot, State};
use std::collections::{BTreeMap, BTreeSet};

/// A slave has at most so many groups in the table, which all slaves share; one that joins more receives all groups.
const MOST_GROUPS: usize = 1024;
/// At most so many events are read in one turn, so that a slave that joins and leaves all the time does not delay others.
const EVENTS_A_TURN: usize = 1024;

/// Which multicast a slave receives, besides the groups that it has joined.
pub fn reception(slave: &LinkInfo, place: Place, entry: Slave, declared: bool) -> McastReception {
    const BOTH: u32 = (libc::IFF_PROMISC | libc::IFF_ALLMULTI) as u32;
    let asks = slave.flags & BOTH != 0 || slave.detail.promiscuity > 0 || slave.detail.allmulti > 0;
    // A declared address belongs to something behind the slave, as a guest is behind its tap device. The groups which
    // that has joined need not be in the slave's list.
    let behind = declared || is_tap(slave);
    let (enabled, answered_for) = (entry.up() && entry.mode() == Mode::L2, entry.is_proxied());
    McastReception { place, enabled, everything: asks || behind, answered_for }
}

impl Agent {
    /// Reads what the sources report, and notes which slaves may have joined or left a group.
    pub fn take_mcast_events(&mut self) -> Result<()> {
        for _ in 0..EVENTS_A_TURN {
            let Some(events) = self.mcast.kernel.as_mut() else { break };
            let Some(Event { nsid, what }) = events.next()? else { break };
            match what {
                What::Groups(ifindex) => self.dirty.groups.extend(self.registry.at(Place { netns: nsid, ifindex })),
                What::Overrun => self.dirty.groups.extend(self.registry.host_ends()),
                _ => {}
            }
        }
        for port in self.ports.values_mut() {
            for slot in port.take_reports() {
                self.dirty.groups.extend(self.registry.in_slot(port.master, slot));
            }
        }
        self.sweep();
        Ok(())
    }

    /// Subscribes to the IGMP and MLD reports that the programs of a port see, where the kernel does not report joins.
    pub fn listen_to_reports(&mut self) {
        if !self.mcast.reports {
            return;
        }
        for port in self.ports.values_mut() {
            if let Err(error) = port.listen_to_reports() {
                log_error("reports of multicast groups", &error);
            }
        }
    }

    fn sweep(&mut self) {
        let Some(next) = self.mcast.next_sweep(self.registry.host_ends()) else { return };
        self.dirty.groups.extend(next);
        for port in self.ports.values_mut() {
            if let Err(error) = sync_master_groups(&self.netlink, port) {
                log_link_error(port.master, &error);
            }
        }
    }

    /// Reads what slaves have joined, in one visit to each netns, and writes what differs to the table.
    pub fn sync_groups(&mut self, host_ends: BTreeSet<IfIndex>) {
        let mut by_netns: BTreeMap<Option<NsId>, Vec<(IfIndex, McastReception)>> = BTreeMap::new();
        for host_end in host_ends {
            if let Some(reception) = self.registry.slave(host_end).and_then(|slave| slave.reception) {
                by_netns.entry(reception.place.netns).or_default().push((host_end, reception));
            }
        }
        for (nsid, slaves) in by_netns {
            let enabled = slaves.iter().any(|(_, reception)| reception.enabled);
            let lists = if enabled { self.lists_in(nsid) } else { None };
            for (host_end, reception) in slaves {
                if let Err(error) = self.sync_slave_groups(host_end, reception, lists.as_ref()) {
                    log_link_error(host_end, &error);
                }
            }
        }
    }

    /// The lists of a netns; none if it cannot be entered.
    fn lists_in(&mut self, nsid: Option<NsId>) -> Option<Lists> {
        let Some(nsid) = nsid else { return Lists::read().ok() };
        let netns = self.finder.find(&self.netlink, nsid).ok()??;
        netns::within(netns, Lists::read).ok()?.ok()
    }

    fn sync_slave_groups(&mut self, host_end: IfIndex, reception: McastReception, lists: Option<&Lists>) -> Result<()> {
        let Some((master, slot)) = self.registry.slave(host_end).map(|slave| (slave.master, slave.slot)) else {
            return Ok(());
        };
        let was = self.registry.groups(master, slot);
        let listed = lists.map(|lists| lists.of(reception.place.ifindex)).filter(|groups| groups.len() <= MOST_GROUPS);
        let mut everything = reception.everything || listed.is_none();
        let groups = match listed {
            _ if reception.answered_for => {
                self.registry.addresses(master, slot).into_iter().filter_map(solicited_node).collect()
            }
            _ if !reception.enabled => BTreeSet::new(),
            Some(groups) => groups,
            None => was.clone(),
        };
        if groups != was {
            everything |= self.write_groups(host_end, master, slot, &was, &groups).is_err();
        }
        if reception.enabled { self.write_all_groups(master, slot, host_end, everything) } else { Ok(()) }
    }

    /// Fails if the table has no room: then the slave receives all groups instead.
    fn write_groups(
        &mut self,
        host_end: IfIndex,
        master: IfIndex,
        slot: Slot,
        was: &BTreeSet<Mac>,
        now: &BTreeSet<Mac>,
    ) -> Result<()> {
        let Some(port) = self.ports.get_mut(&master) else { return Ok(()) };
        let _lock = Lock::acquire(LOCK_WAIT)?;
        if port.maps.slot_of(host_end)? == Some(slot) {
            set_joined(&self.netlink, &mut port.maps, port.master, slot, (was, now))?;
        }
        self.registry.set_groups(master, slot, now.clone());
        Ok(())
    }

    fn write_all_groups(&mut self, master: IfIndex, slot: Slot, host_end: IfIndex, all_groups: bool) -> Result<()> {
        let Some(port) = self.ports.get_mut(&master) else { return Ok(()) };
        if port.maps.slave(slot)?.state().all_groups == all_groups {
            return Ok(());
        }
        let _lock = Lock::acquire(LOCK_WAIT)?;
        let now = port.maps.slave(slot)?;
        if now.host_end != host_end {
            return Ok(());
        }
        port.maps.set_slave(slot, now.with_state(State { all_groups, ..now.state() }))
    }
}

/// Has the master receive the groups of its slaves, after others changed what it receives. Takes the lock only if needed.
fn sync_master_groups(netlink: &Netlink, port: &mut Port) -> Result<()> {
    if port.is_departed() || is_master_in_sync(&port.maps, port.master)? {
        return Ok(());
    }
    let _lock = Lock::acquire(LOCK_WAIT)?;
    sync_master(netlink, &mut port.maps, port.master)
}

/// The group to which an IPv6 address is solicited (RFC 4291, 2.7.1).
fn solicited_node(addr: Addr) -> Option<Mac> {
    let Addr([.., a, b, c]) = addr;
    addr.as_v4().is_none().then_some(Mac([0x33, 0x33, 0xff, a, b, c]))
}
