//! Why is a slave not as it should be, and what is to be done about it?

use super::record::{SlaveRecord, UNKNOWN};
use crate::kernel::netlink::LinkInfo;
use ipvl_core::IfIndex;

/// A reason and its remedy.
type Cause = (&'static str, &'static str);

const AWAY: Cause =
    ("its master has left this network namespace", "bring the master back, or delete the slave: ipvl link del");
const UNATTACHED: Cause = (
    "its master has come back without its program",
    "delete the slave and add it again: nothing else attaches the program",
);
const BACK: Cause = ("its master has come back, and no agent has noticed it", START);
const UNREADABLE: Cause =
    ("its network namespace cannot be read", "name the namespace (ip netns attach NAME PID), or delete the slave");
const NO_CARRIER: Cause =
    ("it is up but has no carrier yet: the agent does not run or cannot enter its network namespace", START);
const START: &str = "start the agent: ipvl agent & (if it runs, its log says what stops it)";

/// Why a slave is degraded, and whether the agent may repair that within a moment.
pub fn degraded(record: &SlaveRecord, device: &LinkInfo) -> Option<(&'static str, bool)> {
    let SlaveRecord { host_end, master, master_gone, unattached, .. } = record;
    let (cause, passes) = match (master_gone, device.ifindex) {
        (true, _) if master.name == UNKNOWN => (AWAY, false),
        (true, _) if *unattached => (UNATTACHED, true),
        (true, _) => (BACK, true),
        (false, IfIndex::NONE) => (UNREADABLE, true),
        _ if device.is_up() && !host_end.is_up() && master.is_up() && master.carrier.unwrap_or(true) => {
            (NO_CARRIER, true)
        }
        _ => return None,
    };
    Some((cause.0, passes))
}

/// The remedy for a reason that [`degraded`] gave.
pub fn remedy(reason: &str) -> &'static str {
    let causes = [AWAY, UNATTACHED, BACK, UNREADABLE, NO_CARRIER];
    causes.into_iter().find(|(text, _)| *text == reason).map_or("", |(_, remedy)| remedy)
}
