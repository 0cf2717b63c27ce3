//! How do slaves of our kernel module look to their user, by what the kernel says of them?

use super::record::{UNKNOWN, shown_name};
use super::shown::alone;
use crate::error::Result;
use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::model::{AddressEntry, AddressStatus, Backend, Link, Statistics};
use crate::place::NsId;
use crate::port::ARPHRD_NONE;
use crate::slave::module::{ModuleSlave, all};
use ipvl_core::maps::Counters;
use ipvl_core::{Addr, IfIndex, Reason};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

/// A slave of the module, and its master's name.
pub struct Inside {
    slave: ModuleSlave,
    master: String,
    master_is_ip: bool,
}

/// All of them with masters in this netns.
pub fn read(netlink: &Netlink) -> Result<Vec<Inside>> {
    let mut masters: BTreeMap<IfIndex, LinkInfo> = BTreeMap::new();
    let mut found = Vec::new();
    for slave in all(netlink)? {
        let master = match masters.entry(slave.master) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(netlink.link(slave.master, None)?.unwrap_or_default()),
        };
        let master_is_ip = master.arp_type == ARPHRD_NONE;
        found.push(Inside { slave, master: shown_name(master.name.clone()), master_is_ip });
    }
    Ok(found)
}

impl Inside {
    /// The id of the slave's netns.
    pub fn netnsid(&self) -> Option<NsId> {
        self.slave.netnsid
    }

    /// The slave. The device is its own host end, as with a tap device.
    pub fn link(&self, names: &HashMap<NsId, String>) -> Link {
        let ModuleSlave { device, netnsid, .. } = &self.slave;
        Link {
            master_is_ip: self.master_is_ip,
            backend: Some((Backend::Kernel, Backend::Kernel.why())),
            netnsid: *netnsid,
            netns: netnsid.and_then(|id| names.get(&id).cloned()),
            options: self.slave.options(),
            ..alone(device, (self.slave.master, self.master.clone()))
        }
    }

    /// The addresses on its device. The module lets no other slave have them.
    pub fn addresses(&self) -> Vec<AddressEntry> {
        let found = self.slave.netlink.addresses(Some(self.slave.device.ifindex), None).unwrap_or_default();
        found.into_iter().map(|info| entry(info.addr, Some(&self.slave.device.name), &self.master)).collect()
    }

    /// Its counters, and what it sent that was dropped.
    pub fn statistics(&self) -> Statistics {
        let device = &self.slave.device;
        let counters = Counters {
            tx_packets: device.tx_packets,
            tx_bytes: device.tx_bytes,
            rx_packets: device.rx_packets,
            rx_bytes: device.rx_bytes,
        };
        let drops = device.ipvlan.iter().flat_map(|info| (0..).zip(&info.drops).take(Reason::ALL.len()));
        let drops = drops.filter(|(_, count)| **count > 0).map(|(number, count)| (Reason::from_number(number), *count));
        Statistics {
            name: device.name.clone(),
            ifindex: device.ifindex,
            is_master: false,
            counters,
            drops: drops.collect(),
        }
    }
}

/// The addresses of masters that have slaves of the module and no others: the host's.
pub fn own_addresses(netlink: &Netlink, inside: &[Inside], known: &[IfIndex]) -> Vec<AddressEntry> {
    let mut masters: Vec<(IfIndex, &str)> =
        inside.iter().map(|one| (one.slave.master, one.master.as_str())).filter(|(n, _)| !known.contains(n)).collect();
    masters.dedup();
    let mut lines = Vec::new();
    for (ifindex, name) in masters.into_iter().filter(|(_, name)| *name != UNKNOWN) {
        let found = netlink.addresses(Some(ifindex), None).unwrap_or_default();
        lines.extend(found.into_iter().map(|info| entry(info.addr, None, name)));
    }
    lines
}

/// An address on the device of a slave, or on its master.
fn entry(addr: Addr, slave: Option<&str>, master: &str) -> AddressEntry {
    let (slave, master) = (slave.map(str::to_owned), master.to_owned());
    AddressEntry { addr, prefix_len: addr.full_len(), slave, master, status: AddressStatus::Device, owner: None }
}
