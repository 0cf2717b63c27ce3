//! What is there, of that which files speak of? Read from the kernel; nothing is changed.

use super::wish::{Wishes, full_len};
use crate::error::Result;
use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::kernel::netns;
use crate::model::{Backend, Kind};
use crate::port::Port;
use crate::port::host_end::owner_of;
use crate::read::view::{Known, known_slaves, readable_peer};
use crate::slave::find;
use crate::slave::routes::family_len;
use ipvl_core::{Addr, Options, OwnerEntry};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// `IFA_F_PERMANENT`: neither DHCP's nor a router's.
const PERMANENT: u32 = 0x80;

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The slaves of all masters here.
    pub slaves: Vec<Present>,
    /// Ifindex and MTU of the masters, by the names that files have for them.
    pub masters: BTreeMap<String, (u32, u32)>,
    /// The namespaces that have a name.
    pub netns: BTreeSet<String>,
    /// Who owns an address or a prefix of a master's table: a host end, or the host.
    pub owners: BTreeMap<(u32, Addr, u8), Option<u32>>,
}

/// A slave that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// Whose it is.
    pub owner: Option<String>,
    /// Its name in its own netns; none if that cannot be read.
    pub name: Option<String>,
    /// Whether it sits beside its master.
    pub local: bool,
    /// The name of its netns, if it is another and has one.
    pub netns: Option<String>,
    /// A network device or a tap device.
    pub kind: Kind,
    /// What it and its host end are; a tap device is no pair.
    pub backend: Option<Backend>,
    /// The master's ifindex and name.
    pub master: (u32, String),
    /// The host end's ifindex and name.
    pub host_end: (u32, String),
    /// Mode, flag, guard and the like, as they were asked for.
    pub options: Options,
    /// In bytes.
    pub mtu: u32,
    /// Administratively up.
    pub up: bool,
    /// What stays on its device until somebody takes it off, without link-local addresses.
    pub addresses: BTreeSet<(Addr, u8)>,
    /// What is declared for it.
    pub declared: BTreeSet<(Addr, u8)>,
}

/// The masters among the wishes that are not here.
pub fn missing_masters(wishes: &Wishes) -> Result<BTreeSet<String>> {
    let netlink = Netlink::open()?;
    let names: BTreeSet<&String> = wishes.links.iter().map(|wish| &wish.spec.master).collect();
    Ok(names.into_iter().filter(|name| find::link(&netlink, name).is_err()).cloned().collect())
}

/// Looks at everything that the wishes may be about.
pub fn observe(wishes: &Wishes) -> Result<Observed> {
    let netlink = Netlink::open()?;
    let mut observed = Observed { netns: netns::names(), ..Observed::default() };
    for wish in &wishes.links {
        if let Ok(master) = find::link(&netlink, &wish.spec.master) {
            observed.masters.insert(wish.spec.master.clone(), (master.ifindex, master.mtu));
        }
    }
    let mut declared: HashMap<u32, BTreeSet<(Addr, u8)>> = HashMap::new();
    for port in Port::all(&netlink)? {
        let slots: HashMap<u32, u32> =
            port.maps.slots()?.into_iter().map(|(host_end, slot)| (slot.0, host_end)).collect();
        for (addr, bits, entry) in port.maps.owned()? {
            let (owner, prefix) = (slots.get(&entry.slot).copied(), (addr, family_len(addr, bits)));
            if owner.is_some() || entry.slot == OwnerEntry::HOST {
                observed.owners.insert((port.master, prefix.0, prefix.1), owner);
            }
            if let (Some(host_end), 1) = (owner, entry.declared) {
                declared.entry(host_end).or_default().insert(prefix);
            }
        }
    }
    let mut names = HashMap::new();
    for known in known_slaves(&netlink)? {
        let declared = declared.remove(&known.host_end.ifindex).unwrap_or_default();
        let mut name_of = |id| names.entry(id).or_insert_with(|| netns::name_of(&netlink, id)).clone();
        let netns = known.host_end.link_netnsid.and_then(&mut name_of);
        observed.slaves.push(Present { declared, netns, ..present(&netlink, &known)? });
    }
    Ok(observed)
}

fn present(netlink: &Netlink, known: &Known) -> Result<Present> {
    let Known { host_end, master, slave, .. } = known;
    let device = readable_peer(netlink, host_end);
    Ok(Present {
        owner: owner_of(host_end).map(str::to_owned),
        name: (device.ifindex != 0).then(|| device.name.clone()),
        local: host_end.link_netnsid.is_none(),
        netns: None,
        kind: if find::is_tap(host_end) { Kind::Ipvtap } else { Kind::Ipvlan },
        backend: Backend::of(host_end),
        master: (master.ifindex, master.name.clone()),
        host_end: (host_end.ifindex, host_end.name.clone()),
        options: slave.options(),
        mtu: device.mtu,
        up: device.is_up(),
        addresses: permanent(netlink, &device, host_end.link_netnsid)?,
        declared: BTreeSet::new(),
    })
}

fn permanent(netlink: &Netlink, device: &LinkInfo, nsid: Option<i32>) -> Result<BTreeSet<(Addr, u8)>> {
    if device.ifindex == 0 {
        return Ok(BTreeSet::new());
    }
    let all = netlink.addresses(Some(device.ifindex), nsid)?.into_iter();
    let ours = all.filter(|info| info.flags & PERMANENT != 0 && !info.addr.is_link_local());
    Ok(ours.map(|info| (info.addr, info.prefix_len)).collect())
}

impl Present {
    /// Whether it has this in the table.
    pub(super) fn has(&self, addr: Addr, len: u8) -> bool {
        let on_device = len == full_len(addr) && self.addresses.iter().any(|(other, _)| *other == addr);
        on_device || self.declared.contains(&(addr, len))
    }
}
