//! What does a host end's alias say (its master, its slot, the slave's owner), and where is the slave behind it?

use crate::kernel::netlink::LinkInfo;
use crate::model::Backend;
use crate::place::Place;
use crate::refusal::Refusal;
use ipvl_core::{IfIndex, Slot};
use std::fmt;

const PREFIX: &str = "ipvl host end: master=";
const OWNER: &str = " owner=";
/// The most bytes of an owner: an alias has room for 255 (`IFALIASZ`), and the rest of it takes at most 79.
const LONGEST_OWNER: usize = 255 - 79;

/// What the alias of a host end says. No other record links a device to its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostEnd {
    /// The master's ifindex.
    pub master: IfIndex,
    /// The slave's slot.
    pub slot: Slot,
}

impl HostEnd {
    /// Reads the alias of a link; none if the link is not a host end.
    pub fn of(link: &LinkInfo) -> Option<Self> {
        let mut words = link.alias.as_deref()?.strip_prefix(PREFIX)?.split(' ');
        let master = IfIndex(words.next()?.parse().ok()?);
        let slot = Slot(words.next()?.strip_prefix("slot=")?.parse().ok()?);
        Some(Self { master, slot })
    }
}

impl fmt::Display for HostEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{} slot={}", self.master, self.slot.0)
    }
}

/// The owner of the slave behind this link, if the link is a host end and its slave has an owner.
pub fn owner_of(link: &LinkInfo) -> Option<&str> {
    HostEnd::of(link)?;
    link.alias.as_deref()?.split_once(OWNER).map(|(_, owner)| owner)
}

/// An alias with the owner at its end.
pub fn with_owner(text: String, owner: Option<&str>) -> String {
    match owner {
        Some(owner) => text + OWNER + owner,
        None => text,
    }
}

/// An alias up to the owner.
pub fn without_owner(alias: &str) -> &str {
    alias.split_once(OWNER).map_or(alias, |(text, _)| text)
}

/// Refuses an owner that an alias cannot hold, or that the kernel would not give back unchanged.
pub fn check_owner(owner: &str) -> Result<(), Refusal> {
    let fits = !owner.is_empty() && owner.len() <= LONGEST_OWNER && !owner.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(Refusal::UnfitOwner { most: LONGEST_OWNER }) }
}

/// Where the slave behind this host end is: the id of its netns here, if it is another, and its ifindex there.
pub fn place_of(host_end: &LinkInfo) -> Option<Place> {
    if is_tap(host_end) {
        return Some(Place::here(host_end.ifindex));
    }
    host_end.link.map(|ifindex| Place { netns: host_end.link_netnsid, ifindex })
}

/// Whether this host end is a tap device, and so the slave itself.
pub fn is_tap(link: &LinkInfo) -> bool {
    link.kind.as_deref() == Some("tun") && HostEnd::of(link).is_some()
}

/// The kind of pair that a host end is one end of; none for a tap device, which is no pair.
pub fn backend_of(host_end: &LinkInfo) -> Option<Backend> {
    [Backend::Veth, Backend::Netkit].into_iter().find(|backend| host_end.kind.as_deref() == Some(backend.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_end_names_its_master_and_slot() {
        let host_end = HostEnd { master: IfIndex(7), slot: Slot(12) };
        let link = LinkInfo { alias: Some(host_end.to_string()), ..LinkInfo::default() };
        assert_eq!(HostEnd::of(&link), Some(host_end));
        assert_eq!(HostEnd::of(&LinkInfo { alias: Some("uplink".to_owned()), ..LinkInfo::default() }), None);
    }

    #[test]
    fn a_host_end_names_its_slaves_owner() {
        let described = HostEnd { master: IfIndex(7), slot: Slot(12) };
        let alias = with_owner(described.to_string(), Some("docker n e owner=x"));
        let link = LinkInfo { alias: Some(alias), ..LinkInfo::default() };
        assert_eq!((owner_of(&link), HostEnd::of(&link)), (Some("docker n e owner=x"), Some(described)));
        let stranger = LinkInfo { alias: Some("a link owner=me".to_owned()), ..LinkInfo::default() };
        assert_eq!(owner_of(&stranger), None);
    }

    #[test]
    fn the_longest_owner_fits_into_an_alias() {
        let longest =
            HostEnd { master: IfIndex(u32::MAX), slot: Slot(u32::MAX) }.to_string().len() + " entry=".len() + 16;
        assert!(longest + OWNER.len() + LONGEST_OWNER <= 255, "{longest}");
        assert_eq!(check_owner(&"x".repeat(LONGEST_OWNER)), Ok(()));
        for unfit in [&"x".repeat(LONGEST_OWNER + 1), "two\nlines", ""] {
            assert_eq!(check_owner(unfit), Err(Refusal::UnfitOwner { most: LONGEST_OWNER }), "{unfit}");
        }
    }
}
