//! Which connection does a packet belong to, and how long is that remembered?

use super::direction::Direction;
use crate::abi::Slot;
use crate::addr::Addr;
use crate::wire::{Headers, ICMP, ICMPV6, TCP, UDP};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const SECOND: u64 = 1_000_000_000;
/// RFC 5382, 5: an open connection two hours and four minutes, one that is opened or closed four minutes.
const TCP_OPEN: u64 = 7440 * SECOND;
const TCP_TRANSITORY: u64 = 240 * SECOND;
/// RFC 4787, 4.3.
const UDP_IDLE: u64 = 120 * SECOND;
/// RFC 5508, 3.2.
const ICMP_IDLE: u64 = 60 * SECOND;
const OTHER_IDLE: u64 = 600 * SECOND;
/// RFC 8200, 4.5: how long a receiver waits for the other fragments.
const REASSEMBLY: u64 = 60 * SECOND;

/// A connection of a slave, the same for both directions: the key of a map.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, IntoBytes, FromBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Flow {
    /// The slave's address.
    pub local: Addr,
    /// The other side's.
    pub remote: Addr,
    /// The slave.
    pub slave: Slot,
    /// The slave's port; of ICMP questions and answers, their identifier.
    pub local_port: u16,
    /// The other side's.
    pub remote_port: u16,
    /// The protocol's number.
    pub protocol: u8,
    reserved: [u8; 3],
}

impl Flow {
    #[inline(always)]
    pub(super) fn of(headers: &Headers, (from, to): (u16, u16), slave: Slot, direction: Direction) -> Self {
        let Headers { src, dst, protocol, .. } = *headers;
        let ((local, local_port), (remote, remote_port)) = match direction {
            Direction::Out => ((src, from), (dst, to)),
            Direction::In => ((dst, to), (src, from)),
        };
        Self { local, remote, slave, local_port, remote_port, protocol, reserved: [0; 3] }
    }

    /// The port that a connection is opened to in this direction: what rules compare.
    #[inline(always)]
    pub(super) fn port_opened(&self, direction: Direction) -> u16 {
        match direction {
            _ if matches!(self.protocol, ICMP | ICMPV6) => 0,
            Direction::In => self.local_port,
            Direction::Out => self.remote_port,
        }
    }

    #[inline(always)]
    fn lifetime(&self, known: &Connection) -> u64 {
        match self.protocol {
            TCP if known.state & (Connection::ANSWERED | Connection::ENDED) == Connection::ANSWERED => TCP_OPEN,
            TCP => TCP_TRANSITORY,
            UDP => UDP_IDLE,
            ICMP | ICMPV6 => ICMP_IDLE,
            _ => OTHER_IDLE,
        }
    }
}

/// What is remembered of a connection: the value of a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Connection {
    /// When its last packet passed: nanoseconds of `CLOCK_MONOTONIC`.
    pub at: u64,
    /// Which [`super::Policy::generation`] let it pass.
    pub generation: u32,
    state: u32,
}

impl Connection {
    /// The slave has opened it.
    const OUT: u32 = 1;
    /// The side that has not opened it has sent a packet, too.
    const ANSWERED: u32 = 2;
    /// FIN or RST has been sent.
    const ENDED: u32 = 4;

    #[inline(always)]
    pub(super) fn opened(direction: Direction, ends: bool, generation: u32, now: u64) -> Self {
        let opener = if direction == Direction::Out { Self::OUT } else { 0 };
        Self { at: now, generation, state: opener | if ends { Self::ENDED } else { 0 } }
    }

    /// The same after another packet.
    #[inline(always)]
    pub(super) fn after(self, direction: Direction, ends: bool, generation: u32, now: u64) -> Self {
        let answered = if direction != self.opener() { Self::ANSWERED } else { 0 };
        let ended = if ends { Self::ENDED } else { 0 };
        Self { at: now, generation, state: self.state | answered | ended }
    }

    /// The direction in which it was opened.
    #[inline(always)]
    pub fn opener(self) -> Direction {
        if self.state & Self::OUT != 0 { Direction::Out } else { Direction::In }
    }

    #[inline(always)]
    pub(super) fn is_alive(&self, flow: &Flow, now: u64) -> bool {
        now.wrapping_sub(self.at) < flow.lifetime(self)
    }
}

/// A packet that comes in fragments: the key of a map.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, IntoBytes, FromBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct FragmentKey {
    src: Addr,
    dst: Addr,
    slave: Slot,
    id: u32,
    protocol: u8,
    is_out: u8,
    reserved: u16,
}

impl FragmentKey {
    #[inline(always)]
    pub(super) fn of(headers: &Headers, id: u32, slave: Slot, direction: Direction) -> Self {
        // In IPv6 the identification alone names the packet: each fragment may name another next header (RFC 8200, 4.5).
        let Headers { src, dst, protocol, .. } = *headers;
        let protocol = if src.as_v4().is_some() { protocol } else { 0 };
        Self { src, dst, slave, id, protocol, is_out: u8::from(direction == Direction::Out), reserved: 0 }
    }

    #[inline(always)]
    pub(super) fn is_recent(at: u64, now: u64) -> bool {
        now.wrapping_sub(at) < REASSEMBLY
    }
}
