//! What must be read again, and in which order?

use ipvl_core::IfIndex;
use std::collections::BTreeSet;
use std::ops::Bound;

/// How many slaves are synced in one turn, before the agent reads events and requests again.
const SLAVES_A_TURN: usize = 64;

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
    /// The last host end of the previous turn.
    last: IfIndex,
}

impl Dirty {
    /// The slaves of this turn. They are taken in a circle, so a slave that changes all the time does not delay others.
    pub fn next_slaves(&mut self) -> BTreeSet<IfIndex> {
        let before = self.host_ends.range(..=self.last);
        let after = self.host_ends.range((Bound::Excluded(self.last), Bound::Unbounded));
        let next: Vec<IfIndex> = after.chain(before).copied().take(SLAVES_A_TURN).collect();
        self.last = next.last().copied().unwrap_or(IfIndex::NONE);
        BTreeSet::from_iter(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::RangeInclusive;

    #[test]
    fn everybody_has_a_turn() {
        let links = |range: RangeInclusive<u32>| range.map(IfIndex);
        let mut dirty = Dirty { host_ends: links(1..=100).collect(), ..Dirty::default() };
        assert_eq!(dirty.next_slaves(), links(1..=64).collect());
        // All of them are dirty again by then.
        assert_eq!(dirty.next_slaves(), links(1..=28).chain(links(65..=100)).collect());
        assert_eq!(dirty.next_slaves(), links(29..=92).collect());
    }
}
