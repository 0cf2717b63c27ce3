//! Which slave is behind a host end? A copy of the map `SLOT_BY_IFINDEX` that takes fewer instructions to search.

use crate::abi::{IfIndex, Slot};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Number of entries of the map `SLOT_CACHE`.
pub const SLOT_CACHE_LEN: u32 = 1 << 14;

/// An entry of the map `SLOT_CACHE`, an array that is direct-mapped by a host end's ifindex modulo [`SLOT_CACHE_LEN`]. Of
/// the host ends that share an entry, one is in it; the others are in the hash map `SLOT_BY_IFINDEX` only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C, align(8))]
pub struct SlotCacheEntry {
    /// The host end's ifindex; 0 if the entry is empty.
    pub host_end: IfIndex,
    /// The slave's slot.
    pub slot: Slot,
}
