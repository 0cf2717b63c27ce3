//! What is there? Slaves, addresses, counters, read from the kernel; nothing is changed.

use crate::error::Result;
use crate::kernel::netlink::{AddressInfo, LinkInfo, Netlink};
use crate::kernel::netns;
use crate::model::{AddressEntry, Backend, Kind, Link, Origin, Statistics};
use crate::port::host_end::HostEnd;
use crate::port::tables::SINGLE;
use crate::port::{ARPHRD_NONE, Port};
use crate::slave::find::{is_tap, peer_of};
use crate::slave::routes::family_len;
use ipvl_core::{Addr, Counters, Mac, Mode, OwnerEntry, Slave, Slot, WIRE};
use std::collections::{BTreeMap, HashMap};

/// For a name that cannot be read.
const UNKNOWN: &str = "?";

/// All slaves of all masters in this netns, in the order of their masters and slots.
pub fn links() -> Result<Vec<Link>> {
    let netlink = Netlink::open()?;
    let mut names = HashMap::new();
    let mut links = Vec::new();
    for known in known_slaves(&netlink)? {
        let device = readable_peer(&netlink, &known.host_end);
        let nsid = known.host_end.link_netnsid;
        let netns = nsid.and_then(|id| names.entry(id).or_insert_with(|| netns::name_of(&netlink, id)).clone());
        let degraded = degraded(&known, &device).map(|(why, _)| why.to_owned());
        let all_groups = known.slave.mode() == Mode::L2 && known.slave.state().all_groups;
        let (degraded, groups) = (degraded.into_iter().collect(), known.groups.clone());
        links.push(Link { degraded, groups, all_groups, ..link(&known, &device, netns) });
    }
    Ok(links)
}

/// The address table of every port: what slaves own, what they would like to, and what is the host's.
pub fn addresses() -> Result<Vec<AddressEntry>> {
    let netlink = Netlink::open()?;
    let mut entries = Vec::new();
    for port in Port::all(&netlink)? {
        entries.extend(Table::read(&netlink, &port)?.lines().into_values());
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
            ifindex: port.master,
            is_master: true,
            counters: Counters::default(),
            drops: dropped(WIRE),
        });
        for (host_end, slot) in port.maps.slots()? {
            let Some(link) = netlink.link(host_end, None)? else { continue };
            let name = known_name(readable_peer(&netlink, &link).name);
            let counters = with_host_end(port.maps.counters(slot)?, &link);
            let drops = dropped(slot);
            all.push(Statistics { name, ifindex: host_end, is_master: false, counters, drops });
        }
    }
    Ok(all)
}

/// A slave with everything that is known of it but its own device.
#[derive(Clone)]
pub(crate) struct Known {
    /// As it is.
    pub(crate) host_end: LinkInfo,
    /// As it is, or what is known of one that is not here.
    pub(crate) master: LinkInfo,
    /// Whether the master has left.
    pub(crate) cut: bool,
    /// Whether the master has no program.
    pub(crate) bare: bool,
    /// Its number.
    pub(crate) slot: Slot,
    /// Its entry.
    pub(crate) slave: Slave,
    /// The groups that it has joined, where somebody has looked.
    groups: Vec<Mac>,
}

/// The slave behind a host end, once its entry is in the table.
pub(crate) fn known_slave(netlink: &Netlink, host_end: u32) -> Result<Option<Known>> {
    let Some(host_end) = netlink.link(host_end, None)? else { return Ok(None) };
    let Some(described) = HostEnd::of(&host_end) else { return Ok(None) };
    let Some(port) = Port::of_host_end(netlink, host_end.ifindex, described.master)? else { return Ok(None) };
    if port.maps.slot_of(host_end.ifindex)? != Some(described.slot) {
        return Ok(None);
    }
    let (slot, slave) = (described.slot, port.maps.slave(described.slot)?);
    let (master, cut) = (master_of(netlink, &port)?, port.maps.port()?.has(ipvl_core::PortEntry::MASTER_GONE));
    Ok(Some(Known { host_end, master, cut, bare: port.is_departed(), slot, slave, groups: Vec::new() }))
}

/// All that are there.
pub(crate) fn known_slaves(netlink: &Netlink) -> Result<Vec<Known>> {
    let mut known = Vec::new();
    let mut host_ends: BTreeMap<u32, LinkInfo> =
        netlink.links(None)?.into_iter().filter(|l| HostEnd::of(l).is_some()).map(|l| (l.ifindex, l)).collect();
    for port in Port::all(netlink)? {
        let (master, bare) = (master_of(netlink, &port)?, port.is_departed());
        let (cut, all) = (port.maps.port()?.has(ipvl_core::PortEntry::MASTER_GONE), port.maps.groups()?);
        for (ifindex, slot) in port.maps.slots()? {
            let Some(host_end) = host_ends.remove(&ifindex) else { continue };
            let slave = port.maps.slave(slot)?;
            let joined = all.iter().filter(|(_, members)| members.has(slot)).map(|(group, _)| group.mac);
            let (master, mut groups) = (master.clone(), joined.collect::<Vec<_>>());
            groups.sort();
            known.push(Known { host_end, master, cut, bare, slot, slave, groups });
        }
    }
    Ok(known)
}

