//! Whom is an IPv4 packet from and for, and is its header sound (RFC 791)?

use super::{Packet, Protocol};
use crate::addr::Addr;
use crate::frame::Frame;
use crate::verdict::Reason;

const MIN_LEN: usize = 20;
const MAX_OPTION_WORDS: usize = 10;
const DONT_FRAGMENT: u8 = 0x40;

/// Reads the header at `offset`. Mirrors the checks of `ipvlan_get_L3_hdr`, with lengths counted from the IP header. A
/// GSO packet's total length is not checked: it may be 0 (BIG TCP).
#[inline(always)]
pub(super) fn parse(frame: &impl Frame, offset: usize) -> Result<Packet, Reason> {
    let [first, _, l0, l1, _, _, flags, _] = frame.read::<8>(offset).ok_or(Reason::Truncated)?;
    let src = Addr::v4(frame.read::<4>(offset + 12).ok_or(Reason::Truncated)?);
    let dst = Addr::v4(frame.read::<4>(offset + 16).ok_or(Reason::Truncated)?);
    let header_len = usize::from(first & 0x0f) * 4;
    let total_len = u16::from_be_bytes([l0, l1]);
    let present = frame.len().saturating_sub(offset);
    if first >> 4 != 4 || header_len < MIN_LEN || header_len > present {
        return Err(Reason::Malformed);
    }
    if !frame.is_gso() && (usize::from(total_len) < header_len || usize::from(total_len) > present) {
        return Err(Reason::Malformed);
    }
    let fragment = flags & DONT_FRAGMENT == 0;
    Ok(Packet { protocol: Protocol::V4, src, dst, len: total_len.into(), fragment, ..Packet::OTHER })
}

/// Whether the checksum of the header at `offset`, already parsed, is right, options included.
#[inline(always)]
pub(crate) fn checksum_holds(frame: &impl Frame, offset: usize) -> bool {
    let Some(header) = frame.read::<MIN_LEN>(offset) else { return false };
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let mut total = sum(&header);
    for word in 0..MAX_OPTION_WORDS {
        let at = MIN_LEN + word * 4;
        if at >= header_len {
            break;
        }
        let Some(bytes) = frame.read_at::<4>(offset + at) else { return false };
        total += sum(&bytes);
    }
    fold(total) == 0xffff
}

/// The same for a header without options behind an Ethernet header, four bytes at a time: this sum is the same in any byte
/// order (RFC 1071, 2).
#[inline(always)]
pub(crate) fn plain_checksum_holds(frame: &impl Frame) -> bool {
    const HEAD: usize = super::HEADER_LEN + MIN_LEN;
    let mut total = 0;
    for word in 0..MIN_LEN / 4 {
        let Some(bytes) = frame.head::<HEAD, 4>(super::HEADER_LEN + word * 4) else { return false };
        total += u64::from(u32::from_ne_bytes(bytes));
    }
    let half = (total & 0xffff_ffff) + (total >> 32);
    fold((half & 0xffff) as u32 + (half >> 16) as u32) == 0xffff
}

/// The sum of 16-bit words (RFC 1071), not folded. For an even number of bytes.
#[inline(always)]
pub(crate) fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum()
}

/// Adds the carries back in.
#[inline(always)]
pub(crate) fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}
