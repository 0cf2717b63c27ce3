//! What does an ARP packet ask or say (RFC 826)?

use super::{NeighbourMessage, Packet, Protocol, ethertype};
use crate::addr::{Addr, Mac};
use crate::frame::Frame;
use crate::verdict::Reason;

const ETHERNET: u16 = 1;
const REQUEST: u16 = 1;
const REPLY: u16 = 2;

/// Reads a packet for IPv4 over Ethernet at `offset`.
#[inline(always)]
pub(super) fn parse(frame: &impl Frame, offset: usize) -> Result<Packet, Reason> {
    let [h0, h1, p0, p1, hardware_len, protocol_len, o0, o1] = frame.read::<8>(offset).ok_or(Reason::Truncated)?;
    let kind = (u16::from_be_bytes([h0, h1]), u16::from_be_bytes([p0, p1]), hardware_len, protocol_len);
    let operation = u16::from_be_bytes([o0, o1]);
    if kind != (ETHERNET, ethertype::IPV4, 6, 4) || !matches!(operation, REQUEST | REPLY) {
        return Err(Reason::Malformed);
    }
    let sender_mac = Mac(frame.read::<6>(offset + 8).ok_or(Reason::Truncated)?);
    let src = Addr::v4(frame.read::<4>(offset + 14).ok_or(Reason::Truncated)?);
    let dst = Addr::v4(frame.read::<4>(offset + 24).ok_or(Reason::Truncated)?);
    let message =
        if operation == REQUEST && src != dst { NeighbourMessage::Solicitation } else { NeighbourMessage::None };
    Ok(Packet { protocol: Protocol::Arp, src, dst, message, target: dst, sender_mac, ..Packet::OTHER })
}
