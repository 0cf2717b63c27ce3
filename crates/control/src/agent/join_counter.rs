//! Which joins of multicast groups were counted, and of which has the agent read the events?

use crate::error::Result;
use crate::kernel::event_counter::{EventCounter, MOST_ARRAYS};
use crate::kernel::netlink::Events;
use crate::port::Port;
use ipvl_core::IfIndex;
use ipvl_core::maps::JOINS_LEN;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A join is counted just before its event is queued. What was counted so long ago has been queued.
const SETTLE: Duration = Duration::from_millis(1);

/// What counts joins, and how far the agent has seen them.
pub struct JoinCounter {
    counter: EventCounter,
    /// Masters, and the ids of their ports' maps, in the order in which the counter has these.
    ports: Vec<(IfIndex, u32)>,
    /// None while all are seen.
    closing: Option<Closing>,
}

/// Joins that are about to be seen.
struct Closing {
    /// When they were counted.
    since: Instant,
    /// By master.
    counts: BTreeMap<IfIndex, u64>,
    /// Whether all of their events have been read.
    complete: bool,
}

impl JoinCounter {
    /// Counts the joins that a subscription reports, from now on.
    pub fn attach(events: &Events) -> Result<Self> {
        Ok(Self { counter: events.count_joins(JOINS_LEN)?, ports: Vec::new(), closing: None })
    }

    /// Counts for these ports, and for no others.
    pub fn count_for(&mut self, ports: &BTreeMap<IfIndex, Port>) -> Result<()> {
        let maps = ports.iter().filter_map(|(master, port)| Some((*master, port.maps.joins.as_ref()?)));
        let maps: Vec<_> = maps.take(MOST_ARRAYS as usize).collect();
        for (place, (master, joins)) in maps.iter().enumerate() {
            let here = (*master, joins.id);
            if self.ports.get(place) != Some(&here) {
                self.counter.count_in(place as u32, joins)?;
                self.ports.truncate(place);
                self.ports.push(here);
            }
        }
        let more = self.ports.len().saturating_sub(maps.len());
        (0..more).try_for_each(|_| self.ports.pop().map_or(Ok(()), |_| self.counter.leave(self.ports.len() as u32)))
    }

    /// Events are read from now on. Notes whether they are all that were counted.
    pub fn begin_to_read(&mut self, now: Instant) {
        if let Some(closing) = &mut self.closing {
            closing.complete = closing.since + SETTLE <= now;
        }
    }

    /// Some events are left for the next turn.
    pub fn stop_reading(&mut self) {
        self.closing.iter_mut().for_each(|closing| closing.complete = false);
    }

    /// Joins were counted, by master, and not seen yet. If others are about to be seen, those come first.
    pub fn close(&mut self, counts: BTreeMap<IfIndex, u64>) {
        if self.closing.is_none() && !counts.is_empty() {
            self.closing = Some(Closing { since: Instant::now(), counts, complete: false });
        }
    }

    /// The joins, by master, of which all events have been read.
    pub fn take_complete(&mut self) -> Option<BTreeMap<IfIndex, u64>> {
        self.closing.take_if(|closing| closing.complete).map(|closing| closing.counts)
    }

    /// How long until events must be read.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        self.closing.as_ref().map(|closing| (closing.since + SETTLE).saturating_duration_since(now))
    }
}
