//! Which multicast groups has each slave joined? The list of the slave's own kernel says so; it is read again whenever it
//! may have changed.
//!
//! Since Linux 6.14 the kernel reports joins. On older kernels our programs see IGMP and MLD reports, and pass on which
//! slave sent one. Neither reports `ip maddr` or packet sockets, so every slave is read again now and then as well.

use super::log::log_error;
use super::registry::McastReception;
use super::retries::Task;
use super::state::Agent;
use crate::error::Result;
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::{Event, LinkInfo, Netlink, What};
use crate::kernel::netns;
use crate::place::{NsId, Place};
use crate::port::Port;
use crate::port::groups::{Lists, Master, is_master_in_sync, sync_master};
use crate::port::host_end::is_tap;
use ipvl_core::{Addr, IfIndex, Mac, Mode, Slave, Slot, State};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// A slave has at most so many groups in the table, which all slaves share; one that joins more receives all groups.
const MOST_GROUPS: usize = 1024;
/// At most so many events are read in one turn, so that a slave that joins and leaves all the time does not delay others.
const EVENTS_A_TURN: usize = 16_384;
/// The groups of so many slaves are written at once.
const SLAVES_A_LOCK: usize = 64;

/// What the table must say of the groups that a slave has joined.
struct Joins {
    host_end: IfIndex,
    slot: Slot,
    groups: BTreeSet<Mac>,
    enabled: bool,
    everything: bool,
}

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
        if let Some(joins) = &mut self.mcast.joins {
            joins.begin_to_read(Instant::now());
        }
        let mut read = 0;
        while read < EVENTS_A_TURN {
            let Some(events) = self.mcast.kernel.as_mut() else { break };
            let Some(Event { nsid, what }) = events.next()? else { break };
            read += 1;
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
        if let Some(joins) = self.mcast.joins.as_mut().filter(|_| read == EVENTS_A_TURN) {
            joins.stop_reading();
        }
        if read > 0 {
            self.count_joins();
        }
        Ok(())
    }

    /// Has joins counted, and subscribes to the IGMP and MLD reports that the programs of a port see, where the kernel does not
    /// report joins.
    pub fn listen_to_joins(&mut self) {
        self.count_joins();
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
        let registry = &self.registry;
        let Some(next) = self.mcast.next_sweep(|| registry.host_ends()) else { return };
        self.dirty.groups.extend(next);
        let masters: Vec<IfIndex> = self.ports.keys().copied().collect();
        masters.into_iter().for_each(|master| self.sync_master_groups(master));
    }

    /// Has the master receive the groups of its slaves, after others changed what it receives.
    pub fn sync_master_groups(&mut self, master: IfIndex) {
        let Some(port) = self.ports.get_mut(&master) else { return };
        let result = sync_master_groups(&self.netlink, port);
        self.settle(Task::MasterGroups(master), result);
    }

    /// Reads what slaves have joined, in one visit to each netns, and writes what differs to the table. Returns the slaves
    /// of which the table says that now.
    pub fn sync_groups(&mut self, host_ends: &BTreeSet<IfIndex>) -> BTreeSet<IfIndex> {
        let mut by_netns: BTreeMap<Option<NsId>, Vec<(IfIndex, McastReception)>> = BTreeMap::new();
        for host_end in host_ends {
            if let Some(reception) = self.registry.slave(*host_end).and_then(|slave| slave.reception) {
                by_netns.entry(reception.place.netns).or_default().push((*host_end, reception));
            }
        }
        let mut by_master: BTreeMap<IfIndex, Vec<Joins>> = BTreeMap::new();
        for (nsid, slaves) in by_netns {
            let enabled = slaves.iter().any(|(_, reception)| reception.enabled);
            let lists = if enabled { self.lists_in(nsid) } else { None };
            for (host_end, reception) in slaves {
                if let Some((master, joins)) = self.joins(host_end, reception, lists.as_ref()) {
                    by_master.entry(master).or_default().push(joins);
                }
            }
        }
        let mut known = BTreeSet::new();
        for (master, joins) in by_master {
            // In parts: a command need not wait until all slaves are done.
            joins.chunks(SLAVES_A_LOCK).for_each(|joins| self.write_joins(master, joins));
            known.extend(joins.iter().filter(|joins| self.is_written(master, joins)).map(|joins| joins.host_end));
        }
        known
    }

    fn is_written(&self, master: IfIndex, joins: &Joins) -> bool {
        joins.enabled && !self.differs(master, joins).unwrap_or(true)
    }

    /// The lists of a netns; none if it cannot be entered.
    fn lists_in(&mut self, nsid: Option<NsId>) -> Option<Lists> {
        let Some(nsid) = nsid else { return Lists::read().ok() };
        let netns = self.finder.find(&self.netlink, nsid).ok()??;
        netns::within(netns, Lists::read).ok()?.ok()
    }

    /// What the table must say of one slave.
    fn joins(&self, host_end: IfIndex, reception: McastReception, lists: Option<&Lists>) -> Option<(IfIndex, Joins)> {
        let (master, slot) = self.registry.slave(host_end).map(|slave| (slave.master, slave.slot))?;
        let listed = lists.map(|lists| lists.of(reception.place.ifindex)).filter(|groups| groups.len() <= MOST_GROUPS);
        let everything = reception.everything || listed.is_none();
        let groups = match listed {
            _ if reception.answered_for => {
                self.registry.addresses(master, slot).into_iter().filter_map(solicited_node).collect()
            }
            _ if !reception.enabled => BTreeSet::new(),
            Some(groups) => groups,
            None => self.registry.groups(master, slot),
        };
        Some((master, Joins { host_end, slot, groups, enabled: reception.enabled, everything }))
    }

    /// Writes what slaves of one master have joined. Takes the lock only if needed, and reads what the master receives only
    /// once.
    fn write_joins(&mut self, master: IfIndex, joins: &[Joins]) {
        let joins = joins.iter().filter(|joins| self.differs(master, joins).unwrap_or(true));
        let joins: Vec<&Joins> = joins.collect();
        if joins.is_empty() {
            return;
        }
        let begun = Lock::acquire(LOCK_WAIT).and_then(|lock| Ok((lock, Master::read(&self.netlink, master)?)));
        let (_lock, mut receiver) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                return joins.iter().for_each(|joins| self.failed(Task::Groups(joins.host_end), &error));
            }
        };
        for joins in joins {
            let result = self.write_one(master, &mut receiver, joins);
            self.settle(Task::Groups(joins.host_end), result);
        }
    }

    fn differs(&self, master: IfIndex, joins: &Joins) -> Result<bool> {
        let Some(port) = self.ports.get(&master) else { return Ok(false) };
        let is_open = joins.enabled && port.maps.slave(joins.slot)?.state().all_groups != joins.everything;
        Ok(is_open || joins.groups != self.registry.groups(master, joins.slot))
    }

    /// If its groups cannot be written, as for lack of room, the slave receives all groups instead.
    fn write_one(&mut self, master: IfIndex, receiver: &mut Master, joins: &Joins) -> Result<()> {
        let Some(port) = self.ports.get_mut(&master) else { return Ok(()) };
        let Joins { slot, host_end, .. } = *joins;
        let now = port.maps.slave(slot)?;
        if now.host_end != host_end {
            return Ok(());
        }
        let mut groups = self.registry.groups(master, slot);
        let result = receiver.set_joined(&mut port.maps, slot, &mut groups, &joins.groups);
        self.registry.set_groups(master, slot, groups);
        let all_groups = joins.everything || result.is_err();
        if joins.enabled && now.state().all_groups != all_groups {
            port.maps.set_slave(slot, now.with_state(State { all_groups, ..now.state() }))?;
        }
        result
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
