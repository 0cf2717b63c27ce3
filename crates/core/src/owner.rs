//! Which slave owns an address, or does the host, and how do the maps store it?

use crate::abi::Slot;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Which slave an address belongs to, or the host: the value of the maps `ADDRS` and `PREFIXES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct OwnerEntry {
    /// The owner's slot, or [`OwnerEntry::HOST`].
    pub slot: Slot,
    /// An [`Origin`] as a number.
    origin: u32,
}

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
        match self.origin {
            1 => Origin::Declared,
            2 => Origin::Expected,
            _ => Origin::Device,
        }
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
