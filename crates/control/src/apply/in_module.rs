//! How are slaves of our kernel module changed as files say? Each is found by its place: in containers all have the same name.

use super::plan::Difference;
use crate::attach::device;
use crate::error::{Result, refused};
use crate::kernel::netlink::{Declare, Netlink};
use crate::kernel::netns;
use crate::model::Change;
use crate::place::Place;
use crate::refusal::Refusal;
use crate::slave::module::{self, ModuleSlave};
use crate::slave::set_in_module;
use ipvl_core::Addr;
use std::collections::BTreeSet;
use std::os::fd::AsFd;

/// Deletes the slave at this place. It may be gone already.
pub fn delete(place: Place) -> Result<()> {
    module::at(&Netlink::open()?, place)?.map_or(Ok(()), |slave| slave.delete())
}

/// Changes the slave at this place.
pub fn set(place: Place, name: &str, change: &Change) -> Result<()> {
    let netlink = Netlink::open()?;
    set_in_module(&netlink, &find(&netlink, place, name)?, change)
}

/// Changes slave and addresses.
pub fn change(difference: &Difference) -> Result<()> {
    let (place, name) = (difference.was.place, difference.was.called());
    if difference.change != Change::default() {
        set(place, name, &difference.change)?;
    }
    let (place, name) = (moved(difference)?, &difference.desired.name);
    declare(place, name, Declare::Add, &difference.declared.add)?;
    add_addresses(place, name, &difference.addresses.add)
}

/// Declares addresses and prefixes for the slave, or withdraws them.
pub fn declare(place: Place, name: &str, verb: Declare, prefixes: &BTreeSet<(Addr, u8)>) -> Result<()> {
    if prefixes.is_empty() {
        return Ok(());
    }
    let slave = find(&Netlink::open()?, place, name)?;
    prefixes.iter().try_for_each(|(addr, len)| slave.declare(verb, *addr, *len))
}

/// Puts addresses on the slave's device.
pub fn add_addresses(place: Place, name: &str, addresses: &BTreeSet<(Addr, u8)>) -> Result<()> {
    let (netlink, mut addresses) = (Netlink::open()?, addresses.iter().peekable());
    if addresses.peek().is_none() {
        return Ok(());
    }
    let ModuleSlave { netlink, device, .. } = find(&netlink, place, name)?;
    addresses.try_for_each(|(addr, len)| netlink.add_address(device.ifindex, *addr, *len, device::flags(*addr)))
}

/// Takes addresses off the slave's device.
pub fn remove_addresses(place: Place, name: &str, addresses: &BTreeSet<(Addr, u8)>) -> Result<()> {
    if addresses.is_empty() {
        return Ok(());
    }
    let ModuleSlave { netlink, device, .. } = find(&Netlink::open()?, place, name)?;
    addresses.iter().try_for_each(|(addr, len)| netlink.delete_address(device.ifindex, *addr, *len).map(drop))
}

/// Where the slave is after its change. In another netns its ifindex may be another.
pub fn moved(difference: &Difference) -> Result<Place> {
    let Some(netns) = &difference.change.netns else { return Ok(difference.was.place) };
    let (name, there) = (&difference.desired.name, netns::open(netns)?);
    let device = netns::within(there.as_fd(), || Netlink::open()?.link_by_name(name, None))??;
    let device = device.ok_or_else(|| refused("find", name, Refusal::NoSlave))?;
    Ok(Place { netns: module::id_of(&Netlink::open()?, there.as_fd())?, ifindex: device.ifindex })
}

fn find(netlink: &Netlink, place: Place, name: &str) -> Result<ModuleSlave> {
    module::at(netlink, place)?.ok_or_else(|| refused("find", name, Refusal::NoSlave))
}
