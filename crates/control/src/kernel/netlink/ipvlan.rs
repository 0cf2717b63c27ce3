//! What does netlink say of a device of the kind `ipvlan`? Our module knows two attributes more than the kernel's driver.

use super::uapi::*;
use super::wire::{Attribute, Message, read_u32, read_u64};
use ipvl_core::Addr;

/// What the driver says of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpvlanInfo {
    /// `IPVLAN_MODE_*`.
    pub mode: u16,
    /// `IPVLAN_F_*`.
    pub flags: u16,
    /// Our module's further options: the bits of their values, and of all that it has. The kernel's driver says none.
    pub options: Option<(u32, u32)>,
    /// The addresses and prefixes that are declared for a slave of our module, with lengths in bits of their own family.
    pub declared: Vec<(Addr, u8)>,
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

/// An address or a prefix to declare for a slave of our module, or to withdraw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// What to do.
    pub verb: Declare,
    /// The address.
    pub addr: Addr,
    /// The length of the prefix in bits of the address's own family.
    pub prefix_len: u8,
}

/// What to do with an address or a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declare {
    /// To declare it, if it is nobody's.
    Add = 1,
    /// To withdraw it.
    Delete = 2,
    /// To declare it, also if it is another slave's.
    Replace = 3,
}

/// How many bytes a declaration takes.
const DECLARATION: usize = 20;

impl Declaration {
    /// Writes what `IFLA_LINKINFO` has then.
    pub(super) fn write(&self, message: Message) -> Message {
        let len = self.addr.bits_of(self.prefix_len) as u8;
        let value = [&self.addr.0[..], &[len, self.verb as u8, 0, 0]].concat();
        message.str(IFLA_INFO_KIND, "ipvlan").nest(IFLA_INFO_DATA, |m| m.bytes(IFLA_IPVLAN_DECLARED, &value))
    }
}

fn declared(value: &[u8]) -> Vec<(Addr, u8)> {
    let (all, _) = value.as_chunks::<DECLARATION>();
    let one = |bytes: &[u8; DECLARATION]| {
        let addr = Addr(*bytes.first_chunk()?);
        Some((addr, addr.len_of(bytes[16].into())))
    };
    all.iter().filter_map(one).collect()
}

impl IpvlanChange {
    /// Writes what `IFLA_LINKINFO` has then.
    pub(super) fn write(&self, message: Message) -> Message {
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
    /// Whether our module made it, and not the kernel's own driver.
    pub fn is_of_our_module(&self) -> bool {
        self.options.is_some()
    }

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
            IFLA_IPVLAN_DECLARED => self.declared = declared(attribute.value),
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
        let read =
            IpvlanInfo { mode: 2, flags: 1, options: Some((0x5000, 0x7000)), declared: vec![], drops: vec![7, 9] };
        assert_eq!(IpvlanInfo::read(info), read);
    }

    #[test]
    fn what_is_declared_is_what_is_read() {
        for (addr, prefix_len) in [(Addr::v4([10, 9, 0, 0]), 24), (Addr([0xfd; 16]), 128)] {
            let wanted = Declaration { verb: Declare::Replace, addr, prefix_len };
            let message = Message::new(RTM_NEWLINK, 0, &[0; 16]).nest(IFLA_LINKINFO, |m| wanted.write(m));
            let bytes = message.finish(1);
            let [reply] = replies(&bytes).collect::<Vec<_>>()[..] else { panic!("not one message") };
            let info = attributes(&reply.payload[16..]).next().expect("an attribute");
            assert_eq!(IpvlanInfo::read(info).declared, [(addr, prefix_len)]);
        }
    }
}
