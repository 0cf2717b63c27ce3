//! What does one port know? `Tables` for what core asks.

use crate::addresses::Addresses;
use crate::askers::Askers;
use crate::memory::{Held, Lock, Rcu, RcuHead, RcuObject, boxed, now};
use crate::prefixes::Prefixes;
use crate::sent::Sent;
use crate::slots::{Entry, Slots};
use core::sync::atomic::{AtomicU32, AtomicU64};
use ipvl_core::*;

/// `struct ipvl_tables` in C, which reads the slots. All zero: nothing is known, and every packet is the host's.
#[repr(C)]
pub struct State {
    rcu: RcuHead,
    pub slots: Rcu<Slots>,
    pub port: Rcu<Port>,
    pub addresses: Addresses,
    /// Prefixes that are declared for slaves.
    pub prefixes: Prefixes,
    /// The slot to try first for the next new slave.
    pub cursor: AtomicU32,
    /// The token bucket of what comes from outside.
    pub wire_bucket: AtomicU64,
    pub sent: Sent,
    askers: Askers,
    lock: Lock,
}

// SAFETY: it is repr(C), begins with its head, and has only numbers and pointers.
unsafe impl RcuObject for State {}

/// The master, as readers see it. It is never changed, only exchanged.
#[repr(C)]
pub struct Port {
    rcu: RcuHead,
    entry: PortEntry,
}

// SAFETY: it is repr(C), begins with its head, and has only numbers.
unsafe impl RcuObject for Port {}

impl Port {
    /// A port with this entry.
    pub fn new(entry: PortEntry) -> Self {
        Self { rcu: RcuHead::NEW, entry }
    }
}

impl State {
    /// Gives tables that know nothing their lock.
    pub fn guarded_by(&mut self, lock: Lock) {
        self.lock = lock;
    }

    /// What is in a slot.
    pub fn entry(&self, slot: Slot) -> Option<&Entry> {
        self.slots.get()?.get(slot)
    }

    /// Waits until no other writer changes the tables.
    pub fn lock(&self) -> Held<'_> {
        self.lock.hold()
    }

    /// Remembers that the slave in `slot` has sent a DHCP request. From the first one on, the fast path leaves DHCP alone.
    pub fn remember_asker(&self, xid: u32, slot: Slot) {
        let _held = self.lock();
        self.askers.remember(xid, slot, now());
        let entry = self.port();
        if !entry.has(PortEntry::DHCP)
            && let Some(port) = boxed(Port::new(PortEntry { flags: entry.flags | PortEntry::DHCP, ..entry }))
        {
            self.port.replace(port.as_ptr());
        }
    }

    /// The token bucket of a source.
    pub fn bucket(&self, source: Slot) -> Option<&AtomicU64> {
        if source == WIRE { Some(&self.wire_bucket) } else { self.entry(source).map(|entry| &entry.bucket) }
    }

    /// The slots that a flood looks at: the first, and one past the last.
    #[inline(always)]
    pub fn range(&self, flood: &Flood) -> (u32, u32) {
        let slots = self.slots.get().map_or(0, Slots::used);
        flood.slots(&PortEntry { slots, ..self.port() })
    }
}

impl Tables for State {
    #[inline(always)]
    fn port(&self) -> PortEntry {
        self.port_ref().copied().unwrap_or_default()
    }

    #[inline(always)]
    fn port_ref(&self) -> Option<&PortEntry> {
        self.port.get().map(|port| &port.entry)
    }

    #[inline(always)]
    fn slave(&self, slot: Slot) -> Slave {
        match self.entry(slot) {
            Some(entry) => entry.slave(),
            None => Slave::VACANT,
        }
    }

    #[inline(always)]
    fn owner(&self, addr: Addr) -> Owner {
        self.owner_of(addr.into())
    }

    #[inline(always)]
    fn owner_of(&self, addr: Words) -> Owner {
        match self.addresses.owner(addr) {
            Owner::Nobody if self.prefixes.count() > 0 => self.prefixes.owner(addr.into()),
            owner => owner,
        }
    }

    /// Membership is asked of each slave's own list, see `ipvl_flood_next`.
    #[inline(always)]
    fn members(&self, _: Group) -> Option<&Members> {
        None
    }

    /// A slave's own list has a group before the join returns.
    #[inline(always)]
    fn is_joining(&self) -> bool {
        false
    }

    fn sender_of(&self, digest: u64) -> Option<Slot> {
        self.sent.sender(digest, now())
    }

    #[inline(never)]
    fn asker_of(&self, xid: u32) -> Option<Asker> {
        let _held = self.lock();
        self.askers.asker(xid, now())
    }
}
