//! How are links read, changed and deleted?

use super::ipvlan::IpvlanInfo;
use super::socket::{Netlink, about, unless_gone, unless_gone_there};
use super::uapi::*;
use super::wire::{Attribute, Message, Reply, attributes, read_ifindex, read_u32, read_u64};
use crate::error::Result;
use crate::model::Detail;
use crate::place::NsId;
use ipvl_core::{Addr, IfIndex, Mac};
use std::fmt::Display;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The group of links that are deleted together ("ipvd" in ASCII).
const DELETED_GROUP: u32 = 0x6970_7664;
/// Without a mask, a list ends silently before the first link with a description longer than 32 KiB. With any mask the
/// kernel makes room; VLANs of bridges (`RTEXT_FILTER_BRVLAN`) add the least to the answer.
const EXT_MASK: u32 = 1 << 1;
/// `RTEXT_FILTER_SKIP_STATS`.
const SKIP_STATS: u32 = 1 << 3;
/// The events of a bond, by its mode, after a failover; other drivers send the second.
const FAILOVER: [u32; 3] = [IFLA_EVENT_BONDING_FAILOVER, IFLA_EVENT_NOTIFY_PEERS, IFLA_EVENT_IGMP_RESEND];
/// `struct ifinfomsg`.
pub(super) const IFINFOMSG: usize = 16;

/// A link as the kernel describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkInfo {
    /// Its number in its netns.
    pub ifindex: IfIndex,
    /// Its name in its netns.
    pub name: String,
    /// `veth`, `vlan`, ...; none for a physical device.
    pub kind: Option<String>,
    /// `IFF_*`.
    pub flags: u32,
    /// `IF_OPER_*` (RFC 2863).
    pub operstate: u8,
    /// Whether it has a carrier.
    pub carrier: Option<bool>,
    /// How often it has lost its carrier: when it, or the other end of a pair, went down, too.
    pub carrier_losses: u32,
    /// In bytes.
    pub mtu: u32,
    /// Its address, if that has six bytes.
    pub mac: Option<Mac>,
    /// As `ip link set alias` sets it.
    pub alias: Option<String>,
    /// The lower link; of a pair, the other end.
    pub link: Option<IfIndex>,
    /// Where [`LinkInfo::link`] is, if not in the same netns.
    pub link_netnsid: Option<NsId>,
    /// The bridge, bond or VRF it belongs to.
    pub master: Option<IfIndex>,
    /// Whether IPv6 is there and not switched off.
    pub has_ipv6: bool,
    /// The interface identifier of its addresses from router advertisements; `::` if the kernel chooses it.
    pub token: Option<Addr>,
    /// Of an ipvlan device, what its driver says of it.
    pub ipvlan: Option<IpvlanInfo>,
    /// Of a VRF, its routing table.
    pub vrf_table: Option<u32>,
    /// `ARPHRD_*`.
    pub arp_type: u16,
    /// `txqueuelen`.
    pub txqlen: u32,
    /// The queueing discipline's name.
    pub qdisc: String,
    /// `ip link set group`.
    pub group: u32,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// In the event of a deletion: whether it only moved to another netns.
    pub moved: bool,
    /// The id of the netns that it moved to.
    pub new_netnsid: Option<NsId>,
    /// The link's ifindex there.
    pub new_ifindex: Option<IfIndex>,
    /// In the event of a change: its neighbours should learn where it is now, as after a bond's failover.
    pub notify_peers: bool,
    /// In the event of a change: switches should learn again which groups are joined here.
    pub rejoin_groups: bool,
    /// What `ip -d link` adds.
    pub detail: Detail,
}

/// How the kernel makes a link's IPv6 link-local address (`IN6_ADDR_GEN_MODE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddrGenMode {
    /// From the MAC address.
    Eui64 = 0,
    /// Not at all.
    None = 1,
}

/// A change to a link. What is `None` stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkChange<'a> {
    /// `IFF_UP`.
    pub up: Option<bool>,
    /// `IFF_NOARP`.
    pub noarp: Option<bool>,
    /// `IFF_NOTRAILERS`, which has no effect in the kernel.
    pub notrailers: Option<bool>,
    /// A name, or with `%d` the first free one of a pattern.
    pub name: Option<&'a str>,
    /// In bytes.
    pub mtu: Option<u32>,
    /// The link's own address.
    pub mac: Option<Mac>,
    /// Free text.
    pub alias: Option<&'a str>,
    /// How the IPv6 link-local address is made.
    pub addr_gen_mode: Option<AddrGenMode>,
    /// The interface identifier of addresses formed from router advertisements, as an address of which the upper half
    /// is zero (`ip token`).
    pub token: Option<Addr>,
    /// `txqueuelen`.
    pub txqlen: Option<u32>,
    /// `ip link set group`.
    pub group: Option<u32>,
    /// The bridge, bond or VRF to belong to; 0 for none.
    pub master: Option<IfIndex>,
    /// The netns to move to; the other changes are made there.
    pub netns: Option<BorrowedFd<'a>>,
}

