//! How does the address table agree with the slaves' devices and with the host's own addresses?

use super::state::Agent;
use crate::error::Result;
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::port::Port;
use crate::port::host::{self, HostAddresses};
use crate::slave::routes::{Prefix, family_len};
use ipvl_core::{Addr, IfIndex, Origin, OwnerEntry, Slot};
use std::collections::{BTreeMap, BTreeSet};

/// A slave has at most so many of its device's addresses in the table, which all slaves share.
const MOST_ADDRESSES: usize = 1024;

impl Agent {
    /// Makes the table agree with the slave's device. An address that two slaves have belongs to the first.
    pub fn sync_addresses(
        &mut self,
        host_end: IfIndex,
        master: IfIndex,
        slot: Slot,
        addrs: &BTreeSet<Addr>,
    ) -> Result<()> {
        let present = self.registry.addresses(master, slot);
        let Some(port) = self.ports.get_mut(&master) else { return Ok(()) };
        let mut refused = BTreeSet::new();
        let mut free = Vec::new();
        for addr in present.difference(addrs) {
            if port.maps.owner(*addr)?.is_some_and(|entry| entry.slot == slot && entry.origin() == Origin::Device) {
                port.maps.release(*addr)?;
                free.push(*addr);
            }
            self.registry.remove_address(master, slot, *addr);
        }
        let room = MOST_ADDRESSES.saturating_sub(present.intersection(addrs).count());
        let mut fresh = addrs.difference(&present);
        for addr in fresh.by_ref().take(room) {
            let entry = OwnerEntry::slave(slot, Origin::Device);
            if port.maps.claim(*addr, entry)? {
                port.maps.confirm(*addr, entry)?;
                self.registry.add_address(master, slot, *addr);
            } else {
                refused.insert(*addr);
            }
        }
        refused.extend(fresh);
        self.registry.set_refused(host_end, refused);
        self.offer(&free.into_iter().collect());
        Ok(())
    }

    /// Makes the tables agree with the host's own addresses, which no slave can own.
    pub fn sync_host_addresses(&mut self) -> Result<()> {
        let _lock = Lock::acquire(LOCK_WAIT)?;
        let addresses = HostAddresses::read(&self.netlink)?;
        for port in self.ports.values_mut() {
            for (slot, addr) in host::write_addresses(&mut port.maps, port.master, &addresses)? {
                self.registry.remove_address(port.master, slot, addr);
                self.dirty.host_ends.extend(self.registry.in_slot(port.master, slot));
            }
        }
        self.dirty.host_ends.extend(self.registry.in_conflict());
        Ok(())
    }

    /// Reads what is declared. No event reports it; the command that declares it asks the agent to sync the slave.
    pub fn read_declared(&mut self) -> Result<()> {
        for port in self.ports.values() {
            self.registry.set_declared(port.master, declared(port)?);
        }
        Ok(())
    }
}

/// What is declared, by slot, with lengths in bits of the address's own family.
fn declared(port: &Port) -> Result<BTreeMap<Slot, BTreeSet<Prefix>>> {
    let mut by_slot: BTreeMap<Slot, BTreeSet<Prefix>> = BTreeMap::new();
    for (addr, bits, entry) in port.maps.owned()?.into_iter().filter(|(_, _, entry)| entry.origin() == Origin::Declared)
    {
        by_slot.entry(entry.slot).or_default().insert((addr, family_len(addr, bits)));
    }
    Ok(by_slot)
}
