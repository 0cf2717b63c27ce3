//! Where does an l2 slave's frame go? The slave's own stack has done layer 3; here frames are switched.

use super::outgoing::{Outgoing, SiblingPath};
use crate::abi::PortEntry;
use crate::dhcp;
use crate::frame::Frame;
use crate::options::{Flag, Mode};
use crate::owner::Owner;
use crate::tables::Tables;
use crate::verdict::{Action, Flood, FloodThen, FloodTo, Reason, Verdict};
use crate::wire::Protocol;

impl<F: Frame, T: Tables> Outgoing<'_, F, T> {
    /// Mirrors `ipvlan_xmit_mode_l2`.
    #[inline(always)]
    pub(super) fn l2(&self) -> Result<Verdict, Verdict> {
        if self.port.has(PortEntry::IP_ONLY) {
            return Err(Reason::NotIp.into());
        }
        if let Some(verdict) = self.solicitation()? {
            return Ok(verdict);
        }
        if let Some(verdict) = self.dhcp_reply() {
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

    /// An ARP request or neighbour solicitation for an address with a known owner goes to the owner alone, or is answered
    /// here. One for the sender's own address is a probe before use: it goes to the wire only, since no sibling has the
    /// address.
    ///
    /// A probe for the address of another slave or of the host is answered here, whatever the flags are: the tables have an
    /// owner, so nobody else can use the address (RFC 5227, 2.1.1; RFC 4862, 5.4.4). It does not reach the owner: there
    /// it could fail the owner's detection of duplicates. For the same reason a strict guard lets other probes pass to the wire only.
    #[inline(always)]
    fn solicitation(&self) -> Result<Option<Verdict>, Verdict> {
        if !self.packet.is_solicitation() {
            return Ok(None);
        }
        let probe = self.packet.is_probe();
        match self.tables.owner(self.packet.target) {
            Owner::Slave(owner) if owner != self.sender.slot && probe => Ok(Some(Action::Answer.into())),
            Owner::Slave(owner) if owner != self.sender.slot => {
                let sibling = self.tables.slave(owner);
                match self.path_to(owner, sibling)? {
                    SiblingPath::Direct if sibling.mode() == Mode::L2 => Ok(Some(Action::Deliver(owner).into())),
                    SiblingPath::Direct => Ok(Some(Action::Answer.into())),
                    SiblingPath::Outside => self.outside(Action::Wire).map(Some),
                }
            }
            Owner::Slave(_) if self.eth.dst.is_group() => Ok(Some(self.flood(FloodTo::Nobody))),
            Owner::Host if probe || self.sender.slave.host() => Ok(Some(Action::Answer.into())),
            Owner::Nobody if probe && self.sender.slave.guard().is_strict() => Ok(Some(self.flood(FloodTo::Nobody))),
            Owner::Slave(_) | Owner::Host | Owner::Nobody => Ok(None),
        }
    }

    /// A DHCP server's reply, by broadcast or to the shared MAC address, to the sibling that has asked for it, if there is a
    /// direct path.
    #[inline(always)]
    fn dhcp_reply(&self) -> Option<Verdict> {
        if !self.eth.dst.is_group() && self.eth.dst != self.port.mac {
            return None;
        }
        let (slot, sibling) = dhcp::asker(self.frame, &self.eth, &self.packet, self.tables)?;
        match self.path_to(slot, sibling) {
            Ok(SiblingPath::Direct) => Some(Action::Deliver(slot).into()),
            Ok(SiblingPath::Outside) | Err(_) => None,
        }
    }

    /// Broadcast and multicast: to the siblings with flag bridge if the sender has it too, and to the wire. Mirrors
    /// `ipvlan_multicast_enqueue`.
    #[inline(always)]
    fn group(&self) -> Verdict {
        self.flood(match self.sender.slave.flag() {
            Flag::Bridge => FloodTo::Bridged,
            Flag::Vepa | Flag::Private => FloodTo::Nobody,
        })
    }

    /// Copies `to` these siblings; the frame itself goes to the wire, and up the host's stack if the slave has host access.
    #[inline(always)]
    fn flood(&self, to: FloodTo) -> Verdict {
        let then = match (self.port.has(PortEntry::MASTER_GONE), self.sender.slave.host()) {
            (false, false) => FloodThen::Wire,
            (false, true) => FloodThen::WireAndHost,
            (true, false) => FloodThen::Nowhere,
            (true, true) => FloodThen::Host,
        };
        Action::Flood(Flood { from: self.sender.slot, to, then }).into()
    }

    /// A frame to the MAC address that the host and all slaves share: the destination IP address tells them apart.
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
            Owner::Host | Owner::Nobody if self.sender.slave.flag() == Flag::Vepa => self.outside(Action::Wire),
            Owner::Host | Owner::Nobody if self.is_unknown() && !self.sender.slave.host() => Err(Reason::NotIp.into()),
            Owner::Nobody if self.packet.is_arp_answer() && self.sender.slave.flag() == Flag::Bridge => {
                Ok(self.to_asker())
            }
            Owner::Nobody if !self.sender.slave.host() => Err(Reason::Undeclared.into()),
            Owner::Host | Owner::Nobody => self.to_host(),
        }
    }

    /// An ARP reply to an address of nobody answers a probe: to the siblings that may have asked, and to the host.
    #[inline(always)]
    fn to_asker(&self) -> Verdict {
        let then = if self.sender.slave.host() { FloodThen::Host } else { FloodThen::Nowhere };
        Action::Flood(Flood { from: self.sender.slot, to: FloodTo::Bridged, then }).into()
    }

    /// Whether it carries neither IP nor ARP.
    #[inline(always)]
    fn is_unknown(&self) -> bool {
        matches!(self.packet.protocol, Protocol::Other)
    }
}
