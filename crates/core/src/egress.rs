//! What becomes of a frame that a slave sends?

mod l2;
mod l3;
mod outgoing;

use crate::abi::{PortEntry, Slot};
use crate::frame::Frame;
use crate::guard::Sender;
use crate::options::Mode;
use crate::tables::Tables;
use crate::verdict::{Reason, Verdict};
use crate::wire::{Ethernet, Packet, Protocol, ethertype};
use outgoing::Outgoing;

/// Decides on a frame from the slave in `slot`; `None` if the host end is in no table. Mirrors `ipvlan_queue_xmit`.
#[inline(always)]
pub fn egress(frame: &impl Frame, tables: &impl Tables, slot: Option<Slot>) -> Verdict {
    decide(frame, tables, slot).unwrap_or_else(|verdict| verdict)
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
    refuse_tags(frame, &eth)?;
    if eth.src != port.mac && !port.has(PortEntry::IP_ONLY) {
        return Err(Reason::ForeignMac.into());
    }
    let packet = Packet::parse(frame, eth.ethertype)?;
    if matches!(packet.protocol, Protocol::Arp) && packet.sender_mac != port.mac {
        return Err(Reason::ForeignMac.into());
    }
    sender.may_send(frame, &eth, &packet, tables)?;
    let outgoing = Outgoing { frame, tables, port, sender, eth, packet };
    match slave.mode() {
        Mode::L2 => outgoing.l2(),
        Mode::L3 | Mode::L3s => outgoing.l3(),
    }
}

/// Refuses VLAN tags and MAC control frames.
#[inline(always)]
fn refuse_tags(frame: &impl Frame, eth: &Ethernet) -> Result<(), Reason> {
    if frame.vlan().is_some() || eth.is_tagged() {
        return Err(Reason::Tagged);
    }
    if eth.ethertype == ethertype::MAC_CONTROL {
        return Err(Reason::MacControl);
    }
    Ok(())
}
