//! What exists that files may be about: pairs, slaves of our kernel module, and what files gave their namespaces? Read from the kernel; nothing is changed.

use super::actual::{ActualLink, ActualState, observe_pairs, permanent_of};
use super::desired::DesiredState;
use super::inside_table::Inside;
use super::observe_inside;
use crate::error::Result;
use crate::kernel::finder::Names;
use crate::kernel::netlink::Netlink;
use crate::model::{Backend, Kind};
use crate::policy_words::PolicyKeys;
use crate::rate::Rates;
use crate::slave::flowtable;
use crate::slave::module::{self, ModuleSlave};
use crate::slave::module_owner::owner_of;
use ipvl_core::IfIndex;
use std::collections::{BTreeMap, BTreeSet};

/// Reads everything that the files may be about.
pub fn observe(desired: &DesiredState) -> Result<ActualState> {
    let netlink = Netlink::open()?;
    let mut actual = observe_pairs(&netlink, desired)?;
    add_module(&netlink, &mut actual)?;
    actual.flowtable = desired.flowtable.map(|_| flowtable::is_on()).transpose()?;
    observe_inside::add(&netlink, desired, &mut actual)?;
    Ok(actual)
}

/// Adds the module's slaves, and what they and the host own on their masters.
fn add_module(netlink: &Netlink, actual: &mut ActualState) -> Result<()> {
    let mut masters: BTreeMap<IfIndex, String> = BTreeMap::new();
    let slaves = module::all(netlink)?;
    let mut names = Names::default();
    let names = names.of(netlink, slaves.iter().filter_map(|slave| slave.netnsid).collect());
    let local: BTreeSet<IfIndex> = slaves.iter().filter(|s| s.netnsid.is_none()).map(|s| s.device.ifindex).collect();
    for slave in slaves {
        let master = match masters.get(&slave.master) {
            Some(name) => name.clone(),
            None => new_master(netlink, slave.master, &local, actual)?,
        };
        masters.insert(slave.master, master.clone());
        let netns = slave.netnsid.and_then(|id| names.get(&id)).cloned();
        let addresses = slave.netlink.addresses(Some(slave.device.ifindex), None)?;
        for info in &addresses {
            actual.owners.insert((slave.master, info.addr, info.addr.full_len()), Some(slave.place()));
        }
        for (addr, len) in slave.declared() {
            actual.owners.insert((slave.master, *addr, *len), Some(slave.place()));
        }
        let link = actual_link(&slave, master, netns);
        actual.slaves.push(ActualLink { addresses: permanent_of(&addresses), ..link });
    }
    Ok(())
}

/// The name of a master; the host owns there what its devices have, except the module's slaves.
fn new_master(
    netlink: &Netlink,
    master: IfIndex,
    local: &BTreeSet<IfIndex>,
    actual: &mut ActualState,
) -> Result<String> {
    for info in netlink.addresses(None, None)?.into_iter().filter(|info| !local.contains(&info.ifindex)) {
        actual.owners.entry((master, info.addr, info.addr.full_len())).or_insert(None);
    }
    Ok(netlink.link(master, None)?.map_or_else(|| format!("link {master}"), |link| link.name))
}

fn actual_link(slave: &ModuleSlave, master: String, netns: Option<String>) -> ActualLink {
    let device = &slave.device;
    ActualLink {
        place: slave.place(),
        owner: owner_of(device).map(str::to_owned),
        name: Some(device.name.clone()),
        local: slave.netnsid.is_none(),
        netns,
        kind: Kind::Ipvlan,
        backend: Some(Backend::Kernel),
        master: (slave.master, master),
        host_end: (device.ifindex, device.name.clone()),
        options: slave.options(),
        mtu: device.mtu,
        up: device.is_up(),
        addresses: BTreeSet::new(),
        device: Some(slave.place()),
        inside: Inside::default(),
        declared: slave.declared().iter().copied().collect(),
        rates: Rates::default(),
        policy: PolicyKeys::default(),
    }
}
