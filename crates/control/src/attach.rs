//! How does an engine get a slave that is ready when it has it, find its slaves again, and give them back?
//!
//! Whose a slave is stands in its host end's alias, in the engine's words: there is no file to lose, and whoever deletes
//! a slave by other means takes the record with it.

pub(crate) mod device;
mod endow;

pub use device::{Device, device, limit};
pub use endow::endow;

use crate::error::{Error, Result, refused};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::{LinkChange, LinkInfo, Netlink, SlaveRoute};
use crate::model::LinkSpec;
use crate::port::Port;
use crate::port::host_end::{HostEnd, check_owner, owner_of, place_of, with_owner, without_owner};
use crate::refusal::Refusal;
use crate::slave::Adding;
use crate::slave::agent_client;
use crate::slave::declare::owner_name;
use crate::slave::find::peer_of;
use crate::slave::remove::{Removal, remove};
use crate::slave::routes::family_len;
use crate::slave::tidy;
use ipvl_core::{Addr, Mac, Mode, Origin, OwnerEntry, Slot};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::slice;

/// How many slaves the agent is asked for at once: each time it reads again what is declared.
const TOGETHER: usize = 32;

/// A slave as an engine wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The slave. One with `netns` is born there, under its name; one without stays here until the engine moves it.
    pub spec: LinkSpec,
    /// Whose it is: `cni NETWORK CONTAINER INTERFACE`. One owner has one slave. At most 176 bytes.
    pub owner: String,
    /// Its addresses, with the lengths of their networks. They are its own in the table before [`attach`] returns.
    pub addresses: Vec<(Addr, u8)>,
    /// Whether to put them on the device, set that up, and add the routes. An engine that does so itself says no: the
    /// addresses are then kept for the slave until they are seen on it, and are as any other from then on.
    pub assign: bool,
    /// The slave's routes; none if addresses are not to be assigned.
    pub routes: Vec<SlaveRoute>,
}

/// An engine's slave as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Whose it is.
    pub owner: String,
    /// The slave's name in its own netns; none if that cannot be read.
    pub name: Option<String>,
    /// The slave's ifindex in its own netns.
    pub ifindex: u32,
    /// The id that the master's netns has for the slave's; none while they are one.
    pub netnsid: Option<i32>,
    /// The master's name; none if that has left this netns.
    pub master: Option<String>,
    /// The host end's ifindex and name.
    pub host_end: (u32, String),
    /// The MAC address of slave and master.
    pub mac: Mac,
    /// In bytes.
    pub mtu: u32,
    /// l2, l3 or l3s.
    pub mode: Mode,
    /// What it owns in the table, with lengths in bits of the address's own family: 32 or 128 for a single address.
    pub addresses: Vec<(Addr, u8)>,
}

/// Makes a slave for an engine. If it fails, nothing of it remains; an address that somebody has is such a failure.
pub fn attach(wanted: &Attachment) -> Result<Attached> {
    let made = attach_all(slice::from_ref(wanted), |_| {})?;
    made.into_iter().next().ok_or_else(|| refused("attach", &wanted.owner, Refusal::NoSlave))
}

/// Makes many, or none of them, and tells how many are ready, as they come to be.
pub fn attach_all(wanted: &[Attachment], tell: impl FnMut(usize)) -> Result<Vec<Attached>> {
    wanted.iter().try_for_each(check)?;
    let lock = Lock::acquire(LOCK_WAIT)?;
    let mut adding = Adding::new(wanted.len())?;
    let asked: BTreeSet<&str> = wanted.iter().map(|one| one.owner.as_str()).collect();
    if let Some(link) = owned(&adding.netlink, |owner| asked.contains(owner))?.first() {
        return Err(refused("attach", owner_of(link).unwrap_or_default(), Refusal::Attached));
    }
    let made = wanted.iter().map(|one| make(&mut adding, one)).collect::<Result<Vec<u32>>>();
    if made.is_err() {
        adding.undo();
    }
    let host_ends = made?;
    drop(lock);
    let ready = make_all_ready(&adding.netlink, &host_ends, wanted, tell);
    if ready.is_err() {
        let _lock = Lock::acquire(LOCK_WAIT)?;
        adding.undo();
    }
    ready
}

