//! What becomes of a frame that a slave sends?

mod l2;
mod l3;

use crate::abi::{PortEntry, Slot};
use crate::frame::{Frame, Tables};
use crate::guard::Sender;
use crate::options::{Flag, Mode};
use crate::slave::Slave;
use crate::verdict::{Action, Reason, Verdict};
use crate::wire::{Ethernet, HEADER_LEN, Packet, Protocol, ethertype};

/// Decides on a frame that came out of the slave in `slot`; `None` if its host end is in no table.
/// Mirrors `ipvlan_queue_xmit`.
#[inline(always)]
pub fn egress(frame: &impl Frame, tables: &impl Tables, slot: Option<Slot>) -> Verdict {
    decide(frame, tables, slot).unwrap_or_else(|verdict| verdict)
}

/// What every mode needs to know about a frame from a slave.
struct Outgoing<'a, F, T> {
    frame: &'a F,
    tables: &'a T,
    port: PortEntry,
    sender: Sender,
    eth: Ethernet,
    packet: Packet,
}

#[inline(always)]
fn decide(frame: &impl Frame, tables: &impl Tables, slot: Option<Slot>) -> Result<Verdict, Verdict> {
    let slot = slot.ok_or(Reason::NoSlave)?;
    let slave = tables.slave(slot);
    if slave.is_vacant() {
        return Err(Reason::NoSlave.into());
    }
    let sender = Sender { slot, slave };
    let port = tables.port();
    let eth = Ethernet::parse(frame).ok_or(Reason::Truncated)?;
    untagged(frame, &eth)?;
    if eth.src != port.mac && !port.has(PortEntry::IP_ONLY) {
        return Err(Reason::ForeignMac.into());
    }
    let packet = Packet::parse(frame, HEADER_LEN, eth.ethertype)?;
    if matches!(packet.protocol, Protocol::Arp) && packet.sender_mac != port.mac {
        return Err(Reason::ForeignMac.into());
    }
    sender.may_send(&packet, tables)?;
    let outgoing = Outgoing { frame, tables, port, sender, eth, packet };
    match slave.mode() {
        Mode::L2 => outgoing.l2(),
        Mode::L3 | Mode::L3s => outgoing.l3(),
    }
}

#[inline(always)]
fn untagged(frame: &impl Frame, eth: &Ethernet) -> Result<(), Reason> {
    if frame.vlan().is_some() || eth.is_tagged() {
        return Err(Reason::Tagged);
    }
    if eth.ethertype == ethertype::MAC_CONTROL {
        return Err(Reason::MacControl);
    }
    Ok(())
}

/// How a sender reaches a sibling.
enum SiblingPath {
    /// Directly.
    Direct,
    /// Only by the switch outside.
    Outside,
}

impl<F: Frame, T: Tables> Outgoing<'_, F, T> {
    /// The way to `sibling`, which is in slot `to`. Between two slaves the stricter flag holds.
    #[inline(always)]
    fn path_to(&self, to: Slot, sibling: Slave) -> Result<SiblingPath, Reason> {
        if to == self.sender.slot {
            return Err(Reason::OwnFrame);
        }
        match self.sender.slave.flag().max(sibling.flag()) {
            Flag::Private => Err(Reason::Private),
            Flag::Vepa => Ok(SiblingPath::Outside),
            Flag::Bridge if sibling.is_vacant() || !sibling.up() => Err(Reason::SlaveDown),
            Flag::Bridge => Ok(SiblingPath::Direct),
        }
    }

    /// To a sibling within reach: directly, unless one of the two is an l3s slave that does not allow it, whose IP packets
    /// pass the host's stack. Who has no access to that does not reach it either.
    #[inline(always)]
    fn to_sibling(&self, to: Slot, sibling: Slave) -> Result<Verdict, Verdict> {
        let ours = self.sender.slave;
        let by_host = ours.meets_by_host() || sibling.meets_by_host();
        match by_host && self.packet.is_ip() {
            false => Ok(Action::Deliver(to).into()),
            true if ours.host() && sibling.host() => Ok(Action::Host.into()),
            true => Err(Reason::NoHostAccess.into()),
        }
    }

    /// Up the host's stack, if this slave may.
    #[inline(always)]
    fn to_host(&self) -> Result<Verdict, Verdict> {
        if self.sender.slave.host() { Ok(Action::Host.into()) } else { Err(Reason::NoHostAccess.into()) }
    }

    /// `action`, which leads out of the master, unless the master has left.
    #[inline(always)]
    fn outside(&self, action: Action) -> Result<Verdict, Verdict> {
        if self.port.has(PortEntry::MASTER_GONE) { Err(Reason::MasterGone.into()) } else { Ok(action.into()) }
    }
}
