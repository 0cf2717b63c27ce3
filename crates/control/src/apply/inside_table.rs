//! What may a file say of a slave's netns: routes, rules, and switches under `net`?

use super::value::{Address, Destination, NewName, Packets};
use crate::kernel::netlink::{InsideRoute, InsideRule, RouteKind};
use ipvl_core::Addr;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// The kernel makes larger ones smaller without a word.
const ROUTE_MTU: RangeInclusive<u32> = 68..=65520;
/// Stands for the slave's name in the name of a switch.
const IFNAME: &str = "IFNAME";

/// What a file gives a slave's netns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inside {
    /// Routes out of the slave, or nowhere.
    pub routes: BTreeSet<InsideRoute>,
    /// Rules of its netns.
    pub rules: BTreeSet<InsideRule>,
    /// Switches, by their paths under `/proc/sys`, with their values.
    pub sysctls: BTreeMap<String, String>,
}

/// A route of the slave's netns.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteTable {
    /// The destination. default is that of the gateway's family.
    pub to: Destination,
    /// The gateway; without it the destination is on the link.
    pub via: Option<Address>,
    /// 0 by default, and 1024 for IPv6.
    pub metric: Option<u32>,
    /// The source address that it suggests.
    pub src: Option<Address>,
    /// The table's number; 254, the main table, by default.
    #[schemars(range(min = 1))]
    pub table: Option<u32>,
    /// In bytes; the device's by default.
    #[schemars(range(min = 68, max = 65520))]
    pub mtu: Option<u32>,
    /// Whether the gateway is on the link although no address says so.
    #[serde(default)]
    pub onlink: bool,
    /// unicast: out of the slave. The others lead nowhere.
    #[serde(default, rename = "type")]
    pub kind: RouteWord,
}

/// What becomes of packets on a route.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the words of ip(8)")]
pub enum RouteWord {
    #[default]
    Unicast,
    Blackhole,
    Unreachable,
    Prohibit,
}

/// A rule of the slave's netns: which packets are looked up in a table.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleTable {
    /// Lower ones are looked at first.
    #[schemars(range(min = 1))]
    pub priority: u32,
    /// The table's number.
    #[schemars(range(min = 1))]
    pub table: u32,
    /// Packets from this address or prefix.
    pub from: Option<Packets>,
    /// Packets to this address or prefix.
    pub to: Option<Packets>,
    /// Packets with this mark.
    pub fwmark: Option<u32>,
    /// The bits of the mark that count; all by default.
    pub fwmask: Option<u32>,
    /// Packets that this device has received.
    pub iif: Option<NewName>,
    /// Packets of sockets that are bound to this device.
    pub oif: Option<NewName>,
    /// ipv4 or ipv6, where neither `from` nor `to` says it; ipv4 by default.
    pub family: Option<FamilyWord>,
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the words say it")]
pub enum FamilyWord {
    Ipv4,
    Ipv6,
}

/// A value of a switch.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "neither a number nor a text")]
pub enum SysctlValue {
    /// A number.
    Number(i64),
    /// Anything, words apart by blanks.
    Text(String),
}

impl RouteTable {
    /// The route, or what is wrong with it.
    pub fn read(&self) -> Result<InsideRoute, String> {
        let (via, src) = (self.via.as_ref().map(|via| via.0), self.src.as_ref().map(|src| src.0));
        let dst = self.to.0.unwrap_or_else(|| (unspecified(via.or(src)), 0));
        let (kind, is_v4) = (RouteKind::from(self.kind), dst.0.as_v4().is_some());
        let route = InsideRoute {
            dst,
            kind,
            gateway: via,
            metric: self.metric.unwrap_or(InsideRoute::default_metric(dst.0)),
            src,
            table: self.table.unwrap_or(InsideRoute::MAIN),
            mtu: self.mtu,
            onlink: self.onlink,
        };
        let wrong = match &route {
            _ if via.into_iter().chain(src).any(|addr| addr.as_v4().is_some() != is_v4) => {
                "has addresses of both families"
            }
            _ if kind != RouteKind::Unicast && (via.is_some() || self.onlink) => {
                "leads nowhere, so it can have no gateway"
            }
            _ if self.mtu.is_some_and(|mtu| !ROUTE_MTU.contains(&mtu)) => "has an mtu that is not from 68 to 65520",
            _ if self.onlink && via.is_none() => "has no gateway that could be onlink",
            InsideRoute { table: 0, .. } => "has no table: they count from 1",
            InsideRoute { metric: 0, .. } if !is_v4 => "has the metric 0: those of IPv6 count from 1",
            _ => return Ok(route),
        };
        Err(format!("the route {route} {wrong}"))
    }
}

