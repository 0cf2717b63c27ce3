//! What owns an address, and how do the maps say so?

use crate::abi::Slot;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The owner of an address or prefix: the value of the maps `ADDRS` and `PREFIXES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct OwnerEntry {
    /// The owner's slot, or [`OwnerEntry::HOST`].
    pub slot: u32,
    /// 0: seen on the slave's device; 1: declared by `ipvl addr add`; [`OwnerEntry::EXPECTED`].
    pub declared: u32,
}

impl OwnerEntry {
    /// Stands for the master's own netns in [`OwnerEntry::slot`].
    pub const HOST: u32 = u32::MAX;
    /// In [`OwnerEntry::declared`]: an engine has reserved it and is about to put it on the slave's device. From when it
    /// is seen there it is as any other on it.
    pub const EXPECTED: u32 = 2;
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

/// The slot number that stands for [`Owner::Nobody`].
const NOBODY: u32 = u32::MAX - 1;

impl Owner {
    /// What the entry of an address means, or that there is none. Both become a slot number first: the verifier refuses a
    /// program in which the owner is only set on one of the paths.
    #[inline(always)]
    pub fn found(entry: Option<&OwnerEntry>) -> Self {
        Self::from_slot_number(entry.map_or(NOBODY, |entry| entry.slot))
    }

    /// The owner that a value of [`OwnerEntry::slot`] stands for, or [`NOBODY`].
    #[inline(always)]
    pub(crate) fn from_slot_number(number: u32) -> Self {
        match number {
            OwnerEntry::HOST => Self::Host,
            NOBODY => Self::Nobody,
            slot => Self::Slave(Slot(slot)),
        }
    }
}
