//! How does a slave get its addresses where they are known only when it is there, as those from DHCP?

use super::{Attached, Attachment, check, claim, describe, device, owned};
use crate::error::{Result, refused};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::port::Port;
use crate::port::host_end::{HostEnd, place_of};
use crate::refusal::Refusal;
use crate::slave::agent_client;
use ipvl_core::{Addr, Origin, OwnerEntry};
use std::collections::BTreeMap;

/// Gives the slave of `wanted.owner`, which is attached, the addresses and routes in `wanted`. They are in the table, and
/// on the device, before this returns. An address that somebody else has changes nothing.
pub fn endow(wanted: &Attachment) -> Result<Attached> {
    check(wanted)?;
    let netlink = Netlink::open()?;
    let none = || refused("give addresses to", &wanted.owner, Refusal::NoSlave);
    let link = owned(&netlink, |owner| owner == wanted.owner)?.pop().ok_or_else(none)?;
    reserve(&netlink, &link, &wanted.addresses)?;
    let (_, ifindex) = place_of(&link).ok_or_else(none)?;
    device::assign(wanted, ifindex)?;
    agent_client::sync(&[link.ifindex])?;
    describe(&netlink, &link, &mut BTreeMap::new())?.ok_or_else(none)
}

fn reserve(netlink: &Netlink, host_end: &LinkInfo, addresses: &[(Addr, u8)]) -> Result<()> {
    let _lock = Lock::acquire(LOCK_WAIT)?;
    let none = || refused("give addresses to", &host_end.name, Refusal::NoSlave);
    let HostEnd { master, slot } = HostEnd::of(host_end).ok_or_else(none)?;
    let mut port = Port::of_host_end(netlink, host_end.ifindex, master)?.ok_or_else(none)?;
    let claimed = claim(netlink, &mut port, slot, addresses);
    if claimed.is_err() {
        let expected = OwnerEntry::slave(slot, Origin::Expected);
        for (addr, _) in addresses {
            if port.maps.owner(*addr)? == Some(expected) {
                port.maps.release(*addr)?;
            }
        }
    }
    claimed
}
