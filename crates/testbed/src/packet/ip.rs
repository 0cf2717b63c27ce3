//! How is an IP packet built? One function for both families, with UDP, echo and DHCP on top.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{IPV4, IPV6, Link, Mac, ethernet};

pub(super) const ICMP: u8 = 1;
const UDP: u8 = 17;
pub(super) const ICMPV6: u8 = 58;
const HOPS: u8 = 64;

/// An IP packet in a frame, of the family of its addresses.
///
/// # Panics
/// When the addresses are of two families.
#[must_use]
pub fn ip(link: Link, from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    with_hops(link, from, to, protocol, HOPS, payload)
}

pub(super) fn with_hops(link: Link, from: IpAddr, to: IpAddr, protocol: u8, hops: u8, payload: &[u8]) -> Vec<u8> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut header = vec![0x45, 0];
            header.extend((20 + payload.len() as u16).to_be_bytes());
            header.extend([0x12, 0x34, 0, 0, hops, protocol, 0, 0]);
            header.extend([from.octets(), to.octets()].concat());
            let sum = checksum(&header);
            header[10..12].copy_from_slice(&sum);
            ethernet(link, IPV4, &[&header, payload].concat())
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut header = vec![0x60, 0, 0, 0];
            header.extend((payload.len() as u16).to_be_bytes());
            header.extend([protocol, hops]);
            header.extend([from.octets(), to.octets()].concat());
            ethernet(link, IPV6, &[&header, payload].concat())
        }
        _ => panic!("a packet from {from} to {to} mixes two families"),
    }
}

/// A UDP datagram.
#[must_use]
pub fn udp(link: Link, from: impl Into<SocketAddr>, to: impl Into<SocketAddr>, payload: &[u8]) -> Vec<u8> {
    let (from, to) = (from.into(), to.into());
    let length = (8 + payload.len() as u16).to_be_bytes();
    let header = [from.port().to_be_bytes(), to.port().to_be_bytes(), length, [0, 0]].concat();
    let datagram = summed(from.ip(), to.ip(), UDP, [&header, payload].concat(), 6);
    ip(link, from.ip(), to.ip(), UDP, &datagram)
}

/// A ping.
#[must_use]
pub fn echo_request(link: Link, from: IpAddr, to: IpAddr, id: u16, sequence: u16) -> Vec<u8> {
    echo(link, from, to, if from.is_ipv4() { 8 } else { 128 }, id, sequence)
}

/// A ping's answer.
#[must_use]
pub fn echo_reply(link: Link, from: IpAddr, to: IpAddr, id: u16, sequence: u16) -> Vec<u8> {
    echo(link, from, to, if from.is_ipv4() { 0 } else { 129 }, id, sequence)
}

fn echo(link: Link, from: IpAddr, to: IpAddr, kind: u8, id: u16, sequence: u16) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0];
    message.extend([id.to_be_bytes(), sequence.to_be_bytes()].concat());
    message.extend(b"ipvl test");
    if from.is_ipv6() {
        return ip(link, from, to, ICMPV6, &summed(from, to, ICMPV6, message, 2));
    }
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum);
    ip(link, from, to, ICMP, &message)
}

/// A DHCPv4 DISCOVER from 0.0.0.0, with the broadcast flag when the client cannot take unicast before it has an address.
#[must_use]
pub fn dhcp_discover(client: Mac, transaction: u32, broadcast: bool, client_id: &[u8]) -> Vec<u8> {
    let id = [&[53, 1, 1, 61, client_id.len() as u8], client_id].concat();
    let mut message = bootp(1, client, transaction, &id);
    message[10] = if broadcast { 0x80 } else { 0 };
    message.resize(message.len().max(300), 0);
    udp(Link::broadcast(client), (Ipv4Addr::UNSPECIFIED, 68), (Ipv4Addr::BROADCAST, 67), &message)
}

/// A client's DHCPv4 message with these options, padded to `length` bytes of BOOTP.
#[must_use]
pub fn dhcp_request(client: Mac, transaction: u32, options: &[u8], length: usize) -> Vec<u8> {
    let mut message = bootp(1, client, transaction, options);
    message.resize(message.len().max(length), 0);
    udp(Link::broadcast(client), (Ipv4Addr::UNSPECIFIED, 68), (Ipv4Addr::BROADCAST, 67), &message)
}

/// A DHCPv4 OFFER of the address `yours` for `client`, with further options.
#[must_use]
pub fn dhcp_offer(
    link: Link,
    [from, to]: [Ipv4Addr; 2],
    client: Mac,
    transaction: u32,
    yours: Ipv4Addr,
    options: &[u8],
) -> Vec<u8> {
    let mut message = bootp(2, client, transaction, &[&[53, 1, 2], options].concat());
    message[16..20].copy_from_slice(&yours.octets());
    udp(link, (from, 67), (to, 68), &message)
}

fn bootp(op: u8, client: Mac, transaction: u32, options: &[u8]) -> Vec<u8> {
    let mut message = vec![op, 1, 6, 0];
    message.extend(transaction.to_be_bytes());
    message.resize(28, 0);
    message.extend(client);
    message.resize(236, 0);
    message.extend([0x63, 0x82, 0x53, 0x63]);
    message.extend(options);
    message.push(255);
    message
}

/// Fills in a checksum, over the pseudo header, at `offset` of an upper-layer message.
pub(super) fn summed(from: IpAddr, to: IpAddr, protocol: u8, mut message: Vec<u8>, offset: usize) -> Vec<u8> {
    let mut covered = [octets(from), octets(to)].concat();
    covered.extend((message.len() as u32).to_be_bytes());
    covered.extend([0, 0, 0, protocol]);
    covered.extend(&message);
    let sum = checksum(&covered);
    // To UDP, zero means that there is no checksum.
    let sum = if protocol == UDP && sum == [0, 0] { [0xff, 0xff] } else { sum };
    message[offset..offset + 2].copy_from_slice(&sum);
    message
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The Internet checksum of some bytes.
#[must_use]
pub fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!sum as u16).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summed_header_sums_to_zero() {
        let frame =
            echo_request(Link::broadcast([2; 6]), "10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap(), 1, 1);
        assert_eq!(checksum(&frame[14..34]), [0, 0]);
        assert_eq!(checksum(&frame[34..]), [0, 0]);
    }
}
