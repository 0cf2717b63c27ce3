//! What is there? Slaves, addresses, counters, read from the kernel; nothing is changed.

use crate::error::Result;
use crate::find::peer_of;
use crate::model::{AddressEntry, Link, Origin, Statistics};
use crate::netlink::{LinkInfo, Netlink};
use crate::netns;
use crate::port::{HostEnd, Port};
use crate::routes::family_len;
use ipvl_core::{Addr, Counters, Mac, OwnerEntry, Slave, Slot, WIRE};
use std::collections::{BTreeMap, HashMap};

/// For a name that cannot be read.
const UNKNOWN: &str = "?";

/// All slaves of all masters in this netns, in the order of their masters and slots.
pub fn links() -> Result<Vec<Link>> {
    let netlink = Netlink::open()?;
    let mut names = HashMap::new();
    let mut links = Vec::new();
    for known in known_slaves(&netlink)? {
        let slave = readable_peer(&netlink, &known.host_end);
        let nsid = known.host_end.link_netnsid;
        let netns = nsid.and_then(|id| names.entry(id).or_insert_with(|| netns::name_of(&netlink, id)).clone());
        links.push(link(known, slave, netns));
    }
    Ok(links)
}

/// The address table of every port: what slaves own, what they would like to, and what is the host's.
pub fn addresses() -> Result<Vec<AddressEntry>> {
    let netlink = Netlink::open()?;
    let mut entries = Vec::new();
    for port in Port::all(&netlink)? {
        let table = Table::read(&netlink, port)?;
        entries.extend(table.owned()?);
        entries.extend(table.conflicts(&netlink)?);
    }
    entries.sort_by_key(|entry| (entry.master.clone(), entry.slave.is_none(), entry.slave.clone(), entry.addr));
    Ok(entries)
}

/// What went through every slave, and what the wire side of every master dropped.
pub fn statistics() -> Result<Vec<Statistics>> {
    let netlink = Netlink::open()?;
    let mut all = Vec::new();
    for port in Port::all(&netlink)? {
        let drops = port.maps.drops()?;
        let dropped = |slot: Slot| drops.get(&slot).cloned().unwrap_or_default();
        let master = master_of(&netlink, &port)?;
        all.push(Statistics {
            name: master.name,
            is_master: true,
            counters: Counters::default(),
            drops: dropped(WIRE),
        });
        for (host_end, slot) in port.maps.slots()? {
            let Some(link) = netlink.link(host_end, None)? else { continue };
            let name = known_name(readable_peer(&netlink, &link).name);
            let counters = with_host_end(port.maps.counters(slot)?, &link);
            all.push(Statistics { name, is_master: false, counters, drops: dropped(slot) });
        }
    }
    Ok(all)
}

/// A slave with everything that is known of it but its own device.
struct Known {
    host_end: LinkInfo,
    master: LinkInfo,
    cut: bool,
    /// Whether the master has no program.
    bare: bool,
    slot: Slot,
    slave: Slave,
}

fn known_slaves(netlink: &Netlink) -> Result<Vec<Known>> {
    let mut known = Vec::new();
    let mut host_ends: BTreeMap<u32, LinkInfo> =
        netlink.links(None)?.into_iter().filter(|l| HostEnd::of(l).is_some()).map(|l| (l.ifindex, l)).collect();
    for port in Port::all(netlink)? {
        let (master, bare) = (master_of(netlink, &port)?, port.is_departed());
        let cut = port.maps.port()?.has(ipvl_core::Port::CUT);
        for (ifindex, slot) in port.maps.slots()? {
            let Some(host_end) = host_ends.remove(&ifindex) else { continue };
            let slave = port.maps.slave(slot)?;
            known.push(Known { host_end, master: master.clone(), cut, bare, slot, slave });
        }
    }
    Ok(known)
}

fn link(known: Known, slave: LinkInfo, netns: Option<String>) -> Link {
    let degraded = degraded(&known, &slave);
    let Known { host_end, master, slot, slave: entry, .. } = known;
    Link {
        ifindex: slave.ifindex,
        name: known_name(slave.name),
        master: (master.ifindex, master.name),
        slot,
        host_end: (host_end.ifindex, host_end.name),
        netnsid: host_end.link_netnsid,
        netns,
        flags: slave.flags,
        operstate: slave.operstate,
        mtu: slave.mtu,
        txqlen: slave.txqlen,
        qdisc: slave.qdisc,
        mac: slave.mac.unwrap_or(Mac([0; 6])),
        mode: entry.mode(),
        flag: entry.flag(),
        guard: entry.guard(),
        host: entry.host(),
        degraded,
        detail: slave.detail,
    }
}

