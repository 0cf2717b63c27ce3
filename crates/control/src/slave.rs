//! How are slaves made and changed?

pub(crate) mod agent_client;
pub(crate) mod alias_event;
pub(crate) mod backend;
pub(crate) mod declare;
mod device_change;
pub(crate) mod find;
pub(crate) mod flowtable;
pub(crate) mod module;
pub(crate) mod module_name;
pub(crate) mod module_owner;
pub(crate) mod parent;
pub(crate) mod peers;
pub(crate) mod rates;
pub(crate) mod remove;
pub(crate) mod routes;
pub(crate) mod tap;
pub(crate) mod tidy;
pub(crate) mod upgrade;
pub(crate) mod uplink;

use crate::error::{Result, refused};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::{LinkChange, LinkInfo, Netlink, NewPair, PairSpec};
use crate::kernel::netns;
use crate::model::{Backend, Change, LinkSpec};
use crate::port::hook::Hook;
use crate::port::host_end::{self, HostEnd};
use crate::port::{ARPHRD_NONE, Port, sysctl};
use crate::rate::{Rates, RatesChange};
use crate::refusal::Refusal;
use crate::slave::device_change::device_change;
use crate::slave::module::ModuleSlave;
use crate::slave::module_name::ModuleNames;
use crate::slave::tap::{NewTap, TapSpec};
use find::Found;
use ipvl_core::{IfIndex, Mac, Mode, Slave, Slot, State};
use std::collections::{BTreeMap, btree_map::Entry};
use std::os::fd::{AsFd, BorrowedFd};

const MIN_MTU: u32 = 68;
const ARPHRD_ETHER: u16 = 1;
const ARPHRD_LOOPBACK: u16 = 772;

/// Makes slaves and returns their names. If one cannot be made, none of this call remains. Starts the agent.
pub fn add(specs: &[LinkSpec]) -> Result<Vec<String>> {
    let lock = Lock::acquire(LOCK_WAIT)?;
    let mut adding = Adding::new(specs.len())?;
    for spec in specs {
        if let Err(error) = adding.add(spec, None) {
            adding.undo();
            return Err(error);
        }
    }
    drop(lock);
    let host_ends: Vec<IfIndex> = adding.added.iter().map(|slave| slave.host_end).collect();
    let synced = if host_ends.is_empty() { Ok(()) } else { agent_client::sync(&host_ends) };
    if let Err(error) = synced {
        let _lock = Lock::acquire(LOCK_WAIT)?;
        adding.undo();
        return Err(error);
    }
    Ok(adding.names)
}

/// Changes a slave. The agent changes what is in the slave's own netns.
pub fn set(name: &str, change: &Change) -> Result<()> {
    let lock = Lock::acquire(LOCK_WAIT)?;
    let netlink = Netlink::open()?;
    if let Some(slave) = ModuleNames::default().take(&netlink, name)? {
        return set_in_module(&netlink, &slave, change);
    }
    let mut found = find::slave(&netlink, name)?;
    let master = found.master_link(&netlink)?;
    let mtu = change.mtu.map(|mtu| checked_mtu(mtu, master.mtu)).transpose();
    mtu.map_err(|refusal| refused("change", name, refusal))?;
    if change.netns.is_some() && host_end::is_tap(&found.host_end) {
        return Err(refused("move", name, Refusal::TapStays));
    }
    let netns = change.netns.as_ref().map(netns::open).transpose()?;
    let before = found.port.maps.slave(found.slot)?;
    let (host_end, slot) = (found.host_end.ifindex, found.slot);
    let limited = rates::change(&netlink, &mut found.port, host_end, slot, change.rates);
    let undo = limited.map_err(|error| error.about(name))?;
    let done = reconfigure(&netlink, &mut found, &master, change);
    if done.is_err() {
        rates::change(&netlink, &mut found.port, host_end, slot, undo)?;
    }
    done?;
    found.port.stop_forwarding_if_unused(&netlink)?;
    drop(lock);
    let done = agent_client::sync(&[host_end])
        .and_then(|()| change_device(&netlink, &found, change, netns.as_ref().map(|fd| fd.as_fd())));
    if done.is_err() {
        restore(&netlink, &mut found, before, undo)?;
    }
    done.map_err(|error| error.about(name))
}

