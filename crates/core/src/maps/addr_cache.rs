//! Which slave owns an address? A copy of the map `ADDRS` that takes fewer instructions to search.

use crate::abi::Slot;
use crate::addr::{Addr, Words};
use crate::owner::{Owner, OwnerEntry};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How many bits [`Words::cache_index`] has: the map `ADDR_CACHE` has 2 to the power of this many entries.
pub const ADDR_CACHE_BITS: u32 = 16;

impl Words {
    /// The address's entry in the map `ADDR_CACHE`. The multiplication spreads neighbouring addresses evenly (Knuth, The
    /// Art of Computer Programming 3, 6.4).
    #[inline(always)]
    pub fn cache_index(self) -> u32 {
        const PHI: u64 = 0x9e37_79b9_7f4a_7c15;
        ((self.high ^ self.low).wrapping_mul(PHI) >> (64 - ADDR_CACHE_BITS)) as u32
    }
}

/// An entry of the map `ADDR_CACHE`, an array that is direct-mapped by [`Words::cache_index`]. Of the addresses that share
/// an entry, one is in it; the others are in the hash map `ADDRS` only.
///
/// An entry is longer than what a CPU writes at once. A writer first sets `owner` to 0, then writes the address, then the
/// owner; a reader compares the owner before and after it reads the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C, align(8))]
pub struct AddrCacheEntry {
    /// The address.
    pub addr: Addr,
    /// Its owner: 2 more than the owner's slot or [`OwnerEntry::HOST`], modulo 2^32; 0 if the entry is empty.
    pub owner: u32,
    /// Always zero.
    pub reserved: u32,
}

impl AddrCacheEntry {
    /// The entry for `addr`; an empty one for [`Owner::Nobody`].
    pub fn new(addr: Addr, owner: Owner) -> Self {
        Self { addr, owner: Self::number(owner), reserved: 0 }
    }

    /// An owner as [`AddrCacheEntry::owner`] has it.
    #[inline(always)]
    pub fn number(owner: Owner) -> u32 {
        match owner {
            Owner::Slave(Slot(slot)) => slot + 2,
            Owner::Host => OwnerEntry::HOST.0.wrapping_add(2),
            Owner::Nobody => 0,
        }
    }

    /// The owner that a value of [`AddrCacheEntry::owner`] stands for.
    #[inline(always)]
    pub fn owner(number: u32) -> Owner {
        Owner::in_slot(Slot(number.wrapping_sub(2)))
    }
}
