//! Which addresses and prefixes are declared for one slave? A list that the port's lock guards, as netlink has it.

use crate::memory::{RcuHead, RcuObject, alloc_large, trailing};
use crate::prefixes::BITS;
use core::ffi::CStr;
use core::ptr::{self, NonNull};
use ipvl_core::Addr;

/// `struct ipvl_declaration` in C, and what the attribute has: one in a request, all of a slave in a dump.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Declaration {
    /// An address, or a prefix with no bit set behind it. IPv4: mapped.
    pub addr: [u8; 16],
    /// The length of the prefix in bits of these 16 bytes.
    pub len: u8,
    /// What is to be done: [`ADD`], [`DELETE`] or [`REPLACE`]. In a dump it is the first.
    pub verb: u8,
    reserved: [u8; 2],
}

/// It is to be the slave's, if it is nobody's.
const ADD: u8 = 1;
/// It is to be the slave's no more.
pub const DELETE: u8 = 2;
/// It is to be the slave's, also if it is another slave's.
pub const REPLACE: u8 = 3;

/// How many may be declared for one slave: a dump has all of them.
pub const MOST: usize = 256;

/// What is declared for one slave. The declarations follow in memory.
#[repr(C)]
pub struct List {
    rcu: RcuHead,
    len: usize,
}

// SAFETY: it is repr(C), begins with its head, and has only numbers.
unsafe impl RcuObject for List {}

impl Declaration {
    /// What is wrong with it, if anything is.
    pub fn problem(&self) -> Option<&'static CStr> {
        let addr = Addr(self.addr);
        if !(ADD..=REPLACE).contains(&self.verb) || self.reserved != [0; 2] {
            return Some(c"no such change of a declared address");
        }
        if self.len > BITS || addr.as_v4().is_some() && self.len < BITS - 32 {
            return Some(c"no such length of a prefix");
        }
        if u128::from_be_bytes(self.addr).checked_shl(self.len.into()).unwrap_or(0) != 0 {
            return Some(c"a declared prefix has bits set behind its length");
        }
        let is_unfit = addr.is_group() || addr.is_unspecified() || addr.ip().is_loopback();
        (self.len == BITS && is_unfit).then_some(c"no slave can have this address: it is no station's")
    }

    /// Whether it is about the same addresses.
    fn is_of(&self, other: &Self) -> bool {
        (self.addr, self.len) == (other.addr, other.len)
    }
}

impl List {
    /// What it has.
    pub fn all(&self) -> &[Declaration] {
        // SAFETY: so many follow, see `with`; nobody else changes them, as the caller holds the lock.
        unsafe { core::slice::from_raw_parts(trailing(self), self.len) }
    }

    /// Whether it has these addresses.
    pub fn has(&self, wanted: &Declaration) -> bool {
        self.all().iter().any(|one| one.is_of(wanted))
    }

    /// A list with one more than `old`.
    pub fn with(old: Option<&Self>, more: &Declaration) -> Option<NonNull<Self>> {
        let old = old.map_or(&[][..], Self::all);
        let bytes = size_of::<Self>() + (old.len() + 1) * size_of::<Declaration>();
        let list = alloc_large::<Self>(bytes)?;
        for (at, one) in old.iter().chain([more]).enumerate() {
            // SAFETY: memory for so many, which nobody else has.
            unsafe { list.add(1).cast::<Declaration>().add(at).write(Declaration { verb: ADD, ..*one }) };
        }
        // SAFETY: as above.
        unsafe { list.write(Self { rcu: RcuHead::NEW, len: old.len() + 1 }) };
        Some(list)
    }

    /// Takes these addresses out of the list; false if it has them not.
    ///
    /// # Safety
    /// `list` is null or a list, and the caller holds the lock.
    pub unsafe fn take_out(list: *mut Self, gone: &Declaration) -> bool {
        // SAFETY: the caller's promise.
        let Some(found) = (unsafe { list.as_ref() }) else { return false };
        let Some(at) = found.all().iter().position(|one| one.is_of(gone)) else { return false };
        let last = found.len - 1;
        // SAFETY: both are in the list.
        unsafe {
            let first = list.add(1).cast::<Declaration>();
            ptr::copy(first.add(last), first.add(at), 1);
            (*list).len = last;
        }
        true
    }
}
