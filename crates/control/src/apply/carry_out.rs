//! How is a plan carried out? First what is to go goes, so that what is to come finds room.

use super::namespaces;
use super::plan::{Difference, Plan, Step};
use super::wish::Wish;
use crate::attach::{Attached, Attachment, attach_all, device};
use crate::error::Result;
use crate::kernel::netlink::Netlink;
use crate::model::Change;
use crate::slave::agent_client;
use crate::slave::declare::{declare, withdraw};
use crate::slave::find;
use crate::slave::remove::delete_all;
use crate::slave::set;
use ipvl_core::Addr;
use std::collections::BTreeSet;

/// Does what the plan says, and tells how many slaves are done. Of new slaves all are made or none, and each other slave
/// is changed as far as it can be in one step; whoever is told of an error finds the rest in the next plan.
pub fn carry_out(plan: &Plan, mut tell: impl FnMut(usize)) -> Result<()> {
    let (mut doomed, mut changes, mut makes) = (Vec::new(), Vec::new(), Vec::new());
    for step in &plan.steps {
        match step {
            Step::Delete(slave) => doomed.push(slave.host_end.1.clone()),
            Step::Change(difference) => changes.push(&**difference),
            Step::Make(wish) => makes.push(&**wish),
        }
    }
    if !doomed.is_empty() {
        delete_all(&doomed)?;
    }
    changes.iter().try_for_each(|difference| take_off(difference))?;
    tell(doomed.len());
    let made = make_namespaces(&plan.netns).and_then(|()| make(&makes, |ready| tell(doomed.len() + ready)));
    if made.is_err() {
        plan.netns.iter().for_each(|name| namespaces::unmake(name));
    }
    made?;
    for (number, difference) in (1..).zip(changes) {
        change(difference)?;
        tell(doomed.len() + makes.len() + number);
    }
    Ok(())
}

fn make_namespaces(names: &[String]) -> Result<()> {
    names.iter().try_for_each(|name| namespaces::make(name))
}

fn make(wishes: &[&Wish], tell: impl FnMut(usize)) -> Result<()> {
    let wanted: Vec<Attachment> = wishes.iter().map(|wish| wish.attachment()).collect();
    let made = attach_all(&wanted, tell)?;
    let finished = wishes.iter().zip(&made).try_for_each(|(wish, slave)| finish(wish, slave));
    if finished.is_err() {
        let names: Vec<String> = made.into_iter().map(|slave| slave.host_end.1).collect();
        let _ = delete_all(&names);
    }
    finished
}

impl Wish {
    fn attachment(&self) -> Attachment {
        Attachment {
            spec: self.spec.clone(),
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

/// What an engine does not ask for.
fn finish(wish: &Wish, slave: &Attached) -> Result<()> {
    let name = &slave.host_end.1;
    wish.declared.iter().flatten().try_for_each(|(addr, len)| declare(name, *addr, *len))?;
    if wish.is_device_up() {
        return Ok(());
    }
    put_on(slave.host_end.0, name, &wish.addresses.clone().unwrap_or_default())?;
    if wish.up { set(name, &Change { up: Some(true), ..Change::default() }) } else { Ok(()) }
}

fn take_off(difference: &Difference) -> Result<()> {
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
    put_on(*host_end, name, &difference.addresses.add)
}

fn put_on(host_end: u32, name: &str, addresses: &BTreeSet<(Addr, u8)>) -> Result<()> {
    on_device(host_end, name, addresses.clone(), |netlink, ifindex, (addr, len)| {
        netlink.add_address(ifindex, addr, len, device::flags(addr))
    })
}

/// Does it for each address where the slave is, and has the agent see it.
fn on_device(
    host_end: u32,
    name: &str,
    addresses: BTreeSet<(Addr, u8)>,
    work: impl Fn(&Netlink, u32, (Addr, u8)) -> Result<()> + Send + Sync,
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
