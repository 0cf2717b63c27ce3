//! Which slave does a file mean?

use super::actual::ActualLink;
use super::desired::{DesiredLink, OWNER};

/// The slave that a file means: the one that came from this table, wherever it is now, or the one with its name and netns. One
/// of the kernel module has its owner in its own alias, which root of its netns can write: it counts in the file's netns alone.
pub fn find<'a>(link: &DesiredLink, slaves: &'a [ActualLink]) -> Option<&'a ActualLink> {
    let owner = link.owner();
    let there = |slave: &&ActualLink| slave.name.as_ref() == Some(&link.name) && is_in(slave, link);
    let came =
        |slave: &&ActualLink| slave.owner.as_ref() == Some(&owner) && (!slave.is_in_module() || is_in(slave, link));
    slaves.iter().find(came).or_else(|| slaves.iter().find(there))
}

fn is_in(slave: &ActualLink, link: &DesiredLink) -> bool {
    if link.netns.is_some() { slave.netns == link.netns } else { slave.local }
}

/// Whether it came from a file.
pub fn is_ours(slave: &ActualLink) -> bool {
    slave.owner.as_ref().is_some_and(|owner| owner.starts_with(OWNER))
}