impl LinkInfo {
    /// Whether it is administratively up.
    pub fn is_up(&self) -> bool {
        self.flags & libc::IFF_UP as u32 != 0
    }

    /// Whether it has a queueing discipline. A pair has none unless one was added.
    pub fn has_queue(&self) -> bool {
        !matches!(self.qdisc.as_str(), "" | "noqueue" | "noop")
    }
}

impl Netlink {
    /// The link `ifindex`, here or in the netns that has the id `nsid` here; none if link or netns is gone.
    pub fn link(&self, ifindex: IfIndex, nsid: Option<NsId>) -> Result<Option<LinkInfo>> {
        let message = Message::new(RTM_GETLINK, NLM_F_ACK, &ifinfomsg(ifindex, 0, 0));
        self.one_link(&format_args!("link {ifindex}"), message, nsid)
    }

    /// The link with this number, without its counters, which take the kernel longest.
    pub fn uncounted_link(&self, ifindex: IfIndex, nsid: Option<NsId>) -> Result<Option<LinkInfo>> {
        let message = Message::new(RTM_GETLINK, NLM_F_ACK, &ifinfomsg(ifindex, 0, 0)).u32(IFLA_EXT_MASK, SKIP_STATS);
        self.one_link(&format_args!("link {ifindex}"), message, nsid)
    }

    /// The link with this name.
    pub fn link_by_name(&self, name: &str, nsid: Option<NsId>) -> Result<Option<LinkInfo>> {
        let message = Message::new(RTM_GETLINK, NLM_F_ACK, &ifinfomsg(IfIndex::NONE, 0, 0)).str(IFLA_IFNAME, name);
        self.one_link(&format_args!("link {name}"), message, nsid)
    }

    /// All links.
    pub fn links(&self, nsid: Option<NsId>) -> Result<Vec<LinkInfo>> {
        self.list_links(EXT_MASK, nsid)
    }

    /// All links, without their counters.
    pub fn uncounted_links(&self, nsid: Option<NsId>) -> Result<Vec<LinkInfo>> {
        self.list_links(EXT_MASK | SKIP_STATS, nsid)
    }
    /// Changes a link of this netns.
    pub fn set_link(&self, ifindex: IfIndex, change: &LinkChange<'_>) -> Result<()> {
        let (flags, mask) = change.flags();
        let message = Message::new(RTM_SETLINK, NLM_F_ACK, &ifinfomsg(ifindex, flags, mask));
        self.order(about("change", &format_args!("link {ifindex}")), change.write(message))
    }

    /// Deletes a link of this netns; false if it is gone already.
    pub fn delete_link(&self, ifindex: IfIndex) -> Result<bool> {
        let message = Message::new(RTM_DELLINK, NLM_F_ACK, &ifinfomsg(ifindex, 0, 0));
        let result = self.order(about("delete", &format_args!("link {ifindex}")), message);
        unless_gone(result).map(|done| done.is_some())
    }

    /// Deletes links together, so that the kernel waits only once until no CPU uses them. Some may be gone already.
    pub fn delete_links(&self, ifindexes: &[IfIndex]) -> Result<()> {
        for ifindex in ifindexes {
            unless_gone(self.set_link(*ifindex, &LinkChange { group: Some(DELETED_GROUP), ..LinkChange::default() }))?;
        }
        self.delete_group(DELETED_GROUP).map(drop)
    }

    /// Deletes all links of a group at once.
    pub fn delete_group(&self, group: u32) -> Result<bool> {
        let message = Message::new(RTM_DELLINK, NLM_F_ACK, &ifinfomsg(IfIndex::NONE, 0, 0)).u32(IFLA_GROUP, group);
        let result = self.order(about("delete", &format_args!("the links of group {group}")), message);
        unless_gone(result).map(|done| done.is_some())
    }

    fn list_links(&self, mask: u32, nsid: Option<NsId>) -> Result<Vec<LinkInfo>> {
        let message = || {
            let message = Message::new(RTM_GETLINK, NLM_F_DUMP, &ifinfomsg(IfIndex::NONE, 0, 0));
            with_target(message.u32(IFLA_EXT_MASK, mask), nsid)
        };
        let result = self.list(about("list", &"links"), message, parse);
        Ok(unless_gone_there(nsid, result)?.unwrap_or_default())
    }

