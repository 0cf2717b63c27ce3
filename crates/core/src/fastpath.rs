//! Which frames can be decided in a few comparisons? Ordinary unicast IP packets, which are nearly all.
//!
//! For anything else (IPv4 options, inconsistent lengths, neighbour discovery, groups, tags, drops) the fast path gives no
//! verdict, and [`crate::egress()`] or [`crate::ingress()`] decides. A verdict of the fast path is always theirs; a property
//! test compares them. This code runs for every packet, so addresses are compared as machine words.

use crate::abi::{PortEntry, Slot};
use crate::addr::Words;
use crate::frame::Frame;
use crate::options::{Flag, Mode};
use crate::owner::Owner;
use crate::slave::Slave;
use crate::tables::Tables;
use crate::verdict::{Action, Verdict};
use crate::wire::{
    ETH_HLEN, Ethernet, IPV4_HLEN, IPV6_HLEN, Ipv4Header, Ipv6Header, TCP, UDP, ethertype, is_dhcp, is_plain_icmp_v4,
    is_plainly_of_host,
};

/// A verdict, with the slave that the frame is to be delivered to, which then need not be looked up again.
#[derive(Clone, Copy)]
pub struct FastVerdict {
    /// What becomes of the frame.
    pub verdict: Verdict,
    /// The receiving slave; [`Slave::VACANT`] if there is none.
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

/// Decides on an ordinary packet from the slave in `slot`; `None` for any other. See [`crate::egress()`].
#[inline(always)]
pub fn egress(frame: &impl Frame, tables: &impl Tables, slot: Slot) -> Option<FastVerdict> {
    let slave = tables.slave(slot);
    let port = tables.port_ref()?;
    if slave.is_vacant() || is_special(frame, port) {
        return None;
    }
    let eth = plain_header(frame)?;
    if !eth.src.is(port.mac) {
        return None;
    }
    let packet = PlainPacket::read(frame, eth)?;
    FastEgress { frame, tables, port, slot, slave }.decide(&packet)
}

/// Decides on an ordinary packet from the wire to the MAC address that the host and all slaves share; `None` for any other
/// packet and for our own, sent back by a switch. See [`crate::ingress()`].
#[inline(always)]
pub fn ingress(frame: &impl Frame, tables: &impl Tables) -> Option<FastVerdict> {
    let port = tables.port_ref()?;
    if frame.is_loopback() || is_special(frame, port) {
        return None;
    }
    let eth = plain_header(frame)?;
    if !eth.dst.is(port.mac) || eth.src.is(port.mac) {
        return None;
    }
    let packet = PlainPacket::read(frame, eth)?;
    let Owner::Slave(slot) = tables.owner_of(packet.dst) else { return FastVerdict::at(Action::Host) };
    let slave = tables.slave(slot);
    // A redirect is for the full decision.
    if !slave.is_up_and_bridged() && (!slave.up() || is_plain_icmp_v4(frame)) {
        return None;
    }
    match slave.mode() {
        Mode::L3s => FastVerdict::at(Action::Host),
        Mode::L2 | Mode::L3 => FastVerdict::deliver(slot, slave),
    }
}

/// Whether the port is no ordinary one or is watched, or a slave has used DHCP and the frame is DHCP. Of a port without any
/// of it, one comparison is enough.
#[inline(always)]
fn is_special(frame: &impl Frame, port: &PortEntry) -> bool {
    const NEVER: u32 = PortEntry::IP_ONLY | PortEntry::MASTER_GONE | PortEntry::WATCHED;
    port.has(NEVER | PortEntry::DHCP) && (port.has(NEVER) || is_dhcp(frame))
}

/// The Ethernet header of a frame without a tag.
#[inline(always)]
fn plain_header(frame: &impl Frame) -> Option<Ethernet> {
    if frame.vlan().is_some() { None } else { Ethernet::parse_plain(frame) }
}

/// What the fast path reads of an ordinary packet's headers.
struct PlainPacket {
    eth: Ethernet,
    src: Words,
    dst: Words,
    /// Length in bytes, without the Ethernet header.
    len: u32,
}

impl PlainPacket {
    /// `None` for any packet that is not ordinary.
    #[inline(always)]
    fn read(frame: &impl Frame, eth: Ethernet) -> Option<Self> {
        let (src, dst, len) = match eth.ethertype {
            ethertype::IPV4 => v4(frame)?,
            ethertype::IPV6 => v6(frame)?,
            _ => return None,
        };
        Some(Self { eth, src, dst, len })
    }
}

/// Source, destination and length of an IPv4 packet.
#[inline(always)]
fn v4(frame: &impl Frame) -> Option<(Words, Words, u32)> {
    let ip = Ipv4Header(frame);
    let plain = ip.is_v4_without_options()?;
    let len = ip.total_len()?;
    let (src, dst) = (Words::v4(ip.src()?), Words::v4(ip.dst()?));
    let fits = usize::from(len) >= IPV4_HLEN && usize::from(len) + ETH_HLEN <= frame.len();
    (plain && (fits || frame.is_gso())).then_some((src, dst, len.into()))
}

/// Source, destination and length of an IPv6 packet that carries TCP or UDP: it is no neighbour discovery. An address
/// with a first half of zero may be unspecified or IPv4-mapped.
#[inline(always)]
fn v6(frame: &impl Frame) -> Option<(Words, Words, u32)> {
    let ip = Ipv6Header(frame);
    let version = ip.version()?;
    let len = ip.payload_len()?;
    let next = ip.next_header()?;
    let (src, dst) = (ip.src_words()?, ip.dst_words()?);
    let fits = usize::from(len) + ETH_HLEN + IPV6_HLEN <= frame.len() || frame.is_gso();
    let plain = version == 6 && matches!(next, TCP | UDP) && src.high != 0 && dst.high != 0;
    (plain && fits).then_some((src, dst, u32::from(len) + IPV6_HLEN as u32))
}

/// An ordinary packet's sender and its port.
struct FastEgress<'a, F, T> {
    frame: &'a F,
    tables: &'a T,
    port: &'a PortEntry,
    slot: Slot,
    slave: Slave,
}

