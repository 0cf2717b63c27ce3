//! What do metrics tell: of slaves, of ports, and of the agent, which counts what it does and tells that on its socket?

use crate::model::Link;
use ipvl_core::maps::Counters;
use ipvl_core::{Addr, IfIndex, Reason};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Slaves, ports and the agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Overview {
    /// All slaves.
    pub slaves: Vec<SlaveReport>,
    /// All masters with slaves.
    pub ports: Vec<PortReport>,
    /// The agent of this netns.
    pub agent: AgentReport,
}

/// A slave with what it has counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlaveReport {
    /// The slave as it is.
    pub link: Link,
    /// What made it, if an engine or a file did: the engine's name, then its ids.
    pub owner: Option<String>,
    /// Both ways, from the slave's side.
    pub counters: Counters,
    /// Frames dropped, by reason; only those that occurred.
    pub drops: Vec<(Reason, u64)>,
}

/// How full the tables of a master are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortReport {
    /// The master's ifindex.
    pub ifindex: IfIndex,
    /// The master's name.
    pub name: String,
    /// The host's addresses on the master itself.
    pub own_addresses: Vec<Addr>,
    /// How many slaves it has.
    pub slaves: usize,
    /// How many it can have.
    pub most_slaves: usize,
    /// How many single addresses are in its table, the host's included.
    pub addresses: usize,
    /// How many can be.
    pub most_addresses: Option<usize>,
    /// How many prefixes are declared.
    pub prefixes: usize,
    /// Addresses on slaves' devices that another slave or the host owns.
    pub conflicts: usize,
    /// Addresses on slaves' devices that found no room.
    pub refused: usize,
    /// Frames from the wire that were dropped, by reason.
    pub drops: Vec<(Reason, u64)>,
}

/// How the agent is.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentReport {
    /// Whether one runs.
    pub runs: bool,
    /// What it has counted; none if it does not answer, or is of a version that does not count.
    pub counters: Option<AgentCounters>,
}

/// The upper bounds of the buckets of [`Latency`], in seconds.
pub const BOUNDS: [f64; 10] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0];

/// What the agent has counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentCounters {
    /// Events of the kernel that it has read.
    pub events: u64,
    /// How often it read everything again: at its start, and after events were lost.
    pub resyncs: u64,
    /// How often it synced a slave.
    pub syncs: u64,
    /// What failed, and was tried again.
    pub errors: u64,
    /// From when an event was read until its slave's entries were in the tables.
    pub latency: Latency,
}

/// A histogram of durations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Latency {
    /// All of them, in seconds.
    pub sum: f64,
    /// How many.
    pub count: u64,
    /// How many were within each of [`BOUNDS`], and beyond the one before; the last one: beyond all.
    pub buckets: [u64; BOUNDS.len() + 1],
}

impl Latency {
    /// Counts one.
    pub fn observe(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket] += 1;
        self.count += 1;
        self.sum += seconds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_has_room_for_it() {
        let mut latency = Latency::default();
        for millis in [0, 1, 3, 5000] {
            latency.observe(Duration::from_millis(millis));
        }
        assert_eq!(latency.buckets, [1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((latency.count, latency.sum), (4, 5.004));
    }

    #[test]
    fn an_agent_of_another_version_may_count_more_or_less() {
        let counters: AgentCounters = serde_json::from_str(r#"{"events":7,"naps":3}"#).expect("an object");
        assert_eq!(counters, AgentCounters { events: 7, ..AgentCounters::default() });
    }
}
