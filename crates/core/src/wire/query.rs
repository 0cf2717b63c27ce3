//! How does a router ask for the multicast memberships of its neighbours (IGMPv3, MLDv2)?

use super::checksum::{sum, sum_of_pseudo_header};
use super::ethernet::{Ethernet, ethertype};
use super::field::{ETH_HLEN, IPV6_HLEN, icmp};
use super::icmp::IcmpFields;
use super::ipv6::Ipv6Fields;
use super::protocol::{HOP_BY_HOP, ICMPV6};
use crate::addr::{Addr, Mac};

/// An IPv4 packet from `0.0.0.0` (RFC 4541, 2.1.1) to `224.0.0.1`, TTL 1, with the router alert option, and in it a general
/// query of IGMPv3 (RFC 3376, 4.1): answers within 0.1 s, robustness and interval at their defaults.
const IGMP: [u8; 36] = [
    0x46, 0xc0, 0, 36, 0, 0, 0x40, 0, 1, 2, 0x04, 0x13, 0, 0, 0, 0, 224, 0, 0, 1, 0x94, 4, 0, 0, // IPv4
    0x11, 1, 0xec, 0x81, 0, 0, 0, 0, 2, 125, 0, 0, // IGMP
];
/// A hop-by-hop header with the router alert option, as MLD needs it (RFC 2711).
const ROUTER_ALERT: [u8; 8] = [ICMPV6, 0, 5, 2, 0, 0, 1, 0];
/// What follows the ICMPv6 header of a general query of MLDv2 (RFC 3810, 5.1): no group, robustness and interval at their
/// defaults, no sources.
const MLD_BODY: [u8; 20] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0];
const MLD_LEN: usize = icmp::REST.end + MLD_BODY.len();
const ALL_NODES: Addr = Addr([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

/// Length in bytes of a frame with a general query of IGMPv3.
pub const IGMP_QUERY_LEN: usize = ETH_HLEN + IGMP.len();
/// Length in bytes of a frame with a general query of MLDv2.
pub const MLD_QUERY_LEN: usize = ETH_HLEN + IPV6_HLEN + ROUTER_ALERT.len() + MLD_LEN;

/// The frame from `src` that asks all hosts of a link for their IPv4 groups.
pub fn igmp_query(src: Mac) -> [u8; IGMP_QUERY_LEN] {
    let mut frame = [0; IGMP_QUERY_LEN];
    let (ethernet, packet) = frame.split_at_mut(ETH_HLEN);
    Ethernet { dst: Mac([1, 0, 0x5e, 0, 0, 1]), src, ethertype: ethertype::IPV4 }.write(ethernet);
    packet.copy_from_slice(&IGMP);
    frame
}

/// The frame from `src_mac` that asks all nodes of a link for their IPv6 groups; `src` is the sender's link-local address.
pub fn mld_query(src_mac: Mac, src: Addr) -> [u8; MLD_QUERY_LEN] {
    const MULTICAST_LISTENER_QUERY: u8 = 130;
    const MAX_RESPONSE_MILLIS: u8 = 100;
    let mut frame = [0; MLD_QUERY_LEN];
    let (ethernet, packet) = frame.split_at_mut(ETH_HLEN);
    let (header, rest) = packet.split_at_mut(IPV6_HLEN);
    let (options, message) = rest.split_at_mut(ROUTER_ALERT.len());
    Ethernet { dst: Mac([0x33, 0x33, 0, 0, 0, 1]), src: src_mac, ethertype: ethertype::IPV6 }.write(ethernet);
    let payload_len = (ROUTER_ALERT.len() + MLD_LEN) as u16;
    Ipv6Fields { payload_len, next_header: HOP_BY_HOP, hop_limit: 1, src, dst: ALL_NODES }.write(header);
    options.copy_from_slice(&ROUTER_ALERT);
    let others = sum(&MLD_BODY) + sum_of_pseudo_header(src, ALL_NODES, MLD_LEN as u16, ICMPV6);
    let rest = [0, MAX_RESPONSE_MILLIS, 0, 0];
    IcmpFields { kind: MULTICAST_LISTENER_QUERY, code: 0, rest }.write(message, others);
    message[icmp::REST.end..].copy_from_slice(&MLD_BODY);
    frame
}

#[cfg(test)]
mod tests {
    use super::super::checksum::fold;
    use super::*;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const LINK_LOCAL: Addr = Addr([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 1]);

    #[test]
    fn the_igmp_query_has_right_checksums() {
        assert_eq!((fold(sum(&IGMP[..24])), fold(sum(&IGMP[24..]))), (0xffff, 0xffff));
        assert_eq!(igmp_query(MAC).len(), 14 + 36);
    }

    #[test]
    fn the_mld_query_comes_from_a_link_local_address_and_has_a_right_checksum() {
        let frame = mld_query(MAC, LINK_LOCAL);
        assert_eq!(frame.len(), 14 + 40 + 8 + 28);
        let (source, message) = (&frame[22..38], &frame[14 + 40 + 8..]);
        assert_eq!(source[..2], [0xfe, 0x80]);
        let pseudo = sum(source) + sum(&frame[38..54]) + sum(&[0, 0, 0, 28, 0, 0, 0, 58]);
        assert_eq!(fold(pseudo + sum(message)), 0xffff);
    }

    #[test]
    fn the_mld_query_is_the_one_of_rfc_3810() {
        let frame = mld_query(MAC, LINK_LOCAL);
        assert_eq!((frame[14], &frame[18..22]), (0x60, &[0, 36, 0, 1][..]));
        assert_eq!(frame[54..62], ROUTER_ALERT);
        let (kind, rest) = (&frame[62..64], &frame[66..70]);
        assert_eq!((kind, rest, &frame[70..]), (&[130, 0][..], &[0, 100, 0, 0][..], &MLD_BODY[..]));
    }
}
