//! How is a device of the kind `ipvlan` made and changed?

use super::ipvlan::{Declaration, IpvlanChange};
use super::link::{LinkInfo, ifinfomsg, parse};
use super::socket::{Netlink, about};
use super::uapi::*;
use super::wire::Message;
use crate::error::Result;
use ipvl_core::IfIndex;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A device to make, down.
#[derive(Clone, Copy, Debug)]
pub struct NewIpvlan<'a> {
    /// The master.
    pub master: IfIndex,
    /// A name, or with `%d` the first free one of a pattern.
    pub name: &'a str,
    /// In bytes.
    pub mtu: u32,
    /// Mode, flags and options.
    pub with: IpvlanChange,
    /// The netns in which it is made; by default this one.
    pub netns: Option<BorrowedFd<'a>>,
}

impl Netlink {
    /// Makes a device. Kernels before 6.2 do not say what they made.
    pub fn add_ipvlan(&self, new: &NewIpvlan<'_>) -> Result<Option<LinkInfo>> {
        let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO;
        let message = Message::new(RTM_NEWLINK, flags, &ifinfomsg(IfIndex::NONE, 0, 0))
            .option(new.netns, |m, fd| m.u32(IFLA_NET_NS_FD, fd.as_raw_fd().cast_unsigned()))
            .str(IFLA_IFNAME, new.name)
            .u32(IFLA_MTU, new.mtu)
            .ifindex(IFLA_LINK, new.master)
            .nest(IFLA_LINKINFO, |m| new.with.write(m));
        let mut echo = None;
        self.ask(about("create ipvlan", &new.name), message, |reply| echo = parse(reply).or(echo.take()))?;
        Ok(echo)
    }

    /// Changes a device of this netns.
    pub fn set_ipvlan(&self, ifindex: IfIndex, change: &IpvlanChange) -> Result<()> {
        let message = Message::new(RTM_NEWLINK, NLM_F_ACK, &ifinfomsg(ifindex, 0, 0));
        let message = message.nest(IFLA_LINKINFO, |m| change.write(m));
        self.order(about("change", &format_args!("link {ifindex}")), message)
    }

    /// Declares an address or a prefix for a slave of our module in this netns, or withdraws it.
    pub fn declare(&self, ifindex: IfIndex, wanted: &Declaration) -> Result<()> {
        let message = Message::new(RTM_NEWLINK, NLM_F_ACK, &ifinfomsg(ifindex, 0, 0));
        let message = message.nest(IFLA_LINKINFO, |m| wanted.write(m));
        self.order(
            about("declare", &format_args!("{}/{} for link {ifindex}", wanted.addr.ip(), wanted.prefix_len)),
            message,
        )
    }
}
