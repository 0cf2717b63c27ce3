//! Which slave of our kernel module has a given name?

use crate::error::{Result, refused};
use crate::kernel::netlink::Netlink;
use crate::refusal::Refusal;
use crate::slave::find::SlaveNames;
use crate::slave::module::{ModuleSlave, all};

/// The slave of the module that has this name: in this netns first, else in any other; none if there is none.
pub fn named(netlink: &Netlink, name: &str) -> Result<Option<ModuleSlave>> {
    let here = netlink.link_by_name(name, None)?;
    if here.as_ref().and_then(|link| link.ipvlan.as_ref()).is_some_and(|info| info.options.is_none()) {
        return Err(refused("use", name, Refusal::OfKernelDriver));
    }
    let mut found: Vec<_> = all(netlink)?.into_iter().filter(|slave| slave.device.name == name).collect();
    if let Some(place) = found.iter().position(|slave| slave.netnsid.is_none()) {
        return Ok(Some(found.swap_remove(place)));
    }
    match (found.len(), here) {
        (0, _) | (_, Some(_)) => Ok(None),
        (1, None) if !SlaveNames::default().is_pair(netlink, name)? => Ok(found.pop()),
        _ => Err(refused("find", name, Refusal::AmbiguousInside)),
    }
}
