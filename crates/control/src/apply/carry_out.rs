//! How is a plan carried out? Deletions come first, so that new slaves can get what deleted ones had.

use super::actual::ActualLink;
use super::desired::DesiredLink;
use super::inside;
use super::inside_table::Inside;
use super::namespaces;
use super::plan::{Difference, Plan, Step};
use crate::attach::{Attached, Attachment, attach_all, device};
use crate::error::Result;
use crate::kernel::netlink::Netlink;
use crate::model::Change;
use crate::slave::agent_client;
use crate::slave::declare::{declare, withdraw};
use crate::slave::find;
use crate::slave::remove::delete_all;
use crate::slave::set;
use ipvl_core::{Addr, IfIndex};
use std::collections::{BTreeMap, BTreeSet};

/// Does what the plan says, and calls `progress` with the number of slaves that are done. New slaves are made all or none.
/// Other slaves are changed one after the other; after an error the next plan has the rest.
pub fn carry_out(plan: &Plan, mut progress: impl FnMut(usize)) -> Result<()> {
    let (mut deletions, mut changes, mut makes) = (Vec::new(), Vec::new(), Vec::new());
    let netlink = Netlink::open()?;
    for step in &plan.steps {
        match step {
            Step::Delete(slave) => {
                remove_inside(&netlink, slave, &slave.inside)?;
                deletions.push(slave.host_end.1.clone());
            }
            Step::Change(difference) => {
                remove_inside(&netlink, &difference.was, &difference.inside.remove)?;
                changes.push(&**difference);
            }
            Step::Make(link) => makes.push(&**link),
        }
    }
    if !deletions.is_empty() {
        delete_all(&deletions)?;
    }
    changes.iter().try_for_each(|difference| remove_addresses(difference))?;
    progress(deletions.len());
    let made = make_namespaces(&plan.netns).and_then(|()| make(&makes, |ready| progress(deletions.len() + ready)));
    if made.is_err() {
        plan.netns.iter().for_each(|name| namespaces::unmake(name));
    }
    made?;
    for (number, difference) in (1..).zip(changes) {
        change(difference)?;
        progress(deletions.len() + makes.len() + number);
    }
    Ok(())
}

fn make_namespaces(names: &[String]) -> Result<()> {
    names.iter().try_for_each(|name| namespaces::make(name))
}

fn make(links: &[&DesiredLink], progress: impl FnMut(usize)) -> Result<()> {
    let wanted: Vec<Attachment> = links.iter().map(|link| link.attachment()).collect();
    let made = attach_all(&wanted, progress)?;
    let finished = links.iter().zip(&made).try_for_each(|(link, slave)| finish(link, slave));
    if finished.is_err() {
        for (link, slave) in links.iter().zip(&made) {
            let _ = find::slave(&Netlink::open()?, &slave.host_end.1).and_then(|found| {
                found.in_its_netns(&Netlink::open()?, |there, ifindex| inside::remove(there, ifindex, &link.inside))
            });
        }
        let names: Vec<String> = made.into_iter().map(|slave| slave.host_end.1).collect();
        let _ = delete_all(&names);
    }
    finished
}

impl DesiredLink {
    fn attachment(&self) -> Attachment {
        Attachment {
            spec: self.spec.clone(),
            owner: self.owner(),
            addresses: self.addresses.iter().flatten().copied().collect(),
            assign: self.is_device_up(),
            routes: Vec::new(),
        }
    }

    /// Whether the device is up as soon as it is made: not before its switches are set.
    fn is_device_up(&self) -> bool {
        self.up && self.spec.tap.is_none() && self.inside.sysctls.is_empty()
    }
}

/// Does what `attach_all` does not do: declarations, and all of a device that stays down or is a tap device.
fn finish(link: &DesiredLink, slave: &Attached) -> Result<()> {
    let name = &slave.host_end.1;
    link.declared.iter().flatten().try_for_each(|(addr, len)| declare(name, *addr, *len))?;
    let rest = Inside { sysctls: BTreeMap::new(), ..link.inside.clone() };
    if link.is_device_up() {
        return add_inside(name, &link.name, &rest);
    }
    add_inside(name, &link.name, &Inside { sysctls: link.inside.sysctls.clone(), ..Inside::default() })?;
    add_addresses(slave.host_end.0, name, &link.addresses.clone().unwrap_or_default())?;
    if link.up {
        set(name, &Change { up: Some(true), ..Change::default() })?;
    }
    add_inside(name, &link.name, &rest)
}

/// Removes routes and rules where the slave is now.
fn remove_inside(netlink: &Netlink, slave: &ActualLink, gone: &Inside) -> Result<()> {
    if gone.routes.is_empty() && gone.rules.is_empty() {
        return Ok(());
    }
    let removed = slave.within(netlink, |there, ifindex| inside::remove(there, ifindex, gone));
    removed.map_err(|error| error.inside(slave.called()))
}

/// Adds routes, rules and switches where the slave is now.
fn add_inside(host_end: &str, name: &str, new: &Inside) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    let netlink = Netlink::open()?;
    let slave = find::slave(&netlink, host_end)?;
    let added = slave.in_its_netns(&netlink, |there, ifindex| inside::add(there, ifindex, new));
    added.map_err(|error| error.inside(name))
}

fn remove_addresses(difference: &Difference) -> Result<()> {
    let name = &difference.was.host_end.1;
    difference.declared.remove.iter().try_for_each(|(addr, len)| withdraw(name, *addr, *len))?;
    let gone = difference.addresses.remove.clone();
    on_device(difference.was.host_end.0, name, gone, |netlink, ifindex, (addr, len)| {
        netlink.delete_address(ifindex, addr, len).map(drop)
    })
}

fn change(difference: &Difference) -> Result<()> {
    let (host_end, name) = &difference.was.host_end;
    if difference.change != Change::default() {
        set(name, &difference.change).map_err(|error| error.about(difference.was.called()))?;
    }
    difference.declared.add.iter().try_for_each(|(addr, len)| declare(name, *addr, *len))?;
    add_addresses(*host_end, name, &difference.addresses.add)?;
    add_inside(name, &difference.desired.name, &difference.inside.add)
}

fn add_addresses(host_end: IfIndex, name: &str, addresses: &BTreeSet<(Addr, u8)>) -> Result<()> {
    on_device(host_end, name, addresses.clone(), |netlink, ifindex, (addr, len)| {
        netlink.add_address(ifindex, addr, len, device::flags(addr))
    })
}

/// Does something for each address in the slave's netns, and has the agent sync the slave.
fn on_device(
    host_end: IfIndex,
    name: &str,
    addresses: BTreeSet<(Addr, u8)>,
    work: impl Fn(&Netlink, IfIndex, (Addr, u8)) -> Result<()> + Send + Sync,
) -> Result<()> {
    if addresses.is_empty() {
        return Ok(());
    }
    let netlink = Netlink::open()?;
    find::slave(&netlink, name)?.in_its_netns(&netlink, |there, ifindex| {
        addresses.into_iter().try_for_each(|address| work(there, ifindex, address))
    })?;
    agent_client::sync(&[host_end])
}
