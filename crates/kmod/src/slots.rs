//! Which slave is in a slot? An array that grows; an entry's word is the slave as core knows it.

use crate::declared::List;
use crate::memory::{Rcu, RcuHead, RcuObject, trailing};
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64};
use ipvl_core::{Mac, Slave, Slot, State, WIRE};

/// `struct ipvl_slot` in C.
#[repr(C)]
pub struct Entry {
    /// The slave's device, which C uses.
    dev: AtomicPtr<c_void>,
    /// A [`Slave`].
    word: AtomicU64,
    /// What it has joined; null for everything.
    groups: Rcu<Groups>,
    /// What is declared for it; null for nothing. Read and changed under the port's lock.
    pub declared: Rcu<List>,
    /// Its token bucket for floods.
    pub bucket: AtomicU64,
    /// The number of its netns, as of its last change or new address.
    netns: AtomicU32,
    /// How many addresses it has.
    addresses: AtomicU32,
}

/// `struct ipvl_slots` in C; the entries follow.
#[repr(C)]
pub struct Slots {
    rcu: RcuHead,
    len: u32,
    /// One more than the highest slot that was ever in use.
    used: AtomicU32,
}

/// `struct ipvl_groups` in C: what a slave has joined. The MAC addresses follow, each as a number.
#[repr(C)]
pub struct Groups {
    rcu: RcuHead,
    len: u64,
}

// SAFETY: each is repr(C), begins with its head, and has only numbers.
unsafe impl RcuObject for Slots {}
// SAFETY: as above.
unsafe impl RcuObject for Groups {}

/// `dev_id`, which is one more than the slot, has 16 bits, and the last numbers mean something else.
const MOST: u32 = 0xfffc;
const LEAST: u32 = 16;

impl Slots {
    /// How many bytes so many slots take.
    pub fn bytes(len: usize) -> usize {
        size_of::<Self>() + len * size_of::<Entry>()
    }

    /// How many slots there should be, for one slave more than there are now; `None` if that is too many.
    pub fn wanted(slots: Option<&Self>) -> Option<usize> {
        let len = slots.map_or(0, |slots| slots.len);
        (len < MOST).then(|| (len * 2).clamp(LEAST, MOST) as usize)
    }

    /// One past the last slot that can have a slave.
    #[inline(always)]
    pub fn used(&self) -> u32 {
        self.used.load(Relaxed)
    }

    /// The entry of a slot.
    #[inline(always)]
    pub fn get(&self, slot: Slot) -> Option<&Entry> {
        // SAFETY: `len` entries follow (`Slots::fill`).
        (slot.0 < self.len).then(|| unsafe { &*trailing::<_, Entry>(self).add(slot.0 as usize) })
    }

    /// Makes a larger array of zeroed memory: the entries of `old`, and vacant ones.
    pub fn fill(&mut self, len: usize, old: Option<&Self>) {
        self.len = len as u32;
        for slot in 0..old.map_or(0, Self::used) {
            if let (Some(new), Some(old)) = (self.get(Slot(slot)), old.and_then(|old| old.get(Slot(slot)))) {
                new.dev.store(old.dev.load(Relaxed), Relaxed);
                new.word.store(old.word.load(Relaxed), Relaxed);
                new.groups.publish(old.groups.raw());
                new.declared.publish(old.declared.raw());
                new.bucket.store(old.bucket.load(Relaxed), Relaxed);
                new.netns.store(old.netns.load(Relaxed), Relaxed);
                new.addresses.store(old.addresses.load(Relaxed), Relaxed);
            }
        }
        self.used.store(old.map_or(0, Self::used), Relaxed);
    }

    /// How many addresses the slaves in a netns have.
    pub fn addresses_in(&self, netns: u32) -> u32 {
        let entries = (0..self.used()).filter_map(|slot| self.get(Slot(slot)));
        entries.filter(|entry| entry.netns.load(Relaxed) == netns).map(|entry| entry.addresses.load(Relaxed)).sum()
    }

    /// Gives `dev` the first free slot from `cursor` on, so that a slot is not used again at once. The slot that stands
    /// for the wire is never given.
    pub fn take(&self, cursor: u32, dev: *mut c_void) -> Option<Slot> {
        let free = |slot: &u32| *slot != WIRE.0 && self.get(Slot(*slot)).is_some_and(Entry::is_free);
        let slot = (cursor..self.len).find(free).or_else(|| (0..cursor.min(self.len)).find(free))?;
        self.get(Slot(slot))?.dev.store(dev, Release);
        self.used.store(self.used().max(slot + 1), Relaxed);
        Some(Slot(slot))
    }
}

impl Entry {
    fn is_free(&self) -> bool {
        self.dev.load(Relaxed).is_null()
    }

    /// The slave.
    #[inline(always)]
    pub fn slave(&self) -> Slave {
        let word = self.word.load(Acquire);
        zerocopy::transmute!(word)
    }

    /// Another slave, or the same with other properties.
    pub fn set(&self, slave: Slave) {
        self.word.store(zerocopy::transmute!(slave), Release);
    }

    /// Nobody is here any more.
    pub fn clear(&self) {
        self.set(Slave::VACANT);
        self.dev.store(ptr::null_mut(), Release);
        self.groups.replace(ptr::null_mut());
        self.declared.replace(ptr::null_mut());
        self.bucket.store(0, Relaxed);
        self.addresses.store(0, Relaxed);
    }

    /// It is in this netns.
    pub fn settle(&self, netns: u32) {
        self.netns.store(netns, Relaxed);
    }

    /// It has one address more, in this netns.
    pub fn gains(&self, netns: u32) {
        self.settle(netns);
        self.addresses.store(self.addresses.load(Relaxed) + 1, Relaxed);
    }

    /// It has one address less.
    pub fn loses(&self) {
        self.addresses.store(self.addresses.load(Relaxed).saturating_sub(1), Relaxed);
    }

    /// It gets the frames to all groups, or to those that it has joined.
    pub fn hear_all_groups(&self, all_groups: bool) {
        let slave = self.slave();
        self.set(slave.with_state(State { all_groups, ..slave.state() }));
    }

    /// Exchanges what it has joined.
    pub fn join(&self, groups: *mut Groups) {
        self.groups.replace(groups);
    }

    /// Whether it gets frames to the group `mac`.
    #[inline(always)]
    pub fn hears(&self, mac: Mac) -> bool {
        let Mac([a, b, c, d, e, f]) = mac;
        let wanted = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        self.groups.get().is_none_or(|groups| groups.macs().any(|mac| mac == wanted))
    }
}

impl Groups {
    #[inline(always)]
    fn macs(&self) -> impl Iterator<Item = u64> + '_ {
        // SAFETY: C has written so many behind it.
        (0..self.len as usize).map(|at| unsafe { *trailing::<_, u64>(self).add(at) })
    }
}
