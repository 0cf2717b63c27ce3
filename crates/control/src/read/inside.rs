//! How do slaves of our kernel module look to their user, by what the kernel says of them?

use super::holders::{self, Holder};
use super::record::{UNKNOWN, shown_name};
use super::shown::alone;
use crate::error::Result;
use crate::kernel::netlink::{AddressInfo, LinkInfo, Netlink};
use crate::model::{AddressEntry, AddressStatus, Backend, Link, Statistics};
use crate::place::NsId;
use crate::port::ARPHRD_NONE;
use crate::report::PortReport;
use crate::slave::module::{ModuleSlave, all};
use crate::slave::module_owner::owner_of;
use ipvl_core::maps::Counters;
use ipvl_core::{Addr, IfIndex, Options, Reason, Slave, State};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How many slaves of the module a master can have.
const MOST_SLAVES: usize = 65_532;

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
            options: options_in_effect(self.slave.options()),
            ..alone(device, (self.slave.master, self.master.clone()))
        }
    }

    /// The owner that its alias names.
    pub fn owner(&self) -> Option<&str> {
        owner_of(&self.slave.device)
    }

    /// The addresses that it may own: those that are declared for it, which nothing was before, and others on its device.
    fn holders(&self) -> Vec<Holder> {
        let slave = Some(self.slave.device.name.clone());
        let single: BTreeSet<Addr> = self.slave.declared_addresses().collect();
        let on_device = self.addresses();
        let others = on_device.iter().filter(|info| !single.contains(&info.addr) && self.slave.may_own(info.addr));
        let others = others.map(|info| (info.addr, info.created, false));
        let all = single.iter().map(|addr| (*addr, 0, true)).chain(others);
        all.map(|(addr, created, is_declared)| Holder {
            addr,
            created,
            slave: slave.clone(),
            is_declared,
            is_shown: true,
        })
        .collect()
    }

    /// The prefixes that are declared for it.
    fn prefixes(&self) -> impl Iterator<Item = AddressEntry> {
        self.slave.declared_prefixes().map(|(addr, prefix_len)| AddressEntry {
            addr,
            prefix_len,
            slave: Some(self.slave.device.name.clone()),
            master: self.master.clone(),
            status: AddressStatus::Declared,
            owner: None,
        })
    }

    /// The addresses on its device.
    pub fn addresses(&self) -> Vec<AddressInfo> {
        self.slave.netlink.addresses(Some(self.slave.device.ifindex), None).unwrap_or_default()
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

/// In l3s the host's stack has each packet, so what is asked for does not matter.
fn options_in_effect(options: Options) -> Options {
    Slave::new(IfIndex::NONE, options, State::default()).options_in_effect()
}

/// The addresses of the slaves, and of masters that have no others: the host's. `known` are the masters that have others.
pub fn addresses(netlink: &Netlink, inside: &[Inside], known: &[IfIndex]) -> Vec<AddressEntry> {
    let masters: BTreeMap<IfIndex, &str> = inside.iter().map(|one| (one.slave.master, one.master.as_str())).collect();
    let local: BTreeSet<IfIndex> =
        inside.iter().filter(|one| one.netnsid().is_none()).map(|one| one.slave.device.ifindex).collect();
    let host = netlink.addresses(None, None).unwrap_or_default();
    let host: Vec<AddressInfo> = host.into_iter().filter(|info| !local.contains(&info.ifindex)).collect();
    let mut lines = Vec::new();
    for (ifindex, master) in masters.into_iter().filter(|(_, name)| *name != UNKNOWN) {
        let its = inside.iter().filter(|one| one.slave.master == ifindex);
        let its: Vec<&Inside> = its.collect();
        lines.extend(its.iter().flat_map(|one| one.prefixes()));
        let of_slaves = its.iter().flat_map(|one| one.holders());
        let of_host = host.iter().map(|info| Holder {
            addr: info.addr,
            created: info.created,
            slave: None,
            is_declared: false,
            is_shown: info.ifindex == ifindex && !known.contains(&ifindex),
        });
        lines.extend(holders::lines(master, of_slaves.chain(of_host).collect()));
    }
    lines
}

/// The masters that have slaves of the module and no others. What was for their slaves and dropped is counted where netlink does
/// not tell it: in `ethtool -S`.
pub fn ports(netlink: &Netlink, inside: &[Inside], known: &[IfIndex]) -> Vec<PortReport> {
    let mut ports: BTreeMap<IfIndex, PortReport> = BTreeMap::new();
    for one in inside.iter().filter(|one| !known.contains(&one.slave.master)) {
        let port = ports.entry(one.slave.master).or_insert_with(|| port(netlink, one));
        port.slaves += 1;
        port.addresses += one.holders().len();
        port.prefixes += one.prefixes().count();
    }
    ports.into_values().collect()
}

/// A master without slaves.
fn port(netlink: &Netlink, one: &Inside) -> PortReport {
    let own = netlink.addresses(Some(one.slave.master), None).unwrap_or_default();
    PortReport {
        ifindex: one.slave.master,
        name: one.master.clone(),
        addresses: own.len(),
        own_addresses: own.into_iter().map(|info| info.addr).collect(),
        slaves: 0,
        most_slaves: MOST_SLAVES,
        most_addresses: None,
        prefixes: 0,
        conflicts: 0,
        refused: 0,
        drops: Vec::new(),
    }
}
