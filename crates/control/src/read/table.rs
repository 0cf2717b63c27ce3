//! Which lines does the address table of a port have?

use super::record::{UNKNOWN, shown_name};
use super::refused::Refused;
use crate::error::Result;
use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::model::{AddressEntry, AddressMove, AddressStatus};
use crate::port::Port;
use crate::port::tables::SINGLE;
use crate::slave::peers::{PeerAddresses, addresses_on};
use ipvl_core::{Addr, Moved, Origin, OwnerEntry, Slot};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The address table of one port, and the slaves with addresses that could be in it.
pub struct Table {
    /// The master's name.
    pub master: String,
    /// Addresses, lengths in bits of 16-byte addresses, and owners.
    pub owned: Vec<(Addr, u32, OwnerEntry)>,
    /// By slot: the slave's name, and the addresses on its device.
    pub claimants: BTreeMap<Slot, (String, Vec<Addr>)>,
    /// Addresses on devices that found no room in the table.
    pub refused: Vec<(Slot, Addr)>,
}

/// What identifies a line of the table: the address and its length, the slot, whether it was declared, and for a conflict
/// the owner's slot.
pub type Line = (Addr, u32, Slot, bool, Option<Slot>);

/// What identifies a move: the address and its length, and the slot of the owner.
pub type Move = (Addr, u32, Slot);

impl Table {
    /// Reads the table of a port, and the addresses on its slaves' devices. The slaves were read already: slot, host end and
    /// device.
    pub fn of<'a>(
        netlink: &Netlink,
        port: &Port,
        master: &LinkInfo,
        slaves: impl Iterator<Item = (Slot, &'a LinkInfo, &'a LinkInfo)>,
    ) -> Result<Self> {
        let mut claimants = BTreeMap::new();
        let mut refused = Refused::new(port);
        let slaves: Vec<_> = slaves.collect();
        let on_devices = PeerAddresses::list(netlink, slaves.iter().map(|(_, link, _)| *link));
        for &(slot, link, device) in &slaves {
            let addresses = on_devices.on(netlink, device.ifindex, link);
            refused.add(slot, link.link_netnsid, &addresses);
            let addrs = addresses.into_iter().map(|info| info.addr).collect();
            claimants.insert(slot, (shown_name(device.name.clone()), addrs));
        }
        let (master, owned) = (master.name.clone(), port.maps.owned()?);
        let mut table = Self { master, refused: refused.found(&owned), owned, claimants };
        table.confirm_conflicts(netlink, &slaves);
        Ok(table)
    }

    /// An address may have left its device, and had another owner, before the owners were read: then there is no conflict.
    fn confirm_conflicts(&mut self, netlink: &Netlink, slaves: &[(Slot, &LinkInfo, &LinkInfo)]) {
        let doubted: BTreeSet<Slot> = self.conflicts().into_iter().map(|((_, _, slot, ..), _)| slot).collect();
        for &(slot, link, device) in slaves.iter().filter(|(slot, ..)| doubted.contains(slot)) {
            let still = addresses_on(netlink, device.ifindex, link);
            if let Some((_, addrs)) = self.claimants.get_mut(&slot) {
                addrs.retain(|addr| still.iter().any(|info| info.addr == *addr));
            }
        }
    }

    /// A line for each entry, and one for each address on a slave's device that another slave or the host owns.
    pub fn lines(&self) -> BTreeMap<Line, AddressEntry> {
        let owned = self.owned.iter().map(|(addr, len, owner)| {
            let declared = owner.origin() != Origin::Device;
            let status = if declared { AddressStatus::Declared } else { AddressStatus::Device };
            ((*addr, *len, owner.slot, declared, None), self.entry(*addr, *len, owner.slot, status))
        });
        owned.chain(self.conflicts()).chain(self.refusals()).collect()
    }

    /// The addresses and prefixes that came from another slave.
    pub fn moves(&self) -> BTreeMap<Move, (Moved, AddressMove)> {
        let moved = |(addr, len, owner): &(Addr, u32, OwnerEntry)| {
            let moved = owner.last_move()?;
            let (prefix_len, master) = (addr.len_of(*len), self.master.clone());
            let from = self.name(moved.from).unwrap_or_default();
            let told = AddressMove { addr: *addr, prefix_len, from, to: self.name(owner.slot), master, why: moved.why };
            Some(((*addr, *len, owner.slot), (moved, told)))
        };
        self.owned.iter().filter_map(moved).collect()
    }

    fn conflicts(&self) -> Vec<(Line, AddressEntry)> {
        let single = self.owned.iter().filter(|(_, len, _)| *len == SINGLE);
        let owners: HashMap<Addr, Slot> = single.map(|(addr, _, owner)| (*addr, owner.slot)).collect();
        let claims = self.claimants.iter().flat_map(|(slot, (_, addrs))| addrs.iter().map(move |addr| (*slot, *addr)));
        claims
            .filter_map(|(slot, addr)| Some((slot, addr, *owners.get(&addr).filter(|owner| **owner != slot)?)))
            .map(|(slot, addr, owner)| {
                let owner_name = Some(self.name(owner).unwrap_or_else(|| "host".to_owned()));
                let entry = self.entry(addr, SINGLE, slot, AddressStatus::Conflict);
                ((addr, SINGLE, slot, false, Some(owner)), AddressEntry { owner: owner_name, ..entry })
            })
            .collect()
    }

    fn refusals(&self) -> impl Iterator<Item = (Line, AddressEntry)> {
        let line =
            |slot, addr| ((addr, SINGLE, slot, false, None), self.entry(addr, SINGLE, slot, AddressStatus::Refused));
        self.refused.iter().map(move |(slot, addr)| line(*slot, *addr))
    }

    fn entry(&self, addr: Addr, len: u32, slot: Slot, status: AddressStatus) -> AddressEntry {
        let (slave, master) = (self.name(slot), self.master.clone());
        AddressEntry { addr, prefix_len: addr.len_of(len), slave, master, status, owner: None }
    }

    /// The name of the slave in a slot; none for the host.
    fn name(&self, slot: Slot) -> Option<String> {
        let name = || self.claimants.get(&slot).map_or_else(|| UNKNOWN.to_owned(), |(name, _)| name.clone());
        (slot != OwnerEntry::HOST).then(name)
    }
}
