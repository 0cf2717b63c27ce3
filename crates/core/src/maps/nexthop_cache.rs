//! Has the host's routing table answered for such a packet within the last millisecond?
//!
//! A route lookup takes more instructions than the rest of the path of an l3 packet. Its answer is reused for a
//! millisecond. Then a packet is routed by the table again, through the kernel's neighbour entry, which so stays in use
//! and is verified like that of any other sender.

use crate::abi::Slot;
use crate::addr::Words;
use crate::frame::Frame;
use crate::wire::{ADDRESSES_LEN, IPV6_HLEN, IpHeader, Ipv4Header, Ipv6Header};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Number of entries of the map `NEXTHOPS`, on each CPU.
pub const NEXTHOPS_LEN: u32 = 256;
/// How long an answer is valid.
const NANOS: u64 = 1_000_000;

/// Everything in a packet that its route may depend on, except its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NexthopKey {
    src: Words,
    dst: Words,
    /// IPv4: the type of service. IPv6: version, traffic class and flow label.
    class: u32,
    /// The protocol in the lowest 8 bits, the sender's slot above them: rules may match the input device.
    protocol_and_slot: u32,
}

/// A key, and the next hop that the routing table gave for it: the per-CPU value of the map `NEXTHOPS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C, align(8))]
pub struct CachedNexthop {
    src: [u64; 2],
    dst: [u64; 2],
    class: u32,
    protocol_and_slot: u32,
    /// The time of the lookup, in nanoseconds of `CLOCK_MONOTONIC`; 0 if the entry is empty.
    at: u64,
    /// Length in bytes of the packet that was looked up; a longer one may exceed the route's MTU.
    len: u32,
    /// The next hop's MAC address and the master's, as an Ethernet header begins with them.
    pub macs: [u8; ADDRESSES_LEN],
}

impl NexthopKey {
    /// The key and the length in bytes (0 of a GSO packet) of a packet from the slave in `slot`, which has been found to be
    /// sound and to have no IPv4 options.
    #[inline(always)]
    pub fn of(frame: &impl Frame, slot: Slot) -> Option<(Self, u32)> {
        let (key, len) = match IpHeader::of(frame)? {
            IpHeader::V4(ip) => Self::v4(&ip)?,
            IpHeader::V6(ip) => Self::v6(&ip)?,
        };
        let key = Self { protocol_and_slot: key.protocol_and_slot | slot.0 << 8, ..key };
        Some((key, if frame.is_gso() { 0 } else { len.into() }))
    }

    #[inline(always)]
    fn v4(ip: &Ipv4Header<'_, impl Frame>) -> Option<(Self, u16)> {
        let (class, protocol) = (ip.tos()?.into(), ip.protocol()?.into());
        let (src, dst) = (Words::v4(ip.src()?), Words::v4(ip.dst()?));
        Some((Self { src, dst, class, protocol_and_slot: protocol }, ip.total_len()?))
    }

    #[inline(always)]
    fn v6(ip: &Ipv6Header<'_, impl Frame>) -> Option<(Self, u16)> {
        let class = u32::from_ne_bytes(ip.version_class_flow()?);
        let protocol = ip.next_header()?.into();
        let (src, dst) = (ip.src_words()?, ip.dst_words()?);
        let len = ip.payload_len()?.saturating_add(IPV6_HLEN as u16);
        Some((Self { src, dst, class, protocol_and_slot: protocol }, len))
    }

    /// The key's entry in the map `NEXTHOPS`.
    #[inline(always)]
    pub fn cache_index(&self) -> u32 {
        (self.src.cache_index() ^ self.dst.cache_index()) % NEXTHOPS_LEN
    }

    /// Whether `cached` is this key's entry, is still valid at the time `now`, and holds for a packet of `len` bytes.
    #[inline(always)]
    pub fn matches(&self, cached: &CachedNexthop, now: u64, len: u32) -> bool {
        let Self { src, dst, class, protocol_and_slot } = *self;
        now.wrapping_sub(cached.at) < NANOS
            && cached.src == [src.high, src.low]
            && cached.dst == [dst.high, dst.low]
            && (cached.class, cached.protocol_and_slot) == (class, protocol_and_slot)
            && len <= cached.len
    }

    /// The entry to write after a lookup at the time `now`, for a packet of `len` bytes.
    #[inline(always)]
    pub fn cached(&self, now: u64, len: u32, macs: [u8; ADDRESSES_LEN]) -> CachedNexthop {
        let Self { src, dst, class, protocol_and_slot } = *self;
        let (src, dst) = ([src.high, src.low], [dst.high, dst.low]);
        CachedNexthop { src, dst, class, protocol_and_slot, at: now, len, macs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACS: [u8; 12] = [7; 12];

    fn key(dst: [u8; 4]) -> NexthopKey {
        NexthopKey { src: Words::v4([10, 0, 0, 1]), dst: Words::v4(dst), class: 0, protocol_and_slot: 17 }
    }

    #[test]
    fn a_cached_next_hop_holds_for_packets_of_the_same_key_only() {
        let cached = key([10, 0, 0, 2]).cached(5, 1000, MACS);
        assert!(key([10, 0, 0, 2]).matches(&cached, 5, 1000));
        assert!(!key([10, 0, 0, 3]).matches(&cached, 5, 1000), "another destination");
        assert!(!key([10, 0, 0, 2]).matches(&cached, 5, 1001), "a longer packet may be too long");
        let (class, protocol_and_slot) = (4, 17 | 1 << 8);
        let other_class = NexthopKey { class, ..key([10, 0, 0, 2]) };
        assert!(!other_class.matches(&cached, 5, 1000), "rules look at the type of service");
        let other_slot = NexthopKey { protocol_and_slot, ..key([10, 0, 0, 2]) };
        assert!(!other_slot.matches(&cached, 5, 1000), "and at the input device");
    }

    #[test]
    fn it_expires_after_a_millisecond() {
        let cached = key([10, 0, 0, 2]).cached(5, 1000, MACS);
        assert!(key([10, 0, 0, 2]).matches(&cached, 4 + NANOS, 1000));
        assert!(!key([10, 0, 0, 2]).matches(&cached, 5 + NANOS, 1000));
    }
}
