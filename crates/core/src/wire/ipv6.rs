//! From which address to which is an IPv6 packet, and is it neighbour discovery (RFC 8200, RFC 4861)? How is a header
//! written?

use super::field::{ETH_HLEN, IPV6_HLEN, icmp, ipv6 as field};
use super::ndisc;
use super::packet::{Packet, Protocol};
use super::protocol::{AUTHENTICATION, DESTINATION_OPTIONS, FRAGMENT, HOP_BY_HOP, ICMPV6, NONE, ROUTING};
use crate::addr::{Addr, Words};
use crate::frame::Frame;
use crate::verdict::Reason;

/// Version 6, traffic class and flow label 0.
const VERSION_6: [u8; 4] = [0x60, 0, 0, 0];
/// How many extension headers are followed in search of the protocol behind them. A packet with more is dropped: it could
/// be a neighbour advertisement for an address that the guard denies.
pub(super) const MAX_EXTENSIONS: usize = 6;
/// In the fragment field: the place of a fragment's data, in bytes, above the three bits that are flags.
pub(super) const FRAGMENT_OFFSET: u16 = 0xfff8;

/// The IPv6 header behind an Ethernet header, read field by field.
///
/// Each field is `None` if the frame ends before the header does. All are read by [`Frame::head`].
#[derive(Clone, Copy)]
pub(crate) struct Ipv6Header<'a, F>(pub &'a F);

impl<F: Frame> Ipv6Header<'_, F> {
    /// The version, which is 6 in a sound header.
    #[inline(always)]
    pub fn version(&self) -> Option<u8> {
        self.read::<1>(field::VERSION_CLASS_FLOW.start).map(|[first]| first >> 4)
    }

    /// Version, traffic class and flow label, as they are in the packet.
    #[inline(always)]
    pub fn version_class_flow(&self) -> Option<[u8; 4]> {
        self.read(field::VERSION_CLASS_FLOW.start)
    }

    /// Length in bytes of what follows the header.
    #[inline(always)]
    pub fn payload_len(&self) -> Option<u16> {
        self.read::<2>(field::PAYLOAD_LEN.start).map(u16::from_be_bytes)
    }

    /// Which header follows, or which protocol.
    #[inline(always)]
    pub fn next_header(&self) -> Option<u8> {
        self.read::<1>(field::NEXT_HEADER).map(|[next]| next)
    }

    /// Whether an ICMPv6 error follows the header at once; `None` also if nothing does.
    #[inline(always)]
    pub fn is_icmp_error(&self) -> Option<bool> {
        let [kind] = self.0.read::<1>(ETH_HLEN + IPV6_HLEN + icmp::TYPE)?;
        Some(self.next_header()? == ICMPV6 && kind < 128)
    }

    /// Source address.
    #[inline(always)]
    pub fn src(&self) -> Option<[u8; 16]> {
        self.read(field::SRC.start)
    }

    /// Destination address.
    #[inline(always)]
    pub fn dst(&self) -> Option<[u8; 16]> {
        self.read(field::DST.start)
    }

    /// Source address, in machine words.
    #[inline(always)]
    pub fn src_words(&self) -> Option<Words> {
        self.words(field::SRC.start)
    }

    /// Destination address, in machine words.
    #[inline(always)]
    pub fn dst_words(&self) -> Option<Words> {
        self.words(field::DST.start)
    }

    #[inline(always)]
    fn words(&self, at: usize) -> Option<Words> {
        Some(Words::v6(self.read(at)?, self.read(at + 8)?))
    }

    #[inline(always)]
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.head::<{ ETH_HLEN + IPV6_HLEN }, N>(ETH_HLEN + at)
    }
}

/// The fields of a header that is to be written; traffic class and flow label are 0.
pub(crate) struct Ipv6Fields {
    /// Length in bytes of what follows the header.
    pub payload_len: u16,
    pub next_header: u8,
    pub hop_limit: u8,
    pub src: Addr,
    pub dst: Addr,
}