    fn one_link(&self, object: &dyn Display, message: Message, nsid: Option<NsId>) -> Result<Option<LinkInfo>> {
        let mut found = None;
        let result = self.ask(about("read", object), with_target(message, nsid), |reply| found = parse(reply));
        Ok(unless_gone_there(nsid, result)?.and(found))
    }
}

impl LinkChange<'_> {
    fn flags(&self) -> (u32, u32) {
        let bit = |value: Option<bool>, bit: libc::c_int| match value {
            Some(on) => (if on { bit as u32 } else { 0 }, bit as u32),
            None => (0, 0),
        };
        let (up, noarp) = (bit(self.up, libc::IFF_UP), bit(self.noarp, libc::IFF_NOARP));
        let notrailers = bit(self.notrailers, libc::IFF_NOTRAILERS);
        (up.0 | noarp.0 | notrailers.0, up.1 | noarp.1 | notrailers.1)
    }

    fn write(&self, message: Message) -> Message {
        message
            .option(self.netns, |m, fd| m.u32(IFLA_NET_NS_FD, fd.as_raw_fd().cast_unsigned()))
            .option(self.name, |m, name| m.str(IFLA_IFNAME, name))
            .option(self.mtu, |m, mtu| m.u32(IFLA_MTU, mtu))
            .option(self.mac, |m, mac| m.bytes(IFLA_ADDRESS, &mac.0))
            .option(self.alias, |m, alias| m.bytes(IFLA_IFALIAS, alias.as_bytes()))
            .option(self.txqlen, |m, txqlen| m.u32(IFLA_TXQLEN, txqlen))
            .option(self.group, |m, group| m.u32(IFLA_GROUP, group))
            .option(self.master, |m, master| m.ifindex(IFLA_MASTER, master))
            .option(self.addr_gen_mode, |m, mode| inet6(m, IFLA_INET6_ADDR_GEN_MODE, &[mode as u8]))
            .option(self.token, |m, token| inet6(m, IFLA_INET6_TOKEN, &token.0))
    }
}

fn inet6(message: Message, attribute: u16, value: &[u8]) -> Message {
    message.nest(IFLA_AF_SPEC, |m| m.nest(libc::AF_INET6 as u16, |m| m.bytes(attribute, value)))
}

fn with_target(message: Message, nsid: Option<NsId>) -> Message {
    message.option(nsid, |m, nsid| m.nsid(IFLA_TARGET_NETNSID, nsid))
}

pub(super) fn ifinfomsg(ifindex: IfIndex, flags: u32, mask: u32) -> [u8; IFINFOMSG] {
    let mut header = [0; IFINFOMSG];
    header[4..8].copy_from_slice(&ifindex.0.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..].copy_from_slice(&mask.to_ne_bytes());
    header
}

/// The link in a message. Messages of a bridge about its ports have the same type and are ignored.
pub(super) fn parse(reply: Reply<'_>) -> Option<LinkInfo> {
    let (header, rest) = reply.payload.split_at_checked(IFINFOMSG)?;
    let about_a_link = matches!(reply.kind, RTM_NEWLINK | RTM_DELLINK) && header[0] == libc::AF_UNSPEC as u8;
    let arp_type = u16::from_ne_bytes([header[2], header[3]]);
    let (ifindex, flags) = (read_ifindex(header, 4), read_u32(header, 8));
    let mut link = LinkInfo { ifindex, flags, arp_type, ..LinkInfo::default() };
    let mut has_lost_its_peer = false;
    for attribute in attributes(rest) {
        has_lost_its_peer |= is_of_a_lost_peer(attribute);
        link.take(attribute);
    }
    if has_lost_its_peer {
        link.link = None;
    }
    about_a_link.then_some(link)
}

/// Whether it says that the lower link is in a netns that is being taken down, which has no id any more. The lower link's
/// ifindex means nothing then: read as one of this netns, it is another link's, such as the master's.
fn is_of_a_lost_peer(attribute: Attribute<'_>) -> bool {
    attribute.kind == IFLA_LINK_NETNSID && attribute.nsid().is_none()
}

