//! Whom is an IPv6 packet from and for, and is it neighbour discovery (RFC 8200, RFC 4861)?

use super::{NeighbourMessage, Packet, Protocol};
use crate::addr::Addr;
use crate::frame::Frame;
use crate::verdict::Reason;

/// Length of the fixed header in bytes.
const HEADER_LEN: usize = 40;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const AUTHENTICATION: u8 = 51;
pub(crate) const ICMPV6: u8 = 58;
const DESTINATION_OPTIONS: u8 = 60;
const SOLICITATION: u8 = 135;
pub(crate) const ADVERTISEMENT: u8 = 136;
/// More than any honest packet has; who hides behind more is dropped.
const MAX_EXTENSIONS: usize = 6;

/// Reads the header at `offset`; an IPv4-mapped address has no place in it (RFC 4942, 2.2). Reads also the headers behind it as far as
/// neighbour discovery may hide there. A GSO packet's
/// payload length is not checked: it may be 0 (BIG TCP).
#[inline(always)]
pub(super) fn parse(frame: &impl Frame, offset: usize) -> Result<Packet, Reason> {
    let [first, _, _, _, l0, l1, next, hops] = frame.read::<8>(offset).ok_or(Reason::Truncated)?;
    let src = Addr(frame.read::<16>(offset + 8).ok_or(Reason::Truncated)?);
    let dst = Addr(frame.read::<16>(offset + 24).ok_or(Reason::Truncated)?);
    let payload_len = u16::from_be_bytes([l0, l1]);
    let present = frame.len().saturating_sub(offset + HEADER_LEN);
    if src.as_v4().is_some() || dst.as_v4().is_some() {
        return Err(Reason::Malformed);
    }
    if first >> 4 != 6 || (!frame.is_gso() && usize::from(payload_len) > present) {
        return Err(Reason::Malformed);
    }
    let len = u32::from(payload_len) + HEADER_LEN as u32;
    let packet = Packet { protocol: Protocol::V6, src, dst, len, ..Packet::OTHER };
    match next {
        // From off the link, so it is not neighbour discovery (RFC 4861, 7.1).
        _ if hops != u8::MAX => Ok(packet),
        ICMPV6 => neighbour(frame, offset + HEADER_LEN, packet),
        next if is_extension(next) => behind_extensions(frame, offset + HEADER_LEN, next, packet),
        _ => Ok(packet),
    }
}

#[inline(always)]
fn is_extension(header: u8) -> bool {
    matches!(header, HOP_BY_HOP | ROUTING | AUTHENTICATION | DESTINATION_OPTIONS)
}

/// Walks the extension headers. A fragment ends the walk: neighbour discovery in fragments is void (RFC 6980).
#[inline(always)]
fn behind_extensions(frame: &impl Frame, start: usize, first: u8, packet: Packet) -> Result<Packet, Reason> {
    let (mut at, mut header) = (start, first);
    for _ in 0..=MAX_EXTENSIONS {
        if header == ICMPV6 {
            return neighbour(frame, at, packet);
        }
        if !is_extension(header) {
            return Ok(packet);
        }
        let [next, len] = frame.read_at::<2>(at).ok_or(Reason::Truncated)?;
        at += if header == AUTHENTICATION { (usize::from(len) + 2) * 4 } else { (usize::from(len) + 1) * 8 };
        header = next;
    }
    Err(Reason::Malformed)
}

/// What the ICMPv6 message at `at` says about an address.
#[inline(always)]
fn neighbour(frame: &impl Frame, at: usize, packet: Packet) -> Result<Packet, Reason> {
    let [kind] = frame.read_at::<1>(at).ok_or(Reason::Truncated)?;
    let message = match kind {
        SOLICITATION => NeighbourMessage::Solicitation,
        ADVERTISEMENT => NeighbourMessage::Advertisement,
        _ => return Ok(packet),
    };
    let target = Addr(frame.read_at::<16>(at + 8).ok_or(Reason::Truncated)?);
    Ok(Packet { message, target, ..packet })
}
