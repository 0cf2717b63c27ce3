//! What must the host's routing table be asked about an l3 packet, and what follows from its answer?

use crate::addr::Addr;
use crate::frame::Frame;
use crate::verdict::{Action, Reason, Verdict};
use crate::wire::{IPV6_HLEN, IpHeader, Ipv4Header, Ipv6Header};

/// The key of a route lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteLookup {
    /// IPv4: the type of service. IPv6: traffic class and flow label, in the packet's byte order.
    pub class: u32,
    /// The protocol that the packet carries.
    pub protocol: u8,
    /// Length of the packet in bytes; 0 if it stands for several segments.
    pub len: u16,
    /// Whether routers may fragment the packet.
    pub fragment: bool,
    /// Source address.
    pub src: Addr,
    /// Destination address.
    pub dst: Addr,
}

/// What is known of the next hop when a packet is to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteAnswer {
    /// The routing table named the next hop and the device.
    NextHop,
    /// The table could not be asked: the packet leaves by the master, and the kernel looks up the next hop then.
    NotAsked,
}

impl RouteLookup {
    /// Reads the key from a slave's frame that has been found to be a sound IP packet.
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

    /// Whether the table can tell: of link-local addresses it knows no device.
    #[inline(always)]
    pub fn is_for_table(&self) -> bool {
        !self.dst.is_link_local()
    }

    /// What follows from `answer`, the kernel's reply to `bpf_fib_lookup` (`BPF_FIB_LKUP_RET_*`): the way is known, or
    /// something else becomes of the packet.
    #[inline(always)]
    pub fn outcome(&self, answer: i64) -> Result<RouteAnswer, Verdict> {
        const SUCCESS: i64 = 0;
        const FWD_DISABLED: i64 = 5;
        const NO_NEIGH: i64 = 7;
        const FRAG_NEEDED: i64 = 8;
        Err(match answer {
            SUCCESS | NO_NEIGH => return Ok(RouteAnswer::NextHop),
            // IPv4 forwarding is ours to switch on for a host end; in IPv6 the host may have reasons against it.
            FWD_DISABLED if self.dst.as_v4().is_none() => return Ok(RouteAnswer::NotAsked),
            1 => Reason::Blackhole.into(),
            2 => Reason::Unreachable.into(),
            3 => Reason::Prohibit.into(),
            4 => Reason::NoRoute.into(),
            FRAG_NEEDED if self.fragment => Action::Host.into(),
            FRAG_NEEDED => Reason::TooBig.into(),
            _ => Reason::RouteType.into(),
        })
    }
}

/// The destination of a slave's frame that has been found to be a sound IP packet.
#[inline(always)]
pub fn destination(frame: &impl Frame) -> Option<Addr> {
    IpHeader::of(frame)?.dst()
}
