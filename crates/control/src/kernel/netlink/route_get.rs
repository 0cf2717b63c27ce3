//! Which route do packets to an address take?

use super::address::{addr, family_and_bytes};
use super::socket::{Netlink, about};
use super::uapi::*;
use super::wire::{Message, Reply, attributes};
use crate::error::Result;
use ipvl_core::{Addr, IfIndex};

/// `struct rtmsg`.
const RTMSG: usize = 12;
/// Answer with the route as it is in the table, Linux 4.13.
const RTM_F_FIB_MATCH: u32 = 0x2000;

/// The route that the kernel chose for its own packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChosenRoute {
    /// The link that it leads out of.
    pub oif: IfIndex,
    /// The next hop; none if the destination is on the link.
    pub gateway: Option<Addr>,
    /// The source address that it suggests.
    pub source: Option<Addr>,
    /// `RTN_*`.
    pub kind: u8,
}

impl ChosenRoute {
    /// Whether the address belongs to this netns.
    pub fn is_local(&self) -> bool {
        self.kind == RTN_LOCAL
    }

    /// Whether the address is the broadcast address of a network.
    pub fn is_broadcast(&self) -> bool {
        self.kind == RTN_BROADCAST
    }
}

impl Netlink {
    /// The route of this netns to `dst`, for packets from `src` and out of `oif` if these are given; none if there is no route,
    /// or one that refuses the packet.
    pub fn route_to(&self, dst: Addr, src: Option<Addr>, oif: Option<IfIndex>) -> Result<Option<ChosenRoute>> {
        let message = question(dst, src, 0).option(oif, |m, oif| m.ifindex(RTA_OIF, oif));
        let mut found = None;
        match self.ask(about("look up", &format_args!("the route to {dst}")), message, |reply| found = parse(reply)) {
            Err(error) if is_refusal(error.errno()) => Ok(None),
            other => {
                other.map(|()| found.filter(|route| matches!(route.kind, RTN_UNICAST | RTN_LOCAL | RTN_BROADCAST)))
            }
        }
    }
}

impl Netlink {
    /// The route of this netns's own packets to `dst`, out of `oif` if that is given, or the errno with which the kernel refuses
    /// them.
    pub fn own_route(&self, dst: Addr, oif: Option<IfIndex>) -> Result<std::result::Result<ChosenRoute, i32>> {
        let message = question(dst, None, 0).option(oif, |m, oif| m.ifindex(RTA_OIF, oif));
        let mut found = None;
        match self.ask(about("look up", &format_args!("the route to {dst}")), message, |reply| found = parse(reply)) {
            Err(error) if is_refusal(error.errno()) => Ok(Err(error.errno().unwrap_or(libc::ENETUNREACH))),
            other => other.map(|()| found.ok_or(libc::ENETUNREACH).and_then(usable)),
        }
    }
}

/// For IPv6 the kernel tells a route that refuses.
fn usable(route: ChosenRoute) -> std::result::Result<ChosenRoute, i32> {
    match route.kind {
        RTN_UNICAST | RTN_LOCAL => Ok(route),
        libc::RTN_BLACKHOLE => Err(libc::EINVAL),
        libc::RTN_PROHIBIT => Err(libc::EACCES),
        libc::RTN_UNREACHABLE => Err(libc::EHOSTUNREACH),
        _ => Err(libc::ENETUNREACH),
    }
}

impl Netlink {
    /// The destination of the route that packets to `dst` match: of this netns's own, or of those from `src` that the link
    /// `input` receives. None where the kernel does not say.
    pub fn matched_prefix(&self, dst: Addr, forwarded: Option<(Addr, IfIndex)>) -> Option<(Addr, u8)> {
        let (src, input) = (forwarded.map(|(src, _)| src), forwarded.map(|(_, input)| input));
        let message = question(dst, src, RTM_F_FIB_MATCH).option(input, |m, input| m.ifindex(RTA_IIF, input));
        let mut found = None;
        self.ask(about("look up", &format_args!("the route to {dst}")), message, |reply| found = matched(reply))
            .ok()?;
        found
    }
}

fn question(dst: Addr, src: Option<Addr>, flags: u32) -> Message {
    let (family, bytes) = family_and_bytes(dst);
    let bits = bytes.len() as u8 * 8;
    let [a, b, c, d] = flags.to_ne_bytes();
    let header = [family, bits, src.map_or(0, |_| bits), 0, RT_TABLE_UNSPEC, 0, 0, 0, a, b, c, d];
    Message::new(RTM_GETROUTE, NLM_F_ACK, &header)
        .bytes(RTA_DST, &bytes)
        .option(src, |m, src| m.bytes(RTA_SRC, &family_and_bytes(src).1))
}

/// A default route has no destination.
fn matched(reply: Reply<'_>) -> Option<(Addr, u8)> {
    let (header, rest) = reply.payload.split_at_checked(RTMSG)?;
    let destination = attributes(rest).find(|attribute| attribute.kind == RTA_DST).and_then(|found| addr(found.value));
    let anywhere = if i32::from(header[0]) == libc::AF_INET { Addr::v4([0; 4]) } else { Addr([0; 16]) };
    Some((destination.unwrap_or(anywhere), header[1]))
}

/// Whether the kernel says that there is no route, or a blackhole (EINVAL), unreachable or prohibit route.
fn is_refusal(errno: Option<i32>) -> bool {
    matches!(errno, Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EACCES | libc::EINVAL | libc::ENODEV))
}

fn parse(reply: Reply<'_>) -> Option<ChosenRoute> {
    let (header, rest) = reply.payload.split_at_checked(RTMSG)?;
    let mut route = ChosenRoute { oif: IfIndex::NONE, gateway: None, source: None, kind: header[7] };
    for attribute in attributes(rest) {
        match attribute.kind {
            RTA_OIF => route.oif = attribute.ifindex(),
            RTA_GATEWAY => route.gateway = addr(attribute.value),
            // `struct rtvia`: the family, then the address.
            RTA_VIA => route.gateway = attribute.value.get(2..).and_then(addr),
            RTA_PREFSRC => route.source = addr(attribute.value),
            _ => {}
        }
    }
    Some(route)
}
