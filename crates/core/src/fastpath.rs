//! Which frames can be decided at a glance? Ordinary IP packets from one address to another: nearly all that there are.
//!
//! Of anything unusual (options, fragments' odd lengths, neighbour discovery, groups, tags, drops) nothing is said here,
//! and the whole decision is made. Where something is said, it is what the whole decision would say: a property test
//! holds the two together. Every comparison is between machine words, for this runs for every packet.

use crate::abi::{PortEntry, Slot};
use crate::addr::{Mac, Words};
use crate::frame::{Frame, Tables};
use crate::options::{Flag, Guard, Mode};
use crate::owner::Owner;
use crate::slave::Slave;
use crate::verdict::{Action, Verdict};
use crate::wire::{HEADER_LEN, ethertype, plain_checksum_holds};

const V4_HEADER: usize = 20;
const V6_HEADER: usize = 40;
/// The bytes that are read of a packet.
const V4: usize = HEADER_LEN + V4_HEADER;
const V6: usize = HEADER_LEN + V6_HEADER;
/// Version 4, and a header of five words.
const PLAIN_V4: u8 = 0x45;
const TCP: u8 = 6;
const UDP: u8 = 17;
const MAC_LEN: usize = 6;

/// A verdict, and the slave that it is about if the frame is to be delivered: whoever acts on it needs not look again.
#[derive(Clone, Copy)]
pub struct FastVerdict {
    /// What becomes of the frame.
    pub verdict: Verdict,
    /// Who gets it; [`Slave::VACANT`] if no slave does.
    pub to: Slave,
}

impl FastVerdict {
    #[inline(always)]
    fn deliver(slot: Slot, to: Slave) -> Option<Self> {
        Some(Self { verdict: Action::Deliver(slot).into(), to })
    }

    #[inline(always)]
    fn at(action: Action) -> Option<Self> {
        Some(Self { verdict: action.into(), to: Slave::VACANT })
    }
}

/// Decides on a packet from the slave in `slot`, if it is an ordinary one. See [`crate::egress()`].
#[inline(always)]
pub fn egress(frame: &impl Frame, tables: &impl Tables, slot: Slot) -> Option<FastVerdict> {
    let slave = tables.slave(slot);
    let port = tables.port_ref()?;
    if slave.is_vacant() || port.has(PortEntry::IP_ONLY | PortEntry::MASTER_GONE) {
        return None;
    }
    let packet = Plain::read(frame)?;
    if !packet.from_mac.is(port.mac) {
        return None;
    }
    Sending { frame, tables, port, slot, slave }.decide(&packet)
}

/// Decides on a packet from the wire, if it is an ordinary one, to the MAC address that host and slaves share, and not our
/// own sent back. See [`crate::ingress()`].
#[inline(always)]
pub fn ingress(frame: &impl Frame, tables: &impl Tables) -> Option<FastVerdict> {
    let port = tables.port_ref()?;
    if frame.is_loopback() || port.has(PortEntry::IP_ONLY | PortEntry::MASTER_GONE) {
        return None;
    }
    let packet = Plain::read(frame)?;
    if !packet.to_mac.is(port.mac) || packet.from_mac.is(port.mac) {
        return None;
    }
    let Owner::Slave(slot) = tables.owner_of(packet.to) else { return FastVerdict::at(Action::Host) };
    let slave = tables.slave(slot);
    match slave.mode() {
        _ if !slave.up() => None,
        Mode::L3s => FastVerdict::at(Action::Host),
        Mode::L2 | Mode::L3 => FastVerdict::deliver(slot, slave),
    }
}

/// The headers of an ordinary packet.
struct Plain {
    to_mac: Mac,
    from_mac: Mac,
    from: Words,
    to: Words,
    /// Of the packet without its Ethernet header.
    len: u32,
}

impl Plain {
    #[inline(always)]
    fn read(frame: &impl Frame) -> Option<Self> {
        if frame.vlan().is_some() {
            return None;
        }
        let to_mac = Mac(frame.head::<V4, MAC_LEN>(0)?);
        let from_mac = Mac(frame.head::<V4, MAC_LEN>(MAC_LEN)?);
        let (from, to, len) = match u16::from_be_bytes(frame.head::<V4, 2>(2 * MAC_LEN)?) {
            ethertype::IPV4 => v4(frame)?,
            ethertype::IPV6 => v6(frame)?,
            _ => return None,
        };
        Some(Self { to_mac, from_mac, from, to, len })
    }
}

