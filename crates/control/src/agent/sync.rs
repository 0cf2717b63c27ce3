//! How does the agent bring what is dirty into the state that it should have?

use super::log::{log_error, log_link_error};
use super::registry::Registry;
use super::state::Agent;
use crate::error::{Error, Result};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::port::groups::sync_master as sync_master_groups;
use crate::slave::routes::PROTOCOL;
use crate::slave::tidy;
use ipvl_core::{IfIndex, Origin};
use std::collections::{BTreeMap, BTreeSet};

impl Agent {
    /// Reads the kernel's whole state, and syncs all of it: at the start, and after events were lost.
    pub fn sync_everything(&mut self) -> Result<()> {
        self.clean_up()?;
        self.read_tables()?;
        self.dirty.host_addresses = true;
        self.dirty.masters.extend(self.ports.keys());
        self.sync_host_and_masters();
        while !self.dirty.host_ends.is_empty() {
            let some = self.dirty.next_slaves();
            self.sync_slaves(&some).iter().for_each(|(host_end, error)| log_link_error(*host_end, error));
        }
        Ok(())
    }

    /// Syncs what is dirty, except slaves.
    pub fn sync_host_and_masters(&mut self) {
        if std::mem::take(&mut self.dirty.host_addresses)
            && let Err(error) = self.sync_host_addresses().and_then(|()| self.sync_route_sources())
        {
            log_error("the host's addresses", &error);
        }
        if let Err(error) = self.reattach_returned_masters() {
            log_error("a new link", &error);
        }
        for master in std::mem::take(&mut self.dirty.masters) {
            if let Err(error) = self.sync_master(master) {
                log_link_error(master, &error);
            }
        }
    }

    /// Syncs the slaves behind these host ends. Returns the errors, by host end.
    pub fn sync_slaves(&mut self, host_ends: &BTreeSet<IfIndex>) -> BTreeMap<IfIndex, Error> {
        let mut failures = BTreeMap::new();
        for host_end in host_ends {
            self.dirty.host_ends.remove(host_end);
            if let Err(error) = self.sync_slave(*host_end) {
                failures.insert(*host_end, error);
            }
        }
        // When no slave is left, the groups of all: this visits each netns once.
        let all = self.dirty.host_ends.is_empty();
        let groups = self.dirty.groups.extract_if(.., |host_end| all || host_ends.contains(host_end)).collect();
        self.sync_groups(groups);
        failures
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
        self.listen_to_reports();
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