/// The slaves whose owner's words begin so.
pub fn attached(owner_prefix: &str) -> Result<Vec<Attached>> {
    let netlink = Netlink::open()?;
    let mut known = BTreeMap::new();
    let mut all = Vec::new();
    for link in owned(&netlink, |owner| owner.starts_with(owner_prefix))? {
        all.extend(describe(&netlink, &link, &mut known)?);
    }
    Ok(all)
}

/// Takes back the slave of an owner, wherever it is; false if there is none (any more).
pub fn detach(owner: &str) -> Result<bool> {
    let lock = Lock::acquire(LOCK_WAIT)?;
    let netlink = Netlink::open()?;
    let mut removals: BTreeMap<u32, Removal> = BTreeMap::new();
    let host_ends = owned(&netlink, |other| other == owner)?;
    for link in &host_ends {
        let Some(HostEnd { master, slot }) = HostEnd::of(link) else { continue };
        match Port::of_host_end(&netlink, link.ifindex, master)? {
            Some(port) => _ = removals.insert(master, Removal { port, slaves: BTreeSet::from([(link.ifindex, slot)]) }),
            None => _ = netlink.delete_link(link.ifindex)?,
        }
    }
    remove(lock, &netlink, removals)?;
    Ok(!host_ends.is_empty())
}

/// Changes the words for whose a slave is; false if `owner` has none (any more).
pub fn hand_over(owner: &str, to: &str) -> Result<bool> {
    check_owner(to).map_err(|refusal| refused("attach", to.escape_default().to_string(), refusal))?;
    let _lock = Lock::acquire(LOCK_WAIT)?;
    let netlink = Netlink::open()?;
    let host_ends = owned(&netlink, |other| other == owner)?;
    for link in &host_ends {
        let alias = with_owner(without_owner(link.alias.as_deref().unwrap_or_default()).to_owned(), Some(to));
        netlink.set_link(link.ifindex, &LinkChange { alias: Some(&alias), ..LinkChange::default() })?;
    }
    Ok(!host_ends.is_empty())
}

fn check(wanted: &Attachment) -> Result<()> {
    let whose = || wanted.owner.escape_default().to_string();
    check_owner(&wanted.owner).map_err(|refusal| refused("attach", whose(), refusal))?;
    for (addr, prefix_len) in wanted.addresses.iter().copied() {
        let most = if addr.as_v4().is_some() { 32 } else { 128 };
        let is_no_device_s = addr.is_group() || addr.is_unspecified() || addr.ip().is_loopback();
        if prefix_len > most || is_no_device_s {
            return Err(refused("attach", whose(), Refusal::UnfitAddress { addr, prefix_len }));
        }
    }
    Ok(())
}

/// One that is in the table with its addresses; its host end.
fn make(adding: &mut Adding, wanted: &Attachment) -> Result<u32> {
    adding.add(&wanted.spec, Some(&wanted.owner))?;
    reserve(adding, &wanted.addresses)
}

/// Gives the addresses to the slave that was just made; its host end. What dead slaves still hold is free.
fn reserve(adding: &mut Adding, addresses: &[(Addr, u8)]) -> Result<u32> {
    let result = try_reserve(adding, addresses);
    match result {
        Err(error) if error.errno() == Some(libc::EADDRINUSE) => {
            tidy::tidy(&adding.netlink, &mut tidy::ports(&adding.netlink)?)?;
            try_reserve(adding, addresses)
        }
        other => other,
    }
}

fn try_reserve(adding: &mut Adding, addresses: &[(Addr, u8)]) -> Result<u32> {
    let Adding { netlink, ports, added, .. } = adding;
    let Some(slave) = added.last() else { return Ok(0) };
    let Some(port) = ports.get_mut(&slave.master) else { return Ok(0) };
    claim(netlink, port, slave.slot, addresses).map(|()| slave.host_end)
}

