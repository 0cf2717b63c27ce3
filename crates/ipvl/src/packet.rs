//! Which bytes is a described frame made of?

use crate::command::Protocol;
use ipvl_core::{Addr, Mac};

/// Everything about a frame.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// The source MAC address.
    pub src_mac: Mac,
    /// The destination MAC address.
    pub dst_mac: Mac,
    /// The source address.
    pub src: Addr,
    /// The destination; for ARP and NS, the target address.
    pub to: Addr,
    /// What it carries.
    pub protocol: Protocol,
    /// The destination port, if it has ports.
    pub dport: Option<u16>,
    /// The whole frame's length, if it is to be longer than necessary.
    pub len: Option<usize>,
}

/// Length of an Ethernet header (IEEE 802.3).
pub const ETHERNET: usize = 14;

const IPV4: usize = 20;
const IPV6: usize = 40;
const HOP_LIMIT: u8 = 64;
/// The hop limit of neighbour discovery: less shows that a router has forwarded the packet (RFC 4861, 7.1.1).
const ND_HOP_LIMIT: u8 = 255;
/// Discard (RFC 863).
const PORT: u16 = 9;
const SOURCE_PORT: u16 = 49152;
/// Of TCP and UDP, and where a TCP header of five words puts its flag SYN.
const TCP_SYN: u16 = 5 << 12 | 1 << 1;

impl Packet {
    /// The frame from its Ethernet header on.
    pub fn bytes(&self) -> Vec<u8> {
        let (ether_type, payload) = match (self.protocol, self.src.as_v4(), self.to.as_v4()) {
            (Protocol::Arp, src, to) => (0x0806_u16, self.arp(src.unwrap_or_default(), to.unwrap_or_default())),
            (_, Some(src), Some(to)) => (0x0800, self.ipv4(src, to)),
            _ => (0x86dd, self.ipv6()),
        };
        [&self.dst_mac.0[..], &self.src_mac.0, &ether_type.to_be_bytes(), &payload].concat()
    }

    /// The MAC address that follows from a group's address; none for a single host.
    pub fn group_mac(protocol: Protocol, to: Addr) -> Option<Mac> {
        match (protocol, to.as_v4(), to.0) {
            (Protocol::Arp, ..) => Some(Mac::BROADCAST),
            (Protocol::Ns, _, [.., a, b, c]) => Some(Mac([0x33, 0x33, 0xff, a, b, c])),
            (_, Some([255, 255, 255, 255]), _) => Some(Mac::BROADCAST),
            (_, Some([_, a, b, c]), _) if to.is_group() => Some(Mac([0x01, 0, 0x5e, a & 0x7f, b, c])),
            (_, None, [.., a, b, c, d]) if to.is_group() => Some(Mac([0x33, 0x33, a, b, c, d])),
            _ => None,
        }
    }

