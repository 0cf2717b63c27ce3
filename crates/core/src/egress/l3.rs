//! Where does an l3 or l3s slave's packet go? The slave's stack works up to layer 3; the master's stack routes.

use super::outgoing::{Outgoing, SiblingPath};
use crate::frame::Frame;
use crate::options::Mode;
use crate::owner::Owner;
use crate::tables::Tables;
use crate::verdict::{Action, Reason, Verdict};
use crate::wire::{Protocol, checksum_holds};

impl<F: Frame, T: Tables> Outgoing<'_, F, T> {
    /// Mirrors `ipvlan_xmit_mode_l3`. In l3s the host's stack and its netfilter hooks see both directions.
    #[inline(always)]
    pub(super) fn l3(&self) -> Result<Verdict, Verdict> {
        let dst = self.packet.dst;
        if !self.packet.is_ip() {
            return Err(Reason::NotIp.into());
        }
        if self.eth.dst.is_group() || dst.is_group() {
            return Err(Reason::Multicast.into());
        }
        match self.tables.owner(dst) {
            Owner::Slave(owner) => {
                let sibling = self.tables.slave(owner);
                match self.path_to(owner, sibling)? {
                    SiblingPath::Direct => self.to_sibling(owner, sibling),
                    SiblingPath::Outside => self.outside(Action::OnLink),
                }
            }
            Owner::Host => self.to_host(),
            Owner::Nobody if self.sender.slave.mode() == Mode::L3s => Ok(Action::Host.into()),
            Owner::Nobody => self.routed(),
        }
    }

    /// Out by the host's routing table, which also decides on what exceeds the MTU but may be fragmented.
    #[inline(always)]
    fn routed(&self) -> Result<Verdict, Verdict> {
        if matches!(self.packet.protocol, Protocol::V4) && !checksum_holds(self.frame) {
            return Err(Reason::Malformed.into());
        }
        let too_big = self.packet.len > self.port.mtu && !self.frame.is_gso();
        if too_big && !self.packet.fragment {
            return Err(Reason::TooBig.into());
        }
        self.outside(Action::Route)
    }
}
