//! How does the agent bring one slave into the state that it should have?

use super::groups::reception;
use super::log::log_edge;
use super::plan::{DesiredSlave, DeviceChange, HostEndChange, ObservedSlave, SlavePlan, plan_slave};
use super::state::{Agent, MasterState};
use crate::error::Result;
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::{AddrGenMode, LinkChange, LinkInfo, Netlink};
use crate::kernel::netns;
use crate::place::Place;
use crate::port::Port;
use crate::port::host::edges;
use crate::port::host_end::{HostEnd, is_tap, place_of};
use crate::slave::find::unreachable_netns;
use crate::slave::peers::peer_of;
use crate::slave::routes::vrf_of;
use ipvl_core::{Addr, IfIndex, Mac, Slot, State};
use std::collections::BTreeSet;

const UNSETTLED: u32 = libc::IFA_F_TENTATIVE | libc::IFA_F_DADFAILED;
const LINK_LOCAL_LEN: u8 = 64;

/// A slave that is as it should be, except that it may have to be opened.
pub struct Prepared {
    /// The host end.
    pub host_end: IfIndex,
    master: IfIndex,
    slot: Slot,
    mac: Mac,
    plan: SlavePlan,
    /// How the change of its device went. If its netns cannot be entered, it gets its carrier nevertheless.
    device: Result<()>,
}

impl Agent {
    /// Reads a slave, compares it with what it should be, and changes what differs, except what [`Agent::open_slave`] does.
    pub fn prepare_slave(&mut self, host_end: IfIndex) -> Result<Option<Prepared>> {
        let Some(link) = self.netlink.link(host_end, None)? else {
            self.host_end_missing(host_end);
            return Ok(None);
        };
        self.missing.found(host_end);
        let Some((master, slot)) = self.identify(&link)? else {
            self.incomplete.insert(host_end);
            return Ok(None);
        };
        self.incomplete.remove(&host_end);
        let place = place_of(&link);
        self.registry.set_place(host_end, master, slot, place);
        let (Some(place), Some(slave)) = (place, peer_of(&self.netlink, &link)?) else { return Ok(None) };
        self.registry.set_carrier_losses(host_end, slave.carrier_losses);
        self.restore_tap(&link, master, slot)?;
        let observed = self.observe(&link, &slave, place)?;
        let Some(desired) = self.desired(master, slot, host_end)? else { return Ok(None) };
        let plan = plan_slave(&desired, &observed);
        if plan.host_end.up == Some(false) {
            self.write_slave(master, slot, &plan, false)?;
            self.change_host_end(host_end, &plan.host_end)?;
        }
        self.sync_addresses(host_end, master, slot, &plan.addrs)?;
        self.report_edges(host_end, observed.addrs.intersection(&observed.edges).copied().collect());
        let device = if plan.device.is_empty() { Ok(()) } else { self.change_device(place, &plan.device) };
        let entry = plan.slave.unwrap_or(desired.slave);
        if desired.slave.up() && !entry.up() {
            // A live slave that has one of its addresses may get it now. Only when it goes down: two slaves that are down would
            // offer each other their addresses for ever.
            self.offer(&plan.addrs);
        }
        let reception = reception(&slave, place, entry, !desired.declared.is_empty());
        // The groups of a slave that is answered for follow from its addresses, which may have changed.
        let unsettled = entry.state().all_groups || reception.answered_for;
        if self.registry.set_reception(host_end, reception) || unsettled {
            self.dirty.groups.insert(host_end);
        }
        Ok(Some(Prepared { host_end, master, slot, mac: desired.port.mac, plan, device }))
    }