    /// An Ethernet and IPv4 request (RFC 826).
    fn arp(&self, src: [u8; 4], to: [u8; 4]) -> Vec<u8> {
        const REQUEST: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 1];
        let mut arp = [&REQUEST[..], &self.src_mac.0, &src, &[0; 6], &to].concat();
        arp.resize(arp.len().max(self.room(0)), 0);
        arp
    }

    fn ipv4(&self, src: [u8; 4], to: [u8; 4]) -> Vec<u8> {
        let payload = self.payload(IPV4);
        let total = ((IPV4 + payload.len()) as u16).to_be_bytes();
        let mut header = [0x45, 0, total[0], total[1], 0, 0, 0, 0, HOP_LIMIT, self.number(1), 0, 0];
        let sum = checksum(&[&header, &src, &to]).to_be_bytes();
        header[10..].copy_from_slice(&sum);
        [&header[..], &src, &to, &payload].concat()
    }

    fn ipv6(&self) -> Vec<u8> {
        let payload = self.payload(IPV6);
        let len = (payload.len() as u16).to_be_bytes();
        let hop_limit = if self.protocol == Protocol::Ns { ND_HOP_LIMIT } else { HOP_LIMIT };
        let header = [0x60, 0, 0, 0, len[0], len[1], self.number(58), hop_limit];
        [&header[..], &self.src.0, &self.destination().0, &payload].concat()
    }

    /// The protocol's number; ICMP has one for each family.
    fn number(&self, icmp: u8) -> u8 {
        match self.protocol {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Icmp | Protocol::Ns | Protocol::Arp => icmp,
        }
    }

    /// A solicitation goes to the target's solicited-node group (RFC 4291, 2.7.1).
    fn destination(&self) -> Addr {
        match (self.protocol, self.to.0) {
            (Protocol::Ns, [.., a, b, c]) => Addr([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]),
            _ => self.to,
        }
    }

    fn payload(&self, header: usize) -> Vec<u8> {
        let (mut bytes, sum_at) = match self.protocol {
            Protocol::Udp => (self.udp(header), 6),
            Protocol::Tcp => (tcp(self.dport.unwrap_or(PORT)), 16),
            Protocol::Ns => (self.solicitation(), 2),
            Protocol::Icmp | Protocol::Arp => (echo(header == IPV4), 2),
        };
        bytes.resize(bytes.len().max(self.room(header)), 0);
        let sum = match checksum(&[&self.pseudo_header(bytes.len(), header), &bytes]) {
            0 if self.protocol == Protocol::Udp => u16::MAX,
            sum => sum,
        };
        bytes[sum_at..sum_at + 2].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// The payload's length, for the frame length that is wanted; no more than IP's length field can hold.
    fn room(&self, header: usize) -> usize {
        let most = usize::from(u16::MAX) - if header == IPV4 { IPV4 } else { 0 };
        self.len.unwrap_or(0).saturating_sub(ETHERNET + header).min(most)
    }

    /// Empty for ICMP over IPv4, which has none.
    fn pseudo_header(&self, len: usize, header: usize) -> Vec<u8> {
        let [high, low] = (len as u16).to_be_bytes();
        match (header, self.protocol) {
            (IPV4, Protocol::Icmp) => Vec::new(),
            (IPV4, _) => [&self.src.0[12..], &self.to.0[12..], &[0, self.number(1), high, low]].concat(),
            _ => [&self.src.0[..], &self.destination().0, &[0, 0, high, low, 0, 0, 0, self.number(58)]].concat(),
        }
    }

    fn udp(&self, header: usize) -> Vec<u8> {
        let len = self.room(header).max(8) as u16;
        words(&[SOURCE_PORT, self.dport.unwrap_or(PORT), len, 0])
    }

    /// With the option that names the sender's MAC address, unless it has no address yet (RFC 4861, 4.3).
    fn solicitation(&self) -> Vec<u8> {
        let start = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &self.to.0].concat();
        match self.src.is_unspecified() {
            true => start,
            false => [&start[..], &[1, 1], &self.src_mac.0].concat(),
        }
    }
}

fn tcp(dport: u16) -> Vec<u8> {
    words(&[SOURCE_PORT, dport, 0, 1, 0, 0, TCP_SYN, u16::MAX, 0, 0])
}

fn echo(v4: bool) -> Vec<u8> {
    let kind: u8 = if v4 { 8 } else { 128 };
    words(&[u16::from(kind) << 8, 0, 1, 1])
}

fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// The internet checksum (RFC 1071). Every part but the last must have an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let word = |two: &[u8]| u64::from(two[0]) << 8 | u64::from(two.get(1).copied().unwrap_or(0));
    let sum: u64 = parts.iter().flat_map(|part| part.chunks(2)).map(word).sum();
    let folded = (0..3).fold(sum, |sum, _| (sum & 0xffff) + (sum >> 16));
    !(folded as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};
    use std::net::IpAddr;

    const A: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const B: Mac = Mac([2, 0, 0, 0, 0, 2]);

    #[test]
    fn every_packet_is_what_etherparse_makes_of_it() {
        for protocol in [Protocol::Udp, Protocol::Tcp, Protocol::Icmp] {
            for (src, to) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
                for len in [None, Some(14), Some(99), Some(1514), Some(65549)] {
                    check(&packet(protocol, src, to, len));
                }
            }
        }
        check(&packet(Protocol::Ns, "fd00::1", "fd00::2", None));
        check(&packet(Protocol::Ns, "::", "fd00::2", Some(100)));
    }

    #[test]
    fn a_packet_is_as_long_as_asked() {
        for protocol in [Protocol::Udp, Protocol::Tcp, Protocol::Icmp, Protocol::Arp] {
            assert_eq!(packet(protocol, "10.0.0.1", "10.0.0.2", Some(1000)).bytes().len(), 1000);
        }
        assert_eq!(packet(Protocol::Udp, "fd00::1", "fd00::2", Some(1000)).bytes().len(), 1000);
    }

    #[test]
    fn an_arp_request_asks_for_its_target() {
        let bytes = packet(Protocol::Arp, "10.0.0.1", "10.0.0.2", None).bytes();
        let sliced = SlicedPacket::from_ethernet(&bytes).unwrap();
        let Some(NetSlice::Arp(arp)) = sliced.net else { panic!("no ARP: {sliced:?}") };
        assert_eq!(bytes.len(), 42);
        assert_eq!((arp.sender_hw_addr(), arp.sender_protocol_addr()), (&A.0[..], &[10, 0, 0, 1][..]));
        assert_eq!((arp.operation().0, arp.target_protocol_addr()), (1, &[10, 0, 0, 2][..]));
    }

    #[test]
    fn a_group_has_its_own_mac() {
        for (protocol, to, mac) in [
            (Protocol::Arp, "10.0.0.2", "ff:ff:ff:ff:ff:ff"),
            (Protocol::Udp, "255.255.255.255", "ff:ff:ff:ff:ff:ff"),
            (Protocol::Udp, "239.129.2.3", "01:00:5e:01:02:03"),
            (Protocol::Icmp, "ff02::1:2", "33:33:00:01:00:02"),
            (Protocol::Ns, "fd00::12:3456", "33:33:ff:12:34:56"),
        ] {
            assert_eq!(Packet::group_mac(protocol, addr(to)).unwrap().to_string(), mac, "{to}");
        }
        assert_eq!(Packet::group_mac(Protocol::Udp, addr("10.0.0.2")), None);
    }

    #[track_caller]
    fn check(packet: &Packet) {
        let bytes = packet.bytes();
        let sliced = SlicedPacket::from_ethernet(&bytes).unwrap();
        match (sliced.net.unwrap(), sliced.transport.unwrap()) {
            (NetSlice::Ipv4(ip), TransportSlice::Icmpv4(icmp)) => {
                assert_eq!(ip.header().to_header().calc_header_checksum(), ip.header().header_checksum());
                assert_eq!(icmp.header().icmp_type.calc_checksum(icmp.payload()), icmp.header().checksum);
            }
            (NetSlice::Ipv4(ip), TransportSlice::Udp(udp)) => {
                let expected = udp.to_header().calc_checksum_ipv4(&ip.header().to_header(), udp.payload());
                assert_eq!(expected.unwrap(), udp.checksum());
            }
            (NetSlice::Ipv4(ip), TransportSlice::Tcp(tcp)) => {
                assert!(tcp.syn());
                assert_eq!(
                    tcp.calc_checksum_ipv4(ip.header().source(), ip.header().destination()).unwrap(),
                    tcp.checksum()
                );
            }
            (NetSlice::Ipv6(ip), TransportSlice::Icmpv6(icmp)) => {
                let (src, dst) = (ip.header().source(), ip.header().destination());
                assert!(icmp.is_checksum_valid(src, dst));
            }
            (NetSlice::Ipv6(ip), TransportSlice::Udp(udp)) => {
                let expected = udp.to_header().calc_checksum_ipv6(&ip.header().to_header(), udp.payload());
                assert_eq!(expected.unwrap(), udp.checksum());
            }
            (NetSlice::Ipv6(ip), TransportSlice::Tcp(tcp)) => {
                assert_eq!(
                    tcp.calc_checksum_ipv6(ip.header().source(), ip.header().destination()).unwrap(),
                    tcp.checksum()
                );
            }
            other => panic!("not as described: {other:?}"),
        }
    }

    fn packet(protocol: Protocol, src: &str, to: &str, len: Option<usize>) -> Packet {
        Packet { src_mac: A, dst_mac: B, src: addr(src), to: addr(to), protocol, dport: None, len }
    }

    fn addr(text: &str) -> Addr {
        text.parse::<IpAddr>().unwrap().into()
    }
}