fn claim(netlink: &Netlink, port: &mut Port, slot: Slot, addresses: &[(Addr, u8)]) -> Result<()> {
    let entry = OwnerEntry::slave(slot, Origin::Expected);
    for (addr, _) in addresses.iter().copied() {
        if !port.maps.claim(addr, entry)? {
            let refusal = match port.maps.owner(addr)? {
                Some(other) => Refusal::AddressInUse { addr, owner: owner_name(netlink, &port.maps, other.slot)? },
                None => Refusal::Full,
            };
            return Err(refused("give a slave", addr.to_string(), refusal));
        }
    }
    Ok(())
}

fn make_all_ready(
    netlink: &Netlink,
    host_ends: &[u32],
    wanted: &[Attachment],
    mut tell: impl FnMut(usize),
) -> Result<Vec<Attached>> {
    let mut known = Known::new();
    let mut ready = Vec::new();
    for (host_ends, some) in host_ends.chunks(TOGETHER).zip(wanted.chunks(TOGETHER)) {
        for (host_end, one) in host_ends.iter().zip(some).filter(|(_, one)| one.assign) {
            assign(netlink, *host_end, one)?;
        }
        agent_client::sync(host_ends)?;
        for (host_end, one) in host_ends.iter().zip(some) {
            let link = netlink.link(*host_end, None)?;
            let slave = link.map(|link| describe(netlink, &link, &mut known)).transpose()?.flatten();
            ready.push(slave.ok_or_else(|| gone(one))?);
        }
        tell(ready.len());
    }
    Ok(ready)
}

fn assign(netlink: &Netlink, host_end: u32, wanted: &Attachment) -> Result<()> {
    let link = netlink.link(host_end, None)?.ok_or_else(|| gone(wanted))?;
    let (_, ifindex) = place_of(&link).ok_or_else(|| gone(wanted))?;
    device::assign(wanted, ifindex)
}

fn gone(wanted: &Attachment) -> Error {
    refused("attach", &wanted.owner, Refusal::NoSlave)
}

/// The host ends of slaves whose owner is one that is meant.
fn owned(netlink: &Netlink, is_meant: impl Fn(&str) -> bool) -> Result<Vec<LinkInfo>> {
    let links = netlink.links(None)?.into_iter();
    Ok(links.filter(|link| owner_of(link).is_some_and(&is_meant)).collect())
}

/// By slot, what each owns.
type Owned = BTreeMap<u32, Vec<(Addr, u8)>>;

/// A port that was looked up already, and what its slaves own.
type Known = BTreeMap<u32, (Port, Option<String>, Owned)>;

/// What is known of a slave, once it is in the table.
fn describe(netlink: &Netlink, host_end: &LinkInfo, known: &mut Known) -> Result<Option<Attached>> {
    let Some(HostEnd { master, slot }) = HostEnd::of(host_end) else { return Ok(None) };
    let (port, name, owned) = match known.entry(master) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(unknown) => {
            let Some(port) = Port::of_host_end(netlink, host_end.ifindex, master)? else { return Ok(None) };
            let (name, owned) = (netlink.link(master, None)?.map(|link| link.name), owned_by_slot(&port)?);
            unknown.insert((port, name, owned))
        }
    };
    if port.maps.slot_of(host_end.ifindex)? != Some(slot) {
        return Ok(None);
    }
    let device = peer_of(netlink, host_end).ok().flatten();
    Ok(Some(Attached {
        owner: owner_of(host_end).unwrap_or_default().to_owned(),
        ifindex: device.as_ref().map_or(0, |device| device.ifindex),
        netnsid: host_end.link_netnsid,
        mtu: device.as_ref().map_or(host_end.mtu, |device| device.mtu),
        name: device.map(|device| device.name),
        master: name.clone(),
        host_end: (host_end.ifindex, host_end.name.clone()),
        mac: host_end.mac.unwrap_or(Mac([0; 6])),
        mode: port.maps.slave(slot)?.mode(),
        addresses: owned.get(&slot.0).cloned().unwrap_or_default(),
    }))
}

fn owned_by_slot(port: &Port) -> Result<Owned> {
    let mut by_slot = Owned::new();
    for (addr, bits, entry) in port.maps.owned()? {
        by_slot.entry(entry.slot).or_default().push((addr, family_len(addr, bits)));
    }
    by_slot.values_mut().for_each(|addresses| addresses.sort());
    Ok(by_slot)
}
