//! How does a slave come into being? As one end of a veth or netkit pair; netlink tells which two indexes it got.

use super::link::{AddrGenMode, IFINFOMSG, LinkChange, LinkInfo, ifinfomsg, parse};
use super::socket::{Netlink, about};
use super::uapi::*;
use super::wire::Message;
use crate::error::{Error, Result};
use crate::model::{Backend, Detail};
use ipvl_core::Mac;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The group of a host end from its birth until it bears its alias: whoever finds one later, with nobody at work, knows
/// that it was left half made ("ipvl" in ASCII).
pub const BIRTH_GROUP: u32 = 0x6970_766c;
const DEFAULT_GROUP: u32 = 0;

/// A pair to make. Both ends are born down.
#[derive(Clone, Copy, Debug)]
pub struct PairSpec<'a> {
    /// Of which kind.
    pub backend: Backend,
    /// The host end's name, or with `%d` the first free one of a pattern.
    pub host_name: &'a str,
    /// The slave's name, or a pattern.
    pub slave_name: &'a str,
    /// Of both ends.
    pub mac: Mac,
    /// Of both ends.
    pub mtu: u32,
    /// Whether the slave does without ARP and ND (l3, l3s). Of netkit only one that is born here.
    pub noarp_slave: bool,
    /// The host end's alias.
    pub alias: Option<&'a str>,
    /// Of whom both ends have how large a packet of several segments may be (BIG TCP); by default it is the kernel's.
    pub largest: Option<&'a Detail>,
    /// Where the slave is born; by default here.
    pub netns: Option<BorrowedFd<'a>>,
}

impl Netlink {
    /// Makes a pair and returns the indexes of host end and slave. The host end makes no IPv6 link-local; a slave born
    /// in another netns must still be told there.
    pub fn add_pair(&self, spec: &PairSpec<'_>) -> Result<(u32, u32)> {
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
            Backend::Veth => "create veth",
            Backend::Netkit => "create netkit",
        };
        self.ask(about(op, &object), create(spec), |reply| echo = parse(reply).or(echo.take()))?;
        match echo {
            Some(host) => Ok(host),
            None => self.newest_veth()?.ok_or_else(|| vanished(spec)),
        }
    }

    /// Kernels before 6.2 do not echo what they created. Writers hold a lock, indexes only grow, and nobody else's veth
    /// is born into this group.
    fn newest_veth(&self) -> Result<Option<LinkInfo>> {
        let born = |link: &LinkInfo| link.kind.as_deref() == Some("veth") && link.group == BIRTH_GROUP;
        Ok(self.links(None)?.into_iter().filter(born).max_by_key(|link| link.ifindex))
    }

    fn finish_pair(&self, spec: &PairSpec<'_>, host: LinkInfo) -> Result<(u32, u32)> {
        let silent = LinkChange { addr_gen_mode: Some(AddrGenMode::None), ..LinkChange::default() };
        let named = LinkChange { alias: spec.alias, group: Some(DEFAULT_GROUP), ..silent };
        self.set_link(host.ifindex, &named)?;
        let slave = host.link.ok_or_else(|| vanished(spec))?;
        if spec.netns.is_none() {
            self.set_link(slave, &LinkChange { noarp: Some(spec.noarp_slave), ..silent })?;
        }
        Ok((host.ifindex, slave))
    }
}

fn create(spec: &PairSpec<'_>) -> Message {
    let message = Message::new(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO, &ifinfomsg(0, 0, 0));
    both_ends(message, spec, spec.host_name).u32(IFLA_GROUP, BIRTH_GROUP).nest(IFLA_LINKINFO, |m| {
        m.str(IFLA_INFO_KIND, spec.backend.kind()).nest(IFLA_INFO_DATA, |m| match spec.backend {
            Backend::Veth => peer(m, VETH_INFO_PEER, spec),
            Backend::Netkit => netkit(m, spec),
        })
    })
}

/// What the slave sends is dropped as long as no program is there.
fn netkit(message: Message, spec: &PairSpec<'_>) -> Message {
    let message = message.u32(IFLA_NETKIT_MODE, NETKIT_L2).u32(IFLA_NETKIT_PEER_POLICY, NETKIT_DROP);
    peer(message, IFLA_NETKIT_PEER_INFO, spec)
}

fn peer(message: Message, attribute: u16, spec: &PairSpec<'_>) -> Message {
    let noarp = if spec.noarp_slave { libc::IFF_NOARP as u32 } else { 0 };
    let header: [u8; IFINFOMSG] = ifinfomsg(0, noarp, noarp);
    message.nest(attribute, |m| {
        both_ends(m.raw(&header), spec, spec.slave_name)
            .option(spec.netns, |m, fd| m.u32(IFLA_NET_NS_FD, fd.as_raw_fd().cast_unsigned()))
    })
}

/// One queue each way, as ipvlan has: a veth would otherwise get one a CPU.
fn both_ends(message: Message, spec: &PairSpec<'_>, name: &str) -> Message {
    largest(message, spec.largest)
        .str(IFLA_IFNAME, name)
        .u32(IFLA_MTU, spec.mtu)
        .bytes(IFLA_ADDRESS, &spec.mac.0)
        .u32(IFLA_NUM_TX_QUEUES, 1)
        .u32(IFLA_NUM_RX_QUEUES, 1)
}

/// What an older kernel does not know, it overlooks, and does not say of the master either.
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
