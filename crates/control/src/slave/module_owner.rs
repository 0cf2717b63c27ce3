//! Which owner does a slave of our kernel module have, and how is it found by its owner?
//!
//! The slave's own alias names the owner. Root in the slave's netns can write that, too: so an owner's name never leads
//! a command to do more to a slave than root there could do itself.

use super::module::{ModuleSlave, all};
use crate::error::Result;
use crate::kernel::netlink::{LinkChange, LinkInfo, Netlink};

const PREFIX: &str = "ipvl slave: owner=";

/// The owner that the alias of this device names.
pub fn owner_of(device: &LinkInfo) -> Option<&str> {
    device.ipvlan.as_ref()?;
    device.alias.as_deref()?.strip_prefix(PREFIX)
}

/// The module's slaves with an owner for which `is_meant` is true.
pub fn owned(netlink: &Netlink, is_meant: impl Fn(&str) -> bool) -> Result<Vec<ModuleSlave>> {
    let slaves = all(netlink)?.into_iter();
    Ok(slaves.filter(|slave| owner_of(&slave.device).is_some_and(&is_meant)).collect())
}

/// Writes the owner of a slave.
pub fn set_owner(slave: &mut ModuleSlave, owner: &str) -> Result<()> {
    let alias = format!("{PREFIX}{owner}");
    let change = LinkChange { alias: Some(&alias), ..LinkChange::default() };
    slave.netlink.set_link(slave.device.ifindex, &change).map_err(|error| error.about(&slave.device.name))?;
    slave.device.alias = Some(alias);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::netlink::IpvlanInfo;

    #[test]
    fn only_a_slave_has_an_owner() {
        let alias = Some(format!("{PREFIX}apply web/a owner=b"));
        let slave = LinkInfo { alias, ipvlan: Some(IpvlanInfo::default()), ..LinkInfo::default() };
        assert_eq!(owner_of(&slave), Some("apply web/a owner=b"));
        assert_eq!(owner_of(&LinkInfo { ipvlan: None, ..slave.clone() }), None);
        assert_eq!(owner_of(&LinkInfo { alias: Some("uplink".to_owned()), ..slave }), None);
    }
}
