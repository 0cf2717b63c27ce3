//! How does a slave come to report its multicast groups again, when the wire leads to another switch?
//!
//! Only the slave's own stack can report them, and it does so when it receives a general query, as a router would send
//! it. The query is sent into the slave and nowhere else.

use super::plan::eui64;
use crate::error::Result;
use crate::kernel::sys::FrameSocket;
use ipvl_core::{Addr, Mac};
use std::ops::Range;

/// The Ethernet addresses of `224.0.0.1` and `ff02::1`.
const ALL_SYSTEMS_MAC: [u8; 6] = [1, 0, 0x5e, 0, 0, 1];
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const ETH_P_IP: [u8; 2] = [0x08, 0x00];
const ETH_P_IPV6: [u8; 2] = [0x86, 0xdd];

/// The IPv4 header (RFC 791) of an IGMP query.
const IPV4_HEADER: [u8; 24] = [
    // Version and header length, type of service, total length.
    0x46, 0xc0, 0, 36, //
    // Identification, flags and fragment offset: do not fragment.
    0, 0, 0x40, 0, //
    // Time to live, protocol: IGMP, header checksum.
    1, 2, 0x04, 0x13, //
    // Source address: none, as of a switch that queries (RFC 4541, 2.1.1).
    0, 0, 0, 0, //
    // Destination address: all systems.
    224, 0, 0, 1, //
    // Option: router alert (RFC 2113).
    0x94, 4, 0, 0,
];
/// An IGMPv3 membership query (RFC 3376, 4.1).
const IGMP_QUERY: [u8; 12] = [
    // Type, max resp code: 0.1 s, checksum.
    0x11, 1, 0xec, 0x81, //
    // Group address: none, for a general query.
    0, 0, 0, 0, //
    // Robustness variable, querier's query interval, number of sources: the defaults.
    2, 125, 0, 0,
];

const IPV6_HEADER_LEN: usize = 40;
const ALL_NODES: Addr = Addr([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
const IPPROTO_HOPOPTS: u8 = 0;
const IPPROTO_ICMPV6: u8 = HOP_BY_HOP[0];
/// The hop-by-hop options header of an MLD query.
const HOP_BY_HOP: [u8; 8] = [
    // Next header: ICMPv6, header length; option: router alert, its length, its value: MLD (RFC 2711).
    58, 0, 5, 2, 0, 0, //
    // Option: padding of no more bytes.
    1, 0,
];
/// An MLDv2 query (RFC 3810, 5.1), without its checksum.
const MLD_QUERY: [u8; 28] = [
    // Type, code, checksum.
    130, 0, 0, 0, //
    // Maximum response code: 100 ms, reserved.
    0, 100, 0, 0, //
    // Multicast address: none, for a general query.
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
    // Robustness variable, querier's query interval, number of sources: the defaults.
    2, 125, 0, 0,
];
const MLD_CHECKSUM: Range<usize> = 2..4;

/// Has the slave behind a host end report its groups.
pub fn send_queries(wire: &FrameSocket, host_end: u32, mac: Mac) -> Result<()> {
    wire.send(host_end, &igmp_query(mac))?;
    wire.send(host_end, &mld_query(mac))
}

fn igmp_query(mac: Mac) -> Vec<u8> {
    [&ALL_SYSTEMS_MAC[..], &mac.0, &ETH_P_IP, &IPV4_HEADER, &IGMP_QUERY].concat()
}

fn mld_query(mac: Mac) -> Vec<u8> {
    let source = eui64(mac).0;
    let mut query = MLD_QUERY;
    let sum = checksum(&[&pseudo_header(source)[..], &MLD_QUERY].concat());
    query[MLD_CHECKSUM].copy_from_slice(&sum.to_be_bytes());
    [&ALL_NODES_MAC[..], &mac.0, &ETH_P_IPV6, &ipv6_header(source), &HOP_BY_HOP, &query].concat()
}

/// RFC 8200, 3.
fn ipv6_header(source: [u8; 16]) -> [u8; IPV6_HEADER_LEN] {
    const VERSION: u8 = 6 << 4;
    const PAYLOAD_LEN: u8 = (HOP_BY_HOP.len() + MLD_QUERY.len()) as u8;
    const HOP_LIMIT: u8 = 1;
    let mut header = [0; IPV6_HEADER_LEN];
    header[..8].copy_from_slice(&[VERSION, 0, 0, 0, 0, PAYLOAD_LEN, IPPROTO_HOPOPTS, HOP_LIMIT]);
    header[8..24].copy_from_slice(&source);
    header[24..].copy_from_slice(&ALL_NODES.0);
    header
}

/// What the checksum of ICMPv6 counts besides (RFC 8200, 8.1).
fn pseudo_header(source: [u8; 16]) -> Vec<u8> {
    let (length, next_header) = ([0, 0, 0, MLD_QUERY.len() as u8], [0, 0, 0, IPPROTO_ICMPV6]);
    [&source[..], &ALL_NODES.0, &length, &next_header].concat()
}

/// The Internet checksum (RFC 1071) of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    !((sum & 0xffff) + (sum >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    #[test]
    fn the_igmp_query_has_right_checksums() {
        assert_eq!((checksum(&IPV4_HEADER), checksum(&IGMP_QUERY)), (0, 0));
        assert_eq!(igmp_query(MAC).len(), 14 + 36);
    }

    #[test]
    fn the_mld_query_comes_from_a_link_local_address_and_has_a_right_checksum() {
        let frame = mld_query(MAC);
        assert_eq!(frame.len(), 14 + IPV6_HEADER_LEN + HOP_BY_HOP.len() + MLD_QUERY.len());
        let (source, question) = (&frame[22..38], &frame[14 + IPV6_HEADER_LEN + HOP_BY_HOP.len()..]);
        assert_eq!(source[..2], [0xfe, 0x80]);
        let pseudo = [source, &frame[38..54], &[0, 0, 0, 28, 0, 0, 0, 58], question].concat();
        assert_eq!(checksum(&pseudo), 0);
    }
}
