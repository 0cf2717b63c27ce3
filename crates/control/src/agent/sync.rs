//! How does the agent bring what is dirty into the state that it should have?

use super::log::log_link_error;
use super::registry::Registry;
use super::retries::Task;
use super::state::Agent;
use crate::error::{Error, Result};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::port::groups::sync_master as sync_master_groups;
use crate::slave::routes::PROTOCOL;
use crate::slave::tidy;
use ipvl_core::{IfIndex, Origin};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

impl Agent {
    /// Reads the kernel's whole state, and syncs all of it: at the start, and after events were lost.
    pub fn sync_everything(&mut self) -> Result<()> {
        self.count.told.resyncs += 1;
        self.clean_up()?;
        self.read_tables()?;
        self.dirty.host_addresses = true;
        self.dirty.masters.extend(self.ports.keys());
        self.sync_host_and_masters();
        while !self.dirty.host_ends.is_empty() {
            let some = self.dirty.next_of_all();
            self.sync_slaves(&some);
        }
        Ok(())
    }

    /// Syncs what is dirty, except slaves.
    pub fn sync_host_and_masters(&mut self) {
        if std::mem::take(&mut self.dirty.host_addresses) {
            let result = self.sync_host_addresses().and_then(|()| self.sync_route_sources());
            self.settle(Task::HostAddresses, result);
        }
        let result = self.reattach_returned_masters();
        self.settle(Task::Arrivals, result);
        for master in std::mem::take(&mut self.dirty.masters) {
            let result = self.sync_master(master);
            self.settle(Task::Master(master), result);
        }
    }

    /// Syncs the slaves behind these host ends. Returns the errors, by host end.
    ///
    /// Their groups are read in between, for all of them at once, before any of them is opened: a slave receives all groups
    /// until its own are known, so of many slaves that come up together each would hear all others.
    pub fn sync_slaves(&mut self, host_ends: &BTreeSet<IfIndex>) -> BTreeMap<IfIndex, Error> {
        self.dirty.flowtable |= !host_ends.is_empty();
        let mut results = BTreeMap::new();
        let mut prepared = Vec::new();
        self.masters.clear();
        self.registry.count_held();
        for host_end in host_ends {
            self.dirty.host_ends.remove(host_end);
            match self.prepare_slave(*host_end) {
                Ok(slave) => prepared.extend(slave),
                Err(error) => _ = results.insert(*host_end, error),
            }
        }
        self.forget_gone();
        let known = self.sync_dirty_groups(host_ends);
        for slave in prepared {
            let host_end = slave.host_end;
            if let Err(error) = self.open_slave(slave, known.contains(&host_end)) {
                results.insert(host_end, error);
            }
        }
        self.count.synced(host_ends, Instant::now());
        for host_end in host_ends {
            match results.get(host_end) {
                None => self.retries.done(Task::Slave(*host_end)),
                Some(error) => self.failed(Task::Slave(*host_end), error),
            }
        }
        results
    }

    /// Syncs the groups of slaves that may have joined or left some; `synced` were prepared just now. Returns those of which the
    /// groups are in the table, and stay right: the kernel reports what they join from now on.
    fn sync_dirty_groups(&mut self, synced: &BTreeSet<IfIndex>) -> BTreeSet<IfIndex> {
        let start = Instant::now();
        let groups = self.dirty.take_groups(synced, start);
        if groups.is_empty() {
            return groups;
        }
        let mut known = self.sync_groups(&groups);
        self.dirty.has_read_groups(start, Instant::now());
        if self.mcast.kernel.is_none() {
            self.dirty.groups.extend(std::mem::take(&mut known).intersection(synced));
        }
        known
    }

    /// Detaches ports without slaves from their masters.
    pub fn detach_unused_ports(&mut self) -> Result<()> {
        let mut detached = Vec::new();
        for port in self.ports.values_mut() {
            if port.detach_if_unused(&self.netlink)? {
                detached.push(port.master);
            }
        }
        detached.iter().for_each(|master| _ = self.ports.remove(master));
        Ok(())
    }

    /// Undoes what a command that was killed left incomplete, and finds the ports.
    fn clean_up(&mut self) -> Result<()> {
        let _lock = Lock::acquire(LOCK_WAIT)?;
        self.ports = tidy::ports(&self.netlink)?;
        tidy::tidy(&self.netlink, &mut self.ports)?;
        for port in self.ports.values().filter(|port| port.is_departed()) {
            self.departed.add(port.master);
        }
        self.listen_to_joins();
        for port in self.ports.values_mut() {
            if let Err(error) = sync_master_groups(&self.netlink, &mut port.maps, port.master) {
                log_link_error(port.master, &error);
            }
        }
        self.detach_unused_ports()
    }

    /// Fills an empty registry from the tables and from our routes. All slaves are dirty then.
    fn read_tables(&mut self) -> Result<()> {
        self.registry = Registry::default();
        self.read_declared()?;
        for port in self.ports.values() {
            for (addr, entry) in port.maps.owners()?.into_iter().filter(|(_, e)| e.origin() != Origin::Expected) {
                self.registry.add_address(port.master, entry.slot, addr);
            }
            let groups = port.maps.groups()?;
            groups.iter().for_each(|(group, members)| self.registry.add_members(port.master, group.mac, members));
            self.dirty.host_ends.extend(port.maps.slots()?.into_iter().map(|(host_end, _)| host_end));
        }
        for route in self.netlink.routes_of_protocol(PROTOCOL)? {
            self.registry.add_route(route.oif, (route.table, (route.dst, route.prefix_len)));
        }
        Ok(())
    }
}