/// Changes a slave of the kernel module, which needs no agent.
pub(crate) fn set_in_module(netlink: &Netlink, slave: &ModuleSlave, change: &Change) -> Result<()> {
    let name = &slave.device.name;
    let gone = || refused("find the master of", name, Refusal::NoLink);
    let master = netlink.link(slave.master, None)?.ok_or_else(gone)?;
    let mtu = change.mtu.map(|mtu| checked_mtu(mtu, master.mtu)).transpose();
    mtu.map_err(|refusal| refused("change", name, refusal))?;
    let netns = change.netns.as_ref().map(netns::open).transpose()?;
    if change.rates != RatesChange::default() {
        return Err(refused("limit", name, Refusal::OfModule));
    }
    slave.set(change, netns.as_ref())
}

/// Undoes a change of the entry after another part of the change has failed.
fn restore(netlink: &Netlink, found: &mut Found, before: Slave, undo: RatesChange) -> Result<()> {
    let lock = Lock::acquire(LOCK_WAIT)?;
    rates::change(netlink, &mut found.port, found.host_end.ifindex, found.slot, undo)?;
    let undone = found.port.maps.slave(found.slot)?.with_options(before.options());
    found.port.maps.set_slave(found.slot, undone)?;
    alias_event::publish(netlink, found.described(), undone);
    drop(lock);
    agent_client::sync(&[found.host_end.ifindex])
}

/// Changes the slave's device as `ip link set` would in the slave's netns.
fn change_device(netlink: &Netlink, found: &Found, change: &Change, netns: Option<BorrowedFd<'_>>) -> Result<()> {
    let Some(device) = device_change(change, netns) else { return Ok(()) };
    found.in_its_netns(netlink, |there, ifindex| there.set_link(ifindex, &device))
}

/// The slaves that one call makes.
pub(crate) struct Adding {
    pub(crate) netlink: Netlink,
    /// How many slaves the call makes.
    count: usize,
    hook: Hook,
    pub(crate) ports: BTreeMap<IfIndex, Port>,
    pub(crate) added: Vec<Added>,
    /// Slaves of the kernel module.
    pub(crate) in_module: Vec<ModuleSlave>,
    /// The names of all.
    names: Vec<String>,
}

/// A slave that was made.
pub(crate) struct Added {
    name: String,
    pub(crate) host_end: IfIndex,
    pub(crate) slot: Slot,
    pub(crate) master: IfIndex,
}

impl Adding {
    pub(crate) fn new(count: usize) -> Result<Self> {
        let (netlink, hook) = (Netlink::open()?, Hook::choose_for(count));
        let (ports, added) = (BTreeMap::new(), Vec::new());
        Ok(Self { netlink, count, hook, ports, added, in_module: Vec::new(), names: Vec::new() })
    }

