//! Which slave has sent a DHCP request with this transaction id?
//!
//! There are so many places and no more. A slave that uses up those that its transaction ids may have loses its own, and not
//! those of its siblings. Read and changed under the port's lock.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;
use ipvl_core::dhcp::Asked;
use ipvl_core::{Asker, Slot};

const SETS: usize = 128;
const WAYS: usize = 16;
/// In a place that is taken, beside its transaction id.
const TAKEN: u64 = 1 << 32;

/// The slaves that wait for replies. All zero: none.
pub struct Askers([Set; SETS]);

/// Where a transaction id may be.
struct Set([Place; WAYS]);

struct Place {
    xid: AtomicU64,
    /// An [`Asked`].
    asked: [AtomicU64; 2],
}

impl Askers {
    /// The slave that waits for a reply with this transaction id.
    pub fn asker(&self, xid: u32, now: u64) -> Option<Asker> {
        self.set(xid).find(xid)?.asked().asker(now)
    }

    /// The slave in `slot` asks.
    pub fn remember(&self, xid: u32, slot: Slot, now: u64) {
        let set = self.set(xid);
        let before = set.find(xid);
        if let Some(place) = before.or_else(|| set.dearest(slot, now)) {
            place.put(xid, Asked::after(before.map(Place::asked), slot, now));
        }
    }

    fn set(&self, xid: u32) -> &Set {
        &self.0[xid as usize % SETS]
    }
}

impl Set {
    fn find(&self, xid: u32) -> Option<&Place> {
        self.0.iter().find(|place| place.xid.load(Relaxed) == TAKEN | u64::from(xid))
    }

    /// The place that the slave in `slot` takes: one that nobody waits for, else the oldest of the slave that has most, the new
    /// one counted.
    fn dearest(&self, slot: Slot, now: u64) -> Option<&Place> {
        let of = |place: &Place| place.asked().asker(now).map(|asker| asker.slot);
        self.0.iter().max_by_key(|place| {
            let owner = of(place).filter(|_| place.is_taken());
            let held = self.0.iter().filter(|other| other.is_taken() && of(other) == owner).count();
            (owner.is_none(), held + usize::from(owner == Some(slot)), place.asked().age(now))
        })
    }
}

impl Place {
    fn is_taken(&self) -> bool {
        self.xid.load(Relaxed) != 0
    }

    fn asked(&self) -> Asked {
        let words = [self.asked[0].load(Relaxed), self.asked[1].load(Relaxed)];
        zerocopy::transmute!(words)
    }

    fn put(&self, xid: u32, asked: Asked) {
        let words: [u64; 2] = zerocopy::transmute!(asked);
        self.xid.store(TAKEN | u64::from(xid), Relaxed);
        self.asked[0].store(words[0], Relaxed);
        self.asked[1].store(words[1], Relaxed);
    }
}
