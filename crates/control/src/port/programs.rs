//! Which of our programs run on a device, and do they belong to this version of ipvl?

use crate::error::{Error, Result, refused};
use crate::kernel::bpf;
use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::port::hook::Hook;
use crate::port::host_end::HostEnd;
use crate::port::object::{MASTER_RX, SLAVE_XMIT};
use crate::port::tables::PortMaps;
use crate::refusal::Refusal;
use ipvl_core::maps::ABI_VERSION;
use ipvl_core::{IfIndex, PortEntry};
use std::os::fd::OwnedFd;

/// The programs of a port, found from its master.
pub enum MasterPrograms {
    /// There are none: the device is not a master.
    None,
    /// Both are loaded.
    Both(Pair),
    /// Only `master_rx` is loaded.
    MasterRxOnly(Remnant),
    /// They are not of this version of ipvl, or only the name is the same.
    Foreign(Error),
}

/// The two programs of a port.
pub struct Pair {
    /// How `master_rx` is attached.
    pub hook: Hook,
    /// The program at the master.
    pub master_rx: OwnedFd,
    /// The program at the host ends.
    pub slave_xmit: OwnedFd,
    /// The maps of both.
    pub map_ids: Vec<u32>,
}

/// What is left of a port if its last slave went while no agent ran: `slave_xmit` went with the slave.
pub struct Remnant {
    /// How `master_rx` is attached.
    pub hook: Hook,
    /// The program at the master.
    pub master_rx: OwnedFd,
    /// What the port was.
    pub entry: PortEntry,
}

/// The program of a host end.
pub struct HostEndProgram {
    /// How it is attached.
    pub hook: Hook,
    /// The program.
    pub slave_xmit: OwnedFd,
    /// Its maps.
    pub map_ids: Vec<u32>,
    /// Its port.
    pub entry: PortEntry,
}

/// The programs of the port of this master.
pub fn of_master(netlink: &Netlink, master: IfIndex) -> Result<MasterPrograms> {
    let Some((hook, master_rx)) = Hook::find(netlink, master, MASTER_RX)? else { return Ok(MasterPrograms::None) };
    let mut map_ids = bpf::prog_info(&master_rx)?.map_ids;
    let entry = match own_version(&map_ids, master) {
        Ok(entry) => entry,
        Err(error @ Error::Refused { .. }) => return Ok(MasterPrograms::Foreign(error)),
        Err(error) => return Err(error),
    };
    let found = match slave_xmit(entry.slave_xmit)? {
        None => slave_xmit_of_host_ends(netlink, master, &map_ids)?,
        found => found,
    };
    let Some((slave_xmit, its_maps)) = found else {
        return Ok(MasterPrograms::MasterRxOnly(Remnant { hook, master_rx, entry }));
    };
    map_ids.extend(its_maps);
    Ok(MasterPrograms::Both(Pair { hook, master_rx, slave_xmit, map_ids }))
}

/// The program of this host end; none if it has none.
pub fn of_host_end(netlink: &Netlink, host_end: IfIndex) -> Result<Option<HostEndProgram>> {
    let Some((hook, slave_xmit)) = Hook::find(netlink, host_end, SLAVE_XMIT)? else { return Ok(None) };
    let map_ids = bpf::prog_info(&slave_xmit)?.map_ids;
    let entry = own_version(&map_ids, host_end)?;
    Ok(Some(HostEndProgram { hook, slave_xmit, map_ids, entry }))
}

/// Reads the port's entry. Refuses programs of another version of ipvl, and programs that only have the name of ours.
pub fn own_version(map_ids: &[u32], ifindex: IfIndex) -> Result<PortEntry> {
    match port_entry(map_ids, ifindex)? {
        port if port.abi == ABI_VERSION => Ok(port),
        port => Err(foreign(ifindex, Refusal::OtherVersion { theirs: port.abi, ours: ABI_VERSION })),
    }
}

/// The same, of any version.
pub fn port_entry(map_ids: &[u32], ifindex: IfIndex) -> Result<PortEntry> {
    match PortMaps::port_by_ids(map_ids) {
        // There is no map of that name, or it has another size.
        Err(error @ Error::Ebpf { .. }) if !error.is_of_kernel() => Err(foreign(ifindex, Refusal::ForeignProgram)),
        other => other,
    }
}

fn foreign(ifindex: IfIndex, refusal: Refusal) -> Error {
    refused("use", format!("the programs on link {ifindex}"), refusal)
}

/// The program at a host end of this master that shares maps with the master's. It need not be the one that the port names:
/// an upgrade may have been interrupted.
fn slave_xmit_of_host_ends(netlink: &Netlink, master: IfIndex, maps: &[u32]) -> Result<Option<(OwnedFd, Vec<u32>)>> {
    for link in host_ends_of(netlink, master)? {
        let Some((_, program)) = Hook::find(netlink, link.ifindex, SLAVE_XMIT)? else { continue };
        let its_maps = bpf::prog_info(&program)?.map_ids;
        if its_maps.iter().any(|id| maps.contains(id)) {
            return Ok(Some((program, its_maps)));
        }
    }
    Ok(None)
}

/// The host ends whose alias names this master.
pub fn host_ends_of(netlink: &Netlink, master: IfIndex) -> Result<Vec<LinkInfo>> {
    let mut links = netlink.links(None)?;
    links.retain(|link| HostEnd::of(link).is_some_and(|host_end| host_end.master == master));
    Ok(links)
}

/// The program with this id and its maps; none if it is another program now.
fn slave_xmit(id: u32) -> Result<Option<(OwnedFd, Vec<u32>)>> {
    let program = match bpf::prog_fd_by_id(id) {
        Err(error) if error.is_gone() => return Ok(None),
        other => other?,
    };
    let info = bpf::prog_info(&program)?;
    Ok((info.name == SLAVE_XMIT).then_some((program, info.map_ids)))
}
