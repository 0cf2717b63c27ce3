//! What is there, all of it read once? Links, addresses and counters, as text, JSON, metrics and pages, are made from this.

use super::degraded::degraded;
use super::inside::{self, Inside};
use super::record::{SlaveRecord, is_master_gone, master_of, records_of, shown_name};
use super::shown::link;
use super::table::Table;
use crate::error::Result;
use crate::kernel::finder::Names;
use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::model::{AddressEntry, AddressStatus, Link, Statistics};
use crate::place::NsId;
use crate::port::Port;
use crate::port::host_end::{HostEnd, owner_of};
use crate::report::{PortReport, SlaveReport};
use crate::slave::peers::Peers;
use ipvl_core::maps::Counters;
use ipvl_core::{Addr, IfIndex, MAX_SLAVES, Mode, Reason, Slot, WIRE};
use std::collections::{BTreeMap, HashMap};

/// All ports of this netns with their slaves.
pub struct Inventory {
    netlink: Netlink,
    ports: Vec<PortRead>,
    /// The slaves of our kernel module.
    inside: Vec<Inside>,
    names: HashMap<NsId, String>,
}

struct PortRead {
    port: Port,
    master: LinkInfo,
    slaves: Vec<SlaveRead>,
}

struct SlaveRead {
    record: SlaveRecord,
    /// Empty if it cannot be read.
    device: LinkInfo,
}

impl Inventory {
    /// Reads it. The order is that of masters and slots.
    pub fn read() -> Result<Self> {
        Self::read_with(&mut Names::default())
    }

    /// The same, for a process that does it again and again.
    pub fn read_with(names: &mut Names) -> Result<Self> {
        let netlink = Netlink::open()?;
        let links = netlink.links(None)?;
        Self::of_links(netlink, links, names)
    }

    /// The same without the counters of devices, which take the kernel longest.
    pub fn read_uncounted() -> Result<Self> {
        let netlink = Netlink::open()?;
        let links = netlink.uncounted_links(None)?;
        Self::of_links(netlink, links, &mut Names::default())
    }

    fn of_links(netlink: Netlink, links: Vec<LinkInfo>, names: &mut Names) -> Result<Self> {
        let found = Port::among(&netlink, &links)?;
        let host_ends = links.into_iter().filter(|link| HostEnd::of(link).is_some());
        let mut host_ends: BTreeMap<IfIndex, LinkInfo> = host_ends.map(|link| (link.ifindex, link)).collect();
        let mut ports = Vec::new();
        for port in found {
            let master = master_of(&netlink, &port)?;
            let records = records_of(&netlink, &port, &master, is_master_gone(&port)?, &mut host_ends)?;
            let peers = Peers::list(&netlink, records.iter().map(|record| &record.host_end));
            let slaves = records.into_iter().map(|record| {
                let device = peers.device(&netlink, &record.host_end).unwrap_or_default();
                SlaveRead { record, device }
            });
            let slaves = slaves.collect();
            ports.push(PortRead { port, master, slaves });
        }
        let slaves = ports.iter().flat_map(|port: &PortRead| &port.slaves);
        let inside = inside::read(&netlink)?;
        let pairs = slaves.filter_map(|slave| slave.record.host_end.link_netnsid);
        let ids = pairs.chain(inside.iter().filter_map(Inside::netnsid)).collect();
        let names = names.of(&netlink, ids).clone();
        Ok(Self { netlink, ports, inside, names })
    }

    /// All slaves.
    pub fn links(&self) -> Vec<Link> {
        let pairs = self.ports.iter().flat_map(|port| &port.slaves).map(|slave| self.link(slave));
        pairs.chain(self.inside.iter().map(|slave| slave.link(&self.names))).collect()
    }

    /// The address table of every port, sorted for people.
    pub fn addresses(&self) -> Result<Vec<AddressEntry>> {
        let mut entries = Vec::new();
        for port in &self.ports {
            entries.extend(self.table(port)?.lines().into_values());
        }
        let masters: Vec<IfIndex> = self.ports.iter().map(|port| port.port.master).collect();
        entries.extend(inside::addresses(&self.netlink, &self.inside, &masters));
        entries.sort_by_key(|entry| (entry.master.clone(), entry.slave.is_none(), entry.slave.clone(), entry.addr));
        Ok(entries)
    }

    /// The host ends of the slaves that own an address, at most one for each master.
    pub fn host_ends_of(&self, addr: Addr) -> Result<Vec<&str>> {
        let mut names = Vec::new();
        for PortRead { port, slaves, .. } in &self.ports {
            let owner = port.maps.owner(addr)?;
            let slave = owner.and_then(|owner| slaves.iter().find(|slave| slave.record.slot == owner.slot));
            names.extend(slave.map(|slave| slave.record.host_end.name.as_str()));
        }
        Ok(names)
    }

