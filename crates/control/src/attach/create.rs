//! How is a slave created for an engine, with its addresses in the table when the engine gets it?

use super::attachment::{Attached, Attachment};
use super::claim::{claim, claim_in_module};
use super::device;
use super::list::{PortCache, describe, describe_in_module, owned};
use crate::error::{Result, refused};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::Netlink;
use crate::policy::Giving;
use crate::port::host_end::{owner_of, place_of};
use crate::refusal::Refusal;
use crate::slave::adding::Adding;
use crate::slave::module::ModuleSlave;
use crate::slave::{agent_client, tidy};
use ipvl_core::{Addr, IfIndex};
use std::collections::BTreeSet;
use std::slice;

/// The agent is asked for so many slaves at once: it reads again what is declared each time that it is asked.
const TOGETHER: usize = 32;

/// Creates a slave for an engine. If it fails, as when another slave has an address, nothing of the slave remains.
pub fn attach(wanted: &Attachment) -> Result<Attached> {
    let made = attach_all(slice::from_ref(wanted), |_| {})?;
    made.into_iter().next().ok_or_else(|| wanted.gone())
}

/// Creates all of these slaves, or none, and calls `progress` with the number of those that are ready.
pub fn attach_all(wanted: &[Attachment], progress: impl FnMut(usize)) -> Result<Vec<Attached>> {
    wanted.iter().try_for_each(Attachment::check)?;
    let lock = Lock::acquire(LOCK_WAIT)?;
    let mut adding = Adding::new(wanted.len())?;
    let asked: BTreeSet<&str> = wanted.iter().map(|one| one.owner.as_str()).collect();
    if let Some(link) = owned(&adding.netlink, |owner| asked.contains(owner))?.first() {
        return Err(refused("attach", owner_of(link).unwrap_or_default(), Refusal::Attached));
    }
    let made = wanted.iter().map(|one| create(&mut adding, one)).collect::<Result<Vec<Made>>>();
    let made = made.and_then(|made| give_policies(&mut adding, &made, wanted).map(|()| made));
    if made.is_err() {
        adding.undo();
    }
    let made = made?;
    drop(lock);
    let ready = make_ready(&adding.netlink, &made, wanted, progress);
    if ready.is_err() {
        let _lock = Lock::acquire(LOCK_WAIT)?;
        adding.undo();
    }
    ready
}

/// A slave that was made: a pair's host end, or one of our kernel module.
enum Made {
    Pair(IfIndex),
    InModule(Box<ModuleSlave>),
}

/// Creates a slave, which is in the table with its addresses; the module refuses one that is in use when it is declared, or when
/// the device gets it.
fn create(adding: &mut Adding, wanted: &Attachment) -> Result<Made> {
    let before = adding.in_module.len();
    adding.add(&wanted.spec, Some(&wanted.owner), &wanted.policy)?;
    match adding.in_module.get_mut(before) {
        Some(slave) => {
            claim_in_module(slave, wanted)?;
            Ok(Made::InModule(Box::new(slave.clone())))
        }
        None => reserve(adding, &wanted.addresses).map(Made::Pair),
    }
}

/// Gives the addresses to the slave that was just created. Returns its host end. If an address is in use, slaves that no
/// longer exist are removed from the tables, and it is tried once more.
fn reserve(adding: &mut Adding, addresses: &[(Addr, u8)]) -> Result<IfIndex> {
    let result = try_reserve(adding, addresses);
    match result {
        Err(error) if error.errno() == Some(libc::EADDRINUSE) => {
            tidy::tidy(&adding.netlink, &mut tidy::ports(&adding.netlink)?)?;
            try_reserve(adding, addresses)
        }
        other => other,
    }
}

fn try_reserve(adding: &mut Adding, addresses: &[(Addr, u8)]) -> Result<IfIndex> {
    let Adding { netlink, ports, added, .. } = adding;
    let Some(slave) = added.last() else { return Ok(IfIndex::NONE) };
    let Some(port) = ports.get_mut(&slave.master) else { return Ok(IfIndex::NONE) };
    claim(netlink, port, slave.slot, addresses).map(|()| slave.host_end)
}

/// Writes the rules of the slaves, which may name each other. Until then those that are to have a policy drop everything.
fn give_policies(adding: &mut Adding, made: &[Made], wanted: &[Attachment]) -> Result<()> {
    let Adding { netlink, ports, added, .. } = adding;
    let pairs = made.iter().zip(wanted).filter(|(made, _)| matches!(made, Made::Pair(_))).map(|(_, one)| one);
    let mut giving = Giving::new(netlink);
    for (slave, one) in added.iter().zip(pairs) {
        let Some(port) = ports.get(&slave.master) else { continue };
        giving.give(port, slave.slot, &slave.name, &one.policy)?;
    }
    giving.finish(ports)
}

/// Assigns what the engine wants assigned, and has the agent sync the slaves.
fn make_ready(
    netlink: &Netlink,
    made: &[Made],
    wanted: &[Attachment],
    mut progress: impl FnMut(usize),
) -> Result<Vec<Attached>> {
    let mut ports = PortCache::new();
    let mut ready = Vec::new();
    for (made, some) in made.chunks(TOGETHER).zip(wanted.chunks(TOGETHER)) {
        for (slave, one) in made.iter().zip(some).filter(|(_, one)| one.assign) {
            match slave {
                Made::Pair(host_end) => assign(netlink, *host_end, one)?,
                Made::InModule(slave) => device::assign(one, slave.device.ifindex)?,
            }
        }
        sync_pairs(made)?;
        for (slave, one) in made.iter().zip(some) {
            ready.push(slave.described(netlink, one, &mut ports)?);
        }
        progress(ready.len());
    }
    Ok(ready)
}

fn sync_pairs(made: &[Made]) -> Result<()> {
    let host_end = |slave: &Made| if let Made::Pair(host_end) = slave { Some(*host_end) } else { None };
    let host_ends: Vec<IfIndex> = made.iter().filter_map(host_end).collect();
    if host_ends.is_empty() { Ok(()) } else { agent_client::sync(&host_ends) }
}

impl Made {
    fn described(&self, netlink: &Netlink, wanted: &Attachment, ports: &mut PortCache) -> Result<Attached> {
        match self {
            Self::Pair(host_end) => {
                let link = netlink.link(*host_end, None)?;
                let slave = link.map(|link| describe(netlink, &link, ports)).transpose()?.flatten();
                slave.ok_or_else(|| wanted.gone())
            }
            Self::InModule(slave) => describe_in_module(netlink, slave),
        }
    }
}

fn assign(netlink: &Netlink, host_end: IfIndex, wanted: &Attachment) -> Result<()> {
    let link = netlink.link(host_end, None)?.ok_or_else(|| wanted.gone())?;
    let ifindex = place_of(&link).ok_or_else(|| wanted.gone())?.ifindex;
    device::assign(wanted, ifindex)
}
