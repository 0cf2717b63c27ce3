//! Which slaves, masters and namespaces exist that files may be about? Read from the kernel; nothing is changed.

use super::desired::DesiredState;
use super::inside_table::Inside;
use crate::error::Result;
use crate::kernel::finder::Names;
use crate::kernel::netlink::{AddressInfo, LinkInfo, Netlink};
use crate::kernel::netns;
use crate::model::{Backend, Kind};
use crate::place::Place;
use crate::policy::policy_keys;
use crate::policy_words::PolicyKeys;
use crate::port::Port;
use crate::port::host_end::{backend_of, is_tap, owner_of, place_of};
use crate::rate::Rates;
use crate::read::record::{SlaveRecord, slave_records};
use crate::slave::find;
use crate::slave::peers::{PeerAddresses, Peers};
use ipvl_core::{Addr, IfIndex, Options, Origin, OwnerEntry, Slot};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// `IFA_F_PERMANENT`: the address comes neither from DHCP nor from a router advertisement.
const PERMANENT: u32 = 0x80;

/// What exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActualState {
    /// The slaves of all masters in this netns.
    pub slaves: Vec<ActualLink>,
    /// Ifindex and MTU of the masters, by the names that the files use.
    pub masters: BTreeMap<String, (IfIndex, u32)>,
    /// The names of all namespaces under `/run/netns`.
    pub netns: BTreeSet<String>,
    /// By master and prefix: the slave that owns it; none if the host owns it.
    pub owners: BTreeMap<(IfIndex, Addr, u8), Option<Place>>,
    /// Whether the flowtable is on; none if no file is about it.
    pub flowtable: Option<bool>,
    /// By the name of a netns of the files: what they gave it, want no more, and no slave of theirs is there to remove.
    pub left: BTreeMap<String, Inside>,
}

/// A slave that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActualLink {
    /// Where its host end is, or the slave itself if it has none: what it is known by.
    pub place: Place,
    /// Its owner.
    pub owner: Option<String>,
    /// Its name in its own netns; none if that cannot be read.
    pub name: Option<String>,
    /// Whether it is in its master's netns.
    pub local: bool,
    /// The name of its netns, if that is another one and has a name.
    pub netns: Option<String>,
    /// A network device or a tap device.
    pub kind: Kind,
    /// The kind of pair, or our kernel module; none for a tap device.
    pub backend: Option<Backend>,
    /// The master's ifindex and name.
    pub master: (IfIndex, String),
    /// The host end's ifindex and name; a slave of the kernel module is its own.
    pub host_end: (IfIndex, String),
    /// Mode, flag, guard and so on.
    pub options: Options,
    /// The limits of its rates.
    pub rates: Rates,
    /// Its policy and labels.
    pub policy: PolicyKeys,
    /// In bytes.
    pub mtu: u32,
    /// Administratively up.
    pub up: bool,
    /// The permanent addresses on its device, without link-local ones.
    pub addresses: BTreeSet<(Addr, u8)>,
    /// Where its device is; none if that cannot be read.
    pub device: Option<Place>,
    /// What files gave its netns, and the values of the switches that they name.
    pub inside: Inside,
    /// The addresses and prefixes that are declared for it.
    pub declared: BTreeSet<(Addr, u8)>,
}

/// The masters that the files name and that do not exist here.
pub fn missing_masters(desired: &DesiredState) -> Result<BTreeSet<String>> {
    let netlink = Netlink::open()?;
    let names: BTreeSet<&String> = desired.links.iter().map(|link| &link.spec.master).collect();
    Ok(names.into_iter().filter(|name| find::link(&netlink, name).is_err()).cloned().collect())
}

