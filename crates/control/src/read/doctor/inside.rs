//! What is wrong in a slave's own netns: its routes, its neighbours, what it forwards?

use super::finding::{bad, limited};
use crate::error::Result;
use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::kernel::sysctl;
use crate::model::{Finding, Kind, Link};
use crate::slave::find;
use ipvl_core::{Addr, IfIndex, Mode};

const FORWARDING: [&str; 2] = ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"];

/// The findings in the netns of a slave that is up. `declared`: whether addresses are declared for it.
pub fn inside(netlink: &Netlink, link: &Link, declared: bool) -> Result<Vec<Finding>> {
    if link.kind == Kind::Ipvtap || link.netnsid.is_none() || !link.is_up() {
        return Ok(Vec::new());
    }
    let here = FORWARDING.map(|name| sysctl::is(name, "1"));
    let work = |there: &Netlink, ifindex: IfIndex| {
        let mut findings = routes(there, ifindex, link)?;
        if !declared && link.options.mode == Mode::L2 {
            findings.extend(forwards(there, link, here)?);
        }
        Ok(findings)
    };
    find::slave(netlink, &link.host_end.1)?.in_its_netns(netlink, work)
}

fn routes(there: &Netlink, ifindex: IfIndex, link: &Link) -> Result<Vec<Finding>> {
    let addresses = there.addresses(Some(ifindex), None)?;
    let has = |is_v4: bool| addresses.iter().any(|a| a.addr.as_v4().is_some() == is_v4 && !a.addr.is_link_local());
    let (v4, v6) = there.has_default_routes()?;
    let mut findings = Vec::new();
    for (there, is_v4, family, option) in [(v4, true, "IPv4", ""), (v6, false, "IPv6", "-6 ")] {
        if !there && has(is_v4) {
            let text = format!("its network namespace has no {family} default route: it reaches only its own network");
            findings.push(limited(
                &link.name,
                &text,
                &format!("ip -n {} {option}route add default {}", netns(link), way(link)),
            ));
        }
    }
    for gateway in there.slave_routes(ifindex)?.into_iter().filter_map(|route| route.gateway) {
        findings.extend(silent(there, ifindex, link, gateway)?);
    }
    Ok(findings)
}

/// How a slave's default route leads out.
fn way(link: &Link) -> String {
    match link.options.mode {
        Mode::L2 => format!("via ROUTER dev {}", link.name),
        Mode::L3 | Mode::L3s => format!("dev {}", link.name),
    }
}

fn silent(there: &Netlink, ifindex: IfIndex, link: &Link, gateway: Addr) -> Result<Option<Finding>> {
    let failed = there.neighbour(ifindex, gateway)?.is_some_and(|neighbour| neighbour.is_failed());
    Ok(failed.then(|| {
        let text = format!("its router {gateway} does not answer: the neighbour entry is FAILED");
        bad(
            &link.name,
            &text,
            &format!(
                "is {gateway} up, and on the network of {}? ipvl explain from {} to {gateway} arp",
                link.master.1, link.name
            ),
        )
    }))
}

/// A netns that forwards, for networks that the tables do not know. `here`: whether this netns forwards, from which a new
/// one may have inherited it.
fn forwards(there: &Netlink, link: &Link, here: [bool; 2]) -> Result<Option<Finding>> {
    let on = FORWARDING.map(|name| sysctl::is(name, "1"));
    let chosen = (0..2).any(|family| on[family] && !here[family]);
    let is_other = |other: &LinkInfo| other.name != "lo" && other.name != link.name && other.is_up();
    let routes = (on[0] || on[1]) && there.links(None)?.iter().any(is_other);
    if !chosen && !routes {
        return Ok(None);
    }
    let (name, netns) = (&link.name, netns(link));
    let text = format!("{netns} forwards, and nothing is declared for it: packets to networks behind it are dropped");
    Ok(Some(limited(name, &text, &format!("ipvl addr add PREFIX dev {name}"))))
}

fn netns(link: &Link) -> &str {
    link.netns.as_deref().unwrap_or("NETNS")
}