impl<F: Frame, T: Tables> FastEgress<'_, F, T> {
    #[inline(always)]
    fn decide(&self, packet: &PlainPacket) -> Option<FastVerdict> {
        if packet.eth.dst.is_group() || !self.may_send(packet) {
            return None;
        }
        match self.slave.mode() {
            Mode::L2 if packet.eth.dst.is(self.port.mac) => self.to_owner(self.tables.owner_of(packet.dst)),
            Mode::L2 => FastVerdict::at(Action::Wire),
            Mode::L3 | Mode::L3s => self.l3(packet),
        }
    }

    /// A packet from a slave in l3 or l3s.
    #[inline(always)]
    fn l3(&self, packet: &PlainPacket) -> Option<FastVerdict> {
        if packet.dst.is_group() {
            return None;
        }
        match self.tables.owner_of(packet.dst) {
            Owner::Nobody if self.slave.mode() == Mode::L3s => FastVerdict::at(Action::Host),
            Owner::Nobody => self.route(packet),
            owner @ (Owner::Slave(_) | Owner::Host) => self.to_owner(owner),
        }
    }

    /// Whether the slave owns the source address, or has no guard; by a strict guard also whether it is surely no router's
    /// message. A slave with a limited rate is for the full decision.
    #[inline(always)]
    fn may_send(&self, packet: &PlainPacket) -> bool {
        let owned = self.slave.is_unguarded() || self.tables.owner_of(packet.src) == Owner::Slave(self.slot);
        let plain = || !self.slave.is_limited() && is_plainly_of_host(self.frame);
        owned && (!self.slave.is_strict_or_limited() || plain())
    }

    /// To a sibling that can be reached, or to the host.
    #[inline(always)]
    fn to_owner(&self, owner: Owner) -> Option<FastVerdict> {
        match owner {
            Owner::Slave(to) if to != self.slot => self.to_sibling(to, self.tables.slave(to)),
            Owner::Host if self.slave.host() => FastVerdict::at(Action::Host),
            Owner::Slave(_) | Owner::Host | Owner::Nobody => None,
        }
    }

    /// Directly, or through the host's stack if one of the two is an l3s slave that does not allow the direct path.
    #[inline(always)]
    fn to_sibling(&self, to: Slot, sibling: Slave) -> Option<FastVerdict> {
        if self.slave.reaches_directly(sibling) {
            return FastVerdict::deliver(to, sibling);
        }
        let by_host = self.slave.reaches_siblings_by_host() || sibling.reaches_siblings_by_host();
        let bridged = self.slave.flag() == Flag::Bridge && sibling.flag() == Flag::Bridge;
        let reachable = bridged && sibling.up() && by_host && self.slave.host() && sibling.host();
        if reachable { FastVerdict::at(Action::Host) } else { None }
    }

    /// Out by the host's routing table, if the packet fits the MTU and, in IPv4, its header's checksum is right.
    #[inline(always)]
    fn route(&self, packet: &PlainPacket) -> Option<FastVerdict> {
        if packet.len > self.port.mtu && !self.frame.is_gso() {
            return None;
        }
        let sound = packet.dst.high != 0 || Ipv4Header(self.frame).plain_checksum_holds();
        if sound { FastVerdict::at(Action::Route) } else { None }
    }
}