    /// Completes a prepared slave. A slave goes down in the table before its device does, and comes up there after it: so all
    /// that the table has delivered to the device arrives. `groups_known`: whether its groups are in the table.
    pub fn open_slave(&mut self, prepared: Prepared, groups_known: bool) -> Result<()> {
        let Prepared { host_end, master, slot, mac, plan, device } = prepared;
        if plan.host_end.up != Some(false) {
            self.change_host_end(host_end, &plan.host_end)?;
            self.write_slave(master, slot, &plan, groups_known)?;
        }
        self.sync_routes(host_end, master, &plan)?;
        self.announce(host_end, master, mac, &plan)?;
        device?;
        self.old_mtus.remove(&host_end);
        Ok(())
    }

    /// Says once of each address that the slave cannot own it.
    fn report_edges(&mut self, host_end: IfIndex, edges: BTreeSet<Addr>) {
        for addr in self.registry.set_edges(host_end, edges) {
            log_edge(host_end, addr);
        }
    }

    /// A host end was not found. The event about it may be unread: if the host end is a tap device that only left this
    /// netns, reading that event brings it back.
    fn host_end_missing(&mut self, host_end: IfIndex) {
        if self.registry.is_host_end(host_end) && self.missing.is_gone(host_end) {
            self.gone.insert(host_end);
        }
    }

    /// The slave's master and slot, once its entry is in the table: then it is complete.
    fn identify(&mut self, link: &LinkInfo) -> Result<Option<(IfIndex, Slot)>> {
        let Some(described) = HostEnd::of(link) else { return Ok(None) };
        if !self.ports.contains_key(&described.master) {
            let Some(port) = Port::find(&self.netlink, described.master)? else { return Ok(None) };
            self.ports.insert(described.master, port);
            self.listen_to_joins();
        }
        let port = &self.ports[&described.master];
        let entered = port.maps.slot_of(link.ifindex)? == Some(described.slot);
        Ok(entered.then_some((described.master, described.slot)))
    }

    fn observe(&self, host_end: &LinkInfo, slave: &LinkInfo, place: Place) -> Result<ObservedSlave> {
        let addresses = self.netlink.addresses(Some(place.ifindex), place.netns)?;
        let tap = is_tap(host_end);
        Ok(ObservedSlave {
            // A tap device has a carrier while a process has it open.
            up: slave.is_up() && (!tap || slave.carrier.unwrap_or(true)),
            noarp: slave.flags & libc::IFF_NOARP as u32 != 0,
            has_ipv6: slave.has_ipv6,
            eui64: slave.detail.addrgenmode == "eui64",
            own_kind: !matches!(slave.detail.addrgenmode.as_str(), "eui64" | "none" | ""),
            token: slave.token,
            mtu: slave.mtu,
            mac: slave.mac.unwrap_or(Mac([0; 6])),
            local: place.netns.is_none(),
            tap,
            valid: addresses.iter().filter(|info| info.is_valid()).map(|info| info.addr).collect(),
            settled: addresses.iter().filter(|info| info.flags & UNSETTLED == 0).map(|info| info.addr).collect(),
            edges: addresses.iter().flat_map(edges).collect(),
            addrs: addresses.into_iter().map(|info| info.addr).collect(),
            host_end_up: host_end.is_up(),
            host_end_mac: host_end.mac.unwrap_or(Mac([0; 6])),
            host_end_mtu: host_end.mtu,
            host_end_upper: host_end.master,
            host_end_queued: host_end.has_queue(),
        })
    }

    fn desired(&mut self, master: IfIndex, slot: Slot, host_end: IfIndex) -> Result<Option<DesiredSlave>> {
        let MasterState { running: master_running, vrf } = self.master_state(master)?;
        let maps = &self.ports[&master].maps;
        let (port, slave) = (maps.port()?, maps.slave(slot)?);
        let old_mtu = self.old_mtus.get(&host_end).copied().unwrap_or(port.mtu);
        let declared = self.registry.declared(master, slot);
        Ok((!slave.is_vacant()).then_some(DesiredSlave { port, master_running, vrf, old_mtu, slave, slot, declared }))
    }

