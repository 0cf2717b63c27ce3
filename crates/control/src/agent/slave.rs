//! How does the agent bring one slave into the state that it should have?

use super::groups::reception;
use super::log::log_edge;
use super::plan::{DesiredSlave, DeviceChange, HostEndChange, ObservedSlave, SlavePlan, plan_slave};
use super::state::Agent;
use crate::error::Result;
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::{AddrGenMode, LinkChange, LinkInfo, Netlink};
use crate::kernel::netns;
use crate::place::Place;
use crate::port::Port;
use crate::port::host::edges;
use crate::port::host_end::{HostEnd, is_tap, place_of};
use crate::slave::find::{peer_of, unreachable_netns};
use crate::slave::routes::vrf_of;
use ipvl_core::{Addr, IfIndex, Mac, Slot, State};
use std::collections::BTreeSet;

const UNSETTLED: u32 = libc::IFA_F_TENTATIVE | libc::IFA_F_DADFAILED;
const LINK_LOCAL_LEN: u8 = 64;

impl Agent {
    /// Reads a slave, compares it with what it should be, and changes what differs.
    pub fn sync_slave(&mut self, host_end: IfIndex) -> Result<()> {
        let master = self.registry.slave(host_end).map(|slave| slave.master);
        let port = master.and_then(|master| self.ports.get(&master)).map(|port| port.maps.port()).transpose()?;
        self.sync_slave_after(host_end, port.map_or(0, |port| port.mtu))
    }

    /// The same after a change of its master. `old_mtu` is the MTU that the master had before.
    pub fn sync_slave_after(&mut self, host_end: IfIndex, old_mtu: u32) -> Result<()> {
        let Some(link) = self.netlink.link(host_end, None)? else { return self.host_end_missing(host_end) };
        self.missing.found(host_end);
        let Some((master, slot)) = self.identify(&link)? else {
            self.incomplete.insert(host_end);
            return Ok(());
        };
        self.incomplete.remove(&host_end);
        let place = place_of(&link);
        self.registry.set_place(host_end, master, slot, place);
        let (Some(place), Some(slave)) = (place, peer_of(&self.netlink, &link)?) else { return Ok(()) };
        self.restore_tap(&link, master, slot)?;
        let observed = self.observe(&link, &slave, place)?;
        let Some(desired) = self.desired(master, slot, old_mtu)? else { return Ok(()) };
        let plan = plan_slave(&desired, &observed);
        self.carry_out(&link, place, master, slot, &plan)?;
        self.report_edges(host_end, observed.addrs.intersection(&observed.edges).copied().collect());
        let entry = plan.slave.unwrap_or(desired.slave);
        let reception = reception(&slave, place, entry, !desired.declared.is_empty());
        // The groups of a slave that is answered for follow from its addresses, which may have changed.
        let unsettled = entry.state().all_groups || reception.answered_for;
        if self.registry.set_reception(host_end, reception) || unsettled {
            self.dirty.groups.insert(host_end);
        }
        self.announce(host_end, master, desired.port.mac, &plan)
    }

    /// Says once of each address that the slave cannot own it.
    fn report_edges(&mut self, host_end: IfIndex, edges: BTreeSet<Addr>) {
        for addr in self.registry.set_edges(host_end, edges) {
            log_edge(host_end, addr);
        }
    }

    /// A host end was not found. The event about it may be unread: if the host end is a tap device that only left this
    /// netns, reading that event brings it back.
    fn host_end_missing(&mut self, host_end: IfIndex) -> Result<()> {
        if self.registry.is_host_end(host_end) && self.missing.is_gone(host_end) {
            return self.forget(host_end);
        }
        Ok(())
    }

