//! Which frames do tests send? Frames with these addresses, right lengths and checksums, and functions that spoil them.

mod ip;
mod neighbour;
mod shape;

pub use ip::{checksum, dhcp_discover, dhcp_offer, dhcp_request, echo_reply, echo_request, ip, udp};
pub use neighbour::{arp, arp_reply, arp_request, gratuitous_arp, neighbour_advert, neighbour_solicit};
pub use neighbour::{redirect_v4, redirect_v6, router_advert, router_solicit};
pub use shape::{fragments, truncated, with_extension, with_tag};

/// A MAC address.
pub type Mac = [u8; 6];

/// Every station.
pub const BROADCAST: Mac = [0xff; 6];
/// Ethertype of IPv4.
pub const IPV4: u16 = 0x0800;
/// Ethertype of ARP.
pub const ARP: u16 = 0x0806;
/// Ethertype of IPv6.
pub const IPV6: u16 = 0x86dd;

/// The MAC addresses of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The source.
    pub from: Mac,
    /// The destination.
    pub to: Mac,
}

impl Link {
    /// A frame's way from `from` to `to`.
    #[must_use]
    pub const fn new(from: Mac, to: Mac) -> Self {
        Self { from, to }
    }

    /// From `from` to every station.
    #[must_use]
    pub const fn broadcast(from: Mac) -> Self {
        Self::new(from, BROADCAST)
    }

    /// From `from` to the stations that listen to an IPv6 multicast group.
    #[must_use]
    pub fn multicast(from: Mac, group: std::net::Ipv6Addr) -> Self {
        let [.., a, b, c, d] = group.octets();
        Self::new(from, [0x33, 0x33, a, b, c, d])
    }
}

/// An Ethernet frame.
#[must_use]
pub fn ethernet(link: Link, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&link.to[..], &link.from, &ethertype.to_be_bytes(), payload].concat()
}
