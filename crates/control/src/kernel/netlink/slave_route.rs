//! How are the routes of a slave's own netns added and listed?

use super::address::{addr, family_and_bytes};
use super::socket::{Netlink, about};
use super::uapi::*;
use super::wire::{Attribute, Message, Reply, attributes};
use crate::error::Result;
use ipvl_core::{Addr, IfIndex};
use std::fmt;

/// `struct rtmsg`.
const RTMSG: usize = 12;

/// A route out of a slave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlaveRoute {
    /// The destination, and its length in bits of the address's own family.
    pub dst: (Addr, u8),
    /// The gateway; none if the destination is on the link.
    pub gateway: Option<Addr>,
    /// The kernel's default by default.
    pub metric: Option<u32>,
    /// In bytes; the device's by default.
    pub mtu: Option<u32>,
    /// The TCP segment size to advertise, in bytes.
    pub advmss: Option<u32>,
    /// `main` (254) by default.
    pub table: Option<u32>,
    /// `RT_SCOPE_*`; global (0) by default.
    pub scope: Option<u8>,
}

impl SlaveRoute {
    /// A route with defaults for all else.
    pub fn new(dst: (Addr, u8), gateway: Option<Addr>) -> Self {
        Self { dst, gateway, metric: None, mtu: None, advmss: None, table: None, scope: None }
    }
}

impl Netlink {
    /// Adds a route, unless it is there already.
    pub(crate) fn add_slave_route(&self, ifindex: IfIndex, route: &SlaveRoute) -> Result<()> {
        let object = format_args!("{route} to link {ifindex}");
        match self.order(about("add", &object), message(ifindex, route)) {
            Err(error) if error.is_exists() => Ok(()),
            other => other,
        }
    }
}

impl Netlink {
    /// The routes of a device, of both families.
    pub(crate) fn slave_routes(&self, ifindex: IfIndex) -> Result<Vec<SlaveRoute>> {
        let found = self.all_routes(RTPROT_UNSPEC, parse)?.into_iter();
        Ok(found.filter(|(oif, _)| *oif == ifindex).map(|(_, route)| route).collect())
    }
}

/// The route in a message, and its device.
fn parse(reply: Reply<'_>) -> Option<(IfIndex, SlaveRoute)> {
    let (header, rest) = reply.payload.split_at_checked(RTMSG)?;
    let default = if header[0] == libc::AF_INET as u8 { Addr::UNSPECIFIED_4 } else { Addr::UNSPECIFIED_6 };
    let mut oif = IfIndex::NONE;
    let mut route = SlaveRoute::new((default, header[1]), None);
    (route.scope, route.table) = (Some(header[6]), Some(u32::from(header[4])));
    for attribute in attributes(rest) {
        match attribute.kind {
            RTA_DST => route.dst.0 = addr(attribute.value)?,
            RTA_OIF => oif = attribute.ifindex(),
            RTA_GATEWAY => route.gateway = addr(attribute.value),
            RTA_PRIORITY => route.metric = Some(attribute.u32()),
            RTA_TABLE => route.table = Some(attribute.u32()),
            RTA_METRICS => {
                let metric = |kind| attribute.nested().find(|a| a.kind == kind).map(Attribute::u32);
                (route.mtu, route.advmss) = (metric(RTAX_MTU), metric(RTAX_ADVMSS));
            }
            _ => {}
        }
    }
    Some((oif, route))
}

impl fmt::Display for SlaveRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "route {}/{}", self.dst.0, self.dst.1)?;
        self.gateway.map_or(Ok(()), |gateway| write!(f, " via {gateway}"))
    }
}

fn message(ifindex: IfIndex, route: &SlaveRoute) -> Message {
    let (family, dst) = family_and_bytes(route.dst.0);
    let mut header = [0; RTMSG];
    header[..2].copy_from_slice(&[family, route.dst.1]);
    header[5..8].copy_from_slice(&[RTPROT_STATIC, route.scope.unwrap_or(0), RTN_UNICAST]);
    Message::new(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND, &header)
        .bytes(RTA_DST, &dst)
        .ifindex(RTA_OIF, ifindex)
        .u32(RTA_TABLE, route.table.unwrap_or(RT_TABLE_MAIN))
        .option(route.gateway, |m, addr| m.bytes(RTA_GATEWAY, &family_and_bytes(addr).1))
        .option(route.metric, |m, metric| m.u32(RTA_PRIORITY, metric))
        .option(route.mtu.or(route.advmss), |m, _| m.nest(RTA_METRICS, |m| metrics(m, route)))
}

fn metrics(message: Message, route: &SlaveRoute) -> Message {
    message
        .option(route.mtu, |m, mtu| m.u32(RTAX_MTU, mtu))
        .option(route.advmss, |m, advmss| m.u32(RTAX_ADVMSS, advmss))
}