    /// The counters of every slave, and what was dropped at every master.
    pub fn statistics(&self) -> Result<Vec<Statistics>> {
        let mut all = Vec::new();
        for port in &self.ports {
            let mut drops = port.port.maps.drops()?;
            all.push(port.statistics(drops.remove(&WIRE).unwrap_or_default()));
            for slave in &port.slaves {
                all.push(slave.statistics(&port.port, drops.remove(&slave.record.slot).unwrap_or_default())?);
            }
        }
        all.extend(self.inside.iter().map(Inside::statistics));
        Ok(all)
    }

    /// Every slave with its owner and its counters.
    pub fn slaves(&self) -> Result<Vec<SlaveReport>> {
        let counters = self.statistics()?.into_iter().filter(|line| !line.is_master);
        let pairs = self.ports.iter().flat_map(|port| &port.slaves);
        let owners = pairs.map(|slave| owner_of(&slave.record.host_end).map(str::to_owned));
        let owners = owners.chain(self.inside.iter().map(|slave| slave.owner().map(str::to_owned)));
        let report = |((link, owner), Statistics { counters, drops, .. })| SlaveReport { link, owner, counters, drops };
        Ok(self.links().into_iter().zip(owners).zip(counters).map(report).collect())
    }

    /// How full the tables of every port are.
    pub fn ports(&self) -> Result<Vec<PortReport>> {
        let known: Vec<IfIndex> = self.ports.iter().map(|port| port.port.master).collect();
        let inside = inside::ports(&self.netlink, &self.inside, &known);
        self.ports.iter().map(|port| self.port(port)).chain(inside.into_iter().map(Ok)).collect()
    }

    fn port(&self, port: &PortRead) -> Result<PortReport> {
        let (table, maps) = (self.table(port)?, &port.port.maps);
        let lines = table.lines();
        let count = |status| lines.values().filter(|entry| entry.status == status).count();
        let prefixes = maps.prefixes()?.len();
        let own = self.netlink.addresses(Some(port.port.master), None).unwrap_or_default();
        Ok(PortReport {
            ifindex: port.port.master,
            name: port.master.name.clone(),
            own_addresses: own.into_iter().map(|info| info.addr).collect(),
            slaves: port.slaves.len(),
            most_slaves: MAX_SLAVES as usize,
            addresses: table.owned.len() - prefixes,
            most_addresses: Some(maps.most_addresses()),
            prefixes,
            conflicts: count(AddressStatus::Conflict),
            refused: count(AddressStatus::Refused),
            drops: maps.drops()?.remove(&WIRE).unwrap_or_default(),
        })
    }

    fn table(&self, port: &PortRead) -> Result<Table> {
        let slaves = port.slaves.iter().map(|slave| (slave.record.slot, &slave.record.host_end, &slave.device));
        Table::of(&self.netlink, &port.port, &port.master, slaves)
    }

    fn link(&self, slave: &SlaveRead) -> Link {
        let SlaveRead { record, device } = slave;
        let netns = record.host_end.link_netnsid.and_then(|id| self.names.get(&id).cloned());
        let degraded = degraded(record, device).map(|(why, _)| why.to_owned()).into_iter().collect();
        let all_groups = record.slave.mode() == Mode::L2 && record.slave.state().all_groups;
        Link { degraded, groups: record.groups.clone(), all_groups, ..link(record, device, netns) }
    }
}

impl PortRead {
    fn statistics(&self, drops: Vec<(Reason, u64)>) -> Statistics {
        let (name, ifindex) = (self.master.name.clone(), self.port.master);
        Statistics { name, ifindex, is_master: true, counters: Counters::default(), drops }
    }
}

impl SlaveRead {
    fn statistics(&self, port: &Port, drops: Vec<(Reason, u64)>) -> Result<Statistics> {
        let SlaveRecord { host_end, slot, .. } = &self.record;
        let counters = with_host_end(port.maps.counters(Slot(slot.0))?, host_end);
        let name = shown_name(self.device.name.clone());
        Ok(Statistics { name, ifindex: host_end.ifindex, is_master: false, counters, drops })
    }
}

/// Adds the packets that reached the slave through its host end, which counts them itself.
fn with_host_end(counters: Counters, host_end: &LinkInfo) -> Counters {
    Counters {
        rx_packets: counters.rx_packets + host_end.tx_packets,
        rx_bytes: counters.rx_bytes + host_end.tx_bytes,
        ..counters
    }
}
