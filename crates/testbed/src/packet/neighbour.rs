//! How do stations resolve addresses? By ARP, and by IPv6's neighbour and router messages.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ip::{ICMP, ICMPV6, checksum, ip, summed, udp, with_hops};
use super::{ARP, Link, Mac, ethernet};

/// Receivers drop neighbour discovery messages with another hop limit.
const ND_HOPS: u8 = 255;
const LINK_LEN: usize = 14;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// Any ARP message: `operation` 1 asks, 2 answers.
#[must_use]
pub fn arp(link: Link, operation: u8, sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr)) -> Vec<u8> {
    let mut message = vec![0, 1, 8, 0, 6, 4, 0, operation];
    for (mac, address) in [sender, target] {
        message.extend(mac);
        message.extend(address.octets());
    }
    ethernet(link, ARP, &message)
}

/// An ARP request of `sender` for `target`, broadcast.
#[must_use]
pub fn arp_request(from: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    arp(Link::broadcast(from), 1, (from, sender), ([0; 6], target))
}

/// An ARP reply that `sender` is at `link.from`, to the requester.
#[must_use]
pub fn arp_reply(link: Link, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    arp(link, 2, (link.from, sender), (link.to, target))
}

/// A gratuitous ARP request that `address` is at `from`, broadcast.
#[must_use]
pub fn gratuitous_arp(from: Mac, address: Ipv4Addr) -> Vec<u8> {
    arp(Link::broadcast(from), 1, (from, address), ([0; 6], address))
}

/// A neighbour solicitation to the target's solicited-node group; from `::` it is duplicate address detection.
#[must_use]
pub fn neighbour_solicit(from: Mac, sender: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let group = solicited_node(target);
    let option = if sender.is_unspecified() { vec![] } else { link_layer(1, from) };
    let body = [&[0; 4], &target.octets()[..], &option].concat();
    discovery(Link::multicast(from, group), sender, group, 135, &body)
}

/// A solicited neighbour advertisement of `target` at `link.from`.
#[must_use]
pub fn neighbour_advert(link: Link, target: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
    let solicited_and_override = [0x60, 0, 0, 0];
    let body = [&solicited_and_override, &target.octets()[..], &link_layer(2, link.from)].concat();
    discovery(link, target, to, 136, &body)
}

/// A router solicitation to all routers.
#[must_use]
pub fn router_solicit(from: Mac, sender: Ipv6Addr) -> Vec<u8> {
    let option = if sender.is_unspecified() { vec![] } else { link_layer(1, from) };
    discovery(Link::multicast(from, ALL_ROUTERS), sender, ALL_ROUTERS, 133, &[&[0; 4], &option[..]].concat())
}

/// A router advertisement of one on-link prefix (a /64, for autoconfiguration), to all nodes.
#[must_use]
pub fn router_advert(from: Mac, router: Ipv6Addr, prefix: Ipv6Addr) -> Vec<u8> {
    let mut body = vec![64, 0];
    body.extend(1800u16.to_be_bytes());
    body.extend([0; 8]);
    body.extend([3, 4, 64, 0xc0]);
    body.extend([3600u32.to_be_bytes(), 3600u32.to_be_bytes(), [0; 4]].concat());
    body.extend(prefix.octets());
    body.extend(link_layer(1, from));
    discovery(Link::multicast(from, ALL_NODES), router, ALL_NODES, 134, &body)
}

/// A router's ICMP redirect to `to`, about a datagram of its to `about`: the better first hop is `via`.
#[must_use]
pub fn redirect_v4(link: Link, router: Ipv4Addr, to: Ipv4Addr, via: Ipv4Addr, about: Ipv4Addr) -> Vec<u8> {
    const FOR_HOST: u8 = 1;
    let datagram = udp(link, (IpAddr::from(to), 4000), (IpAddr::from(about), 4001), &[]);
    let mut message = [&[5, FOR_HOST, 0, 0], &via.octets()[..], &datagram[LINK_LEN..]].concat();
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum);
    ip(link, router.into(), to.into(), ICMP, &message)
}

/// A router's ICMPv6 redirect to `to`: the better first hop to `about` is `via`.
#[must_use]
pub fn redirect_v6(link: Link, router: Ipv6Addr, to: Ipv6Addr, via: Ipv6Addr, about: Ipv6Addr) -> Vec<u8> {
    discovery(link, router, to, 137, &[&[0; 4], &via.octets()[..], &about.octets()].concat())
}

fn discovery(link: Link, from: Ipv6Addr, to: Ipv6Addr, kind: u8, body: &[u8]) -> Vec<u8> {
    let (from, to) = (IpAddr::V6(from), IpAddr::V6(to));
    let message = [&[kind, 0, 0, 0], body].concat();
    with_hops(link, from, to, ICMPV6, ND_HOPS, &summed(from, to, ICMPV6, message, 2))
}

/// Option 1 (source) or 2 (target) link-layer address.
fn link_layer(kind: u8, mac: Mac) -> Vec<u8> {
    [&[kind, 1], &mac[..]].concat()
}

fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = target.octets();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from(b) << 8 | u16::from(c))
}
