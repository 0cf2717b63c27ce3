//! Which slave is a prefix declared for? The longest that an address is in counts.
//!
//! A prefix is stored as an address that no other prefix is stored as: the bit behind it is set, and all further ones are
//! not. So a table of addresses is searched once for each length that is in use.

use crate::addresses::Addresses;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicU32, AtomicU64};
use ipvl_core::{Addr, Owner, Words};

/// How many bits an address has. A prefix has fewer.
pub const BITS: u8 = 128;

/// All prefixes of a port. All zero: none.
pub struct Prefixes {
    /// The owners, by [`Prefixes::key`].
    pub table: Addresses,
    /// Which lengths are in use, as bits: the upper half, and the lower.
    used: [AtomicU64; 2],
    /// How many prefixes of each length there are.
    counts: [AtomicU32; BITS as usize],
}

impl Prefixes {
    /// How many there are.
    #[inline(always)]
    pub fn count(&self) -> u32 {
        self.table.count()
    }

    /// The owner of the longest prefix that an address is in.
    #[inline(never)]
    pub fn owner(&self, addr: Addr) -> Owner {
        let [high, low] = &self.used;
        let mut used = u128::from(high.load(Relaxed)) << 64 | u128::from(low.load(Relaxed));
        while let Some(len) = used.checked_ilog2() {
            match self.table.owner(Self::key(addr, len as u8)) {
                Owner::Nobody => used ^= 1 << len,
                owner => return owner,
            }
        }
        Owner::Nobody
    }

    /// What the prefix of this length of an address is stored as.
    pub fn key(addr: Addr, len: u8) -> Words {
        let behind = 1_u128 << (BITS - 1 - len.min(BITS - 1));
        Addr((u128::from_be_bytes(addr.0) & !(behind | (behind - 1)) | behind).to_be_bytes()).into()
    }

    /// There is one prefix more of this length, or one less.
    pub fn count_length(&self, len: u8, more: bool) {
        let Some(count) = self.counts.get(usize::from(len)) else { return };
        let left = if more { count.load(Relaxed) + 1 } else { count.load(Relaxed).saturating_sub(1) };
        count.store(left, Relaxed);
        let [high, low] = &self.used;
        let half = if len < 64 { low } else { high };
        let bit = 1 << (len % 64);
        let used = half.load(Relaxed);
        half.store(if left > 0 { used | bit } else { used & !bit }, Relaxed);
    }
}
