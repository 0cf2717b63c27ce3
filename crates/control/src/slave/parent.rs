//! How is a master made that an engine's user names before it exists: a VLAN such as `eth0.10`, or a dummy?

use crate::error::{Error, Result, refused};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::{LinkChange, LinkInfo, Netlink, NewLink};
use crate::port::host_end::HostEnd;
use crate::refusal::Refusal;
use crate::slave::find;

/// The alias of a master that ipvl made.
const MADE: &str = "ipvl made this master";

/// A master that may have to be made first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent<'a> {
    /// It must exist already.
    Present,
    /// An 802.1Q sub-interface of the link `lower`.
    Vlan {
        /// The link that carries the tags.
        lower: &'a str,
        /// 1 to 4094.
        id: u16,
    },
    /// A dummy device.
    Dummy,
}

/// Makes the master `name` unless there is a link of that name; whether it did.
pub fn ensure_parent(name: &str, parent: Parent<'_>) -> Result<bool> {
    let _lock = Lock::acquire(LOCK_WAIT)?;
    let netlink = Netlink::open()?;
    if netlink.link_by_name(name, None)?.is_some() {
        return Ok(false);
    }
    let made = match parent {
        Parent::Present => return Err(refused("use", name, Refusal::NoLink)),
        Parent::Vlan { lower, id } => {
            let lower = find::link(&netlink, lower).map_err(|refusal| refused("find", lower, refusal))?;
            netlink.create_link(name, &NewLink::Vlan { lower: lower.ifindex, id })
        }
        Parent::Dummy => netlink.create_link(name, &NewLink::Dummy),
    };
    made.map_err(|error| explained(name, parent, error))?;
    let Some(link) = netlink.link_by_name(name, None)? else { return Ok(false) };
    let ready =
        netlink.set_link(link.ifindex, &LinkChange { alias: Some(MADE), up: Some(true), ..LinkChange::default() });
    if ready.is_err() {
        netlink.delete_link(link.ifindex)?;
    }
    ready.map(|()| true)
}

/// Removes a master that [`ensure_parent`] made, unless it has slaves; whether it did.
pub fn remove_parent(name: &str) -> Result<bool> {
    let _lock = Lock::acquire(LOCK_WAIT)?;
    let netlink = Netlink::open()?;
    let Some(link) = netlink.link_by_name(name, None)?.filter(|link| link.alias.as_deref() == Some(MADE)) else {
        return Ok(false);
    };
    if has_slaves(&netlink, &link)? {
        return Ok(false);
    }
    netlink.delete_link(link.ifindex)
}

fn has_slaves(netlink: &Netlink, master: &LinkInfo) -> Result<bool> {
    let links = netlink.links(None)?;
    Ok(links.iter().filter_map(HostEnd::of).any(|host_end| host_end.master == master.ifindex))
}

/// Names the module that is missing, where the kernel says only that it does not know such devices.
fn explained(name: &str, parent: Parent<'_>, error: Error) -> Error {
    let module = match parent {
        _ if error.errno() != Some(libc::EOPNOTSUPP) => return error,
        Parent::Vlan { .. } => "8021q",
        Parent::Present | Parent::Dummy => "dummy",
    };
    refused("make", name, Refusal::NoModule(module))
}