#[inline(always)]
fn v4(frame: &impl Frame) -> Option<(Words, Words, u32)> {
    let [first] = frame.head::<V4, 1>(HEADER_LEN)?;
    let len = u16::from_be_bytes(frame.head::<V4, 2>(HEADER_LEN + 2)?);
    let from = Words::v4(frame.head::<V4, 4>(HEADER_LEN + 12)?);
    let to = Words::v4(frame.head::<V4, 4>(HEADER_LEN + 16)?);
    let sound = usize::from(len) >= V4_HEADER && usize::from(len) + HEADER_LEN <= frame.len();
    (first == PLAIN_V4 && (sound || frame.is_gso())).then_some((from, to, len.into()))
}

/// Behind TCP and UDP hides no neighbour discovery. An address that begins with zeros is unspecified, or worse.
#[inline(always)]
fn v6(frame: &impl Frame) -> Option<(Words, Words, u32)> {
    let [first] = frame.head::<V6, 1>(HEADER_LEN)?;
    let len = u16::from_be_bytes(frame.head::<V6, 2>(HEADER_LEN + 4)?);
    let [next] = frame.head::<V6, 1>(HEADER_LEN + 6)?;
    let from = Words::v6(frame.head::<V6, 8>(HEADER_LEN + 8)?, frame.head::<V6, 8>(HEADER_LEN + 16)?);
    let to = Words::v6(frame.head::<V6, 8>(HEADER_LEN + 24)?, frame.head::<V6, 8>(HEADER_LEN + 32)?);
    let sound = usize::from(len) + V6 <= frame.len() || frame.is_gso();
    let plain = first >> 4 == 6 && matches!(next, TCP | UDP) && from.high != 0 && to.high != 0;
    (plain && sound).then_some((from, to, u32::from(len) + V6_HEADER as u32))
}

/// A packet that a slave sends.
struct Sending<'a, F, T> {
    frame: &'a F,
    tables: &'a T,
    port: &'a PortEntry,
    slot: Slot,
    slave: Slave,
}

impl<F: Frame, T: Tables> Sending<'_, F, T> {
    #[inline(always)]
    fn decide(&self, packet: &Plain) -> Option<FastVerdict> {
        if packet.to_mac.is_group() || !self.may_send(packet.from) {
            return None;
        }
        match self.slave.mode() {
            Mode::L2 if packet.to_mac.is(self.port.mac) => self.meet(self.tables.owner_of(packet.to)),
            Mode::L2 => FastVerdict::at(Action::Wire),
            _ if packet.to.is_group() => None,
            mode => match self.tables.owner_of(packet.to) {
                Owner::Nobody if mode == Mode::L3s => FastVerdict::at(Action::Host),
                Owner::Nobody => self.route(packet),
                known => self.meet(known),
            },
        }
    }

    #[inline(always)]
    fn may_send(&self, from: Words) -> bool {
        self.slave.guard() == Guard::Off || self.tables.owner_of(from) == Owner::Slave(self.slot)
    }

    /// A sibling within reach, or the host.
    #[inline(always)]
    fn meet(&self, owner: Owner) -> Option<FastVerdict> {
        match owner {
            Owner::Slave(to) if to != self.slot => self.to_sibling(to, self.tables.slave(to)),
            Owner::Host if self.slave.host() => FastVerdict::at(Action::Host),
            _ => None,
        }
    }

    /// In l3s, siblings meet in the host's stack unless both allow the direct way.
    #[inline(always)]
    fn to_sibling(&self, to: Slot, sibling: Slave) -> Option<FastVerdict> {
        if self.slave.meets(sibling) {
            return FastVerdict::deliver(to, sibling);
        }
        let by_host = self.slave.meets_by_host() || sibling.meets_by_host();
        let bridged = self.slave.flag() == Flag::Bridge && sibling.flag() == Flag::Bridge;
        let reached = bridged && sibling.up() && by_host && self.slave.host() && sibling.host();
        if reached { FastVerdict::at(Action::Host) } else { None }
    }

    #[inline(always)]
    fn route(&self, packet: &Plain) -> Option<FastVerdict> {
        let fits = packet.len <= self.port.mtu || self.frame.is_gso();
        let sound = packet.to.high != 0 || plain_checksum_holds(self.frame);
        if fits && sound { FastVerdict::at(Action::Route) } else { None }
    }
}