    /// The slave's master and slot, once its entry is in the table: then it is complete.
    fn identify(&mut self, link: &LinkInfo) -> Result<Option<(IfIndex, Slot)>> {
        let Some(described) = HostEnd::of(link) else { return Ok(None) };
        if !self.ports.contains_key(&described.master) {
            let Some(port) = Port::find(&self.netlink, described.master)? else { return Ok(None) };
            self.ports.insert(described.master, port);
            self.listen_to_reports();
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
            mtu: slave.mtu,
            mac: slave.mac.unwrap_or(Mac([0; 6])),
            local: place.netns.is_none(),
            tap,
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

    fn desired(&self, master: IfIndex, slot: Slot, old_mtu: u32) -> Result<Option<DesiredSlave>> {
        let maps = &self.ports[&master].maps;
        let (port, slave) = (maps.port()?, maps.slave(slot)?);
        let link = self.netlink.link(master, None)?;
        let vrf = link.as_ref().map(|link| vrf_of(&self.netlink, link)).transpose()?.flatten();
        let master_running = link.is_some_and(|link| link.is_up() && link.carrier.unwrap_or(true));
        let declared = self.registry.declared(master, slot);
        Ok((!slave.is_vacant()).then_some(DesiredSlave { port, master_running, vrf, old_mtu, slave, slot, declared }))
    }

    /// A slave goes down in the table before its device does, and comes up there after it: so all that the table has
    /// delivered to the device arrives.
    fn carry_out(
        &mut self,
        link: &LinkInfo,
        place: Place,
        master: IfIndex,
        slot: Slot,
        plan: &SlavePlan,
    ) -> Result<()> {
        let host_end = link.ifindex;
        let goes_down = plan.host_end.up == Some(false);
        if goes_down {
            self.write_slave(master, slot, plan)?;
            self.change_host_end(host_end, &plan.host_end)?;
        }
        self.sync_addresses(host_end, master, slot, &plan.addrs)?;
        // If the netns cannot be entered, the slave gets its carrier nevertheless, and the error is reported.
        let device = if plan.device.is_empty() { Ok(()) } else { self.change_device(place, &plan.device) };
        if !goes_down {
            self.change_host_end(host_end, &plan.host_end)?;
            self.write_slave(master, slot, plan)?;
        }
        self.sync_routes(host_end, master, plan)?;
        device
    }

    /// Writes what the agent decides about; a command may have changed the rest meanwhile.
    fn write_slave(&mut self, master: IfIndex, slot: Slot, plan: &SlavePlan) -> Result<()> {
        let (Some(slave), Some(port)) = (plan.slave, self.ports.get_mut(&master)) else { return Ok(()) };
        let _lock = Lock::acquire(LOCK_WAIT)?;
        let now = port.maps.slave(slot)?;
        if now.host_end != slave.host_end {
            return Ok(());
        }
        // A command that changed the mode has set this since.
        let all_groups = slave.state().all_groups || now.state().all_groups;
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

    /// A slave is gone: takes it out of the tables and out of the cache.
    fn forget(&mut self, host_end: IfIndex) -> Result<()> {
        let Some(slave) = self.registry.slave(host_end).cloned() else { return Ok(()) };
        let lock = Lock::acquire(LOCK_WAIT);
        if lock.is_err() {
            self.incomplete.insert(host_end);
        }
        let _lock = lock?;
        let groups = self.registry.groups(slave.master, slave.slot);
        let free = self.registry.remove(host_end);
        if let Some(port) = self.ports.get_mut(&slave.master) {
            if port.maps.slot_of(host_end)? == Some(slave.slot) {
                port.remove_slave(&self.netlink, host_end, slave.slot, &groups)?;
            }
            if port.detach_if_unused(&self.netlink)? {
                self.ports.remove(&slave.master);
            }
        }
        free.into_iter().for_each(|addr| self.offer(addr));
        Ok(())
    }
}

fn change_device_here(netlink: &Netlink, ifindex: IfIndex, change: &DeviceChange) -> Result<()> {
    let DeviceChange { noarp, mtu, mac, add, token, remove } = *change;
    let addr_gen_mode = add.or(remove).map(|_| AddrGenMode::None);
    netlink.set_link(ifindex, &LinkChange { noarp, mtu, mac, ..LinkChange::default() })?;
    // A netns without IPv6 refuses this, and needs neither the mode nor a link-local address.
    if addr_gen_mode.is_some() {
        let _ = netlink.set_link(ifindex, &LinkChange { addr_gen_mode, ..LinkChange::default() });
    }
    if let Some(addr) = remove {
        netlink.delete_address(ifindex, addr, LINK_LOCAL_LEN)?;
    }
    if let Some(addr) = add {
        let _ = netlink.add_address(ifindex, addr, LINK_LOCAL_LEN, 0);
        // The kernel refuses a token where the device accepts no router advertisements, which then needs none.
        let _ = netlink.set_link(ifindex, &LinkChange { token, ..LinkChange::default() });
    }
    Ok(())
}
