//! What becomes of a frame that the master receives?

use crate::abi::{PortEntry, Slot, WIRE};
use crate::addr::Addr;
use crate::arrival::{concerns_slaves, is_for_us};
use crate::dhcp;
use crate::digest::digest;
use crate::frame::Frame;
use crate::options::{Flag, Mode};
use crate::owner::Owner;
use crate::redirect::refuse_redirect;
use crate::slave::Slave;
use crate::tables::Tables;
use crate::verdict::{Action, Flood, FloodThen, FloodTo, Reason, Verdict};
use crate::wire::{Ethernet, Packet};

/// Decides on a frame from the wire. A frame that is not for a slave goes to the host's stack, sound or not. Mirrors
/// `ipvlan_handle_frame`.
#[inline(always)]
pub fn ingress(frame: &impl Frame, tables: &impl Tables) -> Verdict {
    refuse_redirect(frame, tables, receive(frame, tables))
}

/// The first step of it: the verdict on anything but a redirect.
#[inline(always)]
pub fn receive(frame: &impl Frame, tables: &impl Tables) -> Verdict {
    let port = tables.port();
    if !concerns_slaves(frame, &port) {
        return host();
    }
    if port.has(PortEntry::IP_ONLY) {
        return Packet::parse_ip(frame).map_or(host(), |packet| Incoming { frame, tables, packet }.unicast());
    }
    let Some(eth) = Ethernet::parse(frame) else { return host() };
    let Ok(packet) = Packet::parse(frame, eth.ethertype) else { return host() };
    if eth.src != port.mac
        && is_for_us(frame, &eth, &port)
        && let Some((slot, _)) = dhcp::asker(frame, &eth, &packet, tables)
    {
        return Action::Deliver(slot).into();
    }
    let incoming = Incoming { frame, tables, packet };
    match (eth.src == port.mac, eth.dst.is_group()) {
        (false, group) if (group || eth.dst == port.mac) && incoming.is_answered_here() => Action::Answer.into(),
        (false, true) => incoming.group(),
        (true, true) => incoming.reflected_group(),
        _ if !is_for_us(frame, &eth, &port) => host(),
        (false, false) => incoming.unicast(),
        (true, false) => incoming.reflected_unicast(),
    }
}

/// A frame from the wire, what it carries, and the tables.
struct Incoming<'a, F, T> {
    frame: &'a F,
    tables: &'a T,
    packet: Packet,
}

