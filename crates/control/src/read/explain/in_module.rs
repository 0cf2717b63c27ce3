//! What does a port of our kernel module know? Its tables cannot be read, so they are made anew from what netlink says of the
//! master, of its slaves and of everybody's addresses, by the module's own rules.

use crate::error::Result;
use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::port::Port;
use crate::read::snapshot::Snapshot;
use crate::slave::module::{self, ModuleSlave};
use crate::slave::module_name::ModuleNames;
use ipvl_core::{Addr, IfIndex, Mac, Owner, PortEntry, Slave, Slot, State};
use std::collections::{BTreeMap, BTreeSet};

/// A port of the module.
pub struct ModulePort {
    /// The master.
    pub master: LinkInfo,
    /// What it knows. Slots are numbers in the order in which slaves were read: netlink does not say the module's.
    pub snapshot: Snapshot,
    /// The slaves' names.
    pub names: BTreeMap<Slot, String>,
    /// The slave that was asked about; none for the master.
    pub source: Option<Slot>,
    /// What netlink does not say, in words.
    pub unknown: Vec<String>,
}

/// The port of a device of this name, if that is a slave of the module, or a master that has only such slaves.
pub fn find(netlink: &Netlink, device: &str) -> Result<Option<ModulePort>> {
    if !module::is_loaded() {
        return Ok(None);
    }
    let slaves = module::all(netlink)?;
    if let Some(link) = netlink.link_by_name(device, None)?
        && slaves.iter().any(|slave| slave.master == link.ifindex)
    {
        let pairs = Port::find(netlink, link.ifindex)?;
        return if pairs.is_some() { Ok(None) } else { read(netlink, link, &slaves, None).map(Some) };
    }
    let Some(asked) = ModuleNames::default().take(netlink, device)? else { return Ok(None) };
    let master = netlink.link(asked.master, None)?.unwrap_or_default();
    read(netlink, master, &slaves, Some(&asked)).map(Some)
}

/// Reads the port of a master.
fn read(
    netlink: &Netlink,
    master: LinkInfo,
    slaves: &[ModuleSlave],
    asked: Option<&ModuleSlave>,
) -> Result<ModulePort> {
    let its = (0..).map(Slot).zip(slaves.iter().filter(|slave| slave.master == master.ifindex));
    let its: Vec<(Slot, &ModuleSlave)> = its.collect();
    let local: BTreeSet<IfIndex> = slaves.iter().filter(|s| s.netnsid.is_none()).map(|s| s.device.ifindex).collect();
    let all = netlink.addresses(None, None)?.into_iter().filter(|info| !local.contains(&info.ifindex));
    let mut claims = Claims::default();
    all.for_each(|info| claims.add(info.addr, info.created, None));
    for (slot, slave) in &its {
        let addresses = slave.netlink.addresses(Some(slave.device.ifindex), None)?;
        let own = addresses.iter().filter(|info| slave.may_own(info.addr));
        own.for_each(|info| claims.add(info.addr, info.created, Some(*slot)));
        slave.declared_addresses().for_each(|addr| claims.add(addr, 0, Some(*slot)));
    }
    let prefixes: Vec<(Addr, u8, Owner)> = its.iter().flat_map(|(slot, slave)| prefixes(*slot, slave)).collect();
    let names: BTreeMap<Slot, String> = its.iter().map(|(slot, slave)| (*slot, slave.device.name.clone())).collect();
    let (owners, unknown) = claims.owners(&names);
    let source = asked.and_then(|asked| its.iter().find(|(_, slave)| slave.place() == asked.place()));
    let source = source.map(|(slot, _)| *slot);
    let slaves: BTreeMap<_, _> = its.iter().map(|(slot, slave)| (*slot, entry(slave, master.is_up()))).collect();
    let port = PortEntry {
        master: master.ifindex,
        mtu: master.mtu,
        slots: its.len() as u32,
        mac: master.mac.unwrap_or(Mac([0; 6])),
        flags: flags(&prefixes, &slaves),
        ..PortEntry::default()
    };
    let snapshot = Snapshot { port, slaves, owners, prefixes, ..Snapshot::default() };
    Ok(ModulePort { master, snapshot, names, source, unknown })
}

/// The prefixes that are declared for a slave, with lengths in bits of 16 bytes.
fn prefixes(slot: Slot, slave: &ModuleSlave) -> impl Iterator<Item = (Addr, u8, Owner)> {
    slave.declared_prefixes().map(move |(addr, len)| (addr, addr.bits_of(len) as u8, Owner::Slave(slot)))
}

/// A slave with help for DHCP is taken to have asked: netlink does not say whether any has.
fn flags(prefixes: &[(Addr, u8, Owner)], slaves: &BTreeMap<Slot, Slave>) -> u32 {
    let flag = |flag, is_set| if is_set { flag } else { 0 };
    flag(PortEntry::PREFIXES, !prefixes.is_empty())
        | flag(PortEntry::DHCP, slaves.values().any(|slave| slave.has_dhcp()))
}

/// As the module has it: a slave is up only with its master.
fn entry(slave: &ModuleSlave, master_is_up: bool) -> Slave {
    let up = slave.device.is_up() && master_is_up;
    Slave::new(
        slave.device.ifindex,
        slave.options(),
        State { up, all_groups: !slave.declared().is_empty(), ..State::default() },
    )
}

/// The holders of each address, slaves or the host, and since when.
#[derive(Default)]
struct Claims(BTreeMap<Addr, Vec<(u32, Option<Slot>)>>);

impl Claims {
    fn add(&mut self, addr: Addr, created: u32, slot: Option<Slot>) {
        self.0.entry(addr).or_default().push((created, slot));
    }

    /// The owner of each address, the first that had it; and of which that is not known: netlink counts in hundredths of a
    /// second.
    fn owners(self, names: &BTreeMap<Slot, String>) -> (BTreeMap<Addr, Owner>, Vec<String>) {
        let (mut owners, mut unknown) = (BTreeMap::new(), Vec::new());
        for (addr, mut claims) in self.0 {
            claims.sort_by_key(|(created, _)| *created);
            let Some((first, slot)) = claims.first().copied() else { continue };
            let rivals = claims.iter().filter(|(created, other)| *created == first && *other != slot);
            for (_, rival) in rivals {
                let (one, other) = (called(slot, names), called(*rival, names));
                unknown.push(format!(
                    "which had {addr} first, and so owns it? not known here, {one} or {other}; taken for {one}"
                ));
            }
            owners.insert(addr, slot.map_or(Owner::Host, Owner::Slave));
        }
        (owners, unknown)
    }
}

fn called(slot: Option<Slot>, names: &BTreeMap<Slot, String>) -> &str {
    slot.map_or("the host", |slot| names.get(&slot).map_or("a slave", String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_had_an_address_owns_it_and_a_tie_is_said() {
        let (one, two) = (Addr::v4([10, 0, 0, 1]), Addr::v4([10, 0, 0, 2]));
        let mut claims = Claims::default();
        for (addr, created, slot) in [(one, 9, None), (one, 7, Some(Slot(0))), (two, 5, Some(Slot(1))), (two, 5, None)]
        {
            claims.add(addr, created, slot);
        }
        let names = BTreeMap::from([(Slot(0), "a".to_owned()), (Slot(1), "b".to_owned())]);
        let (owners, unknown) = claims.owners(&names);
        assert_eq!((owners[&one], owners[&two]), (Owner::Slave(Slot(0)), Owner::Slave(Slot(1))));
        let said = "which had 10.0.0.2 first, and so owns it? not known here, b or the host; taken for b";
        assert_eq!(unknown, [said]);
    }
}
