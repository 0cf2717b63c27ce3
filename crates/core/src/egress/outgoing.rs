//! Which siblings and ways out may the sender of a frame use?

use crate::abi::{PortEntry, Slot};
use crate::frame::Frame;
use crate::guard::Sender;
use crate::options::Flag;
use crate::slave::Slave;
use crate::tables::Tables;
use crate::verdict::{Action, Reason, Verdict};
use crate::wire::{Ethernet, Packet};

/// A frame that a slave sends, as far as all modes need it.
pub(super) struct Outgoing<'a, F, T> {
    pub frame: &'a F,
    pub tables: &'a T,
    pub port: PortEntry,
    pub sender: Sender,
    pub eth: Ethernet,
    pub packet: Packet,
}

/// How a frame reaches a sibling.
pub(super) enum SiblingPath {
    /// Directly.
    Direct,
    /// Only by way of the switch outside, which may send it back (802.1Qbg).
    Outside,
}

impl<F: Frame, T: Tables> Outgoing<'_, F, T> {
    /// The path to `sibling`, which is in slot `to`. Of the flags of two slaves, the stricter one holds.
    #[inline(always)]
    pub fn path_to(&self, to: Slot, sibling: Slave) -> Result<SiblingPath, Reason> {
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

    /// To a sibling on a direct path. If one of the two is an l3s slave that does not allow that path, IP packets pass the
    /// host's stack instead, for which both need host access.
    #[inline(always)]
    pub fn to_sibling(&self, to: Slot, sibling: Slave) -> Result<Verdict, Verdict> {
        let slave = self.sender.slave;
        let by_host = slave.reaches_siblings_by_host() || sibling.reaches_siblings_by_host();
        match by_host && self.packet.is_ip() {
            false => Ok(Action::Deliver(to).into()),
            true if slave.host() && sibling.host() => Ok(Action::Host.into()),
            true => Err(Reason::NoHostAccess.into()),
        }
    }

    /// Up the host's stack, if the sender has host access.
    #[inline(always)]
    pub fn to_host(&self) -> Result<Verdict, Verdict> {
        if self.sender.slave.host() { Ok(Action::Host.into()) } else { Err(Reason::NoHostAccess.into()) }
    }

    /// `action`, which leads out of the master, unless the master has left the netns.
    #[inline(always)]
    pub fn outside(&self, action: Action) -> Result<Verdict, Verdict> {
        if self.port.has(PortEntry::MASTER_GONE) { Err(Reason::MasterGone.into()) } else { Ok(action.into()) }
    }
}
