//! Which slave owns an address, or does the host? A hash table of chains that grows, which readers search without
//! waiting.
//!
//! An entry's address never changes; its owner is one word. Each entry has two links, one for the table of now and one
//! for the next larger table: so all entries are linked anew while readers still follow the old links. C lets a grace
//! period pass between two growths.

use crate::memory::{Rcu, RcuHead, RcuObject, boxed, free, trailing};
use core::ptr;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU32, AtomicU64};
use ipvl_core::{Origin, Owner, Slot, Words};

/// Why an address cannot be owned.
#[derive(Clone, Copy)]
pub enum Refused {
    /// Another slave, or the host, owns it.
    InUse,
    /// No memory.
    NoMemory,
}

/// All addresses of a port. All zero is a table without buckets, which knows nothing.
pub struct Addresses {
    buckets: Rcu<Buckets>,
    count: AtomicU32,
    seed: AtomicU64,
}

/// A table's chains; the array of their heads follows in memory.
#[repr(C)]
pub struct Buckets {
    rcu: RcuHead,
    /// One less than the number of chains, which is a power of two.
    mask: u32,
    /// Which of an entry's links this table uses.
    side: u32,
}

/// One address.
#[repr(C)]
struct Entry {
    rcu: RcuHead,
    addr: [u64; 2],
    /// One more than the owner's slot in the low half, with [`DEVICE`] or [`DECLARED`] or both; and [`HOST`] if the host has
    /// the address.
    owner: AtomicU64,
    next: [AtomicPtr<Entry>; 2],
}

const HOST: u64 = 1 << 32;
/// The owner has it on its device.
const DEVICE: u64 = 1 << 33;
/// It is declared for the owner.
const DECLARED: u64 = 1 << 34;

/// Why a slave owns an address, as a bit.
fn bit(origin: Origin) -> u64 {
    if matches!(origin, Origin::Device) { DEVICE } else { DECLARED }
}

/// What stands for a slave in the low half.
fn number(slot: Slot) -> u32 {
    slot.0 + 1
}

// SAFETY: each is repr(C), begins with its head, and has only numbers and pointers.
unsafe impl RcuObject for Buckets {}
// SAFETY: as above.
unsafe impl RcuObject for Entry {}

impl Buckets {
    /// How many bytes a table with so many chains takes.
    pub fn bytes(chains: usize) -> usize {
        size_of::<Self>() + chains * size_of::<AtomicPtr<Entry>>()
    }

    #[inline(always)]
    fn head(&self, hash: u32) -> &AtomicPtr<Entry> {
        // SAFETY: so many heads follow as the mask says (`Addresses::grow`).
        unsafe { &*trailing::<_, AtomicPtr<Entry>>(self).add((hash & self.mask) as usize) }
    }

    fn heads(&self) -> impl Iterator<Item = &AtomicPtr<Entry>> {
        (0..=self.mask).map(|at| self.head(at))
    }
}

/// The entry that a link leads to.
#[inline(always)]
fn follow(link: &AtomicPtr<Entry>) -> Option<&Entry> {
    // SAFETY: null, or published whole; freed only after this reader has finished (see `memory`).
    unsafe { link.load(Acquire).as_ref() }
}

impl Entry {
    #[inline(always)]
    fn link(&self, side: u32) -> &AtomicPtr<Entry> {
        let [even, odd] = &self.next;
        if side & 1 == 0 { even } else { odd }
    }
}

impl Addresses {
    /// The owner of an address.
    #[inline(always)]
    pub fn owner(&self, addr: Words) -> Owner {
        match self.find(addr).map_or(0, |entry| entry.owner.load(Relaxed)) {
            0 => Owner::Nobody,
            owner if owner as u32 == 0 => Owner::Host,
            owner => Owner::Slave(Slot(owner as u32 - 1)),
        }
    }

    #[inline(always)]
    fn find(&self, addr: Words) -> Option<&Entry> {
        let buckets = self.buckets.get()?;
        let mut at = follow(buckets.head(self.hash([addr.high, addr.low])));
        while let Some(entry) = at {
            if entry.addr == [addr.high, addr.low] {
                return Some(entry);
            }
            at = follow(entry.link(buckets.side));
        }
        None
    }

    /// The seed is random, so that nobody outside can choose addresses of one chain.
    #[inline(always)]
    fn hash(&self, [high, low]: [u64; 2]) -> u32 {
        const PHI: u64 = 0x9e37_79b9_7f4a_7c15;
        let half = (low ^ self.seed.load(Relaxed)).wrapping_mul(PHI);
        ((half ^ half >> 32 ^ high).wrapping_mul(PHI) >> 32) as u32
    }

    /// The slave in `slot` has the address; true if it had it not before.
    pub fn add(&self, addr: Words, slot: Slot, origin: Origin) -> Result<bool, Refused> {
        let owner = bit(origin) | u64::from(number(slot));
        let Some(entry) = self.find(addr) else { return self.insert(addr, owner).map(|()| true) };
        let before = entry.owner.load(Relaxed);
        if before as u32 != number(slot) {
            return Err(Refused::InUse);
        }
        entry.owner.store(before | owner, Relaxed);
        Ok(false)
    }

    /// The address, which a slave owns, is declared for the one in `slot` instead.
    pub fn hand_over(&self, addr: Words, slot: Slot) {
        self.change(addr, |owner| owner & HOST | DECLARED | u64::from(number(slot)));
    }

    /// Whether the slave in `slot` may put the address on its device: nobody has it, or it is declared for this one.
    pub fn is_open_to(&self, addr: Words, slot: Slot) -> bool {
        self.find(addr).is_none_or(|entry| entry.owner.load(Relaxed) & !DECLARED == u64::from(number(slot)))
    }

