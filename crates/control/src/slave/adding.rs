//! How are slaves made, all that one call asks for or none?

use crate::error::{Result, refused};
use crate::kernel::netlink::{LinkChange, LinkInfo, Netlink, NewPair, PairSpec};
use crate::kernel::netns;
use crate::model::{Backend, LinkSpec};
use crate::policy_words::PolicyKeys;
use crate::port::hook::Hook;
use crate::port::host_end::{self, HostEnd};
use crate::port::{Port, sysctl};
use crate::rate::Rates;
use crate::refusal::Refusal;
use crate::slave::check::check;
use crate::slave::module::{self, ModuleSlave};
use crate::slave::tap::{NewTap, TapSpec};
use crate::slave::{agent_client, alias_event, find, module_owner, rates, tidy};
use ipvl_core::{IfIndex, Mac, Mode, Slave, Slot, State};
use std::collections::{BTreeMap, btree_map::Entry};
use std::os::fd::{AsFd, BorrowedFd};

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
    pub(crate) names: Vec<String>,
}

/// A slave that was made.
pub(crate) struct Added {
    pub(crate) name: String,
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

    /// Makes a slave. One that is to have a policy drops everything until its rules are written, before the lock is given back:
    /// they may name slaves that are made after it.
    pub(crate) fn add(&mut self, spec: &LinkSpec, owner: Option<&str>, policy: &PolicyKeys) -> Result<()> {
        let object = || format!("{} to {}", spec.name.as_deref().unwrap_or("a slave"), spec.master);
        let master = find::link(&self.netlink, &spec.master).map_err(|refusal| refused("add", object(), refusal))?;
        check(&self.netlink, spec, &master).map_err(|refusal| refused("add", object(), refusal))?;
        let backend = self.backend(spec, owner, policy).map_err(|refusal| refused("add", object(), refusal))?;
        let netns = spec.netns.as_ref().map(netns::open).transpose()?;
        if backend == Backend::Kernel {
            return self.add_in_module(spec, owner, &master, netns.as_ref().map(|fd| fd.as_fd()));
        }
        let port = match self.ports.entry(master.ifindex) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Port::find_or_create(&self.netlink, &master, agent_client::programs)?),
        };
        let request = Request { spec, owner, policy, backend, netns: netns.as_ref().map(|fd| fd.as_fd()) };
        let added = create(&self.netlink, self.hook, &request, &master, port)?;
        self.names.push(added.name.clone());
        self.added.push(added);
        Ok(())
    }

    /// The kind of pair to make; for a tap device, which is no pair, it does not matter.
    fn backend(
        &self,
        spec: &LinkSpec,
        owner: Option<&str>,
        policy: &PolicyKeys,
    ) -> std::result::Result<Backend, Refusal> {
        let needs_host_end = spec.rates != Rates::default() || !policy.is_empty();
        match (spec.backend, owner) {
            _ if spec.tap.is_some() => Ok(Backend::Veth),
            (Some(Backend::Kernel), _) if needs_host_end => Err(Refusal::OfModule),
            (None, _) if needs_host_end => Backend::choose_pair(self.count),
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

/// A slave to make: with which options, for which owner, with which policy, of which kind of device, and in which netns.
struct Request<'a> {
    spec: &'a LinkSpec,
    owner: Option<&'a str>,
    policy: &'a PolicyKeys,
    backend: Backend,
    netns: Option<BorrowedFd<'a>>,
}

/// Makes a slave: its devices, its program and its entry. The host end of a pair stays down until the agent has set the
/// slave's link-local address.
fn create(netlink: &Netlink, hook: Hook, request: &Request<'_>, master: &LinkInfo, port: &mut Port) -> Result<Added> {
    let Request { spec, owner, policy, netns, .. } = *request;
    let state = State { local: netns.is_none(), all_groups: true, ..State::default() };
    let slave = |host_end| Slave::new(host_end, spec.options, state).with_policy(policy.policy.is_some());
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
    let done = install(netlink, hook, port, (host_end, slot), slave(host_end), policy)
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
fn install(
    netlink: &Netlink,
    hook: Hook,
    port: &mut Port,
    (host_end, slot): (IfIndex, Slot),
    slave: Slave,
    policy: &PolicyKeys,
) -> Result<()> {
    netlink.set_link(host_end, &LinkChange { noarp: Some(true), ..LinkChange::default() })?;
    let gone = || refused("find again", format!("link {host_end}"), Refusal::NoLink);
    let link = netlink.link(host_end, None)?.ok_or_else(gone)?;
    sysctl::prepare_host_end(&link.name, slave)?;
    // The agent sets a host end up as soon as its entry is in the table, so the program and the policy must be there
    // before.
    port.attach(netlink, hook, &link)?;
    port.forget_policies_of(slot)?;
    port.begin_policy(netlink, &link, slot, policy)?;
    port.maps.insert_slave(slot, slave)?;
    alias_event::publish(netlink, HostEnd { master: port.master, slot }, slave);
    Ok(())
}

/// Removes what was made of a slave.
fn discard(netlink: &Netlink, port: &mut Port, host_end: IfIndex, slot: Slot) {
    let _ = netlink.delete_link(host_end);
    let _ = port.remove_slaves(netlink, &[(host_end, slot)]);
}
