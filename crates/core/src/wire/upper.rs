//! What does a packet say behind its IP headers: is it a router's, a DHCP server's, or that of a station without an address?
//!
//! Only what guards and redirects ask. Each field is read at an offset that [`Packet::parse`] has found.

use super::field::{ETH_HLEN, IPV4_HLEN, IPV6_HLEN, icmp, ipv4, redirect, udp};
use super::ipv4::Ipv4Header;
use super::ipv6::Ipv6Header;
use super::packet::{Packet, Protocol};
use super::protocol::{DHCP_CLIENT, DHCP_SERVER, DHCPV6_CLIENT, ICMP, ICMPV6, IGMP, UDP};
use crate::addr::Addr;
use crate::frame::Frame;

/// ICMP: redirect (RFC 792) and router advertisement (RFC 1256).
const REDIRECT_4: u8 = 5;
const ADVERTISEMENT_4: u8 = 9;
/// ICMPv6: listener report and Done (RFC 2710, RFC 3810); the four others from RFC 4861.
const LISTENER_REPORT: u8 = 131;
const LISTENER_DONE: u8 = 132;
const LISTENER_REPORT_V2: u8 = 143;
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const REDIRECT_6: u8 = 137;

/// Whether it is what only a router or a DHCP server says: a router advertisement, a redirect, or a datagram to the port of
/// DHCP clients, which do not compare the port that it comes from.
#[inline(always)]
pub(crate) fn is_of_router(frame: &impl Frame, packet: &Packet) -> bool {
    let v4 = matches!(packet.protocol, Protocol::V4);
    match packet.upper {
        ICMP if v4 => matches!(kind(frame, packet), Some(REDIRECT_4 | ADVERTISEMENT_4)),
        ICMPV6 if !v4 => matches!(kind(frame, packet), Some(ROUTER_ADVERTISEMENT | REDIRECT_6)),
        UDP => ports(frame, packet).is_some_and(|(_, to)| to == if v4 { DHCP_CLIENT } else { DHCPV6_CLIENT }),
        _ => false,
    }
}

/// Whether an IP packet without options or extension headers is surely nothing that [`is_of_router`] finds. It reads less,
/// and of fragments it does not know where the ports are.
#[inline(always)]
pub(crate) fn is_plainly_of_host(frame: &impl Frame) -> bool {
    const V4: usize = ETH_HLEN + IPV4_HLEN + udp::DST_PORT.start;
    const V6: usize = ETH_HLEN + IPV6_HLEN + udp::DST_PORT.start;
    let v4 = is_v4(frame);
    let protocol = if v4 { Ipv4Header(frame).protocol() } else { Ipv6Header(frame).next_header() };
    let port = || frame.read::<2>(if v4 { V4 } else { V6 }).map(u16::from_be_bytes);
    match protocol {
        Some(UDP) => port().is_some_and(|port| port != if v4 { DHCP_CLIENT } else { DHCPV6_CLIENT }),
        other => other.is_some_and(|protocol| !matches!(protocol, ICMP | ICMPV6)),
    }
}

/// Whether an IP packet without options or extension headers is an ICMP message for IPv4. It is told by the version, so that
/// the fast path need not keep the EtherType in a register.
#[inline(always)]
pub(crate) fn is_plain_icmp_v4(frame: &impl Frame) -> bool {
    is_v4(frame) && Ipv4Header(frame).protocol() == Some(ICMP)
}

/// As [`super::ip::IpHeader::of`] tells it. By way of that enum the verifier finds a register undefined.
#[inline(always)]
fn is_v4(frame: &impl Frame) -> bool {
    frame.head::<{ ETH_HLEN + IPV4_HLEN }, 1>(ETH_HLEN).is_some_and(|[first]| first >> 4 == 4)
}

/// Whether a station that has no address yet must be able to send it: DHCP (RFC 2131, 4.1), IGMP (RFC 3376, 4.2.13),
/// duplicate address detection, router solicitation (RFC 4861, 4.1 and 4.3) and MLD (RFC 3590), each to a group, and ARP
/// probes.
#[inline(always)]
pub(crate) fn needs_no_source(frame: &impl Frame, packet: &Packet) -> bool {
    match packet.protocol {
        Protocol::Arp => packet.is_probe(),
        Protocol::Other => false,
        Protocol::V4 if packet.upper == IGMP => packet.dst.is_group(),
        Protocol::V4 => {
            packet.upper == UDP
                && packet.dst == Addr::BROADCAST_4
                && ports(frame, packet) == Some((DHCP_CLIENT, DHCP_SERVER))
        }
        Protocol::V6 => {
            packet.upper == ICMPV6
                && packet.dst.is_group()
                && matches!(
                    kind(frame, packet),
                    Some(
                        ROUTER_SOLICITATION
                            | NEIGHBOUR_SOLICITATION
                            | LISTENER_REPORT
                            | LISTENER_DONE
                            | LISTENER_REPORT_V2
                    )
                )
        }
    }
}

/// The two addresses in an ICMP or ICMPv6 redirect (RFC 792; RFC 4861, 4.5): the better first hop, and the destination that
/// it is for. `None` for any other packet.
#[inline(always)]
pub(crate) fn redirected(frame: &impl Frame, packet: &Packet) -> Option<(Addr, Addr)> {
    let at = packet.upper_at;
    match (packet.protocol, packet.upper) {
        (Protocol::V4, ICMP) if kind(frame, packet)? == REDIRECT_4 => {
            let quoted = at + icmp::REST.end + ipv4::DST.start;
            Some((Addr::v4(frame.read_at(at + icmp::REST.start)?), Addr::v4(frame.read_at(quoted)?)))
        }
        (Protocol::V6, ICMPV6) if kind(frame, packet)? == REDIRECT_6 => {
            let hop = frame.read_at(at + redirect::TARGET.start)?;
            Some((Addr(hop), Addr(frame.read_at(at + redirect::DESTINATION.start)?)))
        }
        _ => None,
    }
}

/// The type of an ICMP or ICMPv6 message.
#[inline(always)]
fn kind(frame: &impl Frame, packet: &Packet) -> Option<u8> {
    frame.read_at::<1>(packet.upper_at + icmp::TYPE).map(|[kind]| kind)
}

/// Source and destination port of a UDP datagram.
#[inline(always)]
fn ports(frame: &impl Frame, packet: &Packet) -> Option<(u16, u16)> {
    let port = |at: usize| frame.read_at::<2>(packet.upper_at + at).map(u16::from_be_bytes);
    Some((port(udp::SRC_PORT.start)?, port(udp::DST_PORT.start)?))
}
