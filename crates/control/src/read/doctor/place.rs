//! Which slaves of this netns cannot be examined, since their masters are elsewhere?

use super::finding::bad;
use crate::error::Result;
use crate::kernel::netlink::Netlink;
use crate::model::Finding;
use crate::read::permission;

/// A finding for each.
pub fn slaves_of_others(netlink: &Netlink) -> Result<Vec<Finding>> {
    let told = permission::slaves_of_others(netlink)?.into_iter().map(|(name, master)| {
        let text =
            format!("it is a slave of {master}, which is in another network namespace: nothing can be examined here");
        let remedy = format!("run ipvl doctor where {master} is: nsenter -t 1 -n ipvl doctor, if that is the host's");
        bad(&name, &text, &remedy)
    });
    Ok(told.collect())
}
