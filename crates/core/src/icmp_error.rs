//! Which ICMP error does a slave get when its packet cannot be routed? The one that a router would send (RFC 792,
//! RFC 1191, RFC 4443), so that path MTU discovery works and connections fail at once instead of after minutes.

use crate::abi::Router;
use crate::addr::{Addr, Mac};
use crate::frame::Frame;
use crate::verdict::Reason;
use crate::wire::{
    ETH_HLEN, Ethernet, ICMP, ICMP_HLEN, ICMPV6, IPV4_HLEN, IPV6_HLEN, IcmpFields, Ipv4Fields, Ipv4Header, Ipv6Fields,
    Ipv6Header, ethertype, sum_of_packet, sum_of_pseudo_header,
};

/// Length in bytes of an IPv4 error before the quoted packet: Ethernet, IPv4 and ICMP headers.
pub const ICMP_ERROR_V4_LEN: usize = ETH_HLEN + IPV4_HLEN + ICMP_HLEN;
/// The same for IPv6.
pub const ICMP_ERROR_V6_LEN: usize = ETH_HLEN + IPV6_HLEN + ICMP_HLEN;
/// How much of an IPv4 packet is quoted, in bytes: what RFC 792 asks for.
pub const QUOTE_4: usize = IPV4_HLEN + 8;
/// How much of an IPv6 packet is quoted, in bytes: enough for the sender's stack to find the connection.
pub const QUOTE_6: usize = IPV6_HLEN + 8;
const HOP_LIMIT: u8 = 64;
/// Internetwork control, as routers mark their errors (RFC 1812, 4.3.2.5).
const TOS: u8 = 0xc0;
/// The source of errors when the host has no IPv4 address (RFC 7600).
const DUMMY: [u8; 4] = [192, 0, 0, 8];

/// Type, code and the MTU field of an error.
struct ErrorType(u8, u8, u32);

/// The headers of the error about an IPv4 packet, which the quoted packet follows. `mtu` is the route's, in bytes; `mac` is
/// the MAC address of the host and all slaves. `None` if there must be no error: the sender is not told of this reason, or
/// the packet is itself an error, a later fragment, or from `0.0.0.0` (RFC 1122, 3.2.2).
#[inline(always)]
pub fn icmp_error_v4(
    frame: &impl Frame,
    reason: Reason,
    mtu: u32,
    mac: Mac,
    router: &Router,
) -> Option<[u8; ICMP_ERROR_V4_LEN]> {
    let ErrorType(kind, code, mtu) = error_type_v4(cause(reason)?, mtu);
    let ip = Ipv4Header(frame);
    let dst = ip.src()?;
    if ip.version()? != 4 || ip.is_later_fragment()? || ip.is_icmp_error()? || dst == [0; 4] {
        return None;
    }
    let src = if router.v4 == [0; 4] { DUMMY } else { router.v4 };
    let total_len = (IPV4_HLEN + ICMP_HLEN + QUOTE_4) as u16;
    let quote = sum_of_packet(frame, QUOTE_4)?;
    let mut head = [0; ICMP_ERROR_V4_LEN];
    let (ethernet, packet) = head.split_at_mut(ETH_HLEN);
    let (header, message) = packet.split_at_mut(IPV4_HLEN);
    Ethernet { dst: mac, src: mac, ethertype: ethertype::IPV4 }.write(ethernet);
    Ipv4Fields { tos: TOS, total_len, ttl: HOP_LIMIT, protocol: ICMP, src, dst }.write(header);
    IcmpFields { kind, code, rest: mtu.to_be_bytes() }.write(message, quote);
    Some(head)
}

/// The same for an IPv6 packet (RFC 4443, 2.4). There is no error either if the host has no IPv6 address.
#[inline(always)]
pub fn icmp_error_v6(
    frame: &impl Frame,
    reason: Reason,
    mtu: u32,
    mac: Mac,
    router: &Router,
) -> Option<[u8; ICMP_ERROR_V6_LEN]> {
    let ErrorType(kind, code, mtu) = error_type_v6(cause(reason)?, mtu);
    let ip = Ipv6Header(frame);
    let (src, dst) = (router.v6, Addr(ip.src()?));
    if ip.version()? != 6 || ip.is_icmp_error()? || dst.is_unspecified() || src.is_unspecified() {
        return None;
    }
    let payload_len = (ICMP_HLEN + QUOTE_6) as u16;
    let others = sum_of_pseudo_header(src, dst, payload_len, ICMPV6) + sum_of_packet(frame, QUOTE_6)?;
    let mut head = [0; ICMP_ERROR_V6_LEN];
    let (ethernet, packet) = head.split_at_mut(ETH_HLEN);
    let (header, message) = packet.split_at_mut(IPV6_HLEN);
    Ethernet { dst: mac, src: mac, ethertype: ethertype::IPV6 }.write(ethernet);
    Ipv6Fields { payload_len, next_header: ICMPV6, hop_limit: HOP_LIMIT, src, dst }.write(header);
    IcmpFields { kind, code, rest: mtu.to_be_bytes() }.write(message, others);
    Some(head)
}

