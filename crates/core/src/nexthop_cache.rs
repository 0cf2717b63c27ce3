//! Has the host's routing table been asked about such a packet a moment ago?
//!
//! Asking takes more than all else that is done for an l3 packet, and for a millisecond the answer is taken to be the same.
//! Then a packet is routed in full again, by way of the neighbour's entry, so that the kernel sees that it is in use and
//! verifies it as for any other sender.

use crate::abi::Slot;
use crate::addr::Words;
use crate::frame::Frame;
use crate::wire::HEADER_LEN;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How many trips are remembered, on each CPU.
pub const NEXTHOPS: u32 = 256;
/// For how long an answer is as good as a new one.
const NANOS: u64 = 1_000_000;
const V4: usize = HEADER_LEN + 20;
const V6: usize = HEADER_LEN + 40;

/// All of a packet that its way may depend on, but for its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NexthopKey {
    from: Words,
    to: Words,
    /// IPv4: the type of service. IPv6: version, traffic class and flow label.
    class: u32,
    /// Which protocol, and, for rules by input device, whose packet: the slot is in the upper bits.
    source: u32,
}

/// A trip, and the way that the table knew: the per-CPU value of the map `NEXTHOPS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C, align(8))]
pub struct CachedNexthop {
    from: [u64; 2],
    to: [u64; 2],
    class: u32,
    source: u32,
    /// When it was asked, in nanoseconds of `CLOCK_MONOTONIC`; 0 if nothing is remembered.
    at: u64,
    /// Of the packet that was asked about, in bytes; longer ones may be too long.
    len: u32,
    /// The next hop's MAC address and the master's: how an Ethernet frame begins.
    pub macs: [u8; 12],
}

impl NexthopKey {
    /// Reads it, and the packet's length (0 if it stands for several segments), from a sound packet of the slave in `slot`
    /// that has no options.
    #[inline(always)]
    pub fn of(frame: &impl Frame, slot: Slot) -> Option<(Self, u32)> {
        let [first] = frame.head::<V4, 1>(HEADER_LEN)?;
        let (nexthop_key, len) = if first >> 4 == 4 { Self::v4(frame)? } else { Self::v6(frame)? };
        let nexthop_key = Self { source: nexthop_key.source | slot.0 << 8, ..nexthop_key };
        Some((nexthop_key, if frame.is_gso() { 0 } else { len.into() }))
    }

    #[inline(always)]
    fn v4(frame: &impl Frame) -> Option<(Self, u16)> {
        let [class] = frame.head::<V4, 1>(HEADER_LEN + 1)?;
        let [protocol] = frame.head::<V4, 1>(HEADER_LEN + 9)?;
        let from = Words::v4(frame.head::<V4, 4>(HEADER_LEN + 12)?);
        let to = Words::v4(frame.head::<V4, 4>(HEADER_LEN + 16)?);
        let len = u16::from_be_bytes(frame.head::<V4, 2>(HEADER_LEN + 2)?);
        Some((Self { from, to, class: class.into(), source: protocol.into() }, len))
    }

    #[inline(always)]
    fn v6(frame: &impl Frame) -> Option<(Self, u16)> {
        let class = u32::from_ne_bytes(frame.head::<V6, 4>(HEADER_LEN)?);
        let [protocol] = frame.head::<V6, 1>(HEADER_LEN + 6)?;
        let from = Words::v6(frame.head::<V6, 8>(HEADER_LEN + 8)?, frame.head::<V6, 8>(HEADER_LEN + 16)?);
        let to = Words::v6(frame.head::<V6, 8>(HEADER_LEN + 24)?, frame.head::<V6, 8>(HEADER_LEN + 32)?);
        let len = u16::from_be_bytes(frame.head::<V6, 2>(HEADER_LEN + 4)?);
        Some((Self { from, to, class, source: protocol.into() }, len.saturating_add(40)))
    }

    /// Where it would be remembered.
    #[inline(always)]
    pub fn cache_index(&self) -> u32 {
        (self.from.cache_index() ^ self.to.cache_index()) % NEXTHOPS
    }

    /// Whether this is what is remembered, and not for too long, for a packet of that length.
    #[inline(always)]
    pub fn is(&self, known: &CachedNexthop, now: u64, len: u32) -> bool {
        let Self { from, to, class, source } = *self;
        now.wrapping_sub(known.at) < NANOS
            && known.from == [from.high, from.low]
            && known.to == [to.high, to.low]
            && (known.class, known.source) == (class, source)
            && len <= known.len
    }

    /// What to remember.
    #[inline(always)]
    pub fn cached(&self, now: u64, len: u32, macs: [u8; 12]) -> CachedNexthop {
        let Self { from, to, class, source } = *self;
        CachedNexthop { from: [from.high, from.low], to: [to.high, to.low], class, source, at: now, len, macs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACS: [u8; 12] = [7; 12];

    fn nexthop_key(to: [u8; 4]) -> NexthopKey {
        NexthopKey { from: Words::v4([10, 0, 0, 1]), to: Words::v4(to), class: 0, source: 17 }
    }

    #[test]
    fn what_is_remembered_holds_for_the_same_trip_only() {
        let known = nexthop_key([10, 0, 0, 2]).cached(5, 1000, MACS);
        assert!(nexthop_key([10, 0, 0, 2]).is(&known, 5, 1000));
        assert!(!nexthop_key([10, 0, 0, 3]).is(&known, 5, 1000), "to somebody else");
        assert!(!nexthop_key([10, 0, 0, 2]).is(&known, 5, 1001), "a longer packet may be too long");
        let (class, source) = (4, 17 | 1 << 8);
        assert!(
            !NexthopKey { class, ..nexthop_key([10, 0, 0, 2]) }.is(&known, 5, 1000),
            "rules look at the type of service"
        );
        assert!(!NexthopKey { source, ..nexthop_key([10, 0, 0, 2]) }.is(&known, 5, 1000), "and at the input device");
    }

    #[test]
    fn it_is_forgotten_after_a_millisecond() {
        let known = nexthop_key([10, 0, 0, 2]).cached(5, 1000, MACS);
        assert!(nexthop_key([10, 0, 0, 2]).is(&known, 4 + NANOS, 1000));
        assert!(!nexthop_key([10, 0, 0, 2]).is(&known, 5 + NANOS, 1000));
    }
}
