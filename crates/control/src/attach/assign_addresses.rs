//! How does a slave get addresses that are known only once it exists, as those from DHCP?

use super::attachment::{Attached, Attachment};
use super::claim::{claim, claim_in_module};
use super::device;
use super::list::{PortCache, describe, describe_in_module, in_its_netns, owned};
use crate::error::{Result, refused};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::port::Port;
use crate::port::host_end::{HostEnd, place_of};
use crate::refusal::Refusal;
use crate::slave::agent_client;
use ipvl_core::Addr;

/// Gives the attached slave of `wanted.owner` the addresses and routes in `wanted`. The table and the device have them
/// before this returns. If another slave or the host has one of the addresses, nothing changes.
pub fn assign_addresses(wanted: &Attachment) -> Result<Attached> {
    wanted.check()?;
    let netlink = Netlink::open()?;
    let none = || refused("give addresses to", &wanted.owner, Refusal::NoSlave);
    let Some(link) = owned(&netlink, |owner| owner == wanted.owner)?.pop() else {
        return assign_in_module(&netlink, wanted);
    };
    reserve(&netlink, &link, &wanted.addresses)?;
    let ifindex = place_of(&link).ok_or_else(none)?.ifindex;
    device::assign(wanted, ifindex)?;
    agent_client::sync(&[link.ifindex])?;
    describe(&netlink, &link, &mut PortCache::new())?.ok_or_else(none)
}

/// The module itself refuses an address that another has.
fn assign_in_module(netlink: &Netlink, wanted: &Attachment) -> Result<Attached> {
    let mut slave =
        in_its_netns(netlink, wanted)?.ok_or_else(|| refused("give addresses to", &wanted.owner, Refusal::NoSlave))?;
    claim_in_module(&mut slave, wanted)?;
    device::assign(wanted, slave.device.ifindex)?;
    describe_in_module(netlink, &slave)
}

fn reserve(netlink: &Netlink, host_end: &LinkInfo, addresses: &[(Addr, u8)]) -> Result<()> {
    let _lock = Lock::acquire(LOCK_WAIT)?;
    let none = || refused("give addresses to", &host_end.name, Refusal::NoSlave);
    let HostEnd { master, slot } = HostEnd::of(host_end).ok_or_else(none)?;
    let mut port = Port::of_host_end(netlink, host_end.ifindex, master)?.ok_or_else(none)?;
    claim(netlink, &mut port, slot, addresses)
}