/// Why a router could not forward a packet.
#[derive(Clone, Copy)]
enum Cause {
    TooBig,
    NoRoute,
    Unreachable,
    Prohibit,
}

impl Reason {
    /// Whether the sender of a packet that is dropped so can get an ICMP error.
    pub fn has_icmp_error(self) -> bool {
        cause(self).is_some()
    }
}

/// The cause that is reported to the sender of a dropped packet; `None` if a router would report nothing either, or if the
/// packet was not dropped by routing.
#[inline(always)]
fn cause(reason: Reason) -> Option<Cause> {
    match reason {
        Reason::TooBig => Some(Cause::TooBig),
        Reason::NoRoute => Some(Cause::NoRoute),
        Reason::Unreachable => Some(Cause::Unreachable),
        Reason::Prohibit => Some(Cause::Prohibit),
        Reason::Truncated
        | Reason::Malformed
        | Reason::Tagged
        | Reason::ForeignMac
        | Reason::SpoofedHost
        | Reason::SpoofedSlave
        | Reason::NotOwned
        | Reason::NotIp
        | Reason::MacControl
        | Reason::Multicast
        | Reason::Private
        | Reason::SlaveDown
        | Reason::NoHostAccess
        | Reason::OwnFrame
        | Reason::NoSlave
        | Reason::MasterGone
        | Reason::Blackhole
        | Reason::RouteType
        | Reason::FloodLimit
        | Reason::CloneFailed
        | Reason::Reflected
        | Reason::ActionFailed
        | Reason::Undeclared
        | Reason::ForeignProtocol
        | Reason::UnspecifiedSource
        | Reason::NotARouter
        | Reason::NotDeclared
        | Reason::SiblingRedirect
        | Reason::RateLimit
        | Reason::Policy => None,
    }
}

#[inline(always)]
fn error_type_v4(cause: Cause, mtu: u32) -> ErrorType {
    match cause {
        Cause::TooBig => ErrorType(3, 4, mtu),
        Cause::NoRoute => ErrorType(3, 0, 0),
        Cause::Unreachable => ErrorType(3, 1, 0),
        Cause::Prohibit => ErrorType(3, 13, 0),
    }
}

/// As the kernel does it: for an unreachable route, the code is that of no route.
#[inline(always)]
fn error_type_v6(cause: Cause, mtu: u32) -> ErrorType {
    match cause {
        Cause::TooBig => ErrorType(2, 0, mtu),
        Cause::NoRoute | Cause::Unreachable => ErrorType(1, 0, 0),
        Cause::Prohibit => ErrorType(1, 1, 0),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::wire::{fold, sum};
    use std::vec::Vec;

    const ROUTER: Router = Router { v4: [10, 0, 0, 1], v6: Addr([0xfd; 16]) };

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn packet_4(protocol: u8, kind: u8) -> Vec<u8> {
        let mut frame = std::vec![0; 60];
        frame[14] = 0x45;
        frame[23] = protocol;
        frame[26..30].copy_from_slice(&[10, 0, 0, 10]);
        frame[34] = kind;
        frame
    }

    #[test]
    fn too_big_names_the_mtu_and_sums_are_right() {
        let packet = packet_4(17, 0);
        let error = icmp_error_v4(&&packet[..], Reason::TooBig, 1400, MAC, &ROUTER).unwrap();
        assert_eq!((error[34], error[35], &error[40..42]), (3, 4, &1400_u16.to_be_bytes()[..]));
        assert_eq!((&error[26..30], &error[30..34]), (&[10, 0, 0, 1][..], &[10, 0, 0, 10][..]));
        assert_eq!((fold(sum(&error[14..34])), fold(sum(&error[34..42]) + sum(&packet[14..42]))), (0xffff, 0xffff));
    }

    #[test]
    fn ipv6_too_big_has_its_pseudo_header_in_the_sum() {
        let mut frame = std::vec![0; 110];
        frame[14] = 0x60;
        frame[20] = 17;
        frame[22..38].fill(0xfd);
        let error = icmp_error_v6(&&frame[..], Reason::TooBig, 1400, MAC, &ROUTER).unwrap();
        assert_eq!((error[54], &error[58..62]), (2, &1400_u32.to_be_bytes()[..]));
        assert_eq!(fold(sum(&error[22..62]) + sum(&frame[14..62]) + 56 + 58), 0xffff);
    }

    #[test]
    fn nobody_is_told_of_errors_fragments_or_what_is_not_his_matter() {
        let has_error = |frame: &[u8], reason| icmp_error_v4(&frame, reason, 1400, MAC, &ROUTER).is_some();
        assert!(has_error(&packet_4(1, 8), Reason::NoRoute) && !has_error(&packet_4(1, 3), Reason::NoRoute));
        assert!(!has_error(&packet_4(17, 0), Reason::Blackhole) && !has_error(&packet_4(17, 0), Reason::Private));
        let mut fragment = packet_4(17, 0);
        fragment[21] = 1;
        assert!(!has_error(&fragment, Reason::NoRoute));
    }
}
