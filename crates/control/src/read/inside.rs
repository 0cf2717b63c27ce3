//! How do slaves of our kernel module look to their user, by what the kernel says of them?

use super::record::{UNKNOWN, shown_name};
use crate::error::Result;
use crate::kernel::netlink::Netlink;
use crate::model::{AddressEntry, AddressStatus, Backend, Kind, Link, Statistics};
use crate::place::NsId;
use crate::port::ARPHRD_NONE;
use crate::slave::module::{ModuleSlave, all};
use ipvl_core::maps::Counters;
use ipvl_core::{IfIndex, Mac, Reason, Slot};
use std::collections::HashMap;

/// A slave of the module, and its master's name.
pub struct Inside {
    slave: ModuleSlave,
    master: String,
    master_is_ip: bool,
}

/// All of them with masters in this netns.
pub fn read(netlink: &Netlink) -> Result<Vec<Inside>> {
    let mut found = Vec::new();
    for slave in all(netlink)? {
        let master = netlink.link(slave.master, None)?.unwrap_or_default();
        let master_is_ip = master.arp_type == ARPHRD_NONE;
        found.push(Inside { slave, master: shown_name(master.name), master_is_ip });
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
            ifindex: device.ifindex,
            kind: Kind::Ipvlan,
            name: device.name.clone(),
            master: (self.slave.master, self.master.clone()),
            master_is_ip: self.master_is_ip,
            slot: Slot(0),
            host_end: (device.ifindex, device.name.clone()),
            backend: Some((Backend::Kernel, Backend::Kernel.why())),
            netnsid: *netnsid,
            netns: netnsid.and_then(|id| names.get(&id).cloned()),
            flags: device.flags,
            operstate: device.operstate,
            mtu: device.mtu,
            txqlen: device.txqlen,
            qdisc: device.qdisc.clone(),
            mac: device.mac.unwrap_or(Mac([0; 6])),
            options: self.slave.options(),
            groups: Vec::new(),
            all_groups: false,
            queue: None,
            degraded: Vec::new(),
            detail: device.detail.clone(),
        }
    }

    /// The addresses on its device. The module lets no other slave have them.
    pub fn addresses(&self) -> Vec<AddressEntry> {
        let found = self.slave.netlink.addresses(Some(self.slave.device.ifindex), None).unwrap_or_default();
        let line = |addr: ipvl_core::Addr| AddressEntry {
            addr,
            prefix_len: addr.full_len(),
            slave: Some(self.slave.device.name.clone()),
            master: self.master.clone(),
            status: AddressStatus::Device,
            owner: None,
        };
        found.into_iter().map(|info| line(info.addr)).collect()
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
        lines.extend(found.into_iter().map(|info| AddressEntry {
            addr: info.addr,
            prefix_len: info.addr.full_len(),
            slave: None,
            master: name.to_owned(),
            status: AddressStatus::Device,
            owner: None,
        }));
    }
    lines
}
