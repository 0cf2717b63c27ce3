//! What may a decision ask about a frame and about the world?

use crate::abi::{PortEntry, Slot};
use crate::addr::{Addr, Words};
use crate::group::{Group, Members};
use crate::owner::Owner;
use crate::slave::Slave;

/// The bytes of a frame, and what the kernel knows about it besides.
pub trait Frame {
    /// Length in bytes, link-layer header included; of a GSO packet, that of the whole.
    fn len(&self) -> usize;

    /// The `N` bytes at `offset`; `None` if the frame ends before.
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;

    /// As [`Frame::read`], of a frame of `HEAD` bytes at least: however many fields are read, the kernel's verifier sees one
    /// comparison.
    #[inline(always)]
    fn head<const HEAD: usize, const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        if self.len() < HEAD { None } else { self.read(offset) }
    }

    /// As [`Frame::read`], for an offset that the frame itself gave: slower in the kernel, which must check it.
    fn read_at<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;

    /// The VLAN id in the frame's metadata, where the kernel keeps the outer 802.1Q or 802.1ad tag.
    fn vlan(&self) -> Option<u16>;

    /// Whether the frame stands for several segments (GSO), so that its length is not that of a packet.
    fn is_gso(&self) -> bool;

    /// Whether the device that received it took it for its own (`PACKET_HOST`): by its own MAC address, which on a bond's
    /// link may be another than the bond's.
    fn is_to_us(&self) -> bool;

    /// Whether it is the host's own multicast, looped back to the host (`PACKET_LOOPBACK`).
    fn is_loopback(&self) -> bool;

    /// Whether there are no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What the control plane wrote down.
pub trait Tables {
    /// The master and what all slaves share.
    fn port(&self) -> PortEntry;

    /// The same where it is; `None` if nothing is there.
    fn port_ref(&self) -> Option<&PortEntry>;

    /// The slave in `slot`; [`Slave::VACANT`] if there is none.
    fn slave(&self, slot: Slot) -> Slave;

    /// Who owns `addr`.
    fn owner(&self, addr: Addr) -> Owner;

    /// The same, of an address in machine words.
    #[inline(always)]
    fn owner_of(&self, addr: Words) -> Owner {
        self.owner(addr.into())
    }

    /// Who has joined `group`; `None` if nobody has.
    fn members(&self, group: Group) -> Option<&Members>;

    /// Which slave sent the broadcast with this [digest](crate::digest) a moment ago.
    fn sender_of(&self, digest: u64) -> Option<Slot>;
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

    fn sender_of(&self, digest: u64) -> Option<Slot> {
        (**self).sender_of(digest)
    }
}
