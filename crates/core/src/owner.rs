//! Who owns an address, who sits behind a host end, and how do the maps say so? Layouts, as in `abi.rs`.

use crate::abi::Slot;
use crate::addr::Addr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Which slave an address belongs to, or the host: the value of the maps `ADDRS` and `PREFIXES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct OwnerEntry {
    /// The owner's slot, or [`OwnerEntry::HOST`].
    pub slot: u32,
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
    pub const HOST: u32 = u32::MAX;

    /// An address or a prefix of the slave in this slot.
    pub fn slave(slot: Slot, origin: Origin) -> Self {
        Self { slot: slot.0, origin: origin as u32 }
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

/// One line of the map `SLOT_CACHE`, at a host end's ifindex modulo [`crate::SLOT_CACHE`]: the map `SLOT_BY_IFINDEX` once more, as far as nobody else
/// sits there, for the kernel finds an array's entry in a few instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C, align(8))]
pub struct SlotCacheEntry {
    /// Whose it is; 0 is nobody's.
    pub host_end: u32,
    /// The slave's slot.
    pub slot: u32,
}

/// One line of the map `ADDR_CACHE`, at [`crate::Words::cache_index`]: the map `ADDRS` once more, as far as nobody else is there.
///
/// It is longer than what the kernel writes at once. So whoever writes another address first writes 0 into `owner`, then
/// the address, then the owner, and whoever reads looks at the owner before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C, align(8))]
pub struct AddrCacheEntry {
    /// Whose owner is known here.
    pub addr: Addr,
    /// 0: nobody is here; else 2 more than the owner's slot or [`OwnerEntry::HOST`], modulo 2^32.
    pub owner: u32,
    /// Always zero.
    pub reserved: u32,
}

impl AddrCacheEntry {
    /// What the line says of `addr` and its owner.
    pub fn new(addr: Addr, owner: Owner) -> Self {
        Self { addr, owner: Self::number(owner), reserved: 0 }
    }

    /// What [`AddrCacheEntry::owner`] is for this one.
    #[inline(always)]
    pub fn number(owner: Owner) -> u32 {
        match owner {
            Owner::Slave(Slot(slot)) => slot + 2,
            Owner::Host => OwnerEntry::HOST.wrapping_add(2),
            Owner::Nobody => 0,
        }
    }

    /// Whom [`AddrCacheEntry::owner`] stands for.
    #[inline(always)]
    pub fn owner(number: u32) -> Owner {
        Owner::in_slot(number.wrapping_sub(2))
    }
}

/// Stands for nobody where a slot is wanted.
const NOBODY: u32 = u32::MAX - 1;

/// Who an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Nobody that we know.
    Nobody,
    /// The master's own netns.
    Host,
    /// A slave.
    Slave(Slot),
}

impl Owner {
    /// What an entry found under an address means, or finding none. One number on every path: the verifier must never
    /// see half an answer.
    #[inline(always)]
    pub fn found(entry: Option<&OwnerEntry>) -> Self {
        Self::in_slot(entry.map_or(NOBODY, |entry| entry.slot))
    }

    #[inline(always)]
    fn in_slot(number: u32) -> Self {
        match number {
            OwnerEntry::HOST => Self::Host,
            NOBODY => Self::Nobody,
            slot => Self::Slave(Slot(slot)),
        }
    }
}
