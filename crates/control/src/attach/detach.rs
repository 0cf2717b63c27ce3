//! How does an engine give a slave back, or to another owner?

use super::list::owned;
use crate::error::{Result, refused};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::{LinkChange, Netlink};
use crate::port::Port;
use crate::port::host_end::{HostEnd, check_owner, with_owner, without_owner};
use crate::slave::module::ModuleSlave;
use crate::slave::module_owner;
use crate::slave::remove::{Removal, remove};
use ipvl_core::IfIndex;
use std::collections::{BTreeMap, BTreeSet};

/// Removes the slave of an owner, wherever it is. Returns false if the owner has none.
pub fn detach(owner: &str) -> Result<bool> {
    let lock = Lock::acquire(LOCK_WAIT)?;
    let netlink = Netlink::open()?;
    let mut removals: BTreeMap<IfIndex, Removal> = BTreeMap::new();
    let host_ends = owned(&netlink, |other| other == owner)?;
    for link in &host_ends {
        let Some(HostEnd { master, slot }) = HostEnd::of(link) else { continue };
        match Port::of_host_end(&netlink, link.ifindex, master)? {
            Some(port) => _ = removals.insert(master, Removal { port, slaves: BTreeSet::from([(link.ifindex, slot)]) }),
            None => _ = netlink.delete_link(link.ifindex)?,
        }
    }
    let in_module = module_owner::owned(&netlink, |other| other == owner)?;
    in_module.iter().try_for_each(ModuleSlave::delete)?;
    remove(lock, &netlink, removals)?;
    Ok(!host_ends.is_empty() || !in_module.is_empty())
}

/// Gives the slave of an owner to another one. Returns false if `owner` has none.
pub fn hand_over(owner: &str, to: &str) -> Result<bool> {
    check_owner(to).map_err(|refusal| refused("attach", to.escape_default().to_string(), refusal))?;
    let _lock = Lock::acquire(LOCK_WAIT)?;
    let netlink = Netlink::open()?;
    let host_ends = owned(&netlink, |other| other == owner)?;
    for link in &host_ends {
        let alias = with_owner(without_owner(link.alias.as_deref().unwrap_or_default()).to_owned(), Some(to));
        netlink.set_link(link.ifindex, &LinkChange { alias: Some(&alias), ..LinkChange::default() })?;
    }
    let mut in_module = module_owner::owned(&netlink, |other| other == owner)?;
    in_module.iter_mut().try_for_each(|slave| module_owner::set_owner(slave, to))?;
    Ok(!host_ends.is_empty() || !in_module.is_empty())
}
