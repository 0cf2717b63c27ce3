//! What becomes of the tables when slaves are gone?

use super::retries::Task;
use super::state::Agent;
use crate::error::Result;
use crate::kernel::lock::{LOCK_WAIT, Lock};
use ipvl_core::{Addr, IfIndex};
use std::collections::{BTreeMap, BTreeSet};

impl Agent {
    /// Takes slaves that are gone out of the tables, those of one port together, and then out of the cache.
    pub fn forget_gone(&mut self) {
        let mut by_master: BTreeMap<IfIndex, Vec<IfIndex>> = BTreeMap::new();
        for host_end in std::mem::take(&mut self.gone) {
            if let Some(slave) = self.registry.slave(host_end) {
                by_master.entry(slave.master).or_default().push(host_end);
            }
        }
        for (master, host_ends) in by_master {
            match self.forget(master, &host_ends) {
                Ok(()) => host_ends.iter().for_each(|host_end| self.settle_gone(*host_end)),
                Err(error) => host_ends.iter().for_each(|host_end| self.failed(Task::Slave(*host_end), &error)),
            }
        }
    }

    fn settle_gone(&mut self, host_end: IfIndex) {
        self.retries.forget(host_end);
        self.old_mtus.remove(&host_end);
    }

    fn forget(&mut self, master: IfIndex, host_ends: &[IfIndex]) -> Result<()> {
        let lock = Lock::acquire(LOCK_WAIT)?;
        if let Some(port) = self.ports.get_mut(&master) {
            let mut slaves = Vec::new();
            for host_end in host_ends {
                let Some(slave) = self.registry.slave(*host_end) else { continue };
                // A command may have taken it out, and given its slot to another slave.
                if port.maps.slave(slave.slot)?.host_end == *host_end {
                    slaves.push((*host_end, slave.slot));
                }
            }
            match slaves[..] {
                [(host_end, slot)] => {
                    let joined = self.registry.groups(master, slot);
                    port.remove_slave(&self.netlink, host_end, slot, &joined)?;
                }
                _ => port.remove_slaves(&self.netlink, &slaves)?,
            }
            if port.detach_if_unused(&self.netlink)? {
                self.ports.remove(&master);
            }
        }
        drop(lock);
        let free: BTreeSet<Addr> = host_ends.iter().flat_map(|host_end| self.registry.remove(*host_end)).collect();
        self.offer(&free);
        self.dirty.host_ends.extend(self.registry.without_room(master));
        Ok(())
    }
}
