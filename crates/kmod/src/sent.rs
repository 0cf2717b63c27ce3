//! Which slave has sent a broadcast that the switch may send back?
//!
//! A cache in which each entry is one word: digest, sender, and the time in units of about a millisecond.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;
use ipvl_core::Slot;

const ENTRIES: usize = 1024;
/// How long a frame may take to the switch and back: about a second.
const UNITS: u16 = 1000;
const UNIT_SHIFT: u32 = 20;

/// The senders of recent broadcasts. All zero: none.
pub struct Sent([AtomicU64; ENTRIES]);

impl Sent {
    /// The slave in `slot` has sent it.
    pub fn remember(&self, digest: u64, slot: Slot, now: u64) {
        self.entry(digest).store(mark(digest) | u64::from(slot.0 as u16) << 16 | time(now), Relaxed);
    }

    /// The slave that has sent it just now.
    pub fn sender(&self, digest: u64, now: u64) -> Option<Slot> {
        let entry = self.entry(digest).load(Relaxed);
        let age = (time(now) as u16).wrapping_sub(entry as u16);
        (entry != 0 && mark(entry) == mark(digest) && age <= UNITS).then_some(Slot(u32::from((entry >> 16) as u16)))
    }

    fn entry(&self, digest: u64) -> &AtomicU64 {
        &self.0[digest as usize % ENTRIES]
    }
}

fn mark(digest: u64) -> u64 {
    digest >> 32 << 32
}

fn time(now: u64) -> u64 {
    now >> UNIT_SHIFT & 0xffff
}
