//! What does a frame say? Bytes are read here, once; nobody after this knows an offset.

mod arp;
mod ethernet;
mod ipv4;
mod ipv6;

pub use ethernet::{Ethernet, HEADER_LEN, ethertype};
pub(crate) use ipv4::{checksum_holds, fold, plain_checksum_holds, sum};
pub(crate) use ipv6::{ADVERTISEMENT, ICMPV6};

use crate::addr::{Addr, Mac};
use crate::frame::Frame;
use crate::verdict::Reason;

/// What a frame carries, as far as a decision needs it.
///
/// One structure for all kinds, every field always set: an enum's absent fields would be undefined registers to the
/// kernel's verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Which protocol.
    pub protocol: Protocol,
    /// Whom it claims to be from: an IP source, or an ARP sender. Unspecified where there is none.
    pub src: Addr,
    /// Whom it is for: an IP destination, or an ARP target. Unspecified where there is none.
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
    /// A packet of which nothing is known.
    pub(crate) const OTHER: Self = Self {
        protocol: Protocol::Other,
        src: Addr::UNSPECIFIED_6,
        dst: Addr::UNSPECIFIED_6,
        message: NeighbourMessage::None,
        target: Addr::UNSPECIFIED_6,
        sender_mac: Mac([0; 6]),
        len: 0,
        fragment: false,
    };

    /// Reads what follows the link-layer header at `offset`.
    #[inline(always)]
    pub fn parse(frame: &impl Frame, offset: usize, ethertype: u16) -> Result<Self, Reason> {
        match ethertype {
            ethertype::IPV4 => ipv4::parse(frame, offset),
            ethertype::IPV6 => ipv6::parse(frame, offset),
            ethertype::ARP => arp::parse(frame, offset),
            _ => Ok(Self::OTHER),
        }
    }

    /// Reads a frame that starts with its IP header; the version nibble says which.
    #[inline(always)]
    pub fn parse_ip(frame: &impl Frame) -> Result<Self, Reason> {
        let [first, ..] = frame.read::<4>(0).ok_or(Reason::Truncated)?;
        match first >> 4 {
            4 => ipv4::parse(frame, 0),
            6 => ipv6::parse(frame, 0),
            _ => Ok(Self::OTHER),
        }
    }

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
}
