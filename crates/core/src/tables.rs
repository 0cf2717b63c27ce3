//! What may a decision ask about the port, its slaves and their addresses?

use crate::abi::{PortEntry, Slot};
use crate::addr::{Addr, Words};
use crate::group::{Group, Members};
use crate::owner::Owner;
use crate::slave::Slave;

/// The state of one port, as the control plane has written it.
pub trait Tables {
    /// The master and what all slaves share.
    fn port(&self) -> PortEntry;

    /// The same without a copy; `None` if there is no entry.
    fn port_ref(&self) -> Option<&PortEntry>;

    /// The slave in `slot`; [`Slave::VACANT`] if there is none.
    fn slave(&self, slot: Slot) -> Slave;

    /// The owner of `addr`.
    fn owner(&self, addr: Addr) -> Owner;

    /// The owner of an address in machine words.
    #[inline(always)]
    fn owner_of(&self, addr: Words) -> Owner {
        self.owner(addr.into())
    }

    /// The slaves that have joined `group`; `None` if none has.
    fn members(&self, group: Group) -> Option<&Members>;

    /// Whether slaves may have joined groups that [`Tables::members`] does not know of yet.
    fn is_joining(&self) -> bool;

    /// The slave that sent the broadcast with this [digest](crate::digest()) a moment ago.
    fn sender_of(&self, digest: u64) -> Option<Slot>;

    /// The slave that has sent a DHCP request with this transaction id a moment ago.
    fn asker_of(&self, xid: u32) -> Option<Asker>;

    /// Takes this many bytes from the token bucket of a slave with a limited rate; false if it is empty. Tables without
    /// buckets limit nothing.
    fn take_bytes(&self, _slot: Slot, _bytes: u32) -> bool {
        true
    }
}

/// The slave that waits for a DHCP reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Its slot. Of several slaves with the same transaction id, it has asked first.
    pub slot: Slot,
    /// Whether no other slave has used the same transaction id.
    pub alone: bool,
}

impl<T: Tables + ?Sized> Tables for &T {
    fn port(&self) -> PortEntry {
        (**self).port()
    }

    fn port_ref(&self) -> Option<&PortEntry> {
        (**self).port_ref()
    }

    fn slave(&self, slot: Slot) -> Slave {
        (**self).slave(slot)
    }

    fn owner(&self, addr: Addr) -> Owner {
        (**self).owner(addr)
    }

    fn members(&self, group: Group) -> Option<&Members> {
        (**self).members(group)
    }

    fn is_joining(&self) -> bool {
        (**self).is_joining()
    }

    fn sender_of(&self, digest: u64) -> Option<Slot> {
        (**self).sender_of(digest)
    }

    fn asker_of(&self, xid: u32) -> Option<Asker> {
        (**self).asker_of(xid)
    }

    fn take_bytes(&self, slot: Slot, bytes: u32) -> bool {
        (**self).take_bytes(slot, bytes)
    }
}
