//! What is wrong with a slave, seen from its master's netns?

use super::finding::{bad, limited};
use crate::error::Result;
use crate::kernel::filters;
use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::kernel::sysctl;
use crate::model::{AddressEntry, AddressStatus, Finding, Link};
use crate::quota::VARIABLE;
use crate::read::degraded::remedy;
use crate::read::explain::obstacle;
use crate::slave::routes::Sources;
use ipvl_core::{HostAccess, IfIndex, Mode};

/// The findings about one slave; `addresses` is the address table.
pub fn slave(netlink: &Netlink, link: &Link, addresses: &[AddressEntry]) -> Result<Vec<Finding>> {
    let name = &link.name;
    let mut findings: Vec<Finding> = link.degraded.iter().map(|text| bad(name, text, remedy(text))).collect();
    findings.extend(upper(netlink, link).map(|upper| {
        let text =
            format!("it belongs to {upper}, which sends frames with other MAC addresses or tags: these are dropped");
        limited(name, &text, "use a macvlan or a bridge instead of the slave")
    }));
    findings.extend(addresses.iter().filter(|entry| is_of(entry, link)).filter_map(conflict));
    findings.extend(refused(link, addresses));
    if link.degraded.is_empty() && link.is_up() && !link.has_carrier() {
        let text = format!(
            "it is up but has no carrier: {} is down or has no carrier, or the agent has not noticed yet",
            link.master.1
        );
        findings.push(bad(name, &text, &format!("ip link set dev {} up; ipvl agent, if none runs", link.master.1)));
    }
    if reaches_host(link) {
        let own = addresses.iter().filter(|entry| is_of(entry, link) && !entry.addr.is_link_local());
        let has_v6 = own.into_iter().any(|entry| entry.addr.as_v4().is_none());
        findings.extend(not_forwarding(link));
        findings.extend(not_forwarding_v6(link).filter(|_| has_v6));
        findings.extend(no_source(netlink, link, addresses)?);
    } else if link.options.mode == Mode::L3 {
        findings.extend(no_way_out(netlink, link, addresses)?);
    }
    Ok(findings)
}

/// The findings about a slave of the kernel module.
pub fn in_module(netlink: &Netlink, link: &Link, addresses: &[AddressEntry]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    if link.is_up() && !link.has_carrier() {
        let text = format!("it is up but has no carrier: {} is down or has no carrier", link.master.1);
        findings.push(bad(&link.name, &text, &format!("ip link set dev {} up", link.master.1)));
    }
    if reaches_host(link) {
        findings.extend(not_reached_by_host(netlink, link, addresses)?);
    }
    Ok(findings)
}

/// Whether the host has no route by the master to an address of a slave of the module, which it reaches in no other way.
fn not_reached_by_host(netlink: &Netlink, link: &Link, addresses: &[AddressEntry]) -> Result<Option<Finding>> {
    let own = addresses.iter().filter(|entry| is_of(entry, link) && entry.status == AddressStatus::Device);
    for addr in own.map(|entry| entry.addr).filter(|addr| !addr.is_link_local()) {
        if netlink.own_route(addr, None)?.is_ok_and(|route| route.oif == link.master.0) {
            continue;
        }
        let master = &link.master.1;
        let text = format!("the host has no route to {addr} out of {master}, and so does not reach {}", link.name);
        return Ok(Some(limited(&link.name, &text, &format!("ip route add {addr} dev {master}"))));
    }
    Ok(None)
}

/// The findings about one master.
pub fn master(netlink: &Netlink, (ifindex, name): &(IfIndex, String)) -> Result<Vec<Finding>> {
    let blocked = netlink.link(*ifindex, None)?.and_then(|_| obstacle(netlink, *ifindex).ok().flatten());
    let told = blocked.map(|(why, remedy)| bad(name, &format!("{why}: its slaves reach only each other"), &remedy));
    Ok(told.into_iter().collect())
}

/// What the host's rules may do to slaves that its stack forwards for.
pub fn rules(links: &[Link]) -> Vec<Finding> {
    let Some(link) = links.iter().find(|link| reaches_host(link)) else { return Vec::new() };
    let chains = filters::forward_chains().unwrap_or_default();
    let told = chains.into_iter().filter(|chain| chain.drops).map(|chain| {
        let (table, chain) = (chain.table, chain.name);
        let text =
            format!("chain {chain} of table {table} has policy drop, and the host's stack forwards for {}", link.name);
        let rule = format!(
            "unless a rule accepts it: nft add rule {table} {chain} iifname '\"ipvlh*\"' accept, and the same with oifname"
        );
        limited("forward", &text, &rule)
    });
    told.collect()
}

fn reaches_host(link: &Link) -> bool {
    link.options.host == HostAccess::On || link.options.mode == Mode::L3s
}

fn is_of(entry: &AddressEntry, link: &Link) -> bool {
    entry.slave.as_ref() == Some(&link.name) && entry.master == link.master.1
}

