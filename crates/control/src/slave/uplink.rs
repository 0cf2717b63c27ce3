//! Which link is the master if an engine's user names none? That of the default route.

use crate::error::{Result, refused};
use crate::kernel::netlink::Netlink;
use crate::refusal::Refusal;

/// The name of the link that the default route of this netns leaves by.
pub fn default_master() -> Result<String> {
    let netlink = Netlink::open()?;
    for ifindex in netlink.default_route_links()? {
        if let Some(link) = netlink.link(ifindex, None)? {
            return Ok(link.name);
        }
    }
    Err(refused("choose", "a master", Refusal::NoDefaultRoute))
}
