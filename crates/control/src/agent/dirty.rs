//! What must be read again, and in which order?

use super::pace::Pace;
use ipvl_core::IfIndex;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::{Duration, Instant};

/// How many slaves are synced in one turn, before the agent reads events and requests again.
const SLAVES_A_TURN: usize = 256;

/// What must be read again, since an event says that it changed.
#[derive(Default)]
pub struct Dirty {
    /// The kernel's whole state.
    pub everything: bool,
    /// The addresses on the host's own links.
    pub host_addresses: bool,
    /// Masters.
    pub masters: BTreeSet<IfIndex>,
    /// Slaves, by their host ends.
    pub host_ends: BTreeSet<IfIndex>,
    /// Host ends of slaves that may have joined or left a multicast group.
    pub groups: BTreeSet<IfIndex>,
    /// Which devices a flowtable has.
    pub flowtable: bool,
    /// The last host end of the previous turn.
    last: IfIndex,
    /// How often slaves were read again.
    pace: Pace,
    /// How often their groups were.
    groups_pace: Pace,
    /// When groups may be read again.
    groups_rest: Option<Instant>,
}

impl Dirty {
    /// The slaves of this turn. They are taken in a circle, and one that changes all the time has to wait, so that it does
    /// not delay others.
    pub fn next_slaves(&mut self, now: Instant) -> BTreeSet<IfIndex> {
        self.pace.tidy(now);
        let next: Vec<IfIndex> =
            self.circle().filter(|link| self.pace.allows(*link, now)).take(SLAVES_A_TURN).collect();
        next.iter().for_each(|host_end| self.pace.charge(*host_end, now));
        self.last = next.last().copied().unwrap_or(IfIndex::NONE);
        BTreeSet::from_iter(next)
    }

    /// The next few slaves, when all are read again anyway.
    pub fn next_of_all(&mut self) -> BTreeSet<IfIndex> {
        self.host_ends.iter().copied().take(SLAVES_A_TURN).collect()
    }

    /// Takes slaves of which the groups may have changed: those that were synced, which get all groups until theirs are
    /// read, so that with many of them everybody hears everybody; and others, unless groups were read a moment ago. The lists
    /// of a whole netns are read for that.
    pub fn take_groups(&mut self, synced: &BTreeSet<IfIndex>, now: Instant) -> BTreeSet<IfIndex> {
        self.groups_pace.tidy(now);
        let (rests, pace) = (self.groups_rest.is_some_and(|rest| rest > now), &self.groups_pace);
        let is_ready = |host_end: &IfIndex| synced.contains(host_end) || !rests && pace.allows(*host_end, now);
        let taken: BTreeSet<IfIndex> = self.groups.extract_if(.., |host_end| is_ready(host_end)).collect();
        taken.iter().for_each(|host_end| self.groups_pace.charge(*host_end, now));
        taken
    }

    /// Groups were read, from the time `start` on. Without a new slave, that takes no more than a quarter of the time.
    pub fn has_read_groups(&mut self, start: Instant, now: Instant) {
        self.groups_rest = Some(now + now.saturating_duration_since(start) * 3);
    }

    /// Whether a slave may be synced now.
    pub fn has_slaves(&self, now: Instant) -> bool {
        self.host_ends.iter().any(|host_end| self.pace.allows(*host_end, now))
    }

    /// How long until one that has to wait may be synced.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        let slaves = self.host_ends.iter().map(|host_end| self.pace.left(*host_end, now));
        let rest = self.groups_rest.map_or(Duration::ZERO, |rest| rest.saturating_duration_since(now));
        let groups = self.groups.iter().map(|host_end| self.groups_pace.left(*host_end, now).max(rest));
        slaves.chain(groups).min()
    }

    fn circle(&self) -> impl Iterator<Item = IfIndex> {
        let before = self.host_ends.range(..=self.last);
        let after = self.host_ends.range((Bound::Excluded(self.last), Bound::Unbounded));
        after.chain(before).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::RangeInclusive;

    #[test]
    fn everybody_has_a_turn() {
        let links = |range: RangeInclusive<u32>| range.map(IfIndex);
        let mut dirty = Dirty { host_ends: links(1..=300).collect(), ..Dirty::default() };
        let now = Instant::now();
        assert_eq!(dirty.next_slaves(now), links(1..=256).collect());
        // All of them are dirty again by then.
        assert_eq!(dirty.next_slaves(now), links(1..=212).chain(links(257..=300)).collect());
        assert_eq!(dirty.next_slaves(now), links(1..=168).chain(links(213..=300)).collect());
    }
}
