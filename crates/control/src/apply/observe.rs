//! What is there that files may be about? The slaves, and what files gave their namespaces.

use super::actual::{self, ActualLink, ActualState};
use super::desired::{DesiredLink, DesiredState};
use super::inside::Shared;
use super::inside_table::Inside;
use super::plan::{find, is_ours};
use crate::error::Result;
use crate::kernel::netlink::Netlink;
use crate::kernel::sysctl;
use ipvl_core::IfIndex;
use std::collections::BTreeMap;

/// Reads everything that the files may be about.
pub fn observe(desired: &DesiredState) -> Result<ActualState> {
    let netlink = Netlink::open()?;
    let mut actual = actual::read(&netlink, desired)?;
    read_inside(&netlink, desired, &mut actual)?;
    Ok(actual)
}

/// Reads what the namespaces of the slaves have. What a netns has for none of its slaves in particular is counted with the
/// first of them that is in the files, so that only one removes it.
fn read_inside(netlink: &Netlink, desired: &DesiredState, actual: &mut ActualState) -> Result<()> {
    let mut meant: BTreeMap<IfIndex, &DesiredLink> = BTreeMap::new();
    for link in desired.links.iter().rev() {
        find(link, &actual.slaves).into_iter().for_each(|slave| _ = meant.insert(slave.host_end.0, link));
    }
    let mut seen = Vec::new();
    for slave in &mut actual.slaves {
        let link = meant.get(&slave.host_end.0).copied();
        if link.is_none() && !is_ours(slave) {
            continue;
        }
        let mut there = read(netlink, slave, link)?;
        let own = |shared: &Shared<'_>| link.is_some_and(|link| link.inside.has(shared));
        let is_beside = |other: &&DesiredLink| other.netns == slave.netns;
        let wanted = |shared: &Shared<'_>| desired.links.iter().filter(is_beside).any(|other| other.inside.has(shared));
        let takes =
            !seen.contains(&slave.netns) && (link.is_some() || !desired.links.iter().any(|link| is_beside(&link)));
        there.retain_shared(|shared| own(shared) || takes && !wanted(shared));
        seen.extend(takes.then(|| slave.netns.clone()));
        slave.inside = there;
    }
    Ok(())
}

fn read(netlink: &Netlink, slave: &ActualLink, link: Option<&DesiredLink>) -> Result<Inside> {
    let paths: Vec<String> = link.iter().flat_map(|link| link.inside.sysctls.keys().cloned()).collect();
    if slave.ifindex == IfIndex::NONE {
        return Ok(Inside::default());
    }
    let is_local = slave.local;
    slave.within(netlink, move |there, ifindex| {
        let is_its = |oif: IfIndex| oif == ifindex || oif == IfIndex::NONE && !is_local;
        let routes = there.inside_routes()?.into_iter().filter(|(oif, _)| is_its(*oif)).map(|(_, route)| route);
        let rules = if is_local { Vec::new() } else { there.inside_rules()? };
        let value = |path: String| sysctl::get(&path).map(|value| (path, words(&value)));
        let sysctls = paths.into_iter().filter_map(value).collect();
        Ok(Inside { routes: routes.collect(), rules: rules.into_iter().collect(), sysctls })
    })
}

/// Values apart by single blanks, as the kernel reads them as well.
fn words(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}
