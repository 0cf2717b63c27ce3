//! May this slave claim this address?

use crate::abi::Slot;
use crate::addr::Addr;
use crate::frame::Tables;
use crate::options::Guard;
use crate::owner::Owner;
use crate::slave::Slave;
use crate::verdict::Reason;
use crate::wire::{NeighbourMessage, Packet};

/// A slave that sends.
#[derive(Clone, Copy)]
pub(crate) struct Sender {
    pub slot: Slot,
    pub slave: Slave,
}

impl Sender {
    /// Refuses the packet if it claims, as its source or in what it advertises, an address that `guard` denies.
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
