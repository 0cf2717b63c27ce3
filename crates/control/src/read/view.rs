//! What is there? Slaves, addresses and counters, read from the kernel; nothing is changed.

use super::degraded::degraded;
use super::record::{SlaveRecord, master_of, readable_peer, shown_name, slave_records};
use super::table::Table;
use crate::error::Result;
use crate::kernel::finder;
use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::model::{AddressEntry, Kind, Link, Statistics};
use crate::port::host_end::{backend_of, is_tap};
use crate::port::{ARPHRD_NONE, Port};
use ipvl_core::maps::Counters;
use ipvl_core::{Mac, Mode, Slot, WIRE};
use std::collections::HashMap;

/// All slaves of all masters in this netns, in the order of their masters and slots.
pub fn links() -> Result<Vec<Link>> {
    let netlink = Netlink::open()?;
    let mut names = HashMap::new();
    let mut links = Vec::new();
    for record in slave_records(&netlink)? {
        let device = readable_peer(&netlink, &record.host_end);
        let nsid = record.host_end.link_netnsid;
        let netns = nsid.and_then(|id| names.entry(id).or_insert_with(|| finder::name_of(&netlink, id)).clone());
        let degraded = degraded(&record, &device).map(|(why, _)| why.to_owned());
        let all_groups = record.slave.mode() == Mode::L2 && record.slave.state().all_groups;
        let (degraded, groups) = (degraded.into_iter().collect(), record.groups.clone());
        links.push(Link { degraded, groups, all_groups, ..link(&record, &device, netns) });
    }
    Ok(links)
}

/// The address table of every port: what slaves own, what slaves have on their devices but do not own, and what the host
/// owns.
pub fn addresses() -> Result<Vec<AddressEntry>> {
    let netlink = Netlink::open()?;
    let mut entries = Vec::new();
    for port in Port::all(&netlink)? {
        entries.extend(Table::read(&netlink, &port)?.lines().into_values());
    }
    entries.sort_by_key(|entry| (entry.master.clone(), entry.slave.is_none(), entry.slave.clone(), entry.addr));
    Ok(entries)
}

/// The counters of every slave, and what was dropped at every master.
pub fn statistics() -> Result<Vec<Statistics>> {
    let netlink = Netlink::open()?;
    let mut all = Vec::new();
    for port in Port::all(&netlink)? {
        let drops = port.maps.drops()?;
        let dropped = |slot: Slot| drops.get(&slot).cloned().unwrap_or_default();
        let master = master_of(&netlink, &port)?;
        all.push(Statistics {
            name: master.name,
            ifindex: port.master,
            is_master: true,
            counters: Counters::default(),
            drops: dropped(WIRE),
        });
        for (host_end, slot) in port.maps.slots()? {
            let Some(link) = netlink.link(host_end, None)? else { continue };
            let name = shown_name(readable_peer(&netlink, &link).name);
            let counters = with_host_end(port.maps.counters(slot)?, &link);
            let drops = dropped(slot);
            all.push(Statistics { name, ifindex: host_end, is_master: false, counters, drops });
        }
    }
    Ok(all)
}

/// The slave as it is shown, without what needs more than the record.
pub fn link(record: &SlaveRecord, device: &LinkInfo, netns: Option<String>) -> Link {
    let SlaveRecord { host_end, master, slot, slave: entry, .. } = record;
    Link {
        ifindex: device.ifindex,
        kind: if is_tap(host_end) { Kind::Ipvtap } else { Kind::Ipvlan },
        name: shown_name(device.name.clone()),
        master: (master.ifindex, master.name.clone()),
        master_is_ip: master.arp_type == ARPHRD_NONE,
        slot: *slot,
        host_end: (host_end.ifindex, host_end.name.clone()),
        backend: backend_of(host_end).map(|backend| (backend, backend.why())),
        netnsid: host_end.link_netnsid,
        netns,
        flags: device.flags,
        operstate: device.operstate,
        mtu: device.mtu,
        txqlen: device.txqlen,
        qdisc: device.qdisc.clone(),
        mac: device.mac.unwrap_or(Mac([0; 6])),
        options: entry.options_in_effect(),
        groups: Vec::new(),
        all_groups: false,
        queue: entry.state().queued.then(|| host_end.qdisc.clone()),
        degraded: Vec::new(),
        detail: device.detail.clone(),
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
