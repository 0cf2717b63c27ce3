//! Which slave of our kernel module has a given name?

use crate::error::{Result, refused};
use crate::kernel::netlink::Netlink;
use crate::refusal::Refusal;
use crate::slave::find::SlaveNames;
use crate::slave::module::{ModuleSlave, all};

/// The slaves of the module that were not taken yet, and the names of the others. Both are read once for many names, and only
/// if they are needed.
#[derive(Default)]
pub struct ModuleNames {
    slaves: Option<Vec<ModuleSlave>>,
    pairs: SlaveNames,
}

impl ModuleNames {
    /// Takes the slave of the module that has this name: in this netns first, else in any other; none if there is none.
    pub fn take(&mut self, netlink: &Netlink, name: &str) -> Result<Option<ModuleSlave>> {
        let here = netlink.link_by_name(name, None)?;
        if here.as_ref().and_then(|link| link.ipvlan.as_ref()).is_some_and(|info| !info.is_of_our_module()) {
            return Err(refused("use", name, Refusal::OfKernelDriver));
        }
        let slaves = match &mut self.slaves {
            Some(slaves) => slaves,
            unread => unread.insert(all(netlink)?),
        };
        let is_called = |slave: &ModuleSlave| slave.device.name == name;
        if let Some(place) = slaves.iter().position(|slave| is_called(slave) && slave.netnsid.is_none()) {
            return Ok(Some(slaves.swap_remove(place)));
        }
        let places: Vec<usize> = (0..slaves.len()).filter(|place| is_called(&slaves[*place])).collect();
        match (&places[..], here) {
            ([], _) | (_, Some(_)) => Ok(None),
            ([place], None) if !self.pairs.is_pair(netlink, name)? => Ok(Some(slaves.swap_remove(*place))),
            _ => Err(refused("find", name, Refusal::AmbiguousInside)),
        }
    }
}
