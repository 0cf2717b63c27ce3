//! Which of those that have an address on a master of our kernel module owns it? The first that had it; netlink says when.

use crate::model::{AddressEntry, AddressStatus};
use ipvl_core::Addr;
use std::collections::BTreeMap;

/// A slave or the host, with an address on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The address.
    pub addr: Addr,
    /// When the device got it.
    pub created: u32,
    /// The slave; none for the host.
    pub slave: Option<String>,
    /// Whether it is declared for it.
    pub is_declared: bool,
    /// Whether it has a line of its own.
    pub is_shown: bool,
}

/// The lines of the master's address table.
pub fn lines(master: &str, holders: Vec<Holder>) -> Vec<AddressEntry> {
    let mut by_address: BTreeMap<Addr, Vec<Holder>> = BTreeMap::new();
    holders.into_iter().for_each(|holder| by_address.entry(holder.addr).or_default().push(holder));
    by_address.into_values().flat_map(|holders| of_address(master, holders)).collect()
}

/// Of several that got it in the same hundredth of a second, the order is not known: none is shown as the owner.
fn of_address(master: &str, mut holders: Vec<Holder>) -> Vec<AddressEntry> {
    holders.sort_by_key(|holder| holder.created);
    let owner = holders.first().map(name);
    let is_clear = holders.get(1).is_none_or(|second| second.created != holders[0].created || is_host(&holders));
    let entry = |(number, holder): (usize, &Holder)| {
        let is_owner = holder.slave.is_none() && holders[0].slave.is_none() || number == 0 && is_clear;
        let other = if number == 0 { holders.get(1).map(name) } else { owner.clone() };
        let own = if holder.is_declared { AddressStatus::Declared } else { AddressStatus::Device };
        let (status, owner) = if is_owner { (own, None) } else { (AddressStatus::Conflict, other) };
        let (slave, master) = (holder.slave.clone(), master.to_owned());
        AddressEntry { addr: holder.addr, prefix_len: holder.addr.full_len(), slave, master, status, owner }
    };
    holders.iter().enumerate().filter(|(_, holder)| holder.is_shown).map(entry).collect()
}

/// Whether all are the host's devices.
fn is_host(holders: &[Holder]) -> bool {
    holders.iter().all(|holder| holder.slave.is_none())
}

fn name(holder: &Holder) -> String {
    holder.slave.clone().unwrap_or_else(|| "host".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(created: u32, slave: Option<&str>) -> Holder {
        Holder {
            addr: Addr::v4([10, 0, 0, 1]),
            created,
            slave: slave.map(str::to_owned),
            is_declared: false,
            is_shown: true,
        }
    }

    #[track_caller]
    fn check(holders: &[Holder], expected: &[(Option<&str>, AddressStatus, Option<&str>)]) {
        let found = lines("eth0", holders.to_vec());
        let seen: Vec<_> =
            found.iter().map(|entry| (entry.slave.as_deref(), entry.status, entry.owner.as_deref())).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_first_that_had_it_owns_it() {
        use AddressStatus::{Conflict, Device};
        check(
            &[holder(9, Some("b")), holder(7, Some("a"))],
            &[(Some("a"), Device, None), (Some("b"), Conflict, Some("a"))],
        );
        check(&[holder(9, None), holder(7, Some("a"))], &[(Some("a"), Device, None), (None, Conflict, Some("a"))]);
        check(&[holder(3, None), holder(7, Some("a"))], &[(None, Device, None), (Some("a"), Conflict, Some("host"))]);
        check(&[holder(3, None), holder(3, None)], &[(None, Device, None), (None, Device, None)]);
        check(
            &[holder(3, Some("a")), holder(3, Some("b"))],
            &[(Some("a"), Conflict, Some("b")), (Some("b"), Conflict, Some("a"))],
        );
    }
}
