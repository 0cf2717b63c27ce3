//! Which slave owns an address, or does the host, and how do the maps store it?

use crate::abi::{MAX_SLAVES, Slot};
use crate::addr::{Addr, Mac};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Which slave an address belongs to, or the host: the value of the maps `ADDRS` and `PREFIXES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct OwnerEntry {
    /// The owner's slot, or [`OwnerEntry::HOST`].
    pub slot: Slot,
    /// From the lowest byte: an [`Origin`], and of an address that moved a [`MoveReason`] and in two bytes the slot of the
    /// owner before.
    origin: u32,
}

/// How an address went from one owner to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The slot of the slave that had it before.
    pub from: Slot,
    /// Why that slave has it no longer.
    pub why: MoveReason,
}

/// Why an address that a slave had belongs to another owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum MoveReason {
    /// The slave's device was down.
    Down = 1,
    /// The slave did not answer for it, and the new owner did.
    Silent = 2,
    /// `ipvl addr replace`.
    Replaced = 3,
    /// The host has it.
    Host = 4,
}

impl MoveReason {
    const ALL: [Self; 4] = [Self::Down, Self::Silent, Self::Replaced, Self::Host];

    /// The word that `ipvl monitor` prints.
    pub fn word(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Silent => "silent",
            Self::Replaced => "replaced",
            Self::Host => "host",
        }
    }
}

const WHY: u32 = 8;
const FROM: u32 = 16;
const _: () = assert!(MAX_SLAVES <= 1 << (u32::BITS - FROM), "a slot has no room in an entry");

/// How an address came to be owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Origin {
    /// It was seen on the owner's device.
    Device = 0,
    /// `ipvl addr add` declared it.
    Declared = 1,
    /// An engine has reserved it and is about to put it on the slave's device. It becomes [`Origin::Device`] when it is seen
    /// there.
    Expected = 2,
}

impl OwnerEntry {
    /// Stands for the master's own netns in [`OwnerEntry::slot`].
    pub const HOST: Slot = Slot(u32::MAX);

    /// An address or a prefix of the slave in this slot.
    pub fn slave(slot: Slot, origin: Origin) -> Self {
        Self { slot, origin: origin as u32 }
    }

    /// An address of the master's own netns.
    pub fn host() -> Self {
        Self { slot: Self::HOST, origin: Origin::Device as u32 }
    }

    /// How the owner came to own it.
    pub fn origin(self) -> Origin {
        match self.origin & 0xff {
            1 => Origin::Declared,
            2 => Origin::Expected,
            _ => Origin::Device,
        }
    }

    /// The same, of an address that the slave in the slot `from` had until now.
    pub fn moved(self, from: Slot, why: MoveReason) -> Self {
        Self { origin: self.origin | (why as u32) << WHY | from.0 << FROM, ..self }
    }

    /// How it came from another slave, if it did.
    pub fn last_move(self) -> Option<Moved> {
        let why = MoveReason::ALL.into_iter().find(|why| *why as u32 == self.origin >> WHY & 0xff)?;
        Some(Moved { from: Slot(self.origin >> FROM), why })
    }
}

/// The owner of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Neither the host nor a slave.
    Nobody,
    /// The master's own netns.
    Host,
    /// A slave.
    Slave(Slot),
}

/// The slot that stands for [`Owner::Nobody`].
const NOBODY: Slot = Slot(u32::MAX - 1);

impl Owner {
    /// What the entry of an address means, or that there is none. Both become a slot first: the verifier refuses a
    /// program in which the owner is only set on one of the paths.
    #[inline(always)]
    pub fn found(entry: Option<&OwnerEntry>) -> Self {
        Self::in_slot(entry.map_or(NOBODY, |entry| entry.slot))
    }

    /// The owner that a value of [`OwnerEntry::slot`] stands for, or [`NOBODY`].
    #[inline(always)]
    pub(crate) fn in_slot(slot: Slot) -> Self {
        match slot {
            OwnerEntry::HOST => Self::Host,
            NOBODY => Self::Nobody,
            slot => Self::Slave(slot),
        }
    }
}

/// The IPv6 link-local address of a slave. No sibling has the same, and it stays the same as long as the slave exists. The
/// kernel's driver forms it in the same way: the slave's number in the middle of the master's MAC address, the universal
/// bit not inverted.
pub fn link_local(mac: Mac, slot: Slot) -> Addr {
    let [a, b, c, d, e, f] = mac.0;
    let [high, low] = (slot.0 as u16 + 1).to_be_bytes();
    Addr([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a, b, c, high, low, d, e, f])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_says_how_its_owner_came_to_own_it() {
        let last = Slot(MAX_SLAVES - 1);
        for origin in [Origin::Device, Origin::Declared, Origin::Expected] {
            let entry = OwnerEntry::slave(Slot(7), origin);
            assert_eq!((entry.origin(), entry.last_move()), (origin, None));
            for why in MoveReason::ALL {
                let moved = entry.moved(last, why);
                assert_eq!((moved.slot, moved.origin()), (Slot(7), origin));
                assert_eq!(moved.last_move(), Some(Moved { from: last, why }));
            }
        }
    }
}
