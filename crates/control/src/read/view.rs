//! What is there? Slaves, addresses and counters, read from the kernel; nothing is changed.

use super::inventory::Inventory;
use crate::error::Result;
use crate::model::{AddressEntry, Link, Statistics};

/// All slaves of all masters in this netns, in the order of their masters and slots.
pub fn links() -> Result<Vec<Link>> {
    Ok(Inventory::read_uncounted()?.links())
}

/// The address table of every port: what slaves own, what slaves have on their devices but do not own, and what the host
/// owns.
pub fn addresses() -> Result<Vec<AddressEntry>> {
    Inventory::read_uncounted()?.addresses()
}

/// The counters of every slave, and what was dropped at every master.
pub fn statistics() -> Result<Vec<Statistics>> {
    Inventory::read()?.statistics()
}
