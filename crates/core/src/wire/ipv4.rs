//! From which address to which is an IPv4 packet, and is its header sound (RFC 791)? How is a header written?

use super::checksum::{fold, sum};
use super::field::{ETH_HLEN, IPV4_HLEN, icmp, ipv4 as field};
use super::packet::{Packet, Protocol};
use super::protocol::{ICMP, NONE};
use crate::addr::Addr;
use crate::frame::Frame;
use crate::verdict::Reason;

/// Version 4, and a header of five words: no options.
const VERSION_4_NO_OPTIONS: u8 = 0x45;
const MAX_OPTION_WORDS: usize = 10;
/// In the first byte of the fragment field.
const DONT_FRAGMENT: u8 = 0x40;
/// In the fragment field: the place of a fragment's data, in units of 8 bytes.
pub(super) const FRAGMENT_OFFSET: u16 = 0x1fff;

/// The IPv4 header behind an Ethernet header, read field by field; options, if there are any, are not part of it.
///
/// Each field is `None` if the frame ends before the header does. All are read by [`Frame::head`].
#[derive(Clone, Copy)]
pub(crate) struct Ipv4Header<'a, F>(pub &'a F);

impl<F: Frame> Ipv4Header<'_, F> {
    /// The version, which is 4 in a sound header.
    #[inline(always)]
    pub fn version(&self) -> Option<u8> {
        self.byte(field::VERSION_IHL).map(|byte| byte >> 4)
    }

    /// Whether the version is 4 and there are no options.
    #[inline(always)]
    pub fn is_v4_without_options(&self) -> Option<bool> {
        self.byte(field::VERSION_IHL).map(|byte| byte == VERSION_4_NO_OPTIONS)
    }

    /// The type of service.
    #[inline(always)]
    pub fn tos(&self) -> Option<u8> {
        self.byte(field::TOS)
    }

    /// Length of the packet in bytes, header included.
    #[inline(always)]
    pub fn total_len(&self) -> Option<u16> {
        self.read::<2>(field::TOTAL_LEN.start).map(u16::from_be_bytes)
    }

    /// Whether routers may fragment it: the flag DF is not set.
    #[inline(always)]
    pub fn may_fragment(&self) -> Option<bool> {
        self.byte(field::FRAGMENT.start).map(|flags| flags & DONT_FRAGMENT == 0)
    }

    /// Whether it is a fragment other than the first.
    #[inline(always)]
    pub fn is_later_fragment(&self) -> Option<bool> {
        self.read::<2>(field::FRAGMENT.start).map(|field| u16::from_be_bytes(field) & FRAGMENT_OFFSET != 0)
    }

    /// The number of the protocol that it carries.
    #[inline(always)]
    pub fn protocol(&self) -> Option<u8> {
        self.byte(field::PROTOCOL)
    }

    /// Whether it carries an ICMP error: destination unreachable, source quench, redirect, time exceeded or parameter
    /// problem. One behind options is not found. `None` also if nothing follows the header.
    #[inline(always)]
    pub fn is_icmp_error(&self) -> Option<bool> {
        let [kind] = self.0.read::<1>(ETH_HLEN + IPV4_HLEN + icmp::TYPE)?;
        Some(self.protocol()? == ICMP && matches!(kind, 3 | 4 | 5 | 11 | 12))
    }

    /// Source address.
    #[inline(always)]
    pub fn src(&self) -> Option<[u8; 4]> {
        self.read(field::SRC.start)
    }

    /// Destination address.
    #[inline(always)]
    pub fn dst(&self) -> Option<[u8; 4]> {
        self.read(field::DST.start)
    }

    /// Whether the checksum of a header without options is right. Four bytes at a time: the sum is the same in any byte
    /// order (RFC 1071, 2).
    #[inline(always)]
    pub fn plain_checksum_holds(&self) -> bool {
        let mut total = 0;
        for word in 0..IPV4_HLEN / 4 {
            let Some(bytes) = self.read::<4>(word * 4) else { return false };
            total += u64::from(u32::from_ne_bytes(bytes));
        }
        let half = (total & 0xffff_ffff) + (total >> 32);
        fold((half & 0xffff) as u32 + (half >> 16) as u32) == 0xffff
    }

    #[inline(always)]
    fn byte(&self, at: usize) -> Option<u8> {
        self.read::<1>(at).map(|[byte]| byte)
    }

    #[inline(always)]
    fn read<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.head::<{ ETH_HLEN + IPV4_HLEN }, N>(ETH_HLEN + at)
    }
}