impl Ipv6Fields {
    /// Writes the header to the start of `packet`.
    #[inline(always)]
    pub fn write(&self, packet: &mut [u8]) {
        packet[field::VERSION_CLASS_FLOW].copy_from_slice(&VERSION_6);
        packet[field::PAYLOAD_LEN].copy_from_slice(&self.payload_len.to_be_bytes());
        packet[field::NEXT_HEADER] = self.next_header;
        packet[field::HOP_LIMIT] = self.hop_limit;
        packet[field::SRC].copy_from_slice(&self.src.0);
        packet[field::DST].copy_from_slice(&self.dst.0);
    }
}

/// Reads the header at `offset`, and the extension headers behind it. An IPv4-mapped address is not allowed (RFC 4942,
/// 2.2). A GSO packet's payload length is not checked: it may be 0 (BIG TCP).
#[inline(always)]
pub(super) fn parse(frame: &impl Frame, offset: usize) -> Result<Packet, Reason> {
    let [first, _, _, _, l0, l1, next, hops] = frame.read::<8>(offset).ok_or(Reason::Truncated)?;
    let src = Addr(frame.read::<16>(offset + field::SRC.start).ok_or(Reason::Truncated)?);
    let dst = Addr(frame.read::<16>(offset + field::DST.start).ok_or(Reason::Truncated)?);
    let payload_len = u16::from_be_bytes([l0, l1]);
    let present = frame.len().saturating_sub(offset + IPV6_HLEN);
    if src.as_v4().is_some() || dst.as_v4().is_some() {
        return Err(Reason::Malformed);
    }
    if first >> 4 != 6 || (!frame.is_gso() && usize::from(payload_len) > present) {
        return Err(Reason::Malformed);
    }
    let len = u32::from(payload_len) + IPV6_HLEN as u32;
    let found = follow_extensions(frame, offset + IPV6_HLEN, next)?;
    let (upper, upper_at) = (found.upper, found.at);
    let packet = Packet { protocol: Protocol::V6, src, dst, len, upper, upper_at, ..Packet::OTHER };
    // What a router has passed on is not valid neighbour discovery (RFC 4861, 7.1), nor are fragments (RFC 6980).
    let is_ndisc = upper == ICMPV6 && hops == u8::MAX && !found.fragment;
    if is_ndisc { ndisc::parse(frame, upper_at, packet) } else { Ok(packet) }
}

/// What follows the extension headers.
struct Upper {
    /// Its protocol; [`NONE`] behind the header of a fragment that is not the first.
    upper: u8,
    /// Where in the frame it begins.
    at: usize,
    /// Whether there is a fragment header before it.
    fragment: bool,
}

#[inline(always)]
pub(super) fn is_extension(header: u8) -> bool {
    matches!(header, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS)
}

#[inline(always)]
fn follow_extensions(frame: &impl Frame, start: usize, first: u8) -> Result<Upper, Reason> {
    let (mut at, mut upper, mut fragment) = (start, first, false);
    for _ in 0..=MAX_EXTENSIONS {
        if !is_extension(upper) {
            return Ok(Upper { upper, at, fragment });
        }
        let [next, len, o0, o1] = frame.read_at::<4>(at).ok_or(Reason::Truncated)?;
        let is_first = upper != FRAGMENT || u16::from_be_bytes([o0, o1]) & FRAGMENT_OFFSET == 0;
        fragment |= upper == FRAGMENT;
        at += extension_len(upper, len);
        upper = if is_first { next } else { NONE };
    }
    Err(Reason::Malformed)
}

/// Length in bytes of an extension header with `len` in its second byte.
#[inline(always)]
pub(super) fn extension_len(header: u8, len: u8) -> usize {
    match header {
        FRAGMENT => 8,
        AUTHENTICATION => (usize::from(len) + 2) * 4,
        _ => (usize::from(len) + 1) * 8,
    }
}