/// Why a slave is not as it should be.
fn degraded(known: &Known, slave: &LinkInfo) -> Vec<String> {
    let Known { host_end, master, cut, bare, .. } = known;
    let why = match (cut, slave.ifindex) {
        (true, _) if master.name == UNKNOWN => AWAY,
        (true, _) if *bare => BARE,
        (true, _) => BACK,
        (false, 0) => UNREADABLE,
        _ if slave.is_up() && !host_end.is_up() && master.is_up() && master.carrier.unwrap_or(true) => NO_CARRIER,
        _ => return Vec::new(),
    };
    vec![why.0.to_owned()]
}

/// What is to be done about what is wrong with a slave.
pub(crate) fn remedy(why: &str) -> &'static str {
    let known = [AWAY, BARE, BACK, UNREADABLE, NO_CARRIER].into_iter().find(|(text, _)| *text == why);
    known.map_or("", |(_, remedy)| remedy)
}

const AWAY: (&str, &str) =
    ("its master has left this network namespace", "bring the master back, or delete the slave: ipvl link del");
const BARE: (&str, &str) =
    ("its master has come back without its program", "delete the slave and add it again: nothing else puts it back");
const BACK: (&str, &str) = ("its master has come back, and no agent has seen it", START);
const UNREADABLE: (&str, &str) =
    ("its network namespace cannot be read", "delete the slave, or end what hides that namespace from this one");
const NO_CARRIER: (&str, &str) =
    ("it is up but has no carrier yet: the agent does not run or cannot enter its netns", START);
const START: &str = "start the agent: ipvl agent & (if it runs, its log says what stops it)";

/// The slave behind a host end, empty where it cannot be read: what one does must not hide the others.
fn readable_peer(netlink: &Netlink, host_end: &LinkInfo) -> LinkInfo {
    peer_of(netlink, host_end).ok().flatten().unwrap_or_default()
}

/// The master, or what is known of one that is not here.
fn master_of(netlink: &Netlink, port: &Port) -> Result<LinkInfo> {
    let absent = || LinkInfo { ifindex: port.master, name: UNKNOWN.to_owned(), ..LinkInfo::default() };
    Ok(netlink.link(port.master, None)?.unwrap_or_else(absent))
}

fn known_name(name: String) -> String {
    if name.is_empty() { UNKNOWN.to_owned() } else { name }
}

/// What did not go past the host end went through it, and its own counter has it.
fn with_host_end(counters: Counters, host_end: &LinkInfo) -> Counters {
    Counters {
        rx_packets: counters.rx_packets + host_end.tx_packets,
        rx_bytes: counters.rx_bytes + host_end.tx_bytes,
        ..counters
    }
}

/// The address table of one port, with names.
struct Table {
    port: Port,
    master: String,
    /// By slot: the slave's name, its ifindex, and the id of its netns.
    slaves: BTreeMap<u32, (String, u32, Option<i32>)>,
}

impl Table {
    fn read(netlink: &Netlink, port: Port) -> Result<Self> {
        let master = master_of(netlink, &port)?.name;
        let mut slaves = BTreeMap::new();
        for (host_end, slot) in port.maps.slots()? {
            let Some(link) = netlink.link(host_end, None)? else { continue };
            let slave = readable_peer(netlink, &link);
            slaves.insert(slot.0, (known_name(slave.name), slave.ifindex, link.link_netnsid));
        }
        Ok(Self { port, master, slaves })
    }

    fn owned(&self) -> Result<Vec<AddressEntry>> {
        Ok(self.port.maps.owned()?.into_iter().map(|(addr, len, entry)| self.entry(addr, len, entry)).collect())
    }

    fn entry(&self, addr: Addr, len: u32, entry: OwnerEntry) -> AddressEntry {
        AddressEntry {
            addr,
            prefix_len: family_len(addr, len),
            slave: (entry.slot != OwnerEntry::HOST).then(|| self.name(entry.slot)),
            master: self.master.clone(),
            origin: if entry.declared == 1 { Origin::Declared } else { Origin::Device },
            owner: None,
        }
    }

    fn name(&self, slot: u32) -> String {
        self.slaves.get(&slot).map_or_else(|| UNKNOWN.to_owned(), |(name, ..)| name.clone())
    }

    /// Addresses on slaves' devices that the table gives to somebody else. Of those that cannot be read, none.
    fn conflicts(&self, netlink: &Netlink) -> Result<Vec<AddressEntry>> {
        let mut conflicts = Vec::new();
        for (slot, (name, ifindex, nsid)) in self.slaves.iter().filter(|(_, (_, ifindex, _))| *ifindex != 0) {
            for info in netlink.addresses(Some(*ifindex), *nsid).unwrap_or_default() {
                let owner = self.port.maps.owner(info.addr)?.filter(|entry| entry.slot != *slot);
                let Some(owner) = owner else { continue };
                let owner_name = if owner.slot == OwnerEntry::HOST { "host".to_owned() } else { self.name(owner.slot) };
                conflicts.push(AddressEntry {
                    slave: Some(name.clone()),
                    origin: Origin::Conflict,
                    owner: Some(owner_name),
                    ..self.entry(info.addr, 128, owner)
                });
            }
        }
        Ok(conflicts)
    }
}
