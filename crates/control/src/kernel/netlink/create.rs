//! How are masters made: VLANs and dummies?

use super::link::ifinfomsg;
use super::socket::{Netlink, about};
use super::uapi::*;
use super::wire::Message;
use crate::error::Result;
use ipvl_core::IfIndex;

/// A device to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewLink {
    /// An 802.1Q sub-interface.
    Vlan {
        /// The ifindex of the link that carries the tags.
        lower: IfIndex,
        /// Its VID.
        id: u16,
    },
    /// A device that drops all that it sends.
    Dummy,
}

impl Netlink {
    /// Makes a device, down.
    pub fn create_link(&self, name: &str, new: &NewLink) -> Result<()> {
        let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        let message = Message::new(RTM_NEWLINK, flags, &ifinfomsg(IfIndex::NONE, 0, 0)).str(IFLA_IFNAME, name);
        let message = match *new {
            NewLink::Vlan { lower, id } => message.ifindex(IFLA_LINK, lower).nest(IFLA_LINKINFO, |m| vlan(m, id)),
            NewLink::Dummy => message.nest(IFLA_LINKINFO, |m| m.str(IFLA_INFO_KIND, "dummy")),
        };
        self.order(about("create", &name), message)
    }
}

fn vlan(message: Message, id: u16) -> Message {
    message.str(IFLA_INFO_KIND, "vlan").nest(IFLA_INFO_DATA, |m| m.bytes(IFLA_VLAN_ID, &id.to_ne_bytes()))
}
