//! Where does an l2 slave's frame go? Its own stack has done everything; frames are switched.

use super::{Outgoing, SiblingPath};
use crate::abi::PortEntry;
use crate::frame::{Frame, Tables};
use crate::options::{Flag, Mode};
use crate::owner::Owner;
use crate::verdict::{Action, Flood, FloodTo, Reason, Then, Verdict};
use crate::wire::Protocol;

impl<F: Frame, T: Tables> Outgoing<'_, F, T> {
    /// Mirrors `ipvlan_xmit_mode_l2`.
    #[inline(always)]
    pub(super) fn l2(&self) -> Result<Verdict, Verdict> {
        if self.port.has(PortEntry::IP_ONLY) {
            return Err(Reason::NotIp.into());
        }
        if let Some(verdict) = self.question()? {
            return Ok(verdict);
        }
        if self.eth.dst.is_group() {
            Ok(self.group())
        } else if self.eth.dst == self.port.mac {
            self.shared_mac()
        } else {
            self.outside(Action::Wire)
        }
    }

    /// A question for an address whose owner is known goes to the owner alone, or is answered for it. One for the
    /// sender's own address, which it probes before use, concerns the outside only: no sibling has it.
    #[inline(always)]
    fn question(&self) -> Result<Option<Verdict>, Verdict> {
        if !self.packet.is_solicitation() {
            return Ok(None);
        }
        match self.tables.owner(self.packet.target) {
            Owner::Slave(owner) if owner != self.sender.slot => {
                let sibling = self.tables.slave(owner);
                match self.path_to(owner, sibling)? {
                    SiblingPath::Direct if sibling.mode() == Mode::L2 => Ok(Some(Action::Deliver(owner).into())),
                    SiblingPath::Direct => Ok(Some(Action::Answer.into())),
                    SiblingPath::Outside => self.outside(Action::Wire).map(Some),
                }
            }
            Owner::Slave(_) if self.eth.dst.is_group() => Ok(Some(self.flood(FloodTo::Nobody))),
            Owner::Host if self.sender.slave.host() => Ok(Some(Action::Answer.into())),
            Owner::Slave(_) | Owner::Host | Owner::Nobody => Ok(None),
        }
    }

    /// Broadcast and multicast: to the siblings that share flag bridge, and out. Mirrors `ipvlan_multicast_enqueue`.
    #[inline(always)]
    fn group(&self) -> Verdict {
        self.flood(match self.sender.slave.flag() {
            Flag::Bridge => FloodTo::Bridged,
            Flag::Vepa | Flag::Private => FloodTo::Nobody,
        })
    }

    /// To these, out, and up the host's stack if the slave reaches the host.
    #[inline(always)]
    fn flood(&self, to: FloodTo) -> Verdict {
        let then = match (self.port.has(PortEntry::MASTER_GONE), self.sender.slave.host()) {
            (false, false) => Then::Wire,
            (false, true) => Then::WireAndHost,
            (true, false) => Then::Nowhere,
            (true, true) => Then::Host,
        };
        Action::Flood(Flood { from: self.sender.slot, to, then }).into()
    }

    /// A frame to the MAC that the host and all slaves share: the IP address tells who is meant.
    #[inline(always)]
    fn shared_mac(&self) -> Result<Verdict, Verdict> {
        match self.tables.owner(self.packet.dst) {
            Owner::Slave(owner) => {
                let sibling = self.tables.slave(owner);
                match self.path_to(owner, sibling)? {
                    SiblingPath::Direct => self.to_sibling(owner, sibling),
                    SiblingPath::Outside => self.outside(Action::Wire),
                }
            }
            Owner::Host if self.sender.slave.host() => Ok(Action::Host.into()),
            _ if self.sender.slave.flag() == Flag::Vepa => self.outside(Action::Wire),
            _ if matches!(self.packet.protocol, Protocol::Other) && !self.sender.slave.host() => {
                Err(Reason::NotIp.into())
            }
            _ => self.to_host(),
        }
    }
}
