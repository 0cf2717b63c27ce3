//! What must the host's routing table be asked about an l3 packet, and what follows from its answer?

use crate::addr::Addr;
use crate::frame::Frame;
use crate::verdict::{Action, Reason, Verdict};
use crate::wire::HEADER_LEN;

/// The key of a route lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup {
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

impl Lookup {
    /// Reads the key from a slave's frame that has been found to be a sound IP packet.
    #[inline(always)]
    pub fn of(frame: &impl Frame) -> Option<Self> {
        let head = frame.read::<8>(HEADER_LEN)?;
        let dst = destination(frame)?;
        if dst.as_v4().is_some() { Self::of_v4(frame, head, dst) } else { Self::of_v6(frame, head, dst) }
    }

    #[inline(always)]
    fn of_v4(frame: &impl Frame, [_, tos, l0, l1, _, _, flags, _]: [u8; 8], dst: Addr) -> Option<Self> {
        let [_, protocol] = frame.read::<2>(HEADER_LEN + 8)?;
        let src = Addr::v4(frame.read::<4>(HEADER_LEN + 12)?);
        let len = if frame.is_gso() { 0 } else { u16::from_be_bytes([l0, l1]) };
        Some(Self { class: tos.into(), protocol, len, fragment: flags & 0x40 == 0, src, dst })
    }

    #[inline(always)]
    fn of_v6(frame: &impl Frame, [a, b, c, d, l0, l1, protocol, _]: [u8; 8], dst: Addr) -> Option<Self> {
        const HEADER: u16 = 40;
        let src = Addr(frame.read::<16>(HEADER_LEN + 8)?);
        let len = if frame.is_gso() { 0 } else { u16::from_be_bytes([l0, l1]).saturating_add(HEADER) };
        Some(Self { class: u32::from_ne_bytes([a & 0xf, b, c, d]), protocol, len, fragment: false, src, dst })
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
    let [first] = frame.read::<1>(HEADER_LEN)?;
    match first >> 4 {
        4 => Some(Addr::v4(frame.read::<4>(HEADER_LEN + 16)?)),
        _ => Some(Addr(frame.read::<16>(HEADER_LEN + 24)?)),
    }
}
