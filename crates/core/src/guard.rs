//! May this slave send a packet with this address, and with this content?

use crate::abi::Slot;
use crate::addr::Addr;
use crate::frame::Frame;
use crate::options::Guard;
use crate::owner::Owner;
use crate::slave::Slave;
use crate::tables::Tables;
use crate::verdict::Reason;
use crate::wire::{Ethernet, NeighbourMessage, Packet, Protocol, is_of_router, needs_no_source};

/// The slave that sends a frame, and its slot.
#[derive(Clone, Copy)]
pub(crate) struct Sender {
    pub slot: Slot,
    pub slave: Slave,
}

impl Guard {
    /// Whether only the slave's own addresses may be used, in IP and ARP, and nothing may be sent that misleads others:
    /// `strict`, and the two that are variants of it.
    #[inline(always)]
    pub fn is_strict(self) -> bool {
        matches!(self, Self::Strict | Self::Router | Self::Declared)
    }
}

impl Sender {
    /// Refuses the packet if its source address, or the address that it advertises, is one that the slave's guard denies; by
    /// a strict guard also because of what it is.
    #[inline(always)]
    pub fn may_send(
        &self,
        frame: &impl Frame,
        eth: &Ethernet,
        packet: &Packet,
        tables: &impl Tables,
    ) -> Result<(), Reason> {
        if self.slave.guard() == Guard::Off {
            return Ok(());
        }
        if self.slave.guard().is_strict() {
            self.may_say(frame, eth, packet)?;
        }
        if matches!(packet.message, NeighbourMessage::Advertisement) {
            self.may_claim(packet.target, tables)?;
        }
        self.may_claim(packet.src, tables)
    }

    /// What a strict guard checks besides addresses.
    #[inline(always)]
    fn may_say(&self, frame: &impl Frame, eth: &Ethernet, packet: &Packet) -> Result<(), Reason> {
        if matches!(packet.protocol, Protocol::Other) {
            return Err(Reason::ForeignProtocol);
        }
        if packet.src.is_unspecified() && !(eth.dst.is_group() && needs_no_source(frame, packet)) {
            return Err(Reason::UnspecifiedSource);
        }
        if self.slave.guard() != Guard::Router && is_of_router(frame, packet) {
            return Err(Reason::NotARouter);
        }
        Ok(())
    }

    #[inline(always)]
    fn may_claim(&self, addr: Addr, tables: &impl Tables) -> Result<(), Reason> {
        if addr.is_unspecified() {
            return Ok(());
        }
        match tables.owner(addr) {
            Owner::Slave(owner) if owner == self.slot => Ok(()),
            Owner::Slave(_) => Err(Reason::SpoofedSlave),
            Owner::Host => Err(Reason::SpoofedHost),
            Owner::Nobody if self.slave.guard() == Guard::Declared => Err(Reason::NotDeclared),
            Owner::Nobody if self.slave.guard().is_strict() => Err(Reason::NotOwned),
            Owner::Nobody => Ok(()),
        }
    }
}
