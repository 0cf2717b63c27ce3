//! What must the host's routing table be asked about an l3 packet, and what follows from its answer?

use crate::addr::Addr;
use crate::frame::Frame;
use crate::verdict::{Action, Reason, Verdict};
use crate::wire::HEADER_LEN;

/// The key of a route lookup, for an IPv4 packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Type of service.
    pub tos: u8,
    /// The protocol that the packet carries.
    pub protocol: u8,
    /// Length of the packet in bytes; 0 if it stands for several segments.
    pub len: u16,
    /// Whether routers may fragment the packet.
    pub fragment: bool,
    /// Source address.
    pub src: [u8; 4],
    /// Destination address.
    pub dst: [u8; 4],
}

impl Lookup {
    /// Reads the key from a slave's frame that has been found to be a sound IPv4 packet.
    #[inline(always)]
    pub fn of(frame: &impl Frame) -> Option<Self> {
        let [_, tos, l0, l1, _, _, flags, _] = frame.read::<8>(HEADER_LEN)?;
        let [_, protocol] = frame.read::<2>(HEADER_LEN + 8)?;
        let (src, dst) = (frame.read::<4>(HEADER_LEN + 12)?, frame.read::<4>(HEADER_LEN + 16)?);
        let len = if frame.is_gso() { 0 } else { u16::from_be_bytes([l0, l1]) };
        Some(Self { tos, protocol, len, fragment: flags & 0x40 == 0, src, dst })
    }

    /// What follows from `answer`, the kernel's reply to `bpf_fib_lookup` (`BPF_FIB_LKUP_RET_*`): the way is known, or
    /// something else becomes of the packet.
    #[inline(always)]
    pub fn outcome(&self, answer: i64) -> Result<(), Verdict> {
        const SUCCESS: i64 = 0;
        const NO_NEIGH: i64 = 7;
        const FRAG_NEEDED: i64 = 8;
        Err(match answer {
            SUCCESS | NO_NEIGH => return Ok(()),
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
