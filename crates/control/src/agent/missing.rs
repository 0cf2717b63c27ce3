//! Is a link that was not found gone, or is an event about it still unread?
//!
//! The kernel queues the event that a link died or moved to another netns before the link can no longer be found. The
//! agent reads events only at the top of a turn, so a link may be missing while the event that says why is unread. The
//! agent therefore looks for it once more in the next turn: only a link that is then missing again is gone.

use ipvl_core::IfIndex;
use std::collections::BTreeSet;

/// Links that were looked for and not found.
#[derive(Default)]
pub struct Missing {
    /// Not found in this turn.
    fresh: BTreeSet<IfIndex>,
    /// Not found in an earlier turn: the events of that time have been read.
    confirmed: BTreeSet<IfIndex>,
}

impl Missing {
    /// Begins a turn, before its events are read. Returns the links to look for again.
    pub fn begin_turn(&mut self) -> BTreeSet<IfIndex> {
        self.confirmed.extend(&self.fresh);
        std::mem::take(&mut self.fresh)
    }

    /// The link exists.
    pub fn found(&mut self, link: IfIndex) {
        self.fresh.remove(&link);
        self.confirmed.remove(&link);
    }

    /// The link was not found. Returns whether it is gone; if not, the next turn looks again.
    pub fn is_gone(&mut self, link: IfIndex) -> bool {
        let gone = self.confirmed.remove(&link);
        if !gone {
            self.fresh.insert(link);
        }
        gone
    }

    /// Whether the next turn must look for this link again.
    pub fn is_open(&self, link: IfIndex) -> bool {
        self.fresh.contains(&link)
    }

    /// Whether the next turn has no link to look for again.
    pub fn is_empty(&self) -> bool {
        self.fresh.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: IfIndex = IfIndex(7);

    #[test]
    fn a_link_is_gone_when_it_is_missing_again_after_events_were_read() {
        let mut missing = Missing::default();
        assert!(!missing.is_gone(LINK) && !missing.is_gone(LINK), "no event has been read in between");
        assert!(missing.is_open(LINK) && !missing.is_empty());
        assert_eq!(missing.begin_turn(), BTreeSet::from([LINK]));
        assert!(missing.is_gone(LINK) && missing.is_empty());
        assert!(!missing.is_gone(LINK), "another link of that number");
    }

    #[test]
    fn a_link_that_returns_is_not_gone() {
        let mut missing = Missing::default();
        assert!(!missing.is_gone(LINK));
        missing.begin_turn();
        missing.found(LINK);
        assert!(!missing.is_gone(LINK) && missing.is_open(LINK));
    }
}
