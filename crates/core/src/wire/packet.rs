//! What does a decision need to know of what a frame carries?

use super::protocol::NONE;
use crate::addr::{Addr, Mac};

/// What a frame carries, as far as a decision needs it.
///
/// One structure for all protocols, with every field always set: in an enum, the fields of the other variants would be
/// registers that were never written, which the eBPF verifier refuses to have copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The protocol.
    pub protocol: Protocol,
    /// The IP source address, or the address of an ARP sender; unspecified for other protocols.
    pub src: Addr,
    /// The IP destination address, or the ARP target; unspecified for other protocols.
    pub dst: Addr,
    /// Whether it asks for an address or advertises one (ARP, neighbour discovery).
    pub message: NeighbourMessage,
    /// The address that it asks for or advertises (RFC 4861: the target); unspecified where it does neither.
    pub target: Addr,
    /// An ARP sender's hardware address; zero for all else.
    pub sender_mac: Mac,
    /// Length of an IP packet in bytes, as its header says.
    pub len: u32,
    /// Whether routers may fragment it.
    pub fragment: bool,
    /// The number of the protocol behind the IP headers; [`NONE`] if it cannot be read, as in a fragment that is not the
    /// first.
    pub upper: u8,
    /// Where that protocol's header begins in the frame, in bytes.
    pub upper_at: usize,
}

/// The protocols that decisions tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// ARP for IPv4 over Ethernet.
    Arp,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// Anything else.
    Other,
}

/// What a packet of ARP or neighbour discovery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighbourMessage {
    /// Neither of the two, or an announcement of the sender's own address by ARP.
    None,
    /// An ARP request or a neighbour solicitation: it asks for the target's MAC address.
    Solicitation,
    /// A neighbour advertisement: it says that the sender has the target.
    Advertisement,
}

impl Packet {
    /// A packet of a protocol that decisions do not know.
    pub(crate) const OTHER: Self = Self {
        protocol: Protocol::Other,
        src: Addr::UNSPECIFIED_6,
        dst: Addr::UNSPECIFIED_6,
        message: NeighbourMessage::None,
        target: Addr::UNSPECIFIED_6,
        sender_mac: Mac([0; 6]),
        len: 0,
        fragment: false,
        upper: NONE,
        upper_at: 0,
    };

    /// Whether it is IP.
    #[inline(always)]
    pub fn is_ip(&self) -> bool {
        matches!(self.protocol, Protocol::V4 | Protocol::V6)
    }

    /// Whether it asks for the MAC address of [`Packet::target`].
    #[inline(always)]
    pub fn is_solicitation(&self) -> bool {
        matches!(self.message, NeighbourMessage::Solicitation)
    }

    /// Whether it asks so before its sender uses the address itself: an ARP probe (RFC 5227, 1.1), or the solicitation of
    /// duplicate address detection (RFC 4862, 5.4.2).
    #[inline(always)]
    pub fn is_probe(&self) -> bool {
        self.is_solicitation() && self.src.is_unspecified()
    }

    /// Whether it is ARP that asks nothing: a reply, or an announcement.
    #[inline(always)]
    pub fn is_arp_answer(&self) -> bool {
        matches!(self.protocol, Protocol::Arp) && !self.is_solicitation()
    }
}
