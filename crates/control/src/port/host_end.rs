//! What does a host end say of itself, in its alias: of which master it is, which slot its slave has, and whose that is?

use crate::kernel::netlink::LinkInfo;
use ipvl_core::Slot;
use std::fmt;

/// What a host end says of itself, in its alias: the one place where a device tells whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostEnd {
    /// The master's ifindex.
    pub master: u32,
    /// The slave's slot.
    pub slot: Slot,
}

impl HostEnd {
    /// What this link says, if it is one.
    pub fn of(link: &LinkInfo) -> Option<Self> {
        let mut words = link.alias.as_deref()?.strip_prefix(PREFIX)?.split(' ');
        let master = words.next()?.parse().ok()?;
        let slot = Slot(words.next()?.strip_prefix("slot=")?.parse().ok()?);
        Some(Self { master, slot })
    }
}

const PREFIX: &str = "ipvl host end: master=";

impl fmt::Display for HostEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{} slot={}", self.master, self.slot.0)
    }
}

const OWNER: &str = " owner=";
/// What the kernel keeps (`IFALIASZ`), less what we say ourselves at most.
pub const LONGEST_OWNER: usize = 255 - 79;

/// The owner of the slave behind this link, if it is a host end and has one.
pub fn owner_of(link: &LinkInfo) -> Option<&str> {
    HostEnd::of(link)?;
    link.alias.as_deref()?.split_once(OWNER).map(|(_, owner)| owner)
}

/// The alias that says both.
pub fn with_owner(text: String, owner: Option<&str>) -> String {
    match owner {
        Some(owner) => text + OWNER + owner,
        None => text,
    }
}

/// What we say ourselves.
pub fn without_owner(alias: &str) -> &str {
    alias.split_once(OWNER).map_or(alias, |(text, _)| text)
}

/// Whether the kernel gives it back as it is.
pub fn is_fit(owner: &str) -> bool {
    !owner.is_empty() && owner.len() <= LONGEST_OWNER && !owner.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_end_says_whose_it_is() {
        let host_end = HostEnd { master: 7, slot: Slot(12) };
        let link = LinkInfo { alias: Some(host_end.to_string()), ..LinkInfo::default() };
        assert_eq!(HostEnd::of(&link), Some(host_end));
        assert_eq!(HostEnd::of(&LinkInfo { alias: Some("uplink".to_owned()), ..LinkInfo::default() }), None);
    }

    #[test]
    fn a_host_end_says_whose_slave_is_behind_it() {
        let described = HostEnd { master: 7, slot: Slot(12) };
        let alias = with_owner(described.to_string(), Some("docker n e owner=x"));
        let link = LinkInfo { alias: Some(alias), ..LinkInfo::default() };
        assert_eq!((owner_of(&link), HostEnd::of(&link)), (Some("docker n e owner=x"), Some(described)));
        let stranger = LinkInfo { alias: Some("a link owner=me".to_owned()), ..LinkInfo::default() };
        assert_eq!(owner_of(&stranger), None);
    }

    #[test]
    fn the_longest_fits_into_an_alias() {
        let longest = HostEnd { master: u32::MAX, slot: Slot(u32::MAX) }.to_string().len() + " entry=".len() + 16;
        assert!(longest + OWNER.len() + LONGEST_OWNER <= 255, "{longest}");
        assert!(is_fit(&"x".repeat(LONGEST_OWNER)) && !is_fit(&"x".repeat(LONGEST_OWNER + 1)));
        assert!(!is_fit("two\nlines") && !is_fit(""));
    }
}