    /// What a master is like. It is read once for many slaves: an event that says that it changed comes in a later turn.
    fn master_state(&mut self, master: IfIndex) -> Result<MasterState> {
        if let Some(state) = self.masters.get(&master) {
            return Ok(*state);
        }
        let link = self.netlink.link(master, None)?;
        let vrf = link.as_ref().map(|link| vrf_of(&self.netlink, link)).transpose()?.flatten();
        let running = link.is_some_and(|link| link.is_up() && link.carrier.unwrap_or(true));
        self.masters.insert(master, MasterState { running, vrf });
        Ok(MasterState { running, vrf })
    }

    /// Writes what the agent decides about; a command may have changed the rest meanwhile.
    fn write_slave(&mut self, master: IfIndex, slot: Slot, plan: &SlavePlan, groups_known: bool) -> Result<()> {
        let (Some(slave), Some(port)) = (plan.slave, self.ports.get_mut(&master)) else { return Ok(()) };
        let _lock = Lock::acquire(LOCK_WAIT)?;
        let now = port.maps.slave(slot)?;
        if now.host_end != slave.host_end {
            return Ok(());
        }
        // A command that changed the mode has set this since.
        let all_groups = slave.state().all_groups && !groups_known || now.state().all_groups;
        port.maps.set_slave(slot, now.with_state(State { all_groups, ..slave.state() }))
    }

    fn change_host_end(&mut self, host_end: IfIndex, change: &HostEndChange) -> Result<()> {
        if *change == HostEndChange::default() {
            return Ok(());
        }
        let HostEndChange { upper, up, mac, mtu } = *change;
        if upper.is_some() || up.is_some() {
            // The kernel removes a link's routes when it goes down, and when it enters a VRF, for which it goes down and
            // up.
            self.registry.set_routes(host_end, BTreeSet::new());
        }
        if upper.is_some() {
            self.netlink.set_link(host_end, &LinkChange { master: upper, ..LinkChange::default() })?;
        }
        self.netlink.set_link(host_end, &LinkChange { up, mac, mtu, ..LinkChange::default() })
    }

    fn change_device(&mut self, Place { netns, ifindex }: Place, change: &DeviceChange) -> Result<()> {
        let Some(nsid) = netns else { return change_device_here(&self.netlink, ifindex, change) };
        match self.finder.find(&self.netlink, nsid)? {
            Some(netns) => netns::within(netns, || change_device_here(&Netlink::open()?, ifindex, change))?,
            None => Err(unreachable_netns(nsid)),
        }
    }
}

fn change_device_here(netlink: &Netlink, ifindex: IfIndex, change: &DeviceChange) -> Result<()> {
    let DeviceChange { noarp, mtu, mac, quiet, add, token, remove } = *change;
    if noarp.is_some() || mtu.is_some() || mac.is_some() {
        netlink.set_link(ifindex, &LinkChange { noarp, mtu, mac, ..LinkChange::default() })?;
    }
    let addr_gen_mode = quiet.then_some(AddrGenMode::None);
    let both = LinkChange { addr_gen_mode, token, ..LinkChange::default() };
    // The kernel refuses a token, and then the mode with it, where the device accepts no router advertisements: it needs none
    // there. Where IPv6 was switched off just now, it refuses all of this, and nothing is needed.
    let refused = (quiet || token.is_some()) && netlink.set_link(ifindex, &both).is_err();
    if refused && quiet {
        unless_without_ipv6(netlink.set_link(ifindex, &LinkChange { token: None, ..both }))?;
    }
    if let Some(addr) = remove {
        netlink.delete_address(ifindex, addr, LINK_LOCAL_LEN)?;
    }
    match add {
        Some(addr) => unless_without_ipv6(netlink.add_address(ifindex, addr, LINK_LOCAL_LEN, 0)),
        None => Ok(()),
    }
}

fn unless_without_ipv6(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if matches!(error.errno(), Some(libc::EACCES | libc::EOPNOTSUPP | libc::EINVAL)) => Ok(()),
        other => other,
    }
}
