//! What must be read again, and in which order?

use std::collections::BTreeSet;

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
    pub masters: BTreeSet<u32>,
    /// Slaves, by their host ends.
    pub host_ends: BTreeSet<u32>,
    /// Host ends of slaves that may have joined or left a multicast group.
    pub groups: BTreeSet<u32>,
    /// The last host end of the previous turn.
    last: u32,
}

impl Dirty {
    /// The slaves of this turn. They are taken in a circle, so a slave that changes all the time does not delay others.
    pub fn next_slaves(&mut self) -> BTreeSet<u32> {
        let (before, after) = (self.host_ends.range(..=self.last), self.host_ends.range(self.last.saturating_add(1)..));
        let next: Vec<u32> = after.chain(before).copied().take(SLAVES_A_TURN).collect();
        self.last = next.last().copied().unwrap_or(0);
        BTreeSet::from_iter(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_turn() {
        let mut dirty = Dirty { host_ends: (1..=100).collect(), ..Dirty::default() };
        assert_eq!(dirty.next_slaves(), (1..=64).collect());
        // All of them are dirty again by then.
        assert_eq!(dirty.next_slaves(), (1..=28).chain(65..=100).collect());
        assert_eq!(dirty.next_slaves(), (29..=92).collect());
    }
}
