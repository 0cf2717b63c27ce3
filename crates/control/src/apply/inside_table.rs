//! What may a file say of a slave's netns: routes, rules, and switches under `net`?

use super::value::{NewName, Prefix};
use crate::kernel::netlink::{InsideRoute, InsideRule, RouteKind};
use crate::text;
use ipvl_core::Addr;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

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
    /// The destination: an address, a prefix, or default, which is that of the gateway's family.
    pub to: String,
    /// The gateway; without it the destination is on the link.
    pub via: Option<String>,
    /// 0 by default, and 1024 for IPv6.
    pub metric: Option<u32>,
    /// The source address that it suggests.
    pub src: Option<String>,
    /// The table's number; 254, the main table, by default.
    #[schemars(range(min = 1))]
    pub table: Option<u32>,
    /// In bytes; the device's by default.
    #[schemars(range(min = 68))]
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
    pub from: Option<Prefix>,
    /// Packets to this address or prefix.
    pub to: Option<Prefix>,
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
#[serde(untagged)]
pub enum SysctlValue {
    /// A number.
    Number(i64),
    /// Anything, words apart by blanks.
    Text(String),
}

impl RouteTable {
    /// The route, or what is wrong with it.
    pub fn read(&self) -> Result<InsideRoute, String> {
        let via = self.via.as_deref().map(address).transpose()?;
        let src = self.src.as_deref().map(address).transpose()?;
        let dst = destination(&self.to, via)?;
        let kind = match self.kind {
            RouteWord::Unicast => RouteKind::Unicast,
            RouteWord::Blackhole => RouteKind::Blackhole,
            RouteWord::Unreachable => RouteKind::Unreachable,
            RouteWord::Prohibit => RouteKind::Prohibit,
        };
        let is_v4 = dst.0.as_v4().is_some();
        if via.into_iter().chain(src).any(|addr| addr.as_v4().is_some() != is_v4) {
            return Err(format!("the route to {} has addresses of both families", self.to));
        }
        if kind != RouteKind::Unicast && (via.is_some() || self.onlink) {
            return Err(format!("the route to {} leads nowhere, so it can have no gateway", self.to));
        }
        if self.onlink && via.is_none() {
            return Err(format!("the route to {} has no gateway that could be onlink", self.to));
        }
        let table = number("table", self.table.unwrap_or(InsideRoute::MAIN))?;
        let metric = self.metric.unwrap_or(InsideRoute::default_metric(dst.0));
        if metric == 0 && !is_v4 {
            return Err("an IPv6 route's metric is at least 1".to_owned());
        }
        Ok(InsideRoute { dst, kind, gateway: via, metric, src, table, mtu: self.mtu, onlink: self.onlink })
    }
}

impl RuleTable {
    /// The rule, or what is wrong with it.
    pub fn read(&self) -> Result<InsideRule, String> {
        let (from, to) = (self.from.as_ref().map(|prefix| prefix.0), self.to.as_ref().map(|prefix| prefix.0));
        let given = self.family.map(|family| family == FamilyWord::Ipv6);
        let mut families = [from, to].into_iter().flatten().map(|(addr, _)| addr.as_v4().is_none()).chain(given);
        let v6 = families.next().unwrap_or(false);
        if families.any(|other| other != v6) {
            return Err(format!("the rule of priority {} has both families", self.priority));
        }
        if self.fwmask.is_some() && self.fwmark.is_none() {
            return Err(format!("the rule of priority {} has a fwmask without a fwmark", self.priority));
        }
        let mask = self.fwmask.unwrap_or(u32::MAX);
        if self.fwmark.is_some_and(|mark| mark & mask == 0) {
            return Err(format!("the rule of priority {} has a fwmark without a bit", self.priority));
        }
        Ok(InsideRule {
            priority: number("priority", self.priority)?,
            v6,
            from,
            to,
            fwmark: self.fwmark.map(|mark| (mark & mask, mask)),
            iif: self.iif.as_ref().map(|name| name.0.clone()),
            oif: self.oif.as_ref().map(|name| name.0.clone()),
            table: number("table", self.table)?,
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
        SysctlValue::Text(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    if value.is_empty() { Err(format!("{key} has no value")) } else { Ok((parts.join("/"), value)) }
}

/// Whether a switch is of the slave alone.
pub fn is_of_slave(path: &str, ifname: &str) -> bool {
    path.split('/').any(|part| part == ifname)
}

fn destination(text: &str, via: Option<Addr>) -> Result<(Addr, u8), String> {
    match (text, via) {
        ("default", Some(via)) if via.as_v4().is_none() => Ok((Addr::UNSPECIFIED_6, 0)),
        ("default", _) => Ok((Addr::UNSPECIFIED_4, 0)),
        _ => {
            text::prefix(text).map_err(|_| format!("{text:?} is neither a prefix such as 198.51.100.0/24 nor default"))
        }
    }
}

fn address(text: &str) -> Result<Addr, String> {
    text::address(text).ok_or_else(|| format!("{text:?} is not an IP address"))
}

fn number(name: &str, number: u32) -> Result<u32, String> {
    if number == 0 { Err(format!("{name} must be at least 1")) } else { Ok(number) }
}
