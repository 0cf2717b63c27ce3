//! Has the host's routing table been asked about such a packet a moment ago?
//!
//! Asking takes more than all else that is done for an l3 packet, and for a millisecond the answer is taken to be the same.
//! Then a packet is routed in full again, by way of the neighbour's entry, so that the kernel sees that it is in use and
//! verifies it as for any other sender.

use crate::abi::Slot;
use crate::addr::Words;
use crate::frame::Frame;
use crate::wire::{ADDRESSES_LEN, IPV6_HLEN, IpHeader, Ipv4Header, Ipv6Header};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How many trips are remembered, on each CPU.
pub const NEXTHOPS: u32 = 256;
/// For how long an answer is as good as a new one.
const NANOS: u64 = 1_000_000;

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
    pub macs: [u8; ADDRESSES_LEN],
}

impl NexthopKey {
    /// Reads it, and the packet's length (0 if it stands for several segments), from a sound packet of the slave in `slot`
    /// that has no options.
    #[inline(always)]
    pub fn of(frame: &impl Frame, slot: Slot) -> Option<(Self, u32)> {
        let (key, len) = match IpHeader::of(frame)? {
            IpHeader::V4(ip) => Self::v4(&ip)?,
            IpHeader::V6(ip) => Self::v6(&ip)?,
        };
        let key = Self { source: key.source | slot.0 << 8, ..key };
        Some((key, if frame.is_gso() { 0 } else { len.into() }))
    }

    #[inline(always)]
    fn v4(ip: &Ipv4Header<'_, impl Frame>) -> Option<(Self, u16)> {
        let (class, protocol) = (ip.tos()?, ip.protocol()?);
        let (from, to) = (Words::v4(ip.src()?), Words::v4(ip.dst()?));
        Some((Self { from, to, class: class.into(), source: protocol.into() }, ip.total_len()?))
    }

    #[inline(always)]
    fn v6(ip: &Ipv6Header<'_, impl Frame>) -> Option<(Self, u16)> {
        let class = u32::from_ne_bytes(ip.version_class_flow()?);
        let protocol = ip.next_header()?;
        let (from, to) = (ip.src_words()?, ip.dst_words()?);
        Some((Self { from, to, class, source: protocol.into() }, ip.payload_len()?.saturating_add(IPV6_HLEN as u16)))
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
    pub fn cached(&self, now: u64, len: u32, macs: [u8; ADDRESSES_LEN]) -> CachedNexthop {
        let Self { from, to, class, source } = *self;
        CachedNexthop { from: [from.high, from.low], to: [to.high, to.low], class, source, at: now, len, macs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACS: [u8; ADDRESSES_LEN] = [7; 12];

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