    pub(crate) fn add(&mut self, spec: &LinkSpec, owner: Option<&str>) -> Result<()> {
        let object = || format!("{} to {}", spec.name.as_deref().unwrap_or("a slave"), spec.master);
        let master = find::link(&self.netlink, &spec.master).map_err(|refusal| refused("add", object(), refusal))?;
        check(&self.netlink, spec, &master).map_err(|refusal| refused("add", object(), refusal))?;
        let backend = self.backend(spec, owner).map_err(|refusal| refused("add", object(), refusal))?;
        let netns = spec.netns.as_ref().map(netns::open).transpose()?;
        if backend == Backend::Kernel {
            return self.add_in_module(spec, owner, &master, netns.as_ref().map(|fd| fd.as_fd()));
        }
        let port = match self.ports.entry(master.ifindex) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Port::find_or_create(&self.netlink, &master, agent_client::programs)?),
        };
        let request = Request { spec, owner, backend, netns: netns.as_ref().map(|fd| fd.as_fd()) };
        let added = create(&self.netlink, self.hook, &request, &master, port)?;
        self.names.push(added.name.clone());
        self.added.push(added);
        Ok(())
    }

    /// The kind of pair to make; for a tap device, which is no pair, it does not matter.
    fn backend(&self, spec: &LinkSpec, owner: Option<&str>) -> std::result::Result<Backend, Refusal> {
        match (spec.backend, owner) {
            _ if spec.tap.is_some() => Ok(Backend::Veth),
            (Some(Backend::Kernel), _) if spec.rates != Rates::default() => Err(Refusal::OfModule),
            (None, _) if spec.rates != Rates::default() => Backend::choose_pair(self.count),
            (None, Some(_)) => Backend::choose_for_engine(self.count),
            (asked, _) => Backend::choose(asked, self.count),
        }
    }

    fn add_in_module(
        &mut self,
        spec: &LinkSpec,
        owner: Option<&str>,
        master: &LinkInfo,
        netns: Option<BorrowedFd<'_>>,
    ) -> Result<()> {
        let made = module::add(&self.netlink, spec, master, netns)?;
        self.names.push(made.device.name.clone());
        self.in_module.push(made);
        let Some(made) = self.in_module.last_mut() else { return Ok(()) };
        owner.map_or(Ok(()), |owner| module_owner::set_owner(made, owner))
    }

    /// Removes the slaves again after the call has failed. What cannot be removed now, the agent or the next command
    /// removes.
    pub(crate) fn undo(&mut self) {
        for slave in &self.in_module {
            let _ = slave.delete();
        }
        for slave in &self.added {
            if let Some(port) = self.ports.get_mut(&slave.master) {
                discard(&self.netlink, port, slave.host_end, slave.slot);
            }
        }
        for port in self.ports.values_mut() {
            let _ = port.detach_if_unused(&self.netlink);
        }
    }
}

/// A slave to make: with which options, for which owner, of which kind of device, and in which netns.
struct Request<'a> {
    spec: &'a LinkSpec,
    owner: Option<&'a str>,
    backend: Backend,
    netns: Option<BorrowedFd<'a>>,
}

/// Checks whether such a slave could be made, as far as that can be known without making it.
pub fn probe(spec: &LinkSpec) -> Result<()> {
    let netlink = Netlink::open()?;
    let master = find::link(&netlink, &spec.master);
    let fits = master.and_then(|master| check(&netlink, spec, &master));
    fits.map_err(|refusal| refused("use", &spec.master, refusal))
}

fn check(netlink: &Netlink, spec: &LinkSpec, master: &LinkInfo) -> std::result::Result<(), Refusal> {
    if let Some(real) = find::master_of(netlink, master) {
        return Err(Refusal::IsSlave(real));
    }
    if HostEnd::of(master).is_some() {
        return Err(Refusal::IsHostEnd);
    }
    if master.vrf_table.is_some() {
        return Err(Refusal::IsVrf);
    }
    match (master.arp_type, spec.options.mode) {
        (ARPHRD_NONE, _) if spec.tap.is_some() => return Err(Refusal::TapNeedsEthernet),
        (ARPHRD_ETHER, _) | (ARPHRD_NONE, Mode::L3 | Mode::L3s) => {}
        (ARPHRD_NONE, Mode::L2) => return Err(Refusal::NeedsEthernet(Mode::L2)),
        (ARPHRD_LOOPBACK, _) => return Err(Refusal::Loopback),
        (other, _) => return Err(Refusal::NotEthernet(other)),
    }
    if spec.tap.is_some() && spec.netns.is_some() {
        return Err(Refusal::TapStays);
    }
    checked_mtu(spec.mtu.unwrap_or(master.mtu), master.mtu)?;
    match spec.mac {
        Some(mac) if Some(mac) != master.mac => Err(Refusal::ForeignMac(mac)),
        _ => Ok(()),
    }
}

