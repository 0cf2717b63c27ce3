//! How does a slave's device get its addresses and routes, and which has it?

use super::attachment::Attachment;
use crate::error::{Result, refused};
use crate::kernel::netlink::{LinkChange, Netlink, SlaveRoute};
use crate::kernel::netns;
use crate::model::NetnsRef;
use crate::port::sysctl;
use crate::refusal::Refusal;
use ipvl_core::{Addr, IfIndex, Mac};

/// A device as it is seen in its netns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its ifindex there.
    pub ifindex: IfIndex,
    /// Its MAC address, if it has one of six bytes.
    pub mac: Option<Mac>,
    /// In bytes.
    pub mtu: u32,
    /// Whether it is administratively up.
    pub is_up: bool,
    /// Its addresses, with the lengths of their networks.
    pub addresses: Vec<(Addr, u8)>,
    /// The routes out of it, in any table.
    pub routes: Vec<SlaveRoute>,
}

/// The device with this name in `netns`, or in our own netns; none if there is none.
pub fn device(netns: Option<&NetnsRef>, name: &str) -> Result<Option<Device>> {
    match netns {
        Some(netns) => netns::within(netns::open(netns)?, || device_here(name))?,
        None => device_here(name),
    }
}

fn device_here(name: &str) -> Result<Option<Device>> {
    let netlink = Netlink::open()?;
    let Some(link) = netlink.link_by_name(name, None)? else { return Ok(None) };
    let addresses = netlink.addresses(Some(link.ifindex), None)?;
    Ok(Some(Device {
        ifindex: link.ifindex,
        mac: link.mac,
        mtu: link.mtu,
        is_up: link.is_up(),
        addresses: addresses.into_iter().map(|info| (info.addr, info.prefix_len)).collect(),
        routes: netlink.slave_routes(link.ifindex)?,
    }))
}

/// Puts addresses and routes of the attachment on the device, in the netns in which it was created, and sets it up.
pub fn assign(wanted: &Attachment, ifindex: IfIndex) -> Result<()> {
    let work = || assign_here(&Netlink::open()?, wanted, ifindex);
    match &wanted.spec.netns {
        Some(netns) => netns::within(netns::open(netns)?, work)?,
        None => work(),
    }
}

fn assign_here(netlink: &Netlink, wanted: &Attachment, ifindex: IfIndex) -> Result<()> {
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

/// An IPv6 address needs no duplicate address detection: the table says that no sibling has it, and to wait a second for
/// machines outside would delay every container.
pub(crate) fn flags(addr: Addr) -> u32 {
    if addr.as_v4().is_none() { libc::IFA_F_NODAD } else { 0 }
}