/// The fields of a header that is to be written, without options.
pub(crate) struct Ipv4Fields {
    pub tos: u8,
    /// Length of the packet in bytes, header included.
    pub total_len: u16,
    pub ttl: u8,
    pub protocol: u8,
    pub src: [u8; 4],
    pub dst: [u8; 4],
}

impl Ipv4Fields {
    /// Writes the header, with its checksum, to the start of `packet`, which is zero there.
    #[inline(always)]
    pub fn write(&self, packet: &mut [u8]) {
        let pair = |high: u8, low: u8| u32::from(u16::from_be_bytes([high, low]));
        let fixed = pair(VERSION_4_NO_OPTIONS, self.tos) + u32::from(self.total_len) + pair(self.ttl, self.protocol);
        let checksum = !fold(fixed + sum(&self.src) + sum(&self.dst));
        packet[field::VERSION_IHL] = VERSION_4_NO_OPTIONS;
        packet[field::TOS] = self.tos;
        packet[field::TOTAL_LEN].copy_from_slice(&self.total_len.to_be_bytes());
        packet[field::TTL] = self.ttl;
        packet[field::PROTOCOL] = self.protocol;
        packet[field::CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
        packet[field::SRC].copy_from_slice(&self.src);
        packet[field::DST].copy_from_slice(&self.dst);
    }
}

/// Reads the header at `offset`. Mirrors the checks of `ipvlan_get_L3_hdr`, with lengths counted from the IP header. A
/// GSO packet's total length is not checked: it may be 0 (BIG TCP).
#[inline(always)]
pub(super) fn parse(frame: &impl Frame, offset: usize) -> Result<Packet, Reason> {
    let [first, _, l0, l1, _, _, flags, place] = frame.read::<8>(offset).ok_or(Reason::Truncated)?;
    let [protocol] = frame.read::<1>(offset + field::PROTOCOL).ok_or(Reason::Truncated)?;
    let src = Addr::v4(frame.read::<4>(offset + field::SRC.start).ok_or(Reason::Truncated)?);
    let dst = Addr::v4(frame.read::<4>(offset + field::DST.start).ok_or(Reason::Truncated)?);
    let header_len = header_len(first);
    let total_len = u16::from_be_bytes([l0, l1]);
    let present = frame.len().saturating_sub(offset);
    if first >> 4 != 4 || header_len < IPV4_HLEN || header_len > present {
        return Err(Reason::Malformed);
    }
    if !frame.is_gso() && (usize::from(total_len) < header_len || usize::from(total_len) > present) {
        return Err(Reason::Malformed);
    }
    let fragment = flags & DONT_FRAGMENT == 0;
    let is_first = u16::from_be_bytes([flags, place]) & FRAGMENT_OFFSET == 0;
    let (upper, upper_at) = (if is_first { protocol } else { NONE }, offset + header_len);
    Ok(Packet { protocol: Protocol::V4, src, dst, len: total_len.into(), fragment, upper, upper_at, ..Packet::OTHER })
}

/// Whether the checksum of the header behind an Ethernet header is right, options included. The header has been parsed.
#[inline(always)]
pub(crate) fn checksum_holds(frame: &impl Frame) -> bool {
    let Some(header) = frame.read::<IPV4_HLEN>(ETH_HLEN) else { return false };
    let header_len = header_len(header[field::VERSION_IHL]);
    let mut total = sum(&header);
    for word in 0..MAX_OPTION_WORDS {
        let at = IPV4_HLEN + word * 4;
        if at >= header_len {
            break;
        }
        let Some(bytes) = frame.read_at::<4>(ETH_HLEN + at) else { return false };
        total += sum(&bytes);
    }
    fold(total) == 0xffff
}

/// Length of a header in bytes, options included, given its first byte.
#[inline(always)]
fn header_len(version_ihl: u8) -> usize {
    usize::from(version_ihl & 0x0f) * 4
}