impl From<RouteWord> for RouteKind {
    fn from(word: RouteWord) -> Self {
        match word {
            RouteWord::Unicast => Self::Unicast,
            RouteWord::Blackhole => Self::Blackhole,
            RouteWord::Unreachable => Self::Unreachable,
            RouteWord::Prohibit => Self::Prohibit,
        }
    }
}

impl RuleTable {
    /// The rule, or what is wrong with it.
    pub fn read(&self) -> Result<InsideRule, String> {
        let (from, to) = (self.from.as_ref().map(|prefix| prefix.0), self.to.as_ref().map(|prefix| prefix.0));
        let given = self.family.map(|family| family == FamilyWord::Ipv6);
        let mut families = [from, to].into_iter().flatten().map(|(addr, _)| addr.as_v4().is_none()).chain(given);
        let v6 = families.next().unwrap_or(false);
        let mask = self.fwmask.unwrap_or(u32::MAX);
        let wrong = match self {
            _ if families.any(|other| other != v6) => "has both families",
            Self { priority: 0, .. } => "has no priority: they count from 1",
            Self { table: 0, .. } => "has no table: they count from 1",
            Self { fwmask: Some(_), fwmark: None, .. } => "has a fwmask without a fwmark",
            Self { fwmark: Some(mark), .. } if mark & mask == 0 => "has a fwmark without a bit",
            _ => "",
        };
        if !wrong.is_empty() {
            return Err(format!("the rule of priority {} {wrong}", self.priority));
        }
        Ok(InsideRule {
            priority: self.priority,
            v6,
            from: from.filter(|(_, len)| *len > 0),
            to: to.filter(|(_, len)| *len > 0),
            fwmark: self.fwmark.map(|mark| (mark & mask, mask)),
            iif: self.iif.as_ref().map(|name| name.0.clone()),
            oif: self.oif.as_ref().map(|name| name.0.clone()),
            table: self.table,
        })
    }
}

/// A switch's path under `/proc/sys`, and its value, for the slave of this name.
pub fn sysctl(key: &str, value: &SysctlValue, ifname: &str) -> Result<(String, String), String> {
    let parts: Vec<&str> = key.split('.').map(|part| if part == IFNAME { ifname } else { part }).collect();
    let sound = |part: &&str| !part.is_empty() && !part.contains(['/', '\0']) && !part.chars().all(|c| c == '.');
    if parts.len() < 3 || parts[0] != "net" || !parts.iter().all(sound) {
        return Err(format!("{key:?} is not a switch of a netns, such as net.ipv4.conf.{IFNAME}.rp_filter"));
    }
    let value = match value {
        SysctlValue::Number(number) => number.to_string(),
        SysctlValue::Text(text) => words(text),
    };
    if value.is_empty() { Err(format!("{key} has no value")) } else { Ok((parts.join("/"), value)) }
}

/// Values apart by single blanks, as the kernel reads them as well.
pub fn words(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a switch is of the slave alone.
pub fn is_of_slave(path: &str, ifname: &str) -> bool {
    match path.split('/').skip(1).collect::<Vec<_>>()[..] {
        [_, "conf" | "neigh", device, ..] => device == ifname && !matches!(device, "all" | "default"),
        _ => false,
    }
}

fn unspecified(like: Option<Addr>) -> Addr {
    if like.is_some_and(|addr| addr.as_v4().is_none()) { Addr::UNSPECIFIED_6 } else { Addr::UNSPECIFIED_4 }
}