fn checked_mtu(mtu: u32, max: u32) -> std::result::Result<u32, Refusal> {
    if (MIN_MTU..=max).contains(&mtu) { Ok(mtu) } else { Err(Refusal::Mtu { mtu, max }) }
}

/// Makes a slave: its devices, its program and its entry. The host end of a pair stays down until the agent has set the
/// slave's link-local address.
fn create(netlink: &Netlink, hook: Hook, request: &Request<'_>, master: &LinkInfo, port: &mut Port) -> Result<Added> {
    let Request { spec, owner, netns, .. } = *request;
    let state = State { local: netns.is_none(), all_groups: true, ..State::default() };
    let slave = |host_end| Slave::new(host_end, spec.options, state);
    if slave(IfIndex::NONE).host() {
        // An engine's slave reaches the host itself without forwarding. In l3s everything is forwarded.
        let all_or_nothing = owner.is_none() || spec.options.mode == Mode::L3s;
        sysctl::start_forwarding(&master.name, &mut port.maps, all_or_nothing)?;
    }
    let slot = port.maps.free_slot()?.ok_or_else(|| refused("add a slave to", &master.name, Refusal::Full))?;
    let alias = host_end::with_owner(HostEnd { master: master.ifindex, slot }.to_string(), owner);
    let devices = create_devices(netlink, request, master, &alias)?;
    let host_end = devices.host_end;
    let limits = Rates::default().change_to(spec.rates);
    let done = install(netlink, hook, port, host_end, slave(host_end), slot)
        .and_then(|()| rates::change(netlink, port, host_end, slot, limits).map(drop));
    if let Err(error) = done.and_then(|()| devices.tap.map_or(Ok(()), NewTap::keep)) {
        discard(netlink, port, host_end, slot);
        return Err(error);
    }
    let name = match &spec.name {
        Some(name) => name.clone(),
        None => find::peer(netlink, host_end)?.map_or_else(|| format!("link {}", devices.slave), |link| link.name),
    };
    Ok(Added { name, host_end, slot, master: master.ifindex })
}

/// The devices of a new slave, all of them down.
struct NewDevices {
    host_end: IfIndex,
    slave: IfIndex,
    tap: Option<NewTap>,
}

fn create_devices(netlink: &Netlink, request: &Request<'_>, master: &LinkInfo, alias: &str) -> Result<NewDevices> {
    let Request { spec, backend, netns, .. } = *request;
    let (mac, mtu) = (master.mac.unwrap_or(Mac([2, 0, 0, 0, 0, 1])), spec.mtu.unwrap_or(master.mtu));
    let name = spec.name.as_deref();
    if let Some(tap) = &spec.tap {
        let spec = TapSpec { name, mac, mtu, alias, tap };
        let tap = or_tidy_and_retry(netlink, name, || NewTap::create(netlink, &spec))?;
        return Ok(NewDevices { host_end: tap.ifindex, slave: tap.ifindex, tap: Some(tap) });
    }
    let (host_name, slave_name, noarp_slave) = ("ipvlh%d", name.unwrap_or("ipvl%d"), spec.options.mode != Mode::L2);
    let (alias, largest) = (Some(alias), Some(&master.detail));
    let spec = PairSpec { backend, host_name, slave_name, mac, mtu, noarp_slave, alias, largest, netns };
    let NewPair { host_end, slave } = or_tidy_and_retry(netlink, name, || netlink.add_pair(&spec))?;
    Ok(NewDevices { host_end, slave, tap: None })
}

