//! How does a policy get to a slave that is open, and away from it?

use super::cause::CAUSES;
use crate::error::Result;
use crate::kernel::netlink::Netlink;
use crate::port::policy::generation;
use crate::port::tables::PolicyMaps;
use crate::slave::find::Found;
use ipvl_core::policy::{CountKey, Direction, Policy};

/// The program comes first, then the rules, and at last the bit that leads through the program what is for the slave.
pub fn install(netlink: &Netlink, found: &mut Found, maps: &mut PolicyMaps, policy: &Policy) -> Result<()> {
    found.port.attach_policy(netlink, &found.host_end)?;
    maps.set_policy(found.slot, policy)?;
    let numbers: Vec<u32> = policy.rules().iter().map(|rule| rule.handle).collect();
    let of_causes = CAUSES
        .iter()
        .flat_map(|(cause, _)| [Direction::In, Direction::Out].map(|direction| CountKey::of_cause(*cause, direction)));
    maps.forget_counts(found.slot, &numbers.into_iter().chain(of_causes).collect::<Vec<_>>())?;
    let slave = found.port.maps.slave(found.slot)?;
    found.port.maps.set_slave(found.slot, slave.with_policy(true))
}

/// The rules say the same, but not of the same slaves: each policy counts as changed, for connections from before.
pub fn ask_again(maps: &mut PolicyMaps) -> Result<()> {
    for (slot, mut policy) in maps.policies()? {
        policy.generation = generation(Some(&policy));
        maps.set_policy(slot, &policy)?;
    }
    Ok(())
}

/// The slave has no policy any more.
pub fn remove(netlink: &Netlink, found: &mut Found, maps: &mut PolicyMaps) -> Result<()> {
    maps.remove_policy(found.slot)?;
    let slave = found.port.maps.slave(found.slot)?;
    found.port.maps.set_slave(found.slot, slave.with_policy(false))?;
    found.port.detach_policy(netlink, &found.host_end)?;
    maps.forget_counts(found.slot, &[])
}