impl LinkInfo {
    fn take(&mut self, attribute: Attribute<'_>) {
        match attribute.kind {
            IFLA_IFNAME => self.name = attribute.string(),
            IFLA_MTU => self.mtu = attribute.u32(),
            IFLA_ADDRESS => self.mac = attribute.value.try_into().ok().map(Mac),
            IFLA_IFALIAS => self.alias = Some(attribute.string()),
            // Index 0 stands for no peer.
            IFLA_LINK => self.link = Some(attribute.ifindex()).filter(|ifindex| *ifindex != IfIndex::NONE),
            IFLA_LINK_NETNSID => self.link_netnsid = attribute.nsid(),
            IFLA_MASTER => self.master = Some(attribute.ifindex()),
            IFLA_TXQLEN => self.txqlen = attribute.u32(),
            IFLA_QDISC => self.qdisc = attribute.string(),
            IFLA_GROUP => self.group = attribute.u32(),
            IFLA_OPERSTATE => self.operstate = attribute.u8(),
            IFLA_CARRIER => self.carrier = Some(attribute.u8() != 0),
            IFLA_CARRIER_DOWN_COUNT => self.carrier_losses = attribute.u32(),
            IFLA_LINKINFO => self.take_kind(attribute),
            IFLA_STATS64 => self.count(attribute.value),
            IFLA_NEW_NETNSID => (self.moved, self.new_netnsid) = (true, attribute.nsid()),
            IFLA_NEW_IFINDEX => self.new_ifindex = Some(attribute.ifindex()),
            IFLA_EVENT => {
                self.notify_peers = FAILOVER.contains(&attribute.u32());
                self.rejoin_groups = attribute.u32() == IFLA_EVENT_IGMP_RESEND;
            }
            IFLA_AF_SPEC => self.take_inet6(attribute),
            _ => take_detail(&mut self.detail, attribute),
        }
    }

    fn take_inet6(&mut self, families: Attribute<'_>) {
        let inet6 = families.nested().filter(|family| family.kind == libc::AF_INET6 as u16);
        for attribute in inet6.flat_map(Attribute::nested) {
            match attribute.kind {
                IFLA_INET6_ADDR_GEN_MODE => self.detail.addrgenmode = addr_gen_mode(attribute.u8()).to_owned(),
                IFLA_INET6_TOKEN => self.token = attribute.value.try_into().ok().map(Addr),
                IFLA_INET6_CONF => self.has_ipv6 = attribute.number(DEVCONF_DISABLE_IPV6) == Some(0),
                _ => {}
            }
        }
    }

    fn take_kind(&mut self, info: Attribute<'_>) {
        self.kind = info.nested().find(|a| a.kind == IFLA_INFO_KIND).map(Attribute::string);
        if self.kind.as_deref() == Some("ipvlan") {
            self.ipvlan = Some(IpvlanInfo::read(info));
        }
        let data = info.nested().filter(|a| a.kind == IFLA_INFO_DATA && self.kind.as_deref() == Some("vrf"));
        self.vrf_table = data.flat_map(Attribute::nested).find(|a| a.kind == IFLA_VRF_TABLE).map(Attribute::u32);
    }

    fn count(&mut self, stats: &[u8]) {
        self.rx_packets = read_u64(stats, 0);
        self.tx_packets = read_u64(stats, 8);
        self.rx_bytes = read_u64(stats, 16);
        self.tx_bytes = read_u64(stats, 24);
    }
}

fn take_detail(detail: &mut Detail, attribute: Attribute<'_>) {
    let number = match attribute.kind {
        IFLA_PROMISCUITY => &mut detail.promiscuity,
        IFLA_ALLMULTI => &mut detail.allmulti,
        IFLA_MIN_MTU => &mut detail.min_mtu,
        IFLA_MAX_MTU => &mut detail.max_mtu,
        IFLA_NUM_TX_QUEUES => &mut detail.num_tx_queues,
        IFLA_NUM_RX_QUEUES => &mut detail.num_rx_queues,
        IFLA_GSO_MAX_SIZE => &mut detail.gso_max_size,
        IFLA_GSO_MAX_SEGS => &mut detail.gso_max_segs,
        IFLA_TSO_MAX_SIZE => &mut detail.tso_max_size,
        IFLA_TSO_MAX_SEGS => &mut detail.tso_max_segs,
        IFLA_GRO_MAX_SIZE => &mut detail.gro_max_size,
        IFLA_GSO_IPV4_MAX_SIZE => &mut detail.gso_ipv4_max_size,
        IFLA_GRO_IPV4_MAX_SIZE => &mut detail.gro_ipv4_max_size,
        _ => return,
    };
    *number = attribute.u32();
}

fn addr_gen_mode(mode: u8) -> &'static str {
    match mode {
        0 => "eui64",
        1 => "none",
        2 => "stable_secret",
        3 => "random",
        _ => "",
    }
}