fn conflict(entry: &AddressEntry) -> Option<Finding> {
    let (name, owner) = (entry.slave.as_deref()?, entry.owner.as_deref().unwrap_or("?"));
    (entry.status == AddressStatus::Conflict).then(|| {
        let text = format!(
            "{} is on its device, but belongs to {owner}, which had it first: {name} gets no traffic for it",
            entry.addr
        );
        bad(
            name,
            &text,
            &format!(
                "give one of the two another address: ip -n NETNS addr del {addr} dev {name}; or move it: ipvl addr replace \
                 {addr} dev {name}",
                addr = entry.addr
            ),
        )
    })
}

/// Addresses of the slave that found no room in the table.
fn refused(link: &Link, addresses: &[AddressEntry]) -> Option<Finding> {
    let of_slave = addresses.iter().filter(|entry| is_of(entry, link));
    let lost: Vec<_> = of_slave.filter(|entry| entry.status == AddressStatus::Refused).collect();
    let first = lost.first()?.addr;
    let owned = |entry: &&AddressEntry| entry.master == link.master.1 && entry.status != AddressStatus::Refused;
    let (count, master) = (addresses.iter().filter(owned).count(), &link.master.1);
    let text = format!(
        "{} of its addresses, such as {first}, are refused: the table of {master} has {count} addresses, and is full or has \
         all that one network namespace may have; it gets no traffic for them",
        lost.len()
    );
    Some(bad(&link.name, &text, &format!("remove addresses from its device, or raise {VARIABLE} of the agent")))
}

/// Whether the host has no address of its own in the network of an IPv4 address of a slave that it is to reach.
fn no_source(netlink: &Netlink, link: &Link, addresses: &[AddressEntry]) -> Result<Option<Finding>> {
    let sources = Sources::read(netlink, link.master.0)?;
    let own = addresses.iter().filter(|entry| is_of(entry, link) && entry.status == AddressStatus::Device);
    let v4: Vec<_> = own.map(|entry| entry.addr).filter(|addr| addr.as_v4().is_some()).collect();
    let Some(addr) = v4.first().filter(|_| v4.iter().all(|addr| sources.toward(netlink, *addr).is_none())) else {
        return Ok(None);
    };
    let text = format!(
        "the host has no address in the network of {addr}: it speaks to {} from another one, which it may not know",
        link.name
    );
    let fix =
        format!("ip addr add ADDRESS dev {}, or a route to the host's address in the slave's netns", link.master.1);
    Ok(Some(limited(&link.name, &text, &fix)))
}

/// The switches without which the host's stack does not forward for a slave.
fn not_forwarding(link: &Link) -> Option<Finding> {
    let devices = [&link.host_end.1, &link.master.1];
    let off = devices.into_iter().find(|device| sysctl::is(&format!("net/ipv4/conf/{device}/forwarding"), "0"))?;
    let text = format!("it uses the host's stack, which does not forward what {off} receives");
    Some(bad(&link.name, &text, &format!("sysctl net.ipv4.conf.{off}.forwarding=1")))
}

/// The same for IPv6, which has a switch for each device only since Linux 6.17, and one for all.
fn not_forwarding_v6(link: &Link) -> Option<Finding> {
    if !sysctl::is("net/ipv6/conf/all/forwarding", "0") {
        return None;
    }
    let switch = |device: &str| format!("net/ipv6/conf/{device}/force_forwarding");
    let off = [&link.host_end.1, &link.master.1].into_iter().find(|device| !sysctl::is(&switch(device), "1"))?;
    let text = format!("it uses the host's stack, which does not forward what {off} receives in IPv6");
    let remedy = match sysctl::get(&switch(off)) {
        Some(_) => format!("sysctl net.ipv6.conf.{off}.force_forwarding=1"),
        None => {
            "sysctl net.ipv6.conf.all.forwarding=1 (makes the host a router: it forgets routes from advertisements)"
                .to_owned()
        }
    };
    Some(bad(&link.name, &text, &remedy))
}

/// Whether the host has no default route for a family in which an l3 slave has an address.
fn no_way_out(netlink: &Netlink, link: &Link, addresses: &[AddressEntry]) -> Result<Vec<Finding>> {
    let (v4, v6) = netlink.has_default_routes()?;
    let own = || addresses.iter().filter(|entry| is_of(entry, link) && !entry.addr.is_link_local());
    let has = |is_v4: bool| own().any(|entry| entry.addr.as_v4().is_some() == is_v4);
    let told = [(v4, true, "IPv4"), (v6, false, "IPv6")].into_iter().filter(|(there, is_v4, _)| !there && has(*is_v4));
    Ok(told
        .map(|(_, is_v4, family)| {
            let text = format!("it is routed by the host's table, which has no {family} default route");
            let fix = match is_v4 {
                true => "ip route add default via ROUTER, on the host",
                false => "ip -6 route add default via ROUTER; a host that forwards needs accept_ra=2 to learn it",
            };
            limited(&link.name, &text, fix)
        })
        .collect())
}

/// The bridge or bond that the slave belongs to, if that can be read.
fn upper(netlink: &Netlink, link: &Link) -> Option<String> {
    let device: LinkInfo = netlink.link(link.ifindex, link.netnsid).ok()??;
    netlink.link(device.master?, link.netnsid).ok()?.map(|upper| upper.name)
}