/// Makes a device. If its name is taken, perhaps by what a killed command left, tidies up and tries once more.
fn or_tidy_and_retry<T>(netlink: &Netlink, name: Option<&str>, make: impl Fn() -> Result<T>) -> Result<T> {
    match make() {
        Err(error) if error.is_exists() => {
            tidy::tidy(netlink, &mut tidy::ports(netlink)?)?;
            make().map_err(|error| match error.is_exists() {
                true => refused("add", name.unwrap_or("a slave"), Refusal::NameTaken),
                false => error,
            })
        }
        result => result,
    }
}

/// Prepares a new host end, attaches its program, and writes the slave's entry.
fn install(netlink: &Netlink, hook: Hook, port: &mut Port, host_end: IfIndex, slave: Slave, slot: Slot) -> Result<()> {
    netlink.set_link(host_end, &LinkChange { noarp: Some(true), ..LinkChange::default() })?;
    let gone = || refused("find again", format!("link {host_end}"), Refusal::NoLink);
    let link = netlink.link(host_end, None)?.ok_or_else(gone)?;
    sysctl::prepare_host_end(&link.name, slave)?;
    // The agent sets a host end up as soon as its entry is in the table, so the program must be there before.
    port.attach(netlink, hook, &link)?;
    port.forget_policies_of(slot)?;
    port.maps.insert_slave(slot, slave)?;
    alias_event::publish(netlink, HostEnd { master: port.master, slot }, slave);
    Ok(())
}

/// Removes what was made of a slave.
fn discard(netlink: &Netlink, port: &mut Port, host_end: IfIndex, slot: Slot) {
    let _ = netlink.delete_link(host_end);
    let _ = port.remove_slaves(netlink, &[(host_end, slot)]);
}

/// Changes a slave's options, by one write that no packet sees half of.
fn reconfigure(netlink: &Netlink, found: &mut Found, master: &LinkInfo, change: &Change) -> Result<()> {
    let old = found.port.maps.slave(found.slot)?;
    let slave = old.with_options(old.options().changed(change.options));
    if slave.mode() == Mode::L2 && master.arp_type == ARPHRD_NONE {
        return Err(refused("change", &found.name, Refusal::NeedsEthernet(Mode::L2)));
    }
    if slave.host() {
        sysctl::start_forwarding(&master.name, &mut found.port.maps, true)?;
    }
    if slave.host() && !old.host() {
        sysctl::prepare_host_end(&found.host_end.name, slave)?;
        if old.up() && !old.local() {
            routes::add_all(netlink, &found.port.maps, old.host_end, found.slot)?;
        }
    }
    match (slave.mode() == Mode::L2) == (old.mode() == Mode::L2) {
        _ if slave == old => {}
        true => found.port.maps.set_slave(found.slot, slave)?,
        false => change_mode(netlink, found, slave)?,
    }
    if slave != old {
        alias_event::publish(netlink, found.described(), slave);
    }
    if old.host() && !slave.host() {
        sysctl::prepare_host_end(&found.host_end.name, slave)?;
    }
    Ok(())
}

/// Writes a new mode to the table and to the slave's device, one right after the other: in between, the slave's stack and
/// the table disagree about which of them resolves neighbours. If the device refuses, the agent tries again and reports.
fn change_mode(netlink: &Netlink, found: &mut Found, slave: Slave) -> Result<()> {
    let place = found.place(netlink);
    let is_tap = host_end::is_tap(&found.host_end);
    let Found { port, slot, .. } = found;
    // ARP is always off on a tap device: the guest behind it resolves neighbours itself.
    let Some(place) = place.ok().filter(|_| !is_tap) else { return port.maps.set_slave(*slot, slave) };
    let noarp = LinkChange { noarp: Some(slave.mode() != Mode::L2), ..LinkChange::default() };
    place.enter(netlink, |there, ifindex| {
        port.maps.set_slave(*slot, slave)?;
        let _ = there.set_link(ifindex, &noarp);
        Ok(())
    })
}
