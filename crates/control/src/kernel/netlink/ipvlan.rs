//! How is a device of the kind `ipvlan` made, changed and read? Our module knows one attribute more than the kernel's driver.

use super::link::{LinkInfo, ifinfomsg, parse};
use super::socket::{Netlink, about};
use super::uapi::*;
use super::wire::{Attribute, Message, read_u32, read_u64};
use crate::error::Result;
use ipvl_core::IfIndex;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What the driver says of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpvlanInfo {
    /// `IPVLAN_MODE_*`.
    pub mode: u16,
    /// `IPVLAN_F_*`.
    pub flags: u16,
    /// Our module's further options: the bits of their values, and of all that it has. The kernel's driver says none.
    pub options: Option<(u32, u32)>,
    /// Our module's counts of dropped frames, by the number of the reason: first of those that the slave sent.
    pub drops: Vec<u64>,
}

/// What to change of a device. What is `None` stays, and so do options that the second number does not select.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IpvlanChange {
    /// `IPVLAN_MODE_*`.
    pub mode: Option<u16>,
    /// `IPVLAN_F_*`.
    pub flags: Option<u16>,
    /// The bits of the options' values, and of the options that are given.
    pub options: Option<(u32, u32)>,
}

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
}

impl IpvlanChange {
    fn write(&self, message: Message) -> Message {
        message.str(IFLA_INFO_KIND, "ipvlan").nest(IFLA_INFO_DATA, |m| {
            m.option(self.mode, |m, mode| m.bytes(IFLA_IPVLAN_MODE, &mode.to_ne_bytes()))
                .option(self.flags, |m, flags| m.bytes(IFLA_IPVLAN_FLAGS, &flags.to_ne_bytes()))
                .option(self.options, |m, (value, selector)| {
                    m.bytes(IFLA_IPVLAN_OPTIONS, &[value.to_ne_bytes(), selector.to_ne_bytes()].concat())
                })
        })
    }
}

impl IpvlanInfo {
    /// What `IFLA_LINKINFO` has of such a device.
    pub(super) fn read(info: Attribute<'_>) -> Self {
        let mut read = Self::default();
        for attribute in info.nested() {
            match attribute.kind {
                IFLA_INFO_DATA => attribute.nested().for_each(|inner| read.take(inner)),
                IFLA_INFO_XSTATS => {
                    read.drops = (0..attribute.value.len() / 8).map(|n| read_u64(attribute.value, n * 8)).collect();
                }
                _ => {}
            }
        }
        read
    }

    fn take(&mut self, attribute: Attribute<'_>) {
        let number = || attribute.value.first_chunk().copied().map_or(0, u16::from_ne_bytes);
        match attribute.kind {
            IFLA_IPVLAN_MODE => self.mode = number(),
            IFLA_IPVLAN_FLAGS => self.flags = number(),
            IFLA_IPVLAN_OPTIONS => self.options = Some((attribute.u32(), read_u32(attribute.value, 4))),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::netlink::wire::{attributes, replies};

    #[test]
    fn what_is_asked_for_is_what_is_read() {
        let change = IpvlanChange { mode: Some(2), flags: Some(1), options: Some((0x5000, 0x7000)) };
        let message = Message::new(RTM_NEWLINK, 0, &[0; 16]).nest(IFLA_LINKINFO, |m| {
            change.write(m).bytes(IFLA_INFO_XSTATS, &[7_u64.to_ne_bytes(), 9_u64.to_ne_bytes()].concat())
        });
        let bytes = message.finish(1);
        let [reply] = replies(&bytes).collect::<Vec<_>>()[..] else { panic!("not one message") };
        let info = attributes(&reply.payload[16..]).next().expect("an attribute");
        let read = IpvlanInfo { mode: 2, flags: 1, options: Some((0x5000, 0x7000)), drops: vec![7, 9] };
        assert_eq!(IpvlanInfo::read(info), read);
    }
}
