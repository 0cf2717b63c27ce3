//! How is a plan carried out? Deletions come first, so that new slaves can get what deleted ones had.

use super::actual::ActualLink;
use super::desired::DesiredLink;
use super::in_module;
use super::namespaces;
use super::plan::{Difference, Plan, Step};
use crate::attach::{Attached, Attachment, attach_all, device};
use crate::error::{Result, refused};
use crate::kernel::netlink::Netlink;
use crate::model::{Backend, Change, LinkSpec};
use crate::place::Place;
use crate::refusal::Refusal;
use crate::slave::agent_client;
use crate::slave::declare::{declare, withdraw};
use crate::slave::find;
use crate::slave::remove::delete_all;
use crate::slave::set;
use ipvl_core::{Addr, IfIndex};
use std::collections::BTreeSet;

/// Does what the plan says, and calls `progress` with the number of slaves that are done. New slaves are made all or none.
/// Other slaves are changed one after the other; after an error the next plan has the rest.
pub fn carry_out(plan: &Plan, mut progress: impl FnMut(usize)) -> Result<()> {
    let (mut deletions, mut changes, mut makes) = (Vec::new(), Vec::new(), Vec::new());
    for step in &plan.steps {
        match step {
            Step::Delete(slave) => deletions.push(&**slave),
            Step::Change(difference) => changes.push(&**difference),
            Step::Make(link) => makes.push(&**link),
        }
    }
    delete(&deletions)?;
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

fn delete(slaves: &[&ActualLink]) -> Result<()> {
    let (in_module, pairs): (Vec<&ActualLink>, Vec<&ActualLink>) =
        slaves.iter().copied().partition(|slave| slave.is_in_module());
    in_module.iter().try_for_each(|slave| in_module::delete(slave.place))?;
    let names: Vec<String> = pairs.into_iter().map(|slave| slave.host_end.1.clone()).collect();
    if names.is_empty() { Ok(()) } else { delete_all(&names) }
}

fn make_namespaces(names: &[String]) -> Result<()> {
    names.iter().try_for_each(|name| namespaces::make(name))
}

fn make(links: &[&DesiredLink], progress: impl FnMut(usize)) -> Result<()> {
    let wanted: Vec<Attachment> = links.iter().map(|link| link.attachment()).collect();
    let made = attach_all(&wanted, progress)?;
    let finished = links.iter().zip(&made).try_for_each(|(link, slave)| finish(link, slave));
    if finished.is_err() {
        made.iter().for_each(|slave| _ = discard(slave));
    }
    finished
}

fn discard(slave: &Attached) -> Result<()> {
    if slave.in_module { in_module::delete(place(slave)) } else { delete_all(std::slice::from_ref(&slave.host_end.1)) }
}

fn place(slave: &Attached) -> Place {
    Place { netns: slave.netnsid, ifindex: slave.ifindex }
}

impl DesiredLink {
    fn attachment(&self) -> Attachment {
        let in_module = self.spec.backend.is_none() && self.spec.tap.is_none() && Backend::is_kernel_by_default();
        let backend = if in_module { Some(Backend::Kernel) } else { self.spec.backend };
        Attachment {
            spec: LinkSpec { backend, ..self.spec.clone() },
            owner: self.owner(),
            addresses: self.addresses.iter().flatten().copied().collect(),
            assign: self.is_device_up(),
            routes: Vec::new(),
        }
    }

    fn is_device_up(&self) -> bool {
        self.up && self.spec.tap.is_none()
    }
}

/// Does what `attach_all` does not do: declarations, and all of a device that stays down or is a tap device.
fn finish(link: &DesiredLink, slave: &Attached) -> Result<()> {
    let name = &slave.host_end.1;
    if slave.in_module {
        return finish_in_module(link, slave);
    }
    link.declared.iter().flatten().try_for_each(|(addr, len)| declare(name, *addr, *len))?;
    if link.is_device_up() {
        return Ok(());
    }
    add_addresses(slave.host_end.0, name, &link.addresses.clone().unwrap_or_default())?;
    if link.up { set(name, &Change { up: Some(true), ..Change::default() }) } else { Ok(()) }
}

fn finish_in_module(link: &DesiredLink, slave: &Attached) -> Result<()> {
    if link.declared.as_ref().is_some_and(|declared| !declared.is_empty()) {
        return Err(refused("declare addresses for", &link.name, Refusal::OfModule));
    }
    if link.is_device_up() {
        return Ok(());
    }
    in_module::add_addresses(place(slave), &link.name, &link.addresses.clone().unwrap_or_default())
}

fn remove_addresses(difference: &Difference) -> Result<()> {
    let name = &difference.was.host_end.1;
    if difference.was.is_in_module() {
        return in_module::remove_addresses(difference.was.place, name, &difference.addresses.remove);
    }
    difference.declared.remove.iter().try_for_each(|(addr, len)| withdraw(name, *addr, *len))?;
    let gone = difference.addresses.remove.clone();
    on_device(difference.was.host_end.0, name, gone, |netlink, ifindex, (addr, len)| {
        netlink.delete_address(ifindex, addr, len).map(drop)
    })
}

fn change(difference: &Difference) -> Result<()> {
    if difference.was.is_in_module() {
        return in_module::change(difference);
    }
    let (host_end, name) = &difference.was.host_end;
    if difference.change != Change::default() {
        set(name, &difference.change).map_err(|error| error.about(difference.was.called()))?;
    }
    difference.declared.add.iter().try_for_each(|(addr, len)| declare(name, *addr, *len))?;
    add_addresses(*host_end, name, &difference.addresses.add)
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
