//! How does a slave's device get its addresses and routes, before whoever asked for it has it?

use super::Attachment;
use crate::error::{Result, refused};
use crate::netlink::{LinkChange, Netlink};
use crate::netns;
use crate::refusal::Refusal;
use crate::sysctl;
use ipvl_core::Addr;

/// Puts on the device what the attachment says, in the netns where it was born.
pub fn assign(wanted: &Attachment, ifindex: u32) -> Result<()> {
    let work = || assign_here(&Netlink::open()?, wanted, ifindex);
    match &wanted.spec.netns {
        Some(netns) => netns::within(netns::open(netns)?, work)?,
        None => work(),
    }
}

fn assign_here(netlink: &Netlink, wanted: &Attachment, ifindex: u32) -> Result<()> {
    let gone = || refused("assign addresses to", &wanted.owner, Refusal::NoSlave);
    let name = netlink.link(ifindex, None)?.ok_or_else(gone)?.name;
    sysctl::prepare_slave(&name, wanted.addresses.iter().any(|(addr, _)| addr.as_v4().is_none()))?;
    for (addr, prefix_len) in &wanted.addresses {
        netlink.add_address(ifindex, *addr, *prefix_len, flags(*addr))?;
    }
    netlink.set_link(ifindex, &LinkChange { up: Some(true), ..LinkChange::default() })?;
    for route in &wanted.routes {
        netlink.add_slave_route(ifindex, route)?;
    }
    Ok(())
}

/// The table has said already that no sibling has it; a second's wait for who is outside would be every container's.
pub(crate) fn flags(addr: Addr) -> u32 {
    if addr.as_v4().is_none() { libc::IFA_F_NODAD } else { 0 }
}
