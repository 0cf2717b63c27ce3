//! How does a slave get the first frame to a group that it has just joined?
//!
//! The agent learns of a join when it has happened, and frames to the group may come at once. So the kernel counts joins in
//! the ports' maps at the moment of each ([`crate::kernel::event_counter`]), and while that count is ahead of what the agent
//! has seen, all slaves get all groups. The agent only closes: when it has read which groups were joined.
//!
//! Before Linux 6.14, which does not report joins, and while there is no agent, a slave gets a group late.

use super::join_counter::JoinCounter;
use super::retries::Task;
use super::state::Agent;
use crate::error::Result;
use crate::kernel::lock::{LOCK_WAIT, Lock};
use ipvl_core::{IfIndex, State};
use std::collections::BTreeMap;

impl Agent {
    /// Has the joins of all ports' slaves counted, if they can be, and sees those that were counted before.
    pub fn count_joins(&mut self) {
        let counted = self.mcast.joins.as_mut().map_or(Ok(()), |joins| joins.count_for(&self.ports));
        let result = counted.and_then(|()| self.note_joins());
        self.settle(Task::Joins, result);
    }

    /// At the end of a turn: has slaves get no more than the groups in the table, if all is there that was joined.
    pub fn close_joins(&mut self) {
        if let Some(counts) = self.mcast.joins.as_mut().and_then(JoinCounter::take_complete) {
            let result = self.see_joins(counts);
            self.settle(Task::Joins, result);
        }
    }

    /// There may have been joins: they are seen when their events have been read, and what these are about.
    fn note_joins(&mut self) -> Result<()> {
        let mut counts = BTreeMap::new();
        for (master, port) in &mut self.ports {
            let Some(joins) = &mut port.maps.joins else { continue };
            match (joins.are_unseen()?, &self.mcast.joins) {
                (true, Some(_)) => _ = counts.insert(*master, joins.joined()?),
                // An earlier agent could count.
                (true, None) => joins.set_seen(joins.joined()?)?,
                (false, _) => {}
            }
        }
        if let Some(joins) = &mut self.mcast.joins {
            joins.close(counts);
        }
        Ok(())
    }

    fn see_joins(&mut self, counts: BTreeMap<IfIndex, u64>) -> Result<()> {
        self.open_those_that_wait()?;
        for (master, count) in counts {
            if let Some(joins) = self.ports.get_mut(&master).and_then(|port| port.maps.joins.as_mut()) {
                joins.set_seen(count)?;
            }
        }
        self.note_joins()
    }

    /// Slaves of which the groups were not read yet, since they change all the time, get all groups until then.
    fn open_those_that_wait(&mut self) -> Result<()> {
        for host_end in &self.dirty.groups {
            let Some((master, slot)) = self.registry.slave(*host_end).map(|slave| (slave.master, slave.slot)) else {
                continue;
            };
            let Some(port) = self.ports.get_mut(&master) else { continue };
            if port.maps.slave(slot)?.state().all_groups {
                continue;
            }
            let _lock = Lock::acquire(LOCK_WAIT)?;
            let now = port.maps.slave(slot)?;
            if now.host_end == *host_end {
                port.maps.set_slave(slot, now.with_state(State { all_groups: true, ..now.state() }))?;
            }
        }
        Ok(())
    }
}
