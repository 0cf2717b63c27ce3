//! Where is a device: in which network namespace, and under which ifindex there?

use ipvl_core::IfIndex;
use std::fmt;

/// The id that one network namespace has for another (`ip netns list-id`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NsId(pub i32);

impl fmt::Display for NsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A device as this network namespace sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The id of the device's netns here; none for this netns.
    pub netns: Option<NsId>,
    /// Its ifindex there.
    pub ifindex: IfIndex,
}

impl Place {
    /// A device of this netns.
    pub fn here(ifindex: IfIndex) -> Self {
        Self { netns: None, ifindex }
    }
}
