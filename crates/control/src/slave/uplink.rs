//! Which link is the master where an engine's user names none? The one that the default route leads to.

use crate::error::{Result, refused};
use crate::kernel::netlink::Netlink;
use crate::refusal::Refusal;

/// The name of the link that the default route of this netns leads to.
pub fn default_master() -> Result<String> {
    let netlink = Netlink::open()?;
    for ifindex in netlink.default_ways()? {
        if let Some(link) = netlink.link(ifindex, None)? {
            return Ok(link.name);
        }
    }
    Err(refused("choose", "a master", Refusal::NoDefaultRoute))
}
