//! How is an address declared that is not on a slave's device: a VIP on `lo`, a prefix, a guest's address?

use crate::error::{Result, refused};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::{Declare, Netlink};
use crate::port::host_end;
use crate::port::tables::{PortMaps, SINGLE};
use crate::refusal::Refusal;
use crate::slave::agent_client;
use crate::slave::alias_event;
use crate::slave::find::{self, Found};
use crate::slave::module_name::ModuleNames;
use ipvl_core::{Addr, IfIndex, MoveReason, Origin, OwnerEntry, Slot};

/// Gives a slave an address, or a prefix of `prefix_len` bits of the address's own family.
pub fn declare(slave: &str, addr: Addr, prefix_len: u8) -> Result<()> {
    check(slave, addr, prefix_len)?;
    let lock = Lock::acquire(LOCK_WAIT)?;
    let netlink = Netlink::open()?;
    if let Some(inside) = ModuleNames::default().take(&netlink, slave)? {
        return inside.declare(Declare::Add, addr, prefix_len);
    }
    let mut found = find::slave(&netlink, slave)?;
    let entry = OwnerEntry::slave(found.slot, Origin::Declared);
    let len = addr.bits_of(prefix_len);
    if let Some(owner) = other_owner(&found, addr, len)? {
        let owner = owner_name(&netlink, &found.port.maps, owner)?;
        return Err(refused("add", format!("{addr} to {slave}"), Refusal::AddressInUse { addr, owner }));
    }
    if len == SINGLE {
        if !found.port.maps.assign_if_room(addr, entry)? {
            return Err(refused("add", format!("{addr} to {slave}"), Refusal::NoRoom));
        }
    } else {
        found.port.maps.declare_prefix(addr, len, entry)?;
    }
    alias_event::publish(&netlink, found.described(), found.port.maps.slave(found.slot)?);
    drop(lock);
    agent_client::sync(&[found.host_end.ifindex])
}

/// Moves an address or a prefix to a slave, whichever slave had it. The host's own stay. The slave owns an address on its
/// device as one of that, any other as declared.
pub fn replace(slave: &str, addr: Addr, prefix_len: u8) -> Result<()> {
    let lock = Lock::acquire(LOCK_WAIT)?;
    let netlink = Netlink::open()?;
    if let Some(inside) = ModuleNames::default().take(&netlink, slave)? {
        return inside.declare(Declare::Replace, addr, prefix_len);
    }
    let mut found = find::slave(&netlink, slave)?;
    let len = addr.bits_of(prefix_len);
    let old = other_owner(&found, addr, len)?;
    if old == Some(OwnerEntry::HOST) {
        let owner = owner_name(&netlink, &found.port.maps, OwnerEntry::HOST)?;
        return Err(refused("move", format!("{addr} to {slave}"), Refusal::AddressInUse { addr, owner }));
    }
    let is_there = host_end::place_of(&found.host_end)
        .map(|place| netlink.addresses(Some(place.ifindex), place.netns))
        .transpose()?
        .is_some_and(|infos| infos.iter().any(|info| info.addr == addr && info.is_valid()));
    let origin = if is_there && len == SINGLE { Origin::Device } else { Origin::Declared };
    let entry = OwnerEntry::slave(found.slot, origin);
    let entry = old.map_or(entry, |from| entry.moved(from, MoveReason::Replaced));
    match len {
        SINGLE if !found.port.maps.assign_if_room(addr, entry)? => {
            return Err(refused("move", format!("{addr} to {slave}"), Refusal::NoRoom));
        }
        SINGLE => {}
        _ => found.port.maps.declare_prefix(addr, len, entry)?,
    }
    alias_event::publish(&netlink, found.described(), found.port.maps.slave(found.slot)?);
    let slots = found.port.maps.slots()?;
    drop(lock);
    let before = slots.into_iter().filter(|(_, slot)| Some(*slot) == old).map(|(host_end, _)| host_end);
    let both: Vec<IfIndex> = before.chain([found.host_end.ifindex]).collect();
    agent_client::sync(&both)
}

/// Withdraws such an address or prefix.
pub fn withdraw(slave: &str, addr: Addr, prefix_len: u8) -> Result<()> {
    let lock = Lock::acquire(LOCK_WAIT)?;
    let netlink = Netlink::open()?;
    if let Some(inside) = ModuleNames::default().take(&netlink, slave)? {
        return inside.declare(Declare::Delete, addr, prefix_len);
    }
    let mut found = find::slave(&netlink, slave)?;
    let len = addr.bits_of(prefix_len);
    let owned = |entry: &OwnerEntry| entry.slot == found.slot && entry.origin() != Origin::Device;
    let present = match len {
        SINGLE => found.port.maps.owner(addr)?.is_some_and(|entry| owned(&entry)),
        _ => found
            .port
            .maps
            .prefixes()?
            .iter()
            .any(|(other, bits, entry)| (*other, *bits) == (addr, len) && owned(entry)),
    };
    if !present {
        return Err(refused("delete", format!("{addr}/{prefix_len} from {slave}"), Refusal::NotDeclared(addr)));
    }
    if len == SINGLE {
        found.port.maps.release(addr)?;
    } else {
        found.port.maps.withdraw_prefix(addr, len)?;
    }
    alias_event::publish(&netlink, found.described(), found.port.maps.slave(found.slot)?);
    drop(lock);
    // It may be on the device as well: then the agent enters it again.
    agent_client::sync(&[found.host_end.ifindex])
}

/// No slave owns a single address that is no station's: of a group, of loopback, or unspecified.
fn check(slave: &str, addr: Addr, prefix_len: u8) -> Result<()> {
    let is_unfit = addr.is_group() || addr.is_unspecified() || addr.ip().is_loopback();
    match addr.bits_of(prefix_len) == SINGLE && is_unfit {
        true => Err(refused("add", format!("{addr} to {slave}"), Refusal::UnfitAddress { addr, prefix_len })),
        false => Ok(()),
    }
}

fn other_owner(found: &Found, addr: Addr, len: u32) -> Result<Option<Slot>> {
    let entry = match len {
        SINGLE => found.port.maps.owner(addr)?,
        _ => {
            found.port.maps.prefixes()?.into_iter().find(|(other, bits, _)| (*other, *bits) == (addr, len)).map(|e| e.2)
        }
    };
    Ok(entry.map(|entry| entry.slot).filter(|slot| *slot != found.slot))
}

/// The name of the owner in a slot. If an engine named it, that name is used: in containers all slaves have the same name.
pub(crate) fn owner_name(netlink: &Netlink, maps: &PortMaps, slot: Slot) -> Result<String> {
    if slot == OwnerEntry::HOST {
        return Ok("the host".to_owned());
    }
    let unknown = || format!("the slave in slot {}", slot.0);
    let Some((host_end, _)) = maps.slots()?.into_iter().find(|(_, other)| *other == slot) else {
        return Ok(unknown());
    };
    if let Some(link) = netlink.link(host_end, None)?
        && let Some(owner) = host_end::owner_of(&link)
    {
        return Ok(owner.to_owned());
    }
    Ok(find::peer(netlink, host_end)?.map_or_else(unknown, |link| link.name))
}
