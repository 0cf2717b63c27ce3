//! What does the agent count, and how long did events wait?

use crate::report::AgentCounters;
use ipvl_core::IfIndex;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// The counters, and what they are made from.
#[derive(Default)]
pub struct Count {
    /// What is told.
    pub told: AgentCounters,
    /// Since when slaves that events were about are dirty, by host end.
    since: BTreeMap<IfIndex, Instant>,
}

impl Count {
    /// Events were read at this time; these slaves are dirty now.
    pub fn noted(&mut self, events: u64, dirty: &BTreeSet<IfIndex>, time: Instant) {
        self.told.events += events;
        if events > 0 {
            dirty.iter().for_each(|host_end| _ = self.since.entry(*host_end).or_insert(time));
        }
    }

    /// These slaves are as the tables say.
    pub fn synced(&mut self, host_ends: &BTreeSet<IfIndex>, time: Instant) {
        self.told.syncs += host_ends.len() as u64;
        for since in host_ends.iter().filter_map(|host_end| self.since.remove(host_end)) {
            self.told.latency.observe(time.saturating_duration_since(since));
        }
    }

    /// The counters as a line of the agent's socket.
    pub fn line(&self) -> String {
        // Numbers can always be written.
        serde_json::to_string(&self.told).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_slave_waits_from_its_first_event() {
        let (mut count, start) = (Count::default(), Instant::now());
        let (one, none) = (BTreeSet::from([IfIndex(7)]), BTreeSet::new());
        let after = |millis| start + Duration::from_millis(millis);
        count.noted(2, &one, start);
        count.noted(0, &BTreeSet::from([IfIndex(8)]), after(1));
        count.noted(1, &one, after(2));
        count.synced(&one, after(3));
        count.synced(&BTreeSet::from([IfIndex(7), IfIndex(8)]), after(9));
        count.synced(&none, after(9));
        assert_eq!((count.told.events, count.told.syncs, count.told.latency.count), (3, 3, 1));
        assert!((count.told.latency.sum - 0.003).abs() < 1e-9, "{:?}", count.told.latency);
    }
}
