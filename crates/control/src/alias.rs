//! Whose is a slave? An engine's words for that stand at the end of what the host end's alias says, after [`HostEnd`].
//!
//! [`HostEnd`]: crate::port::HostEnd

use crate::netlink::LinkInfo;
use crate::port::HostEnd;

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
    use ipvl_core::Slot;

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
