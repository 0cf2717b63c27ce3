//! Which slave has sent a DHCP request with this transaction id? What a body remembers of each: in eBPF the value of the map
//! `XIDS`.

use crate::abi::Slot;
use crate::tables::Asker;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How long a client may wait for a reply: RFC 2131, 4.1, has it ask again after 64 s at most.
const PATIENCE_NANOS: u64 = 64_000_000_000;

/// What is remembered by transaction id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Asked {
    /// When the first slave last asked: the time in nanoseconds of `CLOCK_MONOTONIC`.
    at: u64,
    /// The slot of the first slave.
    slot: Slot,
    /// Whether another slave has asked with the same transaction id since.
    shared: u32,
}

impl Asked {
    /// The entry after the slave in `slot` has asked, given what was there. Of two slaves with one transaction id the first
    /// stays, so that none takes another's replies by repeating its transaction id.
    #[inline(always)]
    pub fn after(before: Option<Self>, slot: Slot, now: u64) -> Self {
        match before {
            Some(entry) if entry.is_recent(now) && entry.slot != slot => Self { shared: 1, ..entry },
            Some(entry) if entry.is_recent(now) => Self { at: now, ..entry },
            _ => Self { at: now, slot, shared: 0 },
        }
    }

    /// The slave that waits for a reply at the time `now`.
    #[inline(always)]
    pub fn asker(&self, now: u64) -> Option<Asker> {
        self.is_recent(now).then_some(Asker { slot: self.slot, alone: self.shared == 0 })
    }

    /// For how many nanoseconds it has not been asked again.
    #[inline(always)]
    pub fn age(&self, now: u64) -> u64 {
        now.wrapping_sub(self.at)
    }

    #[inline(always)]
    fn is_recent(&self, now: u64) -> bool {
        self.age(now) < PATIENCE_NANOS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_reply_is_for_the_first_that_asked_for_a_minute() {
        let first = Asked::after(None, Slot(3), 5 * SECOND);
        assert_eq!(first.asker(65 * SECOND), Some(Asker { slot: Slot(3), alone: true }));
        assert_eq!(first.asker(70 * SECOND), None);
        let again = Asked::after(Some(first), Slot(3), 60 * SECOND);
        assert_eq!(again.asker(70 * SECOND), Some(Asker { slot: Slot(3), alone: true }));
        let shared = Asked::after(Some(again), Slot(4), 61 * SECOND);
        assert_eq!(shared.asker(70 * SECOND), Some(Asker { slot: Slot(3), alone: false }));
        let late = Asked::after(Some(shared), Slot(4), 130 * SECOND);
        assert_eq!(late.asker(130 * SECOND), Some(Asker { slot: Slot(4), alone: true }));
    }
}
