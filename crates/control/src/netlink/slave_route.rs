//! How does a slave's own routing table get a route, as an engine words it?

use super::address::family_and_bytes;
use super::uapi::*;
use super::wire::Message;
use super::{Netlink, about};
use crate::error::Result;
use ipvl_core::Addr;
use std::fmt;

/// `struct rtmsg`.
const RTMSG: usize = 12;

/// A route out of a slave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlaveRoute {
    /// Whereto, and the length in bits of the address's own family.
    pub dst: (Addr, u8),
    /// By which neighbour; none for one straight to the device.
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
    /// One with nothing special about it.
    pub fn new(dst: (Addr, u8), gateway: Option<Addr>) -> Self {
        Self { dst, gateway, metric: None, mtu: None, advmss: None, table: None, scope: None }
    }
}

impl Netlink {
    /// Adds a route beside those that are there; one that is there already stays.
    pub(crate) fn add_slave_route(&self, ifindex: u32, route: &SlaveRoute) -> Result<()> {
        let object = format_args!("{route} to link {ifindex}");
        match self.order(about("add", &object), message(ifindex, route)) {
            Err(error) if error.is_exists() => Ok(()),
            other => other,
        }
    }
}

impl fmt::Display for SlaveRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "route {}/{}", self.dst.0, self.dst.1)?;
        self.gateway.map_or(Ok(()), |gateway| write!(f, " via {gateway}"))
    }
}

fn message(ifindex: u32, route: &SlaveRoute) -> Message {
    let (family, dst) = family_and_bytes(route.dst.0);
    let mut header = [0; RTMSG];
    header[..2].copy_from_slice(&[family, route.dst.1]);
    header[5..8].copy_from_slice(&[RTPROT_STATIC, route.scope.unwrap_or(0), RTN_UNICAST]);
    Message::new(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND, &header)
        .bytes(RTA_DST, &dst)
        .u32(RTA_OIF, ifindex)
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
