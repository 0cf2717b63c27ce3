//! How is a veth or netkit pair made, and which ifindexes do its ends get?

use super::link::{AddrGenMode, IFINFOMSG, LinkChange, LinkInfo, ifinfomsg, parse};
use super::socket::{Netlink, about};
use super::uapi::*;
use super::wire::Message;
use crate::error::{Error, Result};
use crate::model::{Backend, Detail};
use ipvl_core::{IfIndex, Mac};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The group of a new host end until it has its alias ("ipvl" in ASCII). A host end that is in this group while no command
/// holds the lock was left half made.
pub const NEW_GROUP: u32 = 0x6970_766c;
const DEFAULT_GROUP: u32 = 0;

/// A pair to make. Both ends are down at first.
#[derive(Clone, Copy, Debug)]
pub struct PairSpec<'a> {
    /// veth or netkit. No other kind is made in pairs.
    pub backend: Backend,
    /// The host end's name, or with `%d` the first free one of a pattern.
    pub host_name: &'a str,
    /// The slave's name, or a pattern.
    pub slave_name: &'a str,
    /// The MAC address of both ends.
    pub mac: Mac,
    /// The MTU of both ends.
    pub mtu: u32,
    /// Whether the slave does without ARP and ND (l3, l3s). For netkit, only for a slave that is made in this netns.
    pub noarp_slave: bool,
    /// The host end's alias.
    pub alias: Option<&'a str>,
    /// The device from which both ends take their limits for packets of several segments (BIG TCP); by default the kernel's.
    pub largest: Option<&'a Detail>,
    /// The netns in which the slave is made; by default this one.
    pub netns: Option<BorrowedFd<'a>>,
}

/// A pair that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewPair {
    /// The ifindex of the host end.
    pub host_end: IfIndex,
    /// The ifindex of the slave in its netns.
    pub slave: IfIndex,
}

impl Netlink {
    /// Makes a pair. The host end forms no IPv6 link-local address. A slave
    /// that is made in another netns still does: that must be changed there.
    pub fn add_pair(&self, spec: &PairSpec<'_>) -> Result<NewPair> {
        let host = self.create_pair(spec)?;
        let host_end = host.ifindex;
        let result = self.finish_pair(spec, host);
        if result.is_err() {
            self.delete_link(host_end)?;
        }
        result
    }

    fn create_pair(&self, spec: &PairSpec<'_>) -> Result<LinkInfo> {
        let object = format_args!("{} and {}", spec.host_name, spec.slave_name);
        let mut echo = None;
        let op = match spec.backend {
            Backend::Netkit => "create netkit",
            Backend::Veth | Backend::Kernel => "create veth",
        };
        self.ask(about(op, &object), create(spec), |reply| echo = parse(reply).or(echo.take()))?;
        match echo {
            Some(host) => Ok(host),
            None => self.newest_veth()?.ok_or_else(|| vanished(spec)),
        }
    }

    /// Kernels before 6.2 do not echo what they created. It is the veth with the highest ifindex in the group: writers hold
    /// the lock, ifindexes only grow, and only ipvl makes devices in this group.
    fn newest_veth(&self) -> Result<Option<LinkInfo>> {
        let is_new = |link: &LinkInfo| link.kind.as_deref() == Some("veth") && link.group == NEW_GROUP;
        Ok(self.links(None)?.into_iter().filter(is_new).max_by_key(|link| link.ifindex))
    }

    fn finish_pair(&self, spec: &PairSpec<'_>, host: LinkInfo) -> Result<NewPair> {
        let silent = LinkChange { addr_gen_mode: Some(AddrGenMode::None), ..LinkChange::default() };
        let named = LinkChange { alias: spec.alias, group: Some(DEFAULT_GROUP), ..silent };
        self.set_link(host.ifindex, &named)?;
        let slave = host.link.ok_or_else(|| vanished(spec))?;
        if spec.netns.is_none() {
            self.set_link(slave, &LinkChange { noarp: Some(spec.noarp_slave), ..silent })?;
        }
        Ok(NewPair { host_end: host.ifindex, slave })
    }
}

fn create(spec: &PairSpec<'_>) -> Message {
    let message =
        Message::new(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO, &ifinfomsg(IfIndex::NONE, 0, 0));
    both_ends(message, spec, spec.host_name).u32(IFLA_GROUP, NEW_GROUP).nest(IFLA_LINKINFO, |m| {
        m.str(IFLA_INFO_KIND, spec.backend.kind()).nest(IFLA_INFO_DATA, |m| match spec.backend {
            Backend::Netkit => netkit(m, spec),
            Backend::Veth | Backend::Kernel => peer(m, VETH_INFO_PEER, spec),
        })
    })
}

/// The slave's policy is to drop what it sends while no program is attached.
fn netkit(message: Message, spec: &PairSpec<'_>) -> Message {
    let message = message.u32(IFLA_NETKIT_MODE, NETKIT_L2).u32(IFLA_NETKIT_PEER_POLICY, NETKIT_DROP);
    peer(message, IFLA_NETKIT_PEER_INFO, spec)
}

fn peer(message: Message, attribute: u16, spec: &PairSpec<'_>) -> Message {
    let noarp = if spec.noarp_slave { libc::IFF_NOARP as u32 } else { 0 };
    let header: [u8; IFINFOMSG] = ifinfomsg(IfIndex::NONE, noarp, noarp);
    message.nest(attribute, |m| {
        both_ends(m.raw(&header), spec, spec.slave_name)
            .option(spec.netns, |m, fd| m.u32(IFLA_NET_NS_FD, fd.as_raw_fd().cast_unsigned()))
    })
}

/// One queue each way, as ipvlan has. By default a veth has one for each CPU.
fn both_ends(message: Message, spec: &PairSpec<'_>, name: &str) -> Message {
    largest(message, spec.largest)
        .str(IFLA_IFNAME, name)
        .u32(IFLA_MTU, spec.mtu)
        .bytes(IFLA_ADDRESS, &spec.mac.0)
        .u32(IFLA_NUM_TX_QUEUES, 1)
        .u32(IFLA_NUM_RX_QUEUES, 1)
}

/// An older kernel ignores the attributes that it does not know, and does not report them of the master either.
fn largest(message: Message, detail: Option<&Detail>) -> Message {
    let Some(detail) = detail else { return message };
    let all = [
        (IFLA_GSO_MAX_SIZE, detail.gso_max_size),
        (IFLA_GSO_MAX_SEGS, detail.gso_max_segs),
        (IFLA_GRO_MAX_SIZE, detail.gro_max_size),
        (IFLA_GSO_IPV4_MAX_SIZE, detail.gso_ipv4_max_size),
        (IFLA_GRO_IPV4_MAX_SIZE, detail.gro_ipv4_max_size),
    ];
    let known = all.into_iter().filter(|(_, number)| *number > 0);
    known.fold(message, |message, (attribute, number)| message.u32(attribute, number))
}

fn vanished(spec: &PairSpec<'_>) -> Error {
    let source = io::Error::from_raw_os_error(libc::ENODEV);
    Error::Netlink { op: "find again", object: spec.slave_name.to_owned(), source, extack: None }
}
