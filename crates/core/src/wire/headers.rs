//! Which addresses, protocol and ports has an IP packet anywhere in a frame, also a fragment and one that an error quotes?

use super::field::{IPV4_HLEN, IPV6_HLEN, icmp, ipv4, ipv6, udp};
use super::ipv4::FRAGMENT_OFFSET as OFFSET_4;
use super::ipv6::{FRAGMENT_OFFSET as OFFSET_6, MAX_EXTENSIONS, extension_len, is_extension};
use super::protocol::{DCCP, FRAGMENT, ICMP, ICMPV6, SCTP, TCP, UDP, UDP_LITE};
use crate::addr::Addr;
use crate::frame::Frame;

/// Bits of a fragment field that are not its offset: in IPv4 the three above it, in IPv6 the three below.
const MORE_4: u16 = 0x2000;
const MORE_6: u16 = 1;
/// Where in a TCP header the flags are, and three of them (RFC 9293, 3.1).
const TCP_FLAGS: usize = 13;
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// The headers of one IP packet.
#[derive(Clone, Copy)]
pub(crate) struct Headers {
    pub src: Addr,
    pub dst: Addr,
    /// The protocol behind the IP headers; of a fragment that is not the first in IPv6, what its fragment header names.
    pub protocol: u8,
    /// Where that protocol's header begins.
    pub upper_at: usize,
    /// The number that a fragment shares with the others of its packet, and whether it is the first.
    pub fragment: Option<(u32, bool)>,
}

impl Headers {
    /// The headers of the packet that begins at `at`; `None` if it is not IP, or cut before what a policy must know.
    #[inline(always)]
    pub fn read(frame: &impl Frame, at: usize) -> Option<Self> {
        let [first] = frame.read_at::<1>(at)?;
        match first >> 4 {
            4 => Self::v4(frame, at, usize::from(first & 0x0f) * 4),
            6 => Self::v6(frame, at),
            _ => None,
        }
    }

    #[inline(always)]
    fn v4(frame: &impl Frame, at: usize, header_len: usize) -> Option<Self> {
        let id = u16::from_be_bytes(frame.read_at(at + ipv4::ID.start)?);
        let field = u16::from_be_bytes(frame.read_at(at + ipv4::FRAGMENT.start)?);
        let fragment = (field & (MORE_4 | OFFSET_4) != 0).then_some((u32::from(id), field & OFFSET_4 == 0));
        let [protocol] = frame.read_at(at + ipv4::PROTOCOL)?;
        let src = Addr::v4(frame.read_at(at + ipv4::SRC.start)?);
        let dst = Addr::v4(frame.read_at(at + ipv4::DST.start)?);
        let upper_at = at + header_len;
        // A fragment that begins inside the TCP header could replace the flags of the first (RFC 1858, 3.2.2).
        let is_trick = protocol == TCP && field & OFFSET_4 == 1;
        (header_len >= IPV4_HLEN && !is_trick).then_some(Self { src, dst, protocol, upper_at, fragment })
    }

    #[inline(always)]
    fn v6(frame: &impl Frame, start: usize) -> Option<Self> {
        let [next] = frame.read_at(start + ipv6::NEXT_HEADER)?;
        let src = Addr(frame.read_at(start + ipv6::SRC.start)?);
        let dst = Addr(frame.read_at(start + ipv6::DST.start)?);
        let (mut at, mut protocol, mut fragment) = (start + IPV6_HLEN, next, None);
        for _ in 0..=MAX_EXTENSIONS {
            if !is_extension(protocol) {
                return Some(Self { src, dst, protocol, upper_at: at, fragment });
            }
            let [next, len, o0, o1] = frame.read_at::<4>(at)?;
            let field = u16::from_be_bytes([o0, o1]);
            if protocol == FRAGMENT && field & (OFFSET_6 | MORE_6) != 0 {
                fragment = Some((u32::from_be_bytes(frame.read_at(at + 4)?), field & OFFSET_6 == 0));
            }
            let is_later = protocol == FRAGMENT && field & OFFSET_6 != 0;
            at = frame.forget(at + extension_len(protocol, len));
            protocol = next;
            if is_later {
                return Some(Self { src, dst, protocol, upper_at: at, fragment });
            }
        }
        None
    }

    /// Source and destination port. An ICMP question or answer has its identifier in the place of both; what has no ports
    /// has 0. `None` if the packet ends before.
    #[inline(always)]
    pub fn ports(&self, frame: &impl Frame) -> Option<(u16, u16)> {
        let pair = |at: usize| frame.read_at::<2>(self.upper_at + at).map(u16::from_be_bytes);
        match self.protocol {
            TCP | UDP | UDP_LITE | DCCP | SCTP => Some((pair(udp::SRC_PORT.start)?, pair(udp::DST_PORT.start)?)),
            own if own == self.own_icmp() && self.is_echo(frame)? => {
                let identifier = pair(icmp::REST.start)?;
                Some((identifier, identifier))
            }
            _ => Some((0, 0)),
        }
    }

    /// The packet that an ICMP or ICMPv6 error is about; `None` if this is none, or quotes too little.
    #[inline(always)]
    pub fn quoted(&self, frame: &impl Frame) -> Option<Self> {
        if self.is_error(frame) { Self::read(frame, self.upper_at + icmp::REST.end) } else { None }
    }

    /// Whether it is an ICMP or ICMPv6 error.
    #[inline(always)]
    pub fn is_error(&self, frame: &impl Frame) -> bool {
        match self.icmp_type(frame) {
            Some(kind) if self.protocol == ICMP => matches!(kind, 3 | 4 | 11 | 12),
            Some(kind) => matches!(kind, 1..=4),
            None => false,
        }
    }

    /// Whether no station can be without it: neighbour discovery and membership of groups (RFC 4861, RFC 3810, RFC 3376).
    #[inline(always)]
    pub fn is_of_the_link(&self, frame: &impl Frame) -> bool {
        const IGMP: u8 = super::protocol::IGMP;
        match self.protocol {
            IGMP => self.src.as_v4().is_some(),
            ICMPV6 => matches!(self.icmp_type(frame), Some(130..=136 | 143)),
            _ => false,
        }
    }

    /// Whether it opens a TCP connection (SYN and not ACK), and whether it ends one (FIN or RST).
    #[inline(always)]
    pub fn opens_or_ends(&self, frame: &impl Frame) -> (bool, bool) {
        match frame.read_at::<1>(self.upper_at + TCP_FLAGS) {
            Some([flags]) if self.protocol == TCP => (flags & (SYN | ACK) == SYN, flags & (FIN | RST) != 0),
            _ => (false, false),
        }
    }

    #[inline(always)]
    fn is_echo(&self, frame: &impl Frame) -> Option<bool> {
        let kind = self.icmp_type(frame)?;
        Some(if self.protocol == ICMP { matches!(kind, 0 | 8) } else { matches!(kind, 128 | 129) })
    }

    #[inline(always)]
    fn own_icmp(&self) -> u8 {
        if self.src.as_v4().is_some() { ICMP } else { ICMPV6 }
    }

    /// The type of an ICMP message of the packet's own family.
    #[inline(always)]
    fn icmp_type(&self, frame: &impl Frame) -> Option<u8> {
        if self.protocol == self.own_icmp() {
            frame.read_at(self.upper_at + icmp::TYPE).map(|[kind]| kind)
        } else {
            None
        }
    }
}
