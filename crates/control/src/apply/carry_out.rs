//! How is a plan carried out? Deletions come first, so that new slaves can get what deleted ones had.

use super::actual::ActualLink;
use super::desired::DesiredLink;
use super::in_module;
use super::inside::{self, Done};
use super::inside_table::Inside;
use super::namespaces;
use super::plan::{Difference, Plan, Step};
use super::policy_diff::PolicyDiff;
use crate::attach::{Attached, Attachment, attach_all, device};
use crate::error::{Result, refused};
use crate::kernel::netlink::{Declare, Netlink};
use crate::model::{Backend, Change, LinkSpec};
use crate::place::Place;
use crate::policy::replace_policy;
use crate::port::host_end::place_of;
use crate::refusal::Refusal;
use crate::slave::agent_client;
use crate::slave::declare::{declare, withdraw};
use crate::slave::find::{self, OpenPlace};
use crate::slave::flowtable::set_flowtable;
use crate::slave::remove::delete_all;
use crate::slave::set;
use ipvl_core::{Addr, IfIndex};
use std::collections::BTreeSet;

/// What undoes what the namespaces of new slaves got: by the name of the netns and the place of the slave.
type Undo<'a> = Vec<((Option<&'a str>, Place), Done)>;

/// Does what the plan says, and calls `progress` with the number of slaves that are done. New slaves are made all or none.
/// Other slaves are changed one after the other; after an error the next plan has the rest.
pub fn carry_out(plan: &Plan, mut progress: impl FnMut(usize)) -> Result<()> {
    let (mut deletions, mut changes, mut makes) = (Vec::new(), Vec::new(), Vec::new());
    remove_inside(plan)?;
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
    plan.flowtable.map_or(Ok(()), set_flowtable)
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
    let mut undo = Undo::new();
    let finished = links.iter().zip(&made).try_for_each(|(link, slave)| finish(link, slave, &mut undo));
    if finished.is_err() {
        let netlink = Netlink::open()?;
        for ((netns, place), done) in undo.into_iter().rev().filter(|(_, done)| !done.is_nothing()) {
            let _ = inside::enter(&netlink, netns, place, |there, ifindex| {
                done.undo(there, ifindex);
                Ok(())
            });
        }
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
            policy: self.policy.clone(),
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

/// Does what `attach_all` does not do: all of a device that is not up yet, declarations, routes and rules.
fn finish<'a>(link: &'a DesiredLink, slave: &Attached, undo: &mut Undo<'a>) -> Result<()> {
    let there = (link.netns.as_deref(), place(slave));
    undo.push((there, complete(there, &link.name, &link.inside.switches())?));
    if slave.in_module { finish_in_module(link, slave) } else { finish_pair(link, slave) }?;
    undo.push((there, complete(there, &link.name, &link.inside.without_switches())?));
    Ok(())
}

fn finish_pair(link: &DesiredLink, slave: &Attached) -> Result<()> {
    let name = &slave.host_end.1;
    link.declared.iter().flatten().try_for_each(|(addr, len)| declare(name, *addr, *len))?;
    if link.is_device_up() {
        return Ok(());
    }
    add_addresses(slave.host_end.0, name, &link.addresses.clone().unwrap_or_default())?;
    if link.up { set(name, &up()) } else { Ok(()) }
}

fn up() -> Change {
    Change { up: Some(true), ..Change::default() }
}

fn finish_in_module(link: &DesiredLink, slave: &Attached) -> Result<()> {
    if let Some(declared) = &link.declared {
        in_module::declare(place(slave), &link.name, Declare::Add, declared)?;
    }
    if link.is_device_up() {
        return Ok(());
    }
    in_module::add_addresses(place(slave), &link.name, &link.addresses.clone().unwrap_or_default())?;
    if link.up { in_module::set(place(slave), &link.name, &up()) } else { Ok(()) }
}

/// Removes what files gave and want no more, but for routes that others replace.
fn remove_inside(plan: &Plan) -> Result<()> {
    let netlink = Netlink::open()?;
    for (netns, left) in &plan.left {
        OpenPlace::named(netns, IfIndex::NONE)?.enter(&netlink, |there, none| inside::remove(there, none, left))?;
    }
    for step in &plan.steps {
        let (slave, gone) = match step {
            Step::Delete(slave) => (&**slave, slave.inside.shared()),
            Step::Change(difference) => (&difference.was, difference.inside.gone()),
            Step::Make(_) => continue,
        };
        if let Some(device) = slave.device.filter(|_| !gone.is_empty()) {
            let work = |there: &Netlink, ifindex| inside::remove(there, ifindex, &gone);
            let removed = inside::enter(&netlink, slave.netns.as_deref(), device, work);
            removed.map_err(|error| error.inside(slave.called()))?;
        }
    }
    Ok(())
}

/// Makes the netns of a slave have all of `wanted`.
fn complete((netns, device): (Option<&str>, Place), name: &str, wanted: &Inside) -> Result<Done> {
    if wanted.is_empty() {
        return Ok(Done::default());
    }
    let work = |there: &Netlink, ifindex| inside::complete(there, ifindex, wanted);
    inside::enter(&Netlink::open()?, netns, device, work).map_err(|error| error.inside(name))
}

fn remove_addresses(difference: &Difference) -> Result<()> {
    let name = &difference.was.host_end.1;
    if difference.was.is_in_module() {
        in_module::declare(difference.was.place, name, Declare::Delete, &difference.declared.remove)?;
        return in_module::remove_addresses(difference.was.place, name, &difference.addresses.remove);
    }
    difference.declared.remove.iter().try_for_each(|(addr, len)| withdraw(name, *addr, *len))?;
    let gone = difference.addresses.remove.clone();
    on_device(difference.was.host_end.0, name, gone, |netlink, ifindex, (addr, len)| {
        netlink.delete_address(ifindex, addr, len).map(drop)
    })
}

/// A slave's new policy comes before all else that changes. It is taken back if the rest fails.
fn change(difference: &Difference) -> Result<()> {
    let name = &difference.was.host_end.1;
    let Some(PolicyDiff { old, new }) = &difference.policy else { return change_rest(difference) };
    replace_policy(name, new).map_err(|error| error.about(difference.was.called()))?;
    let done = change_rest(difference);
    if done.is_err() {
        let _ = replace_policy(name, old);
    }
    done
}

/// A device that is set down or loses an address loses routes: all of them are looked at, not only what differed before.
fn change_rest(difference: &Difference) -> Result<()> {
    let Difference { desired, was, .. } = difference;
    if was.is_in_module() { in_module::change(difference) } else { change_pair(difference) }?;
    if desired.inside.is_empty() {
        return Ok(());
    }
    let netns = desired.netns.as_ref().or(was.netns.as_ref());
    complete((netns.map(String::as_str), place_after(difference)?), &desired.name, &desired.inside).map(drop)
}

/// Where the slave's device is after its change.
fn place_after(difference: &Difference) -> Result<Place> {
    let was = &difference.was;
    if was.is_in_module() {
        return in_module::moved(difference);
    }
    let host_end = Netlink::open()?.link(was.host_end.0, None)?;
    host_end.as_ref().and_then(place_of).ok_or_else(|| refused("find", was.called(), Refusal::NoSlave))
}

fn change_pair(difference: &Difference) -> Result<()> {
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