/// Reads the pairs and tap devices, their masters, and all namespaces.
pub(super) fn observe_pairs(netlink: &Netlink, desired: &DesiredState) -> Result<ActualState> {
    let mut actual = ActualState { netns: netns::names(), ..ActualState::default() };
    for link in &desired.links {
        if let Ok(master) = find::link(netlink, &link.spec.master) {
            actual.masters.insert(link.spec.master.clone(), (master.ifindex, master.mtu));
        }
    }
    let mut declared: HashMap<IfIndex, BTreeSet<(Addr, u8)>> = HashMap::new();
    let mut policies: HashMap<IfIndex, PolicyKeys> = HashMap::new();
    for port in Port::all(netlink)? {
        let slots: HashMap<Slot, IfIndex> =
            port.maps.slots()?.into_iter().map(|(host_end, slot)| (slot, host_end)).collect();
        let of_slaves = policy_keys(netlink, &port)?.into_iter();
        policies.extend(of_slaves.filter_map(|(slot, keys)| Some((*slots.get(&slot)?, keys))));
        for (addr, bits, entry) in port.maps.owned()? {
            let (owner, prefix) = (slots.get(&entry.slot).copied(), (addr, addr.len_of(bits)));
            if owner.is_some() || entry.slot == OwnerEntry::HOST {
                actual.owners.insert((port.master, prefix.0, prefix.1), owner.map(Place::here));
            }
            if let (Some(host_end), Origin::Declared) = (owner, entry.origin()) {
                declared.entry(host_end).or_default().insert(prefix);
            }
        }
    }
    let records = slave_records(netlink)?;
    let mut names = Names::default();
    let names = names.of(netlink, records.iter().filter_map(|record| record.host_end.link_netnsid).collect());
    let peers = Peers::list(netlink, records.iter().map(|record| &record.host_end));
    let addresses = PeerAddresses::list(netlink, records.iter().map(|record| &record.host_end));
    for record in records {
        let declared = declared.remove(&record.host_end.ifindex).unwrap_or_default();
        let policy = policies.remove(&record.host_end.ifindex).unwrap_or_default();
        let netns = record.host_end.link_netnsid.and_then(|id| names.get(&id)).cloned();
        let device = peers.device(netlink, &record.host_end).unwrap_or_default();
        let addresses = permanent_of(&addresses.on(netlink, device.ifindex, &record.host_end));
        actual.slaves.push(ActualLink { addresses, declared, policy, netns, ..actual_link(&record, &device) });
    }
    Ok(actual)
}

/// Without its addresses, and what the table and its netns have of it.
fn actual_link(record: &SlaveRecord, device: &LinkInfo) -> ActualLink {
    let SlaveRecord { host_end, master, slave, rates, .. } = record;
    ActualLink {
        place: Place::here(host_end.ifindex),
        owner: owner_of(host_end).map(str::to_owned),
        name: (device.ifindex != IfIndex::NONE).then(|| device.name.clone()),
        local: host_end.link_netnsid.is_none(),
        netns: None,
        kind: if is_tap(host_end) { Kind::Ipvtap } else { Kind::Ipvlan },
        backend: backend_of(host_end),
        master: (master.ifindex, master.name.clone()),
        host_end: (host_end.ifindex, host_end.name.clone()),
        options: slave.options(),
        rates: *rates,
        policy: PolicyKeys::default(),
        mtu: device.mtu,
        up: device.is_up(),
        addresses: BTreeSet::new(),
        device: place_of(host_end).filter(|_| device.ifindex != IfIndex::NONE),
        inside: Inside::default(),
        declared: BTreeSet::new(),
    }
}

/// The addresses that files are about.
pub(super) fn permanent_of(all: &[AddressInfo]) -> BTreeSet<(Addr, u8)> {
    let ours = all.iter().filter(|info| info.flags & PERMANENT != 0 && !info.addr.is_link_local());
    ours.map(|info| (info.addr, info.prefix_len)).collect()
}

impl ActualLink {
    /// Whether it owns this prefix by an address on its device, or by a declaration.
    pub(super) fn has(&self, addr: Addr, len: u8) -> bool {
        let on_device = len == addr.full_len() && self.addresses.iter().any(|(other, _)| *other == addr);
        on_device || self.declared.contains(&(addr, len))
    }
}
