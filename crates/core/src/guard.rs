//! May this slave send a packet with this address?

use crate::abi::Slot;
use crate::addr::Addr;
use crate::options::Guard;
use crate::owner::Owner;
use crate::slave::Slave;
use crate::tables::Tables;
use crate::verdict::Reason;
use crate::wire::{NeighbourMessage, Packet};

/// The slave that sends a frame, and its slot.
#[derive(Clone, Copy)]
pub(crate) struct Sender {
    pub slot: Slot,
    pub slave: Slave,
}

impl Sender {
    /// Refuses the packet if its source address, or the address that it advertises, is one that the slave's guard denies.
    #[inline(always)]
    pub fn may_send(&self, packet: &Packet, tables: &impl Tables) -> Result<(), Reason> {
        if self.slave.guard() == Guard::Off {
            return Ok(());
        }
        if matches!(packet.message, NeighbourMessage::Advertisement) {
            self.may_claim(packet.target, tables)?;
        }
        self.may_claim(packet.src, tables)
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
            Owner::Nobody if self.slave.guard() == Guard::Strict => Err(Reason::NotOwned),
            Owner::Nobody => Ok(()),
        }
    }
}
