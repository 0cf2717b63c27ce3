//! How does the agent bring one slave into order?

use super::Agent;
use super::groups::hearing;
use super::registry::Place;
use crate::agent::plan::{Desired, HostEndChange, Inside, Observed, Plan, plan};
use crate::error::Result;
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::{AddrGenMode, BIRTH_GROUP, Event, LinkChange, LinkInfo, Netlink, What};
use crate::kernel::netns;
use crate::port::Port;
use crate::port::host_end::HostEnd;
use crate::slave::find::{is_tap, peer_of, place_of, unreachable_netns};
use crate::slave::routes::vrf_of;
use ipvl_core::{Addr, Mac, OwnerEntry, Slot, State};
use std::collections::BTreeSet;

const UNSETTLED: u32 = libc::IFA_F_TENTATIVE | libc::IFA_F_DADFAILED;
/// More than this of what is on its device no slave takes from the table that all share.
const MOST_ADDRESSES: usize = 1024;
const LINK_LOCAL_LEN: u8 = 64;

impl Agent {
    /// Notes what an event makes necessary to read again.
    pub(super) fn note(&mut self, event: Event) {
        match (event.nsid, event.what) {
            (_, What::Overrun) => self.dirty.everything = true,
            (None, What::NewLink(link) | What::DelLink(link)) => self.note_link(&link),
            (Some(nsid), What::NewLink(link) | What::DelLink(link)) => {
                self.departed.note_elsewhere(nsid, &link);
                self.note_place((Some(nsid), link.ifindex));
            }
            (None, What::NewAddress(address) | What::DelAddress(address)) => {
                match self.registry.at((None, address.ifindex)) {
                    Some(host_end) => _ = self.dirty.host_ends.insert(host_end),
                    None => self.dirty.host_addresses = true,
                }
            }
            (Some(nsid), What::NewAddress(address) | What::DelAddress(address)) => {
                self.note_place((Some(nsid), address.ifindex));
            }
            (None, What::DelRoute(route)) => {
                if self.registry.unrouted(route.oif, &(route.table, (route.dst, route.prefix_len))) {
                    self.dirty.host_ends.insert(route.oif);
                }
            }
            (None, What::Queue(ifindex)) if self.registry.is_host_end(ifindex) => {
                self.dirty.host_ends.insert(ifindex);
            }
            (Some(_), What::DelRoute(_)) | (_, What::Queue(_) | What::Groups(_)) => {}
            (_, What::DelNsid(nsid)) => {
                self.finder.forget(nsid);
                self.dirty.host_ends.extend(self.registry.in_netns(nsid));
            }
            (_, What::NewNsid(nsid)) => self.finder.forget(nsid),
        }
    }

    fn note_link(&mut self, link: &LinkInfo) {
        let ours = HostEnd::of(link).is_some() || link.group == BIRTH_GROUP;
        if ours || self.registry.is_host_end(link.ifindex) {
            self.dirty.host_ends.insert(link.ifindex);
        }
        self.note_master(link);
        self.note_place((None, link.ifindex));
        self.note_tap(link);
    }

    fn note_place(&mut self, place: Place) {
        self.dirty.host_ends.extend(self.registry.at(place));
    }

    pub(super) fn sync_slave(&mut self, host_end: u32) -> Result<()> {
        let known = self.registry.slave(host_end).map(|known| known.master);
        let mtu = known.and_then(|master| self.ports.get(&master)).map(|port| port.maps.port()).transpose()?;
        self.sync_slave_after(host_end, mtu.map_or(0, |port| port.mtu))
    }

    /// Reads a slave, compares, and puts right what differs. `old_mtu` is what its master's was before.
    pub(super) fn sync_slave_after(&mut self, host_end: u32, old_mtu: u32) -> Result<()> {
        let Some(link) = self.link_here(host_end)? else { return self.forget(host_end) };
        let Some((master, slot)) = self.identify(&link)? else {
            self.strays.insert(host_end);
            return Ok(());
        };
        self.strays.remove(&host_end);
        let place = place_of(&link);
        self.registry.seen(host_end, master, slot, place);
        let (Some(place), Some(slave)) = (place, peer_of(&self.netlink, &link)?) else { return Ok(()) };
        self.keep_closed(&link, master, slot)?;
        let observed = self.observe(&link, &slave, place)?;
        let Some(desired) = self.desire(master, slot, old_mtu)? else { return Ok(()) };
        let plan = plan(&desired, &observed);
        self.carry_out(&link, place, master, slot, &plan)?;
        let entry = plan.slave.unwrap_or(desired.slave);
        let hearing = hearing(&slave, place, entry, !desired.declared.is_empty());
        // Whoever is answered for may have got or lost an address.
        let unsettled = entry.state().all_groups || hearing.answered_for;
        if self.registry.set_hearing(host_end, hearing) || unsettled {
            self.dirty.groups.insert(host_end);
        }
        self.announce(host_end, master, desired.port.mac, &plan)
    }