    /// The host has the address. A slave that had it before stays its owner.
    pub fn add_host(&self, addr: Words) -> Result<(), Refused> {
        let Some(entry) = self.find(addr) else { return self.insert(addr, HOST) };
        entry.owner.store(entry.owner.load(Relaxed) | HOST, Relaxed);
        Ok(())
    }

    /// The slave in `slot` does not have the address any more for this reason; true if it had it for no other.
    pub fn remove(&self, addr: Words, slot: Slot, origin: Origin) -> bool {
        let mut gone = false;
        self.change(addr, |owner| {
            let left = if owner as u32 == number(slot) { owner & !bit(origin) } else { owner };
            gone = left != owner && left & (DEVICE | DECLARED) == 0;
            if gone { left & HOST } else { left }
        });
        gone
    }

    /// The host has the address no more.
    pub fn remove_host(&self, addr: Words) {
        self.change(addr, |owner| owner & !HOST);
    }

    /// The slave in `slot` has no address at all, or the host none.
    pub fn forget(&self, slot: Option<Slot>) {
        self.change_all(|_, owner| match slot {
            Some(slot) if owner as u32 == number(slot) => owner & HOST,
            Some(_) => owner,
            None => owner & !HOST,
        });
    }

    /// Takes away what the slave in `slot` has on its device alone, and may not own.
    pub fn lose(&self, slot: Slot, mut may_own: impl FnMut(Words) -> bool) {
        self.change_all(|addr, owner| {
            let is_undeclared = owner as u32 == number(slot) && owner & DECLARED == 0;
            if is_undeclared && !may_own(addr) { owner & HOST } else { owner }
        });
    }

    fn change_all(&self, mut change: impl FnMut(Words, u64) -> u64) {
        let Some(buckets) = self.buckets.get() else { return };
        for head in buckets.heads() {
            let mut link = head;
            while let Some(entry) = follow(link) {
                let [high, low] = entry.addr;
                let left = change(Words { high, low }, entry.owner.load(Relaxed));
                link = self.keep(link, entry, left, buckets.side);
            }
        }
    }

    fn change(&self, addr: Words, change: impl FnOnce(u64) -> u64) {
        let Some(buckets) = self.buckets.get() else { return };
        let mut link = buckets.head(self.hash([addr.high, addr.low]));
        while let Some(entry) = follow(link) {
            if entry.addr == [addr.high, addr.low] {
                self.keep(link, entry, change(entry.owner.load(Relaxed)), buckets.side);
                return;
            }
            link = entry.link(buckets.side);
        }
    }

    /// Gives the entry behind `link` this owner, or takes it out if there is none; the link to go on with.
    fn keep<'a>(&self, link: &'a AtomicPtr<Entry>, entry: &'a Entry, owner: u64, side: u32) -> &'a AtomicPtr<Entry> {
        if owner != 0 {
            entry.owner.store(owner, Relaxed);
            return entry.link(side);
        }
        link.store(entry.link(side).load(Relaxed), Release);
        self.count.store(self.count.load(Relaxed) - 1, Relaxed);
        free(ptr::from_ref(entry).cast_mut());
        link
    }

    fn insert(&self, addr: Words, owner: u64) -> Result<(), Refused> {
        let Some(buckets) = self.buckets.get() else { return Err(Refused::NoMemory) };
        let addr = [addr.high, addr.low];
        let next = [const { AtomicPtr::new(ptr::null_mut()) }; 2];
        let entry = Entry { rcu: RcuHead::NEW, addr, owner: AtomicU64::new(owner), next };
        let entry = boxed(entry).ok_or(Refused::NoMemory)?;
        // SAFETY: just made, and in no table yet.
        link_in(buckets, self.hash(addr), unsafe { entry.as_ref() });
        self.count.store(self.count.load(Relaxed) + 1, Relaxed);
        Ok(())
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.count.load(Relaxed)
    }

    /// How many chains the table should have, if it has too few.
    pub fn wanted(&self) -> Option<usize> {
        let count = self.count.load(Relaxed).max(MIN_CHAINS / 2);
        let chains = self.buckets.get().map_or(0, |buckets| buckets.mask + 1);
        (count > chains).then(|| (count as usize * 2).next_power_of_two())
    }

    /// Moves all entries to a table with so many chains. `new` is zeroed memory of [`Buckets::bytes`]. No reader may be
    /// left that was there before the last growth.
    pub fn grow(&self, new: &mut Buckets, chains: usize, seed: u64) {
        let old = self.buckets.get();
        if old.is_none() {
            self.seed.store(seed, Relaxed);
        }
        new.mask = chains as u32 - 1;
        new.side = old.map_or(0, |old| old.side ^ 1);
        for head in old.into_iter().flat_map(Buckets::heads) {
            let mut at = follow(head);
            while let Some(entry) = at {
                at = follow(entry.link(new.side ^ 1));
                link_in(new, self.hash(entry.addr), entry);
            }
        }
        self.buckets.replace(ptr::from_mut(new));
    }

    /// Frees all of it.
    pub fn free(&self) {
        self.forget(None);
        for head in self.buckets.get().into_iter().flat_map(Buckets::heads) {
            while let Some(entry) = follow(head) {
                self.keep(head, entry, 0, self.buckets.get().map_or(0, |buckets| buckets.side));
            }
        }
        self.buckets.replace(ptr::null_mut());
    }
}

const MIN_CHAINS: u32 = 64;

/// Puts an entry at the head of its chain.
fn link_in(buckets: &Buckets, hash: u32, entry: &Entry) {
    let head = buckets.head(hash);
    entry.link(buckets.side).store(head.load(Relaxed), Relaxed);
    head.store(ptr::from_ref(entry).cast_mut(), Release);
}
