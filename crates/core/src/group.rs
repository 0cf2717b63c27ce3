//! Which slaves are members of a multicast group, and which groups need no membership?
//!
//! A group is identified by its MAC address, as in a device's own multicast list. Two IP groups may have the same one.

use crate::abi::{MAX_SLAVES, Slot};
use crate::addr::Mac;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const WORDS: usize = MAX_SLAVES as usize / 64;

/// The key of the map `GROUPS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Group {
    /// The group's MAC address.
    pub mac: Mac,
    /// Always zero.
    reserved: [u8; 2],
}

impl From<Mac> for Group {
    #[inline(always)]
    fn from(mac: Mac) -> Self {
        Self { mac, reserved: [0; 2] }
    }
}

impl Group {
    /// The group that a slave must have joined to get frames to `mac`; `None` for unicast, for broadcast and for what every
    /// station of a link receives (`224.0.0.0/24`, RFC 4541, 2.1.2, and `ff02::1`).
    #[inline(always)]
    pub fn of(mac: Mac) -> Option<Self> {
        let received_by_all = match mac.0 {
            [0x01, 0x00, 0x5e, 0, 0, _] | [0x33, 0x33, 0, 0, 0, 1] | [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => true,
            [first, ..] => first & 1 == 0,
        };
        (!received_by_all).then_some(Self::from(mac))
    }

    /// Whether it is the group of membership reports (`ff02::16`, RFC 3810, 5.2.14). Each join sends some, and a listener asks
    /// again for what it has missed.
    #[inline(always)]
    pub fn is_of_reports(self) -> bool {
        self.mac.0 == [0x33, 0x33, 0, 0, 0, 0x16]
    }
}

/// The members of a group: the value of the map `GROUPS`, with one bit for each slot. A group without an entry has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Members {
    slots: [u64; WORDS],
    /// Whether we have made the master receive the group; 0 or 1.
    pub on_master: u64,
}

impl Members {
    /// No member.
    pub const NOBODY: Self = Self { slots: [0; WORDS], on_master: 0 };

    /// Whether the slave in `slot` is a member.
    #[inline(always)]
    pub fn has(&self, slot: Slot) -> bool {
        self.slots[slot.0 as usize / 64 % WORDS] >> (slot.0 % 64) & 1 != 0
    }

    /// Adds the slave in `slot`, or removes it.
    pub fn set(&mut self, slot: Slot, joined: bool) {
        let (word, bit) = (&mut self.slots[slot.0 as usize / 64 % WORDS], 1 << (slot.0 % 64));
        if joined { *word |= bit } else { *word &= !bit }
    }

    /// The same group without members.
    pub fn without_members(&self) -> Self {
        Self { on_master: self.on_master, ..Self::NOBODY }
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.slots == [0; WORDS]
    }

    /// The slots of all members.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        let words = self.slots.iter().zip(0..).filter(|(word, _)| **word != 0);
        words.flat_map(|(word, at)| (0..64).filter(move |bit| word >> bit & 1 != 0).map(move |bit| Slot(at * 64 + bit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_has_a_bit_of_its_own() {
        const SLOTS: [Slot; 4] = [Slot(0), Slot(63), Slot(64), Slot(4095)];
        let mut members = Members::NOBODY;
        for slot in SLOTS {
            members.set(slot, true);
            assert!(members.has(slot) && !members.has(Slot(slot.0 ^ 1)));
        }
        assert!(members.slots().eq(SLOTS) && !members.is_empty());
        SLOTS.into_iter().for_each(|slot| members.set(slot, false));
        assert!(members.is_empty());
    }
}
