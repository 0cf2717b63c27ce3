//! What does an ARP packet ask or say, and how is one written (RFC 826)?

use super::ethernet::{Ethernet, ethertype};
use super::field::{ARP_PACKET_LEN, ETH_HLEN, arp as field};
use super::packet::{NeighbourMessage, Packet, Protocol};
use crate::addr::{Addr, Mac};
use crate::frame::Frame;
use crate::verdict::Reason;

/// Length in bytes of a frame with an ARP packet for IPv4, without padding.
pub const ARP_LEN: usize = ETH_HLEN + ARP_PACKET_LEN;

/// The hardware type of Ethernet.
const ETHERNET: u16 = 1;
const REQUEST: u16 = ArpOperation::Request as u16;
const REPLY: u16 = ArpOperation::Reply as u16;
const MAC_LEN: u8 = 6;
const IPV4_LEN: u8 = 4;

/// What an ARP packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum ArpOperation {
    /// It asks for the MAC address of the target address.
    Request = 1,
    /// It says at which MAC address the sender is.
    Reply = 2,
}

/// The fields of an ARP packet that is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArpFields {
    /// Request or reply.
    pub operation: ArpOperation,
    /// The sender's MAC address.
    pub sender_mac: Mac,
    /// The sender's IPv4 address.
    pub sender: [u8; 4],
    /// The MAC address that goes with `target`; zero in a request.
    pub target_mac: Mac,
    /// The IPv4 address that is asked for; in a reply, that of the receiver.
    pub target: [u8; 4],
}

impl ArpFields {
    /// The frame from `src` to `dst` that carries the packet.
    #[inline(always)]
    pub fn frame(&self, src: Mac, dst: Mac) -> [u8; ARP_LEN] {
        let mut frame = [0; ARP_LEN];
        let (header, packet) = frame.split_at_mut(ETH_HLEN);
        Ethernet { dst, src, ethertype: ethertype::ARP }.write(header);
        let ([h0, h1], [p0, p1]) = (ETHERNET.to_be_bytes(), ethertype::IPV4.to_be_bytes());
        let [o0, o1] = (self.operation as u16).to_be_bytes();
        packet[field::FORMAT].copy_from_slice(&[h0, h1, p0, p1, MAC_LEN, IPV4_LEN, o0, o1]);
        packet[field::SENDER_MAC].copy_from_slice(&self.sender_mac.0);
        packet[field::SENDER].copy_from_slice(&self.sender);
        packet[field::TARGET_MAC].copy_from_slice(&self.target_mac.0);
        packet[field::TARGET].copy_from_slice(&self.target);
        frame
    }
}

/// Reads the packet behind an Ethernet header; only one for IPv4 over Ethernet is sound.
#[inline(always)]
pub(super) fn parse(frame: &impl Frame) -> Result<Packet, Reason> {
    let [h0, h1, p0, p1, mac_len, ip_len, o0, o1] = read::<8>(frame, field::FORMAT.start).ok_or(Reason::Truncated)?;
    let format = (u16::from_be_bytes([h0, h1]), u16::from_be_bytes([p0, p1]), mac_len, ip_len);
    let operation = u16::from_be_bytes([o0, o1]);
    if format != (ETHERNET, ethertype::IPV4, MAC_LEN, IPV4_LEN) || !matches!(operation, REQUEST | REPLY) {
        return Err(Reason::Malformed);
    }
    let sender_mac = Mac(read::<6>(frame, field::SENDER_MAC.start).ok_or(Reason::Truncated)?);
    let src = sender(frame).ok_or(Reason::Truncated)?;
    let dst = target(frame).ok_or(Reason::Truncated)?;
    let message =
        if operation == REQUEST && src != dst { NeighbourMessage::Solicitation } else { NeighbourMessage::None };
    Ok(Packet { protocol: Protocol::Arp, src, dst, message, target: dst, sender_mac, ..Packet::OTHER })
}

/// The sender's IPv4 address.
#[inline(always)]
pub(crate) fn sender(frame: &impl Frame) -> Option<Addr> {
    read::<4>(frame, field::SENDER.start).map(Addr::v4)
}

/// The target's IPv4 address.
#[inline(always)]
pub(crate) fn target(frame: &impl Frame) -> Option<Addr> {
    read::<4>(frame, field::TARGET.start).map(Addr::v4)
}

#[inline(always)]
fn read<const N: usize>(frame: &impl Frame, at: usize) -> Option<[u8; N]> {
    frame.read(ETH_HLEN + at)
}
