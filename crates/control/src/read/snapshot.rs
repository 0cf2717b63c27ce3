//! How does core decide about a frame in user space? On a copy of a port's tables, and on the frame's bytes.

use ipvl_core::{Addr, Asker, Frame, Group, Members, Owner, PortEntry, Slave, Slot, Tables};
use std::collections::BTreeMap;
use std::fmt;

/// The tables of one port, read once.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The port's entry.
    pub port: PortEntry,
    /// The slaves, by slot.
    pub slaves: BTreeMap<Slot, Slave>,
    /// The owners of single addresses.
    pub owners: BTreeMap<Addr, Owner>,
    /// The owners of prefixes; used only if [`PortEntry::PREFIXES`] is set. The length counts all 128 bits of an [`Addr`]:
    /// an IPv4 /24 is 120.
    pub prefixes: Vec<(Addr, u8, Owner)>,
    /// The members of multicast groups.
    pub groups: BTreeMap<Group, Members>,
    /// Whether slaves may have joined more groups.
    pub joining: bool,
    /// The senders of recent broadcasts, by the frame's digest.
    pub sent: BTreeMap<u64, Slot>,
    /// The slaves that wait for a DHCP reply, by transaction id.
    pub asked: BTreeMap<u32, Asker>,
}

impl Tables for Snapshot {
    fn port(&self) -> PortEntry {
        self.port
    }

    fn port_ref(&self) -> Option<&PortEntry> {
        Some(&self.port)
    }

    fn slave(&self, slot: Slot) -> Slave {
        self.slaves.get(&slot).copied().unwrap_or(Slave::VACANT)
    }

    fn owner(&self, addr: Addr) -> Owner {
        let exact = self.owners.get(&addr).copied();
        exact.or_else(|| self.longest_match(addr)).unwrap_or(Owner::Nobody)
    }

    fn members(&self, group: Group) -> Option<&Members> {
        self.groups.get(&group)
    }

    fn is_joining(&self) -> bool {
        self.joining
    }

    fn sender_of(&self, digest: u64) -> Option<Slot> {
        self.sent.get(&digest).copied()
    }

    fn asker_of(&self, xid: u32) -> Option<Asker> {
        self.asked.get(&xid).copied()
    }
}

impl Snapshot {
    fn longest_match(&self, addr: Addr) -> Option<Owner> {
        let matching = self.prefixes.iter().filter(|(prefix, len, _)| shared_bits(*prefix, addr) >= u32::from(*len));
        let longest = matching.max_by_key(|(_, len, _)| *len).map(|(_, _, owner)| *owner);
        longest.filter(|_| self.port.has(PortEntry::PREFIXES))
    }
}

/// The number of leading bits that two addresses have in common.
fn shared_bits(one: Addr, other: Addr) -> u32 {
    (u128::from_be_bytes(one.0) ^ u128::from_be_bytes(other.0)).leading_zeros()
}

/// A frame in memory, with what the kernel keeps outside of its bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Bytes {
    /// The bytes, from the link-layer header on.
    pub data: Vec<u8>,
    /// The VLAN id of a tag that is not in the bytes.
    pub vlan: Option<u16>,
    /// Whether it is to be split into several segments.
    pub gso: bool,
    /// Whether it is the host's own multicast, which the kernel looped back.
    pub loopback: bool,
}

/// The bytes are written in hex, as one word.
impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { data, vlan, gso, loopback } = self;
        data.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, " vlan {vlan:?} gso {gso} loopback {loopback}")
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(data: Vec<u8>) -> Self {
        Self { data, ..Self::default() }
    }
}

impl Frame for Bytes {
    fn len(&self) -> usize {
        self.data.len()
    }

    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.data.as_slice().read(offset)
    }

    fn read_at<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.read(offset)
    }

    fn vlan(&self) -> Option<u16> {
        self.vlan
    }

    fn is_gso(&self) -> bool {
        self.gso
    }

    fn is_to_us(&self) -> bool {
        false
    }

    fn is_loopback(&self) -> bool {
        self.loopback
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Addr = Addr::v4([10, 0, 0, 11]);

    #[test]
    fn a_single_address_wins_over_a_prefix_and_a_long_prefix_over_a_short_one() {
        let mut snapshot = Snapshot {
            port: PortEntry { flags: PortEntry::PREFIXES, ..PortEntry::default() },
            prefixes: vec![
                (Addr::v4([10, 0, 0, 0]), 104, Owner::Slave(Slot(1))),
                (Addr::v4([10, 0, 0, 0]), 120, Owner::Slave(Slot(2))),
            ],
            ..Snapshot::default()
        };
        assert_eq!(snapshot.owner(ADDRESS), Owner::Slave(Slot(2)));
        assert_eq!(snapshot.owner(Addr::v4([10, 9, 9, 9])), Owner::Slave(Slot(1)));
        assert_eq!(snapshot.owner(Addr::v4([11, 0, 0, 0])), Owner::Nobody);
        snapshot.owners.insert(ADDRESS, Owner::Host);
        assert_eq!(snapshot.owner(ADDRESS), Owner::Host);
    }
}