/// The slave as it is shown, but for what is wrong with it.
pub(crate) fn link(known: &Known, device: &LinkInfo, netns: Option<String>) -> Link {
    let Known { host_end, master, slot, slave: entry, .. } = known;
    Link {
        ifindex: device.ifindex,
        kind: if is_tap(host_end) { Kind::Ipvtap } else { Kind::Ipvlan },
        name: known_name(device.name.clone()),
        master: (master.ifindex, master.name.clone()),
        master_is_ip: master.arp_type == ARPHRD_NONE,
        slot: *slot,
        host_end: (host_end.ifindex, host_end.name.clone()),
        backend: Backend::of(host_end).map(|backend| (backend, backend.why())),
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

/// Why a slave is not as it should be, and whether that may be over in a moment.
pub(crate) fn degraded(known: &Known, device: &LinkInfo) -> Option<(&'static str, bool)> {
    let Known { host_end, master, cut, bare, .. } = known;
    let (why, passes) = match (cut, device.ifindex) {
        (true, _) if master.name == UNKNOWN => (AWAY, false),
        (true, _) if *bare => (BARE, true),
        (true, _) => (BACK, true),
        (false, 0) => (UNREADABLE, true),
        _ if device.is_up() && !host_end.is_up() && master.is_up() && master.carrier.unwrap_or(true) => {
            (NO_CARRIER, true)
        }
        _ => return None,
    };
    Some((why.0, passes))
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
pub(crate) fn readable_peer(netlink: &Netlink, host_end: &LinkInfo) -> LinkInfo {
    peer_of(netlink, host_end).ok().flatten().unwrap_or_default()
}

/// The master, or what is known of one that is not here.
pub(crate) fn master_of(netlink: &Netlink, port: &Port) -> Result<LinkInfo> {
    Ok(netlink.link(port.master, None)?.unwrap_or_else(|| absent(port.master)))
}

/// A master that is not here.
pub(crate) fn absent(master: u32) -> LinkInfo {
    LinkInfo { ifindex: master, name: UNKNOWN.to_owned(), ..LinkInfo::default() }
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

/// The address table of one port, and who would like to be in it.
pub(crate) struct Table {
    /// The master's name.
    pub(crate) master: String,
    /// Addresses, lengths in bits of 16-byte addresses, and owners.
    pub(crate) owned: Vec<(Addr, u32, OwnerEntry)>,
    /// By slot: the slave's name, and the addresses on its device.
    pub(crate) claimants: BTreeMap<u32, (String, Vec<Addr>)>,
}

/// What tells a line of the table from the others: the address and its length, the slot and whether it was declared,
/// and for a conflict the owner's slot.
pub(crate) type Line = (Addr, u32, u32, bool, Option<u32>);

impl Table {
    fn read(netlink: &Netlink, port: &Port) -> Result<Self> {
        let mut claimants = BTreeMap::new();
        for (host_end, slot) in port.maps.slots()? {
            let Some(link) = netlink.link(host_end, None)? else { continue };
            let device = readable_peer(netlink, &link);
            claimants.insert(slot.0, (known_name(device.name), addresses_on(netlink, device.ifindex, &link)));
        }
        Ok(Self { master: master_of(netlink, port)?.name, owned: port.maps.owned()?, claimants })
    }

    /// Its lines: what is owned, and what is on slaves' devices that the table gives to somebody else.
    pub(crate) fn lines(&self) -> BTreeMap<Line, AddressEntry> {
        let owned = self.owned.iter().map(|(addr, len, owner)| {
            let declared = owner.declared != 0;
            let origin = if declared { Origin::Declared } else { Origin::Device };
            ((*addr, *len, owner.slot, declared, None), self.entry(*addr, *len, owner.slot, origin))
        });
        owned.chain(self.conflicts()).collect()
    }

    fn conflicts(&self) -> Vec<(Line, AddressEntry)> {
        let single = self.owned.iter().filter(|(_, len, _)| *len == SINGLE);
        let owners: HashMap<Addr, u32> = single.map(|(addr, _, owner)| (*addr, owner.slot)).collect();
        let claims = self.claimants.iter().flat_map(|(slot, (_, addrs))| addrs.iter().map(move |addr| (*slot, *addr)));
        claims
            .filter_map(|(slot, addr)| Some((slot, addr, *owners.get(&addr).filter(|owner| **owner != slot)?)))
            .map(|(slot, addr, owner)| {
                let owner_name = Some(self.name(owner).unwrap_or_else(|| "host".to_owned()));
                let entry = self.entry(addr, SINGLE, slot, Origin::Conflict);
                ((addr, SINGLE, slot, false, Some(owner)), AddressEntry { owner: owner_name, ..entry })
            })
            .collect()
    }

    fn entry(&self, addr: Addr, len: u32, slot: u32, origin: Origin) -> AddressEntry {
        let (slave, master) = (self.name(slot), self.master.clone());
        AddressEntry { addr, prefix_len: family_len(addr, len), slave, master, origin, owner: None }
    }

    /// None for the host.
    fn name(&self, slot: u32) -> Option<String> {
        let name = || self.claimants.get(&slot).map_or_else(|| UNKNOWN.to_owned(), |(name, _)| name.clone());
        (slot != OwnerEntry::HOST).then(name)
    }
}

/// What is on a slave's device; of one that cannot be read, nothing.
pub(crate) fn addresses_on(netlink: &Netlink, ifindex: u32, host_end: &LinkInfo) -> Vec<Addr> {
    let found = if ifindex == 0 { Vec::new() } else { read_addresses(netlink, ifindex, host_end) };
    found.into_iter().map(|info| info.addr).collect()
}

fn read_addresses(netlink: &Netlink, ifindex: u32, host_end: &LinkInfo) -> Vec<AddressInfo> {
    netlink.addresses(Some(ifindex), host_end.link_netnsid).unwrap_or_default()
}
