//! What have files given the namespaces of their slaves before, and which values have the switches that they name?

use super::actual::{ActualLink, ActualState};
use super::desired::{DesiredLink, DesiredState};
use super::find::{find, is_ours};
use super::inside::{Given, enter};
use super::inside_table::{Inside, words};
use crate::error::{Error, Result};
use crate::kernel::netlink::Netlink;
use crate::kernel::sysctl;
use crate::place::{NsId, Place};
use crate::slave::find::OpenPlace;
use ipvl_core::IfIndex;
use std::collections::{BTreeMap, BTreeSet};

/// The tables of files by the slaves that they mean.
type Meant<'a> = BTreeMap<Place, &'a DesiredLink>;

/// What a netns has.
struct There {
    given: Given,
    values: BTreeMap<String, String>,
}

/// Adds it to the slaves that came from files or that files mean, and what no slave is left for to the state itself.
pub(super) fn add(netlink: &Netlink, desired: &DesiredState, actual: &mut ActualState) -> Result<()> {
    let found = |link| Some((find(link, &actual.slaves)?.place, link));
    let meant: Meant<'_> = desired.links.iter().filter_map(found).collect();
    let mut by_netns: BTreeMap<Option<NsId>, Vec<&mut ActualLink>> = BTreeMap::new();
    for slave in &mut actual.slaves {
        let is_known = is_ours(slave) || meant.contains_key(&slave.place);
        if let Some(device) = slave.device.filter(|_| is_known) {
            by_netns.entry(device.netns).or_default().push(slave);
        }
    }
    let mut without_slaves = named(desired);
    without_slaves.retain(|name| actual.netns.contains(name));
    for slaves in by_netns.values_mut() {
        let name = slaves.first().and_then(|slave| slave.netns.clone());
        let left = add_in_netns(netlink, desired, &meant, slaves)?;
        let Some(name) = name else { continue };
        without_slaves.remove(&name);
        actual.left.insert(name, left);
    }
    for name in without_slaves {
        let here = OpenPlace::named(&name, IfIndex::NONE)?;
        let shared = here.enter(netlink, |there, _| Ok(Given::read(there)?.shared()))?;
        let left = unwanted(shared, &beside(desired, Some(&name)));
        actual.left.insert(name, left);
    }
    actual.left.retain(|_, left| !left.is_empty());
    Ok(())
}

/// The namespaces that files are about.
fn named(desired: &DesiredState) -> BTreeSet<String> {
    desired.links.iter().filter_map(|link| link.netns.clone()).chain(desired.netns.iter().cloned()).collect()
}

/// The tables of a netns.
fn beside<'a>(desired: &'a DesiredState, netns: Option<&String>) -> Vec<&'a DesiredLink> {
    desired.links.iter().filter(|link| netns.is_some() && link.netns.as_ref() == netns).collect()
}

fn unwanted(shared: Inside, tables: &[&DesiredLink]) -> Inside {
    tables.iter().fold(shared, |rest, link| rest.without(&link.inside))
}

/// Reads a netns for the slaves in it. What is of no slave in particular is counted with each that its table gives it to; what
/// no table gives any more, with one slave, so that only one removes it. It is returned if the tables' slaves are not there.
fn add_in_netns(
    netlink: &Netlink,
    desired: &DesiredState,
    meant: &Meant<'_>,
    slaves: &mut [&mut ActualLink],
) -> Result<Inside> {
    let Some(there) = read(netlink, meant, slaves)? else { return Ok(Inside::default()) };
    let (is_here, netns) = (slaves.iter().any(|slave| slave.local), slaves[0].netns.clone());
    let shared = if is_here { Inside::default() } else { there.given.shared() };
    let tables = beside(desired, netns.as_ref());
    for slave in &mut *slaves {
        let link = meant.get(&slave.place);
        slave.inside = there.given.out_of(slave.device.map_or(IfIndex::NONE, |device| device.ifindex));
        if let Some(link) = link.filter(|link| link.netns == netns) {
            slave.inside.join(shared.common(&link.inside));
        }
        let paths = link.iter().flat_map(|link| link.inside.sysctls.keys());
        slave.inside.sysctls = paths.filter_map(|path| Some((path.clone(), there.values.get(path)?.clone()))).collect();
    }
    let rest = unwanted(shared, &tables);
    match slaves.iter_mut().find(|slave| tables.is_empty() || meant.contains_key(&slave.place)) {
        Some(one) => one.inside.join(rest),
        None => return Ok(rest),
    }
    Ok(Inside::default())
}

/// What the netns of these slaves has; none if nothing leads into it.
fn read(netlink: &Netlink, meant: &Meant<'_>, slaves: &[&mut ActualLink]) -> Result<Option<There>> {
    let Some((first, device)) = slaves.first().and_then(|slave| Some((slave, slave.device?))) else { return Ok(None) };
    let tables = slaves.iter().filter_map(|slave| meant.get(&slave.place));
    let paths: BTreeSet<String> = tables.flat_map(|link| link.inside.sysctls.keys().cloned()).collect();
    let read = enter(netlink, first.netns.as_deref(), device, |there, _| {
        let value = |path: String| sysctl::get(&path).map(|value| (path, words(&value)));
        Ok(There { given: Given::read(there)?, values: paths.into_iter().filter_map(value).collect() })
    });
    match read {
        Err(Error::Netns { .. }) => Ok(None),
        other => other.map(Some),
    }
}
