//! What must a policy know of a packet?

use super::connection::{Flow, FragmentKey};
use super::direction::Direction;
use crate::abi::Slot;
use crate::addr::Addr;
use crate::frame::Frame;
use crate::wire::Headers;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const TRUNCATED: u32 = 1 << 0;
const LINK: u32 = 1 << 1;
const FIRST: u32 = 1 << 2;
const LATER: u32 = 1 << 3;
const OPENS: u32 = 1 << 4;
const ENDS: u32 = 1 << 5;
const ERROR: u32 = 1 << 6;

/// What a policy must know of a packet. It is filled in place: in eBPF there is little stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Facts {
    /// Its connection; of a fragment that is not the first, nothing is known of it.
    pub flow: Flow,
    /// Of an ICMP error, the connection of the packet that it quotes.
    pub about: Flow,
    /// Of a fragment, its packet.
    pub fragment: FragmentKey,
    src: Addr,
    dst: Addr,
    upper_at: u32,
    protocol: u32,
    bits: u32,
}

impl Facts {
    /// Reads the IP headers of the packet that begins at `at`: the first step.
    #[inline(always)]
    pub fn read(&mut self, frame: &impl Frame, at: usize, slave: Slot, direction: Direction) {
        self.bits = TRUNCATED;
        let Some(headers) = Headers::read(frame, at) else { return };
        (self.src, self.dst) = (headers.src, headers.dst);
        (self.upper_at, self.protocol) = (headers.upper_at as u32, headers.protocol.into());
        self.bits = 0;
        if let Some((id, is_first)) = headers.fragment {
            self.fragment = FragmentKey::of(&headers, id, slave, direction);
            self.bits = if is_first { FIRST } else { LATER };
        }
    }

    /// Reads what follows them: the second step.
    #[inline(always)]
    pub fn read_upper(&mut self, frame: &impl Frame, slave: Slot, direction: Direction) {
        if self.bits & (TRUNCATED | LATER) == 0 {
            self.bits |= self.upper(frame, slave, direction);
        }
    }

    /// Reads what an ICMP error quotes: the last step. Only one that goes to the sender of the packet that it quotes is one here.
    #[inline(always)]
    pub fn read_error(&mut self, frame: &impl Frame, slave: Slot, direction: Direction) {
        if self.bits & ERROR != 0 && self.read_quoted(frame, slave, direction).is_none() {
            self.bits &= !ERROR;
        }
    }

    /// It ends before what a policy must know.
    #[inline(always)]
    pub fn is_truncated(&self) -> bool {
        self.bits & TRUNCATED != 0
    }

    /// It is neighbour discovery, or about membership of a group.
    #[inline(always)]
    pub fn is_of_the_link(&self) -> bool {
        self.bits & LINK != 0
    }

    /// It is the first fragment of a packet.
    #[inline(always)]
    pub fn is_first_fragment(&self) -> bool {
        self.bits & FIRST != 0
    }

    /// It is another one.
    #[inline(always)]
    pub fn is_later_fragment(&self) -> bool {
        self.bits & LATER != 0
    }

    /// It is an ICMP error.
    #[inline(always)]
    pub fn is_error(&self) -> bool {
        self.bits & ERROR != 0
    }

    /// It opens a TCP connection.
    #[inline(always)]
    pub(super) fn opens(&self) -> bool {
        self.bits & OPENS != 0
    }

    /// It ends one.
    #[inline(always)]
    pub(super) fn ends(&self) -> bool {
        self.bits & ENDS != 0
    }

    /// What [`Facts::read`] has found, unless it is a fragment.
    #[inline(always)]
    fn headers(&self) -> Headers {
        let (src, dst, upper_at) = (self.src, self.dst, self.upper_at as usize);
        Headers { src, dst, protocol: self.protocol as u8, upper_at, fragment: None }
    }

    #[inline(always)]
    fn upper(&mut self, frame: &impl Frame, slave: Slot, direction: Direction) -> u32 {
        let headers = self.headers();
        if headers.is_of_the_link(frame) {
            return LINK;
        }
        let Some(ports) = headers.ports(frame) else { return TRUNCATED };
        self.flow = Flow::of(&headers, ports, slave, direction);
        let (opens, ends) = headers.opens_or_ends(frame);
        bit(opens, OPENS) | bit(ends, ENDS) | bit(headers.is_error(frame), ERROR)
    }

    #[inline(always)]
    fn read_quoted(&mut self, frame: &impl Frame, slave: Slot, direction: Direction) -> Option<()> {
        let quoted = self.headers().quoted(frame)?;
        let ports = quoted.ports(frame)?;
        let is_whole = quoted.fragment.is_none_or(|(_, is_first)| is_first);
        self.about = Flow::of(&quoted, ports, slave, direction.reversed());
        (is_whole && quoted.src == self.dst).then_some(())
    }
}

#[inline(always)]
fn bit(on: bool, bit: u32) -> u32 {
    if on { bit } else { 0 }
}
