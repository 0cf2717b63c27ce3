//! What becomes of a frame that the master receives?

use crate::abi::{PortEntry, Slot, WIRE};
use crate::digest::digest;
use crate::frame::{Frame, Tables};
use crate::options::{Flag, Mode};
use crate::owner::Owner;
use crate::slave::Slave;
use crate::verdict::{Action, Flood, FloodTo, Reason, Then, Verdict};
use crate::wire::{Ethernet, HEADER_LEN, Packet};

/// Decides on a frame from the wire. Whatever is not for a slave stays the host's, sound or not.
/// Mirrors `ipvlan_handle_frame`.
#[inline(always)]
pub fn ingress(frame: &impl Frame, tables: &impl Tables) -> Verdict {
    decide(frame, tables).into()
}

#[inline(always)]
fn decide(frame: &impl Frame, tables: &impl Tables) -> Action {
    let port = tables.port();
    if frame.is_loopback() || port.has(PortEntry::MASTER_GONE) || frame.vlan().is_some_and(|id| id != 0) {
        return Action::Host;
    }
    if port.has(PortEntry::IP_ONLY) {
        return Packet::parse_ip(frame).map_or(Action::Host, |packet| Incoming { tables, packet }.unicast());
    }
    let Some(eth) = Ethernet::parse(frame) else { return Action::Host };
    let Ok(packet) = Packet::parse(frame, HEADER_LEN, eth.ethertype) else { return Action::Host };
    let incoming = Incoming { tables, packet };
    match (eth.src == port.mac, eth.dst.is_group()) {
        (false, group) if (group || eth.dst == port.mac) && incoming.is_answered_by_us() => Action::Answer,
        (false, true) => incoming.group(),
        (true, true) => incoming.reflected_group(frame),
        _ if eth.dst != port.mac && !frame.is_to_us() => Action::Host,
        (false, false) => incoming.unicast(),
        (true, false) => incoming.reflected_unicast(),
    }
}

struct Incoming<'a, T> {
    tables: &'a T,
    packet: Packet,
}

impl<T: Tables> Incoming<'_, T> {
    /// The slave that the packet's IP destination belongs to.
    #[inline(always)]
    fn recipient(&self) -> Option<(Slot, Slave)> {
        self.slave_of(self.packet.dst)
    }

    #[inline(always)]
    fn slave_of(&self, addr: crate::Addr) -> Option<(Slot, Slave)> {
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

    /// Mirrors `ipvlan_handle_mode_l2` and `_l3`; in l3s the host's stack routes it to the slave.
    #[inline(always)]
    fn unicast(&self) -> Action {
        match self.recipient() {
            Some((slot, slave)) => self.hand_over(slot, slave),
            None => Action::Host,
        }
    }

    #[inline(always)]
    fn hand_over(&self, slot: Slot, slave: Slave) -> Action {
        match slave.mode() {
            _ if !slave.up() => Action::Drop(Reason::SlaveDown),
            Mode::L3s => Action::Host,
            Mode::L3 if !self.packet.is_ip() => Action::Host,
            Mode::L2 | Mode::L3 => Action::Deliver(slot),
        }
    }

    /// Whether it asks for the address of a slave whose own stack does not answer, and that has us do so.
    #[inline(always)]
    fn is_answered_by_us(&self) -> bool {
        self.packet.is_solicitation()
            && self.slave_of(self.packet.target).is_some_and(|(_, slave)| slave.is_answered_for())
    }

    /// Broadcast and multicast: a question for a slave's address to that slave, and an IP packet to one address to
    /// its owner alone; all else to all l2 slaves. The host has its copy.
    #[inline(always)]
    fn group(&self) -> Action {
        if self.packet.is_solicitation() {
            return match self.slave_of(self.packet.target) {
                Some((slot, _)) => to_host_and(WIRE, FloodTo::One(slot)),
                None => to_host_and(WIRE, FloodTo::All),
            };
        }
        match self.recipient() {
            Some((slot, slave)) if self.packet.is_ip() => self.hand_over(slot, slave),
            _ => to_host_and(WIRE, FloodTo::All),
        }
    }

    /// One of our own broadcasts that the switch sent back (802.1Qbg): to those that it has not reached yet. Who is
    /// known to have sent it counts before whom it names, which may be a lie where the guard is off.
    #[inline(always)]
    fn reflected_group(&self, frame: &impl Frame) -> Action {
        let Some((from, sender)) = self.recent_sender(frame).or_else(|| self.sender()) else { return self.unsigned() };
        if sender.flag() == Flag::Private {
            return Action::Host;
        }
        if !self.packet.is_solicitation() {
            return to_host_and(from, FloodTo::Reflected(sender.flag()));
        }
        match self.slave_of(self.packet.target) {
            None => to_host_and(from, FloodTo::Reflected(sender.flag())),
            Some((slot, slave)) if reflects(sender.flag(), slave.flag()) && slot != from => {
                to_host_and(from, FloodTo::One(slot))
            }
            Some(_) => Action::Host,
        }
    }

    /// A broadcast with our MAC address that no slave has sent: the host's is as good as from outside.
    #[inline(always)]
    fn unsigned(&self) -> Action {
        if self.tables.owner(self.packet.src) == Owner::Host { self.group() } else { Action::Host }
    }

    /// A frame of a slave to a sibling that the switch sent back. One whose sender cannot be told might be a private
    /// slave's, so no slave gets it. What the host sent is as good as from outside.
    #[inline(always)]
    fn reflected_unicast(&self) -> Action {
        let Some((slot, slave)) = self.recipient() else { return Action::Host };
        match self.tables.owner(self.packet.src) {
            Owner::Host => self.hand_over(slot, slave),
            Owner::Slave(from) if from == slot => Action::Drop(Reason::OwnFrame),
            Owner::Slave(from) if self.tables.slave(from).flag().max(slave.flag()) == Flag::Private => {
                Action::Drop(Reason::Private)
            }
            Owner::Slave(_) => self.hand_over(slot, slave),
            Owner::Nobody => Action::Drop(Reason::Reflected),
        }
    }

    /// The slave that the packet itself names as its sender; a probe for an address names who wants it.
    #[inline(always)]
    fn sender(&self) -> Option<(Slot, Slave)> {
        self.slave_of(self.packet.src)
    }

    #[inline(always)]
    fn recent_sender(&self, frame: &impl Frame) -> Option<(Slot, Slave)> {
        self.in_slot(self.tables.sender_of(digest(frame))?)
    }
}

/// Whether what a slave with flag `from` says reaches one with flag `to` by way of the switch, and only so.
#[inline(always)]
pub(crate) fn reflects(from: Flag, to: Flag) -> bool {
    from.max(to) == Flag::Vepa
}

#[inline(always)]
fn to_host_and(from: Slot, to: FloodTo) -> Action {
    Action::Flood(Flood { from, to, then: Then::Host })
}