    /// A host end, unless it is gone. One that only left is back by then: the news of it has come, but may not have been
    /// read.
    fn link_here(&mut self, host_end: u32) -> Result<Option<LinkInfo>> {
        if let Some(link) = self.netlink.link(host_end, None)? {
            return Ok(Some(link));
        }
        self.note_events()?;
        self.netlink.link(host_end, None)
    }

    /// The slave's master and slot, once its entry is in the table: then it is complete.
    fn identify(&mut self, link: &LinkInfo) -> Result<Option<(u32, Slot)>> {
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

    fn observe(&self, host_end: &LinkInfo, slave: &LinkInfo, (nsid, ifindex): Place) -> Result<Observed> {
        let addresses = self.netlink.addresses(Some(ifindex), nsid)?;
        let tap = is_tap(host_end);
        Ok(Observed {
            // A tap device has a carrier while somebody has it open.
            up: slave.is_up() && (!tap || slave.carrier.unwrap_or(true)),
            noarp: slave.flags & libc::IFF_NOARP as u32 != 0,
            has_ipv6: slave.has_ipv6,
            mtu: slave.mtu,
            mac: slave.mac.unwrap_or(Mac([0; 6])),
            local: nsid.is_none(),
            tap,
            settled: addresses.iter().filter(|info| info.flags & UNSETTLED == 0).map(|info| info.addr).collect(),
            addrs: addresses.into_iter().map(|info| info.addr).collect(),
            host_end_up: host_end.is_up(),
            host_end_mac: host_end.mac.unwrap_or(Mac([0; 6])),
            host_end_mtu: host_end.mtu,
            host_end_upper: host_end.master,
            host_end_queued: host_end.has_queue(),
        })
    }

    fn desire(&self, master: u32, slot: Slot, old_mtu: u32) -> Result<Option<Desired>> {
        let maps = &self.ports[&master].maps;
        let (port, slave) = (maps.port()?, maps.slave(slot)?);
        let link = self.netlink.link(master, None)?;
        let vrf = link.as_ref().map(|link| vrf_of(&self.netlink, link)).transpose()?.flatten();
        let master_running = link.is_some_and(|link| link.is_up() && link.carrier.unwrap_or(true));
        let declared = self.registry.declared(master, slot);
        Ok((!slave.is_vacant()).then_some(Desired { port, master_running, vrf, old_mtu, slave, slot, declared }))
    }

    /// Down in the table before the device, and up after it: what the table sends to a slave, arrives.
    fn carry_out(&mut self, link: &LinkInfo, place: Place, master: u32, slot: Slot, plan: &Plan) -> Result<()> {
        let host_end = link.ifindex;
        let goes_down = plan.host_end.up == Some(false);
        if goes_down {
            self.write_slave(master, slot, plan)?;
            self.change_host_end(host_end, &plan.host_end)?;
        }
        self.settle_addresses(host_end, master, slot, &plan.addrs)?;
        // A netns that we cannot enter is no reason to leave the slave without a carrier; it is reported, though.
        let inside = if plan.inside.is_empty() { Ok(()) } else { self.change_inside(place, &plan.inside) };
        if !goes_down {
            self.change_host_end(host_end, &plan.host_end)?;
            self.write_slave(master, slot, plan)?;
        }
        self.settle_routes(host_end, master, plan)?;
        inside
    }

    /// Writes what is ours to write; a command may have changed the rest meanwhile.
    fn write_slave(&mut self, master: u32, slot: Slot, plan: &Plan) -> Result<()> {
        let (Some(slave), Some(port)) = (plan.slave, self.ports.get_mut(&master)) else { return Ok(()) };
        let _lock = Lock::acquire(LOCK_WAIT)?;
        let now = port.maps.slave(slot)?;
        if now.host_end != slave.host_end {
            return Ok(());
        }
        let all_groups = slave.state().all_groups || now.state().all_groups;
        port.maps.set_slave(slot, now.with_state(State { all_groups, ..slave.state() }))
    }

    /// Makes the table agree with the slave's device. Who came first keeps an address.
    fn settle_addresses(&mut self, host_end: u32, master: u32, slot: Slot, addrs: &BTreeSet<Addr>) -> Result<()> {
        let claims = self.registry.claims(master, slot);
        let Some(port) = self.ports.get_mut(&master) else { return Ok(()) };
        let mut refused = BTreeSet::new();
        let mut free = Vec::new();
        for addr in claims.difference(addrs) {
            if port.maps.owner(*addr)?.is_some_and(|entry| entry.slot == slot.0 && entry.declared == 0) {
                port.maps.release(*addr)?;
                free.push(*addr);
            }
            self.registry.released(master, slot.0, *addr);
        }
        let room = MOST_ADDRESSES.saturating_sub(claims.intersection(addrs).count());
        let mut fresh = addrs.difference(&claims);
        for addr in fresh.by_ref().take(room) {
            let entry = OwnerEntry { slot: slot.0, declared: 0 };
            if port.maps.claim(*addr, entry)? {
                port.maps.fulfil(*addr, entry)?;
                self.registry.claimed(master, slot.0, *addr);
            } else {
                refused.insert(*addr);
            }
        }
        refused.extend(fresh);
        self.registry.set_refused(host_end, refused);
        free.into_iter().for_each(|addr| self.conflicting(addr));
        Ok(())
    }

    fn change_host_end(&mut self, host_end: u32, change: &HostEndChange) -> Result<()> {
        if *change == HostEndChange::default() {
            return Ok(());
        }
        let HostEndChange { upper, up, mac, mtu } = *change;
        if upper.or(up.map(u32::from)).is_some() {
            // Routes do not survive a link that goes down, nor its entering a VRF, for which it goes down and up.
            self.registry.set_routes(host_end, BTreeSet::new());
        }
        if upper.is_some() {
            self.netlink.set_link(host_end, &LinkChange { master: upper, ..LinkChange::default() })?;
        }
        self.netlink.set_link(host_end, &LinkChange { up, mac, mtu, ..LinkChange::default() })
    }

    fn change_inside(&mut self, (nsid, ifindex): Place, inside: &Inside) -> Result<()> {
        let Some(nsid) = nsid else { return apply_inside(&self.netlink, ifindex, inside) };
        match self.finder.find(&self.netlink, nsid)? {
            Some(netns) => netns::within(netns, || apply_inside(&Netlink::open()?, ifindex, inside))?,
            None => Err(unreachable_netns(nsid)),
        }
    }

    /// A slave is gone, by whatever means.
    fn forget(&mut self, host_end: u32) -> Result<()> {
        let Some(known) = self.registry.slave(host_end).cloned() else { return Ok(()) };
        let lock = Lock::acquire(LOCK_WAIT);
        if lock.is_err() {
            self.strays.insert(host_end);
        }
        let _lock = lock?;
        let groups = self.registry.groups(known.master, known.slot);
        let free = self.registry.forget(host_end);
        if let Some(port) = self.ports.get_mut(&known.master) {
            if port.maps.slot_of(host_end)? == Some(known.slot) {
                port.vacate_joined(&self.netlink, host_end, known.slot, &groups)?;
            }
            if port.retire(&self.netlink)? {
                self.ports.remove(&known.master);
            }
        }
        free.into_iter().for_each(|addr| self.conflicting(addr));
        Ok(())
    }
}

fn apply_inside(netlink: &Netlink, ifindex: u32, inside: &Inside) -> Result<()> {
    let Inside { noarp, mtu, mac, add, token, remove } = *inside;
    let addr_gen_mode = add.or(remove).map(|_| AddrGenMode::None);
    netlink.set_link(ifindex, &LinkChange { noarp, mtu, mac, ..LinkChange::default() })?;
    // A netns without IPv6 has neither a mode nor a link-local, and that is as it should be.
    if addr_gen_mode.is_some() {
        let _ = netlink.set_link(ifindex, &LinkChange { addr_gen_mode, ..LinkChange::default() });
    }
    if let Some(addr) = remove {
        netlink.delete_address(ifindex, addr, LINK_LOCAL_LEN)?;
    }
    if let Some(addr) = add {
        let _ = netlink.add_address(ifindex, addr, LINK_LOCAL_LEN, 0);
        // Refused where router advertisements are, which then need no token.
        let _ = netlink.set_link(ifindex, &LinkChange { token, ..LinkChange::default() });
    }
    Ok(())
}
