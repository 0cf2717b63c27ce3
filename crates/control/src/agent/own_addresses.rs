//! Which of the addresses on its device does a slave own, if nobody else owns them?

use crate::slave::routes::{Prefix, covers};
use ipvl_core::{Addr, Guard, MAX_SLAVES, Mac, Slot, link_local};
use std::collections::BTreeSet;

/// A slave that has addresses on its device.
pub struct Claimant<'a> {
    /// The MAC address that it shares.
    pub mac: Mac,
    /// Its slot.
    pub slot: Slot,
    /// Its guard.
    pub guard: Guard,
    /// The prefixes that are declared for it.
    pub declared: &'a BTreeSet<Prefix>,
    /// The first and the last address of each network that it is on.
    pub edges: &'a BTreeSet<Addr>,
}

impl Claimant<'_> {
    /// Whether it may own the address: a unicast address that is no edge of its networks. With `guard declared` it is one
    /// that is declared, or the link-local address that we give the slave.
    ///
    /// The edges of siblings' networks are not asked for: by a network of its own choice, a slave could take a sibling's
    /// address away. To own the broadcast address of a network gains nothing, since broadcasts are flooded.
    pub fn may_own(&self, addr: Addr) -> bool {
        let given = || addr == link_local(self.mac, self.slot) || self.declared.iter().any(|one| covers(*one, addr));
        is_own(addr, self.mac, self.slot) && !self.edges.contains(&addr) && (self.guard != Guard::Declared || given())
    }
}

/// Whether the slave may own the address: it is a unicast address, and not the link-local address of another slot.
fn is_own(addr: Addr, mac: Mac, slot: Slot) -> bool {
    let Addr([_, _, _, _, _, _, _, _, _, _, _, high, low, ..]) = addr;
    let number = u32::from(u16::from_be_bytes([high, low]));
    let others = number > 0 && number <= MAX_SLAVES && number != slot.0 + 1;
    if others && addr == link_local(mac, Slot(number - 1)) {
        return false;
    }
    !addr.ip().is_loopback() && !addr.is_group() && !addr.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_covers_its_own_family_up_to_its_length() {
        let v4 = |ip| Addr::v4(ip);
        let v6 = |last| Addr([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        assert!(
            covers((v4([10, 1, 0, 0]), 16), v4([10, 1, 2, 3])) && !covers((v4([10, 1, 0, 0]), 16), v4([10, 2, 2, 3]))
        );
        assert!(
            covers((v4([10, 1, 2, 3]), 32), v4([10, 1, 2, 3])) && !covers((v4([10, 1, 2, 3]), 32), v4([10, 1, 2, 2]))
        );
        assert!(covers((v6(0), 64), v6(9)) && !covers((v6(8), 128), v6(9)) && covers((v6(9), 128), v6(9)));
        assert!(covers((v4([0; 4]), 0), v4([10, 1, 2, 3])) && !covers((Addr([0; 16]), 0), v4([10, 1, 2, 3])));
    }

    #[test]
    fn nobody_owns_what_is_no_station() {
        for ip in [[0, 0, 0, 0], [127, 0, 0, 1], [224, 0, 0, 1], [255, 255, 255, 255]] {
            assert!(!is_own(Addr::v4(ip), Mac([2, 0, 0, 0, 0, 1]), Slot(0)), "{ip:?}");
        }
    }
}
