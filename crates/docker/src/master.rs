//! Which master does a network have, and must it be made? `eth0.10` is a VLAN of `eth0`; without a parent it is a dummy.

use crate::error::{Error, Result};
use crate::network::Network;
use ipvl_control::{Parent, ensure_parent, remove_parent};

const VLAN_IDS: std::ops::RangeInclusive<u16> = 1..=4094;

/// Makes the network's master unless it exists. Returns whether it made one.
pub fn ensure(network: &Network) -> Result<bool> {
    let parent = if network.has_own_master() { Parent::Dummy } else { of_name(&network.master)? };
    Ok(ensure_parent(&network.master, parent)?)
}

/// Removes a master that no network needs any more, if this driver made it and it has no slaves.
pub fn remove(name: &str) -> Result<()> {
    remove_parent(name)?;
    Ok(())
}

/// Reads `LOWER.VID`, the name of a VLAN device that can be made.
fn of_name(name: &str) -> Result<Parent<'_>> {
    let Some((lower, id)) = name.rsplit_once('.').filter(|(lower, _)| !lower.is_empty()) else {
        return Ok(Parent::Present);
    };
    match id.parse::<u16>() {
        Ok(id) if VLAN_IDS.contains(&id) => Ok(Parent::Vlan { lower, id }),
        Err(_) if !id.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Parent::Present),
        _ => Err(Error::Value {
            option: "parent".to_owned(),
            value: name.to_owned(),
            allowed: "behind the dot stands a VLAN's number, 1 to 4094".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_behind_a_dot_is_a_vlan() {
        assert_eq!(of_name("eth0.10").expect("good"), Parent::Vlan { lower: "eth0", id: 10 });
        assert_eq!(of_name("bond0.7.20").expect("good"), Parent::Vlan { lower: "bond0.7", id: 20 });
        for name in ["eth0", "eth0.uplink", ".5"] {
            assert_eq!(of_name(name).expect("good"), Parent::Present, "{name}");
        }
        for name in ["eth0.0", "eth0.4095", "eth0.99999"] {
            assert!(of_name(name).is_err(), "{name}");
        }
    }
}