impl<F: Frame, T: Tables> Incoming<'_, F, T> {
    /// The slave that the packet's IP destination belongs to.
    #[inline(always)]
    fn recipient(&self) -> Option<(Slot, Slave)> {
        self.slave_of(self.packet.dst)
    }

    #[inline(always)]
    fn slave_of(&self, addr: Addr) -> Option<(Slot, Slave)> {
        match self.tables.owner(addr) {
            Owner::Slave(slot) => self.in_slot(slot),
            Owner::Host | Owner::Nobody => None,
        }
    }

    #[inline(always)]
    fn in_slot(&self, slot: Slot) -> Option<(Slot, Slave)> {
        let slave = self.tables.slave(slot);
        (!slave.is_vacant()).then_some((slot, slave))
    }

    /// To the owner of the destination address. An ARP reply to an address of nobody is one to a probe: it goes
    /// to all that can have asked, l2 slaves and the host. Mirrors `ipvlan_handle_mode_l2` and `_l3`.
    #[inline(always)]
    fn unicast(&self) -> Verdict {
        match self.tables.owner(self.packet.dst) {
            Owner::Slave(slot) => self.in_slot(slot).map_or(host(), |(slot, slave)| self.deliver(slot, slave)),
            Owner::Nobody if self.packet.is_arp_answer() => flood(WIRE, FloodTo::All),
            Owner::Nobody | Owner::Host => host(),
        }
    }

    /// To a slave that is up. In l3s the host's stack routes the packet to the slave.
    #[inline(always)]
    fn deliver(&self, slot: Slot, slave: Slave) -> Verdict {
        match slave.mode() {
            _ if !slave.up() => Reason::SlaveDown.into(),
            Mode::L3s => host(),
            Mode::L3 if !self.packet.is_ip() => host(),
            Mode::L2 | Mode::L3 => Action::Deliver(slot).into(),
        }
    }

    /// Whether it asks for the address of a slave that has `neigh proxy` and is not in l2.
    #[inline(always)]
    fn is_answered_here(&self) -> bool {
        self.packet.is_solicitation() && self.slave_of(self.packet.target).is_some_and(|(_, slave)| slave.is_proxied())
    }

    /// Broadcast and multicast. A solicitation for a slave's address goes to that slave and the host, everything else to all
    /// l2 slaves and the host, whatever slave has the IP destination: it may be the broadcast address of a network.
    #[inline(always)]
    fn group(&self) -> Verdict {
        if self.packet.is_solicitation() {
            return match self.slave_of(self.packet.target) {
                Some((slot, _)) => flood(WIRE, FloodTo::One(slot)),
                None => flood(WIRE, FloodTo::All),
            };
        }
        flood(WIRE, FloodTo::All)
    }

    /// One of our own broadcasts that the switch sent back (802.1Qbg): to the slaves that have not received it yet. The
    /// sender that was recorded is preferred to the one that the packet names, which may be forged where the guard is off.
    #[inline(always)]
    fn reflected_group(&self) -> Verdict {
        let Some((from, sender)) = self.recent_sender().or_else(|| self.sender()) else {
            return self.group_of_unknown_sender();
        };
        if sender.flag() == Flag::Private || self.packet.is_probe() && sender.guard().is_strict() {
            return host();
        }
        if !self.packet.is_solicitation() {
            return flood(from, FloodTo::Reflected(sender.flag()));
        }
        match self.slave_of(self.packet.target) {
            None => flood(from, FloodTo::Reflected(sender.flag())),
            Some((slot, slave)) if reflects(sender.flag(), slave.flag()) && slot != from => {
                flood(from, FloodTo::One(slot))
            }
            Some(_) => host(),
        }
    }

    /// A broadcast with our MAC address from none of the slaves. One from the host is treated as one from outside.
    #[inline(always)]
    fn group_of_unknown_sender(&self) -> Verdict {
        if self.tables.owner(self.packet.src) == Owner::Host { self.group() } else { host() }
    }

    /// A slave's frame to a sibling that the switch sent back. If the sender is unknown, it might be a private slave, so the
    /// frame is dropped. One from the host is treated as one from outside.
    #[inline(always)]
    fn reflected_unicast(&self) -> Verdict {
        let Some((slot, slave)) = self.recipient() else { return host() };
        match self.tables.owner(self.packet.src) {
            Owner::Host => self.deliver(slot, slave),
            Owner::Slave(from) if from == slot => Reason::OwnFrame.into(),
            Owner::Slave(from) if self.tables.slave(from).flag().max(slave.flag()) == Flag::Private => {
                Reason::Private.into()
            }
            Owner::Slave(_) => self.deliver(slot, slave),
            Owner::Nobody => Reason::Reflected.into(),
        }
    }

    /// The slave that owns the packet's source address.
    #[inline(always)]
    fn sender(&self) -> Option<(Slot, Slave)> {
        self.slave_of(self.packet.src)
    }

    /// The slave that was recorded as the sender of this broadcast.
    #[inline(always)]
    fn recent_sender(&self) -> Option<(Slot, Slave)> {
        self.in_slot(self.tables.sender_of(digest(self.frame))?)
    }
}

/// Up the host's stack. Every path ends in a packed verdict: an enum's unused bytes would be registers that the verifier
/// takes for undefined.
#[inline(always)]
fn host() -> Verdict {
    Action::Host.into()
}

/// Whether frames from a slave with flag `from` reach one with flag `to` by way of the switch and on no other path.
#[inline(always)]
fn reflects(from: Flag, to: Flag) -> bool {
    from.max(to) == Flag::Vepa
}

/// Copies to slaves; the frame itself goes up the host's stack.
#[inline(always)]
fn flood(from: Slot, to: FloodTo) -> Verdict {
    Action::Flood(Flood { from, to, then: FloodThen::Host }).into()
}
