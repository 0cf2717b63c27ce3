//! How is an l3 packet looked up in the host's routing table, and what follows from the answer?

use crate::addr::Addr;
use crate::frame::Frame;
use crate::verdict::{Action, Reason, Verdict};
use crate::wire::{IPV6_HLEN, IpHeader, Ipv4Header, Ipv6Header};

/// What the routing table is asked for a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteLookup {
    /// IPv4: the type of service. IPv6: traffic class and flow label, in the packet's byte order.
    pub class: u32,
    /// The number of the protocol that the packet carries.
    pub protocol: u8,
    /// Length of the packet in bytes; 0 for a GSO packet.
    pub len: u16,
    /// Whether routers may fragment the packet.
    pub fragment: bool,
    /// Source address.
    pub src: Addr,
    /// Destination address.
    pub dst: Addr,
}

/// What the routing table says about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteAnswer {
    /// It has the next hop and the device, with or without the next hop's MAC address.
    NextHop,
    /// The input device does not forward, so there is no answer.
    NotForwarding,
    /// The packet exceeds the route's MTU.
    TooBig,
    /// There is no route, or the address is the host's own.
    NoRoute,
    /// A blackhole route.
    Blackhole,
    /// An unreachable route.
    Unreachable,
    /// A prohibit route.
    Prohibit,
    /// A route that only the host's own stack can use.
    Unsupported,
}

/// How a packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayOut {
    /// By the next hop and the device that the routing table has named.
    NextHop,
    /// By the master, without an answer of the table: the kernel looks up the next hop on sending.
    Master,
}

impl RouteLookup {
    /// Reads a slave's frame that has been found to be a sound IP packet.
    #[inline(always)]
    pub fn of(frame: &impl Frame) -> Option<Self> {
        match IpHeader::of(frame)? {
            IpHeader::V4(ip) => Self::of_v4(frame, &ip),
            IpHeader::V6(ip) => Self::of_v6(frame, &ip),
        }
    }

    #[inline(always)]
    fn of_v4<F: Frame>(frame: &F, ip: &Ipv4Header<'_, F>) -> Option<Self> {
        let (src, dst) = (Addr::v4(ip.src()?), Addr::v4(ip.dst()?));
        let len = if frame.is_gso() { 0 } else { ip.total_len()? };
        Some(Self { class: ip.tos()?.into(), protocol: ip.protocol()?, len, fragment: ip.may_fragment()?, src, dst })
    }

    #[inline(always)]
    fn of_v6<F: Frame>(frame: &F, ip: &Ipv6Header<'_, F>) -> Option<Self> {
        let [first, b, c, d] = ip.version_class_flow()?;
        let class = u32::from_ne_bytes([first & 0xf, b, c, d]);
        let (src, dst) = (Addr(ip.src()?), Addr(ip.dst()?));
        let len = if frame.is_gso() { 0 } else { ip.payload_len()?.saturating_add(IPV6_HLEN as u16) };
        Some(Self { class, protocol: ip.next_header()?, len, fragment: false, src, dst })
    }

    /// Whether the table can be asked. A link-local address is on every link, so the table cannot name the device.
    #[inline(always)]
    pub fn is_for_table(&self) -> bool {
        !self.dst.is_link_local()
    }

    /// What follows from the routing table's answer: how the packet leaves, or another verdict on it.
    #[inline(always)]
    pub fn outcome(&self, answer: RouteAnswer) -> Result<WayOut, Verdict> {
        Err(match answer {
            RouteAnswer::NextHop => return Ok(WayOut::NextHop),
            // At a host end we enable IPv4 forwarding. IPv6 forwarding would cost the host routes that it has learnt.
            RouteAnswer::NotForwarding if self.dst.as_v4().is_none() => return Ok(WayOut::Master),
            RouteAnswer::NotForwarding | RouteAnswer::Unsupported => Reason::RouteType.into(),
            RouteAnswer::TooBig if self.fragment => Action::Host.into(),
            RouteAnswer::TooBig => Reason::TooBig.into(),
            RouteAnswer::NoRoute => Reason::NoRoute.into(),
            RouteAnswer::Blackhole => Reason::Blackhole.into(),
            RouteAnswer::Unreachable => Reason::Unreachable.into(),
            RouteAnswer::Prohibit => Reason::Prohibit.into(),
        })
    }
}

/// The destination of a slave's frame that has been found to be a sound IP packet.
#[inline(always)]
pub fn destination(frame: &impl Frame) -> Option<Addr> {
    IpHeader::of(frame)?.dst()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(dst: Addr, fragment: bool) -> RouteLookup {
        RouteLookup { class: 0, protocol: 17, len: 1400, fragment, src: Addr::v4([10, 0, 0, 1]), dst }
    }

    #[test]
    fn without_forwarding_only_an_ipv6_packet_leaves_by_the_master() {
        let v6 = lookup(Addr([0xfd; 16]), false).outcome(RouteAnswer::NotForwarding);
        let v4 = lookup(Addr::v4([10, 0, 0, 2]), false).outcome(RouteAnswer::NotForwarding);
        assert_eq!((v6, v4), (Ok(WayOut::Master), Err(Reason::RouteType.into())));
    }

    #[test]
    fn what_is_too_big_goes_to_the_host_if_it_may_be_fragmented() {
        let outcome = |fragment| lookup(Addr::v4([10, 0, 0, 2]), fragment).outcome(RouteAnswer::TooBig);
        assert_eq!((outcome(true), outcome(false)), (Err(Action::Host.into()), Err(Reason::TooBig.into())));
    }
}
