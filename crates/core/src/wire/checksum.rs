//! What is the internet checksum of some bytes (RFC 1071)?

use super::field::ETH_HLEN;
use crate::addr::Addr;
use crate::frame::Frame;

/// The sum of 16-bit words, with the carries not yet added back. For an even number of bytes.
#[inline(always)]
pub(crate) fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum()
}

/// Adds the carries back in. The checksum is the complement of the result; over data with a right checksum, the result
/// is `0xffff`.
#[inline(always)]
pub(crate) fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}

/// The [`sum`] of the first `len` bytes behind the Ethernet header; `None` if there are fewer. Four bytes at a time: a
/// copy of all of them would not fit on the stack of an eBPF program.
#[inline(always)]
pub(crate) fn sum_of_packet(frame: &impl Frame, len: usize) -> Option<u32> {
    let mut total = 0;
    for word in 0..len / 4 {
        total += sum(&frame.read::<4>(ETH_HLEN + word * 4)?);
    }
    Some(total)
}

/// The [`sum`] of the IPv6 pseudo-header (RFC 8200, 8.1) of `len` bytes of `protocol`.
#[inline(always)]
pub(crate) fn sum_of_pseudo_header(src: Addr, dst: Addr, len: u16, protocol: u8) -> u32 {
    sum(&src.0) + sum(&dst.0) + u32::from(len) + u32::from(protocol)
}
