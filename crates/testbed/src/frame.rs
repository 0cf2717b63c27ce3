//! What did a packet socket receive? A frame as it is on the wire, and the few properties that tests look at.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::SystemTime;

use crate::packet::{ARP, IPV4, IPV6, Mac};

/// A frame that was received.
#[derive(Clone)]
pub struct Frame {
    /// The frame as on the wire: a VLAN tag that the kernel keeps apart is back in its place.
    pub bytes: Vec<u8>,
    /// The tag's control information, if there is one.
    pub vlan: Option<u16>,
    /// `PACKET_HOST` (0), `PACKET_BROADCAST` (1), `PACKET_MULTICAST` (2), `PACKET_OTHERHOST` (3), `PACKET_OUTGOING` (4).
    pub pkt_type: u8,
    /// The sender left the checksum to the device, so the test must not check it.
    pub checksum_open: bool,
    /// When it was caught.
    pub at: SystemTime,
}

impl Frame {
    /// The receiver's MAC address.
    #[must_use]
    pub fn destination(&self) -> Mac {
        self.array(0).unwrap_or_default()
    }

    /// The sender's MAC address.
    #[must_use]
    pub fn source(&self) -> Mac {
        self.array(6).unwrap_or_default()
    }

    /// The protocol after any VLAN tag.
    #[must_use]
    pub fn ethertype(&self) -> u16 {
        self.array(self.network() - 2).map_or(0, u16::from_be_bytes)
    }

    /// The bytes after the link header and any tag.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.bytes.get(self.network()..).unwrap_or_default()
    }

    /// Source and destination of an IP packet, sender and target of an ARP message.
    #[must_use]
    pub fn addresses(&self) -> Option<(IpAddr, IpAddr)> {
        let at = self.network();
        match self.ethertype() {
            IPV4 => Some((self.v4(at + 12)?, self.v4(at + 16)?)),
            IPV6 => Some((self.v6(at + 8)?, self.v6(at + 24)?)),
            ARP => Some((self.v4(at + 14)?, self.v4(at + 24)?)),
            _ => None,
        }
    }

    /// True for an IP packet (not ARP) from `from` to `to`.
    #[must_use]
    pub fn goes(&self, from: impl Into<IpAddr>, to: impl Into<IpAddr>) -> bool {
        self.ethertype() != ARP && self.addresses() == Some((from.into(), to.into()))
    }

    /// The ARP operation: 1 asks, 2 answers.
    #[must_use]
    pub fn arp_operation(&self) -> Option<u16> {
        (self.ethertype() == ARP).then(|| self.array(self.network() + 6).map(u16::from_be_bytes))?
    }

    /// True for an ARP request about `target`.
    #[must_use]
    pub fn asks_for(&self, target: Ipv4Addr) -> bool {
        self.arp_operation() == Some(1) && self.addresses().is_some_and(|(_, asked)| asked == target)
    }

    /// The IP protocol, or IPv6's first next header.
    #[must_use]
    pub fn protocol(&self) -> Option<u8> {
        let offset = match self.ethertype() {
            IPV4 => 9,
            IPV6 => 6,
            _ => return None,
        };
        self.payload().get(offset).copied()
    }

    /// TTL or hop limit.
    #[must_use]
    pub fn hops(&self) -> Option<u8> {
        let offset = match self.ethertype() {
            IPV4 => 8,
            IPV6 => 7,
            _ => return None,
        };
        self.payload().get(offset).copied()
    }

    /// What follows the IP header (of an IPv6 packet: its fixed header).
    #[must_use]
    pub fn transport(&self) -> &[u8] {
        let packet = self.payload();
        let header = match self.ethertype() {
            IPV4 => packet.first().map_or(0, |first| usize::from(first & 15) * 4),
            IPV6 => 40,
            _ => return &[],
        };
        packet.get(header..).unwrap_or_default()
    }

    /// True when the frame contains `needle`: for payloads that a test made unique.
    #[must_use]
    pub fn contains(&self, needle: &[u8]) -> bool {
        self.bytes.windows(needle.len()).any(|window| window == needle)
    }

    /// The control information of the first tag in the bytes.
    pub(crate) fn tag(&self) -> Option<u16> {
        let tagged = matches!(self.array(12).map(u16::from_be_bytes), Some(0x8100 | 0x88a8));
        tagged.then(|| self.array(14).map(u16::from_be_bytes))?
    }

    fn network(&self) -> usize {
        if self.tag().is_some() { 18 } else { 14 }
    }

    fn v4(&self, at: usize) -> Option<IpAddr> {
        self.array::<4>(at).map(|bytes| Ipv4Addr::from(bytes).into())
    }

    fn v6(&self, at: usize) -> Option<IpAddr> {
        self.array::<16>(at).map(|bytes| Ipv6Addr::from(bytes).into())
    }

    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.bytes.get(at..at + N)?.try_into().ok()
    }
}

/// One line, as for a list of what was seen instead.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {} {:#06x}", Colons(self.source()), Colons(self.destination()), self.ethertype())?;
        if let Some(vlan) = self.vlan {
            write!(f, " vlan {vlan}")?;
        }
        if let Some((from, to)) = self.addresses() {
            write!(f, " {from} > {to}")?;
        }
        if let Some(protocol) = self.protocol() {
            write!(f, " proto {protocol}")?;
        }
        write!(f, " {} bytes", self.bytes.len())
    }
}

struct Colons(Mac);

impl fmt::Display for Colons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
