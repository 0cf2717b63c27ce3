//! What did the agent last read and write, so that it need not read all of it again for every event?
//!
//! It is a cache of the kernel's state and nothing else: each agent makes it anew when it starts.

use crate::place::{NsId, Place};
use crate::slave::routes::Prefix;
use crate::slave::routes::Route;
use ipvl_core::{Addr, IfIndex, Mac, Members, Slot};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;

/// The slaves of all ports.
#[derive(Default)]
pub struct Registry {
    /// By host end.
    slaves: BTreeMap<IfIndex, CachedSlave>,
    /// Host ends.
    places: HashMap<Place, IfIndex>,
    /// By master and slot.
    addresses: BTreeMap<(IfIndex, Slot), BTreeSet<Addr>>,
    /// By master and netns: how many addresses the slaves there have in the table.
    held: BTreeMap<(IfIndex, Option<NsId>), usize>,
    /// By host end.
    routes: BTreeMap<IfIndex, BTreeSet<Route>>,
    /// By master and slot.
    declared: BTreeMap<(IfIndex, Slot), BTreeSet<Prefix>>,
    /// By master and slot.
    groups: BTreeMap<(IfIndex, Slot), BTreeSet<Mac>>,
}

/// What the agent last saw of one slave.
#[derive(Clone, Debug)]
pub struct CachedSlave {
    /// The master's ifindex.
    pub master: IfIndex,
    /// The slave's slot on that master.
    pub slot: Slot,
    /// Addresses on its device that another slave or the host owns.
    pub refused: BTreeSet<Addr>,
    /// Addresses on its device that are the first or the last of its own network.
    pub edges: BTreeSet<Addr>,
    /// Whether some of them found no room in the table.
    pub without_room: bool,
    /// Addresses that were announced on the wire, with the MAC address that was announced.
    pub announced: BTreeSet<(Mac, Addr)>,
    /// Which multicast it receives.
    pub reception: Option<McastReception>,
    /// How often its device has lost its carrier.
    carrier_losses: u32,
    place: Option<Place>,
}

/// What decides, besides the list of joined groups, which multicast a slave receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct McastReception {
    /// The device with that list.
    pub place: Place,
    /// Whether it receives any: it is in l2, and up.
    pub enabled: bool,
    /// Whether it receives all groups, whatever it has joined.
    pub everything: bool,
    /// Whether the master must receive neighbour solicitations for its addresses, since we answer them.
    pub answered_for: bool,
}

impl CachedSlave {
    fn new(master: IfIndex, slot: Slot) -> Self {
        let (refused, edges, announced) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (without_room, carrier_losses) = (false, 0);
        Self { master, slot, refused, edges, without_room, announced, reception: None, carrier_losses, place: None }
    }
}

/// Slaves.
impl Registry {
    /// Whether there is no slave.
    pub fn is_empty(&self) -> bool {
        self.slaves.is_empty()
    }

    /// The slave behind a host end.
    pub fn slave(&self, host_end: IfIndex) -> Option<&CachedSlave> {
        self.slaves.get(&host_end)
    }

    /// The host end of the slave at this place.
    pub fn at(&self, place: Place) -> Option<IfIndex> {
        self.places.get(&place).copied()
    }

    /// Whether this is the host end of a known slave.
    pub fn is_host_end(&self, ifindex: IfIndex) -> bool {
        self.slaves.contains_key(&ifindex)
    }

    /// The host ends of all slaves in a netns.
    pub fn in_netns(&self, nsid: NsId) -> Vec<IfIndex> {
        let there = self.places.iter().filter(|(place, _)| place.netns == Some(nsid));
        there.map(|(_, host_end)| *host_end).collect()
    }

    /// The host end of the slave in a slot of a master.
    pub fn in_slot(&self, master: IfIndex, slot: Slot) -> Option<IfIndex> {
        let its = self.slaves.iter().find(|(_, slave)| (slave.master, slave.slot) == (master, slot));
        its.map(|(host_end, _)| *host_end)
    }

    /// The host ends of a master's slaves.
    pub fn of_master(&self, master: IfIndex) -> Vec<IfIndex> {
        let its = self.slaves.iter().filter(|(_, slave)| slave.master == master);
        its.map(|(host_end, _)| *host_end).collect()
    }

    /// All host ends, in order.
    pub fn host_ends(&self) -> Vec<IfIndex> {
        self.slaves.keys().copied().collect()
    }

    /// Adds a slave, or sets where it is now.
    pub fn set_place(&mut self, host_end: IfIndex, master: IfIndex, slot: Slot, place: Option<Place>) {
        let slave = self.slaves.entry(host_end).or_insert_with(|| CachedSlave::new(master, slot));
        let old = std::mem::replace(&mut slave.place, place);
        // The kernel uses indexes and ids again: another slave may be at the old place by now.
        if let Some(old) = old.filter(|old| self.places.get(old) == Some(&host_end)) {
            self.places.remove(&old);
        }
        if let Some(place) = place {
            self.places.insert(place, host_end);
        }
    }

    /// Removes a slave. Returns the addresses that it had in the table.
    pub fn remove(&mut self, host_end: IfIndex) -> BTreeSet<Addr> {
        self.routes.remove(&host_end);
        let Some(slave) = self.slaves.remove(&host_end) else { return BTreeSet::new() };
        if let Some(place) = slave.place.filter(|place| self.places.get(place) == Some(&host_end)) {
            self.places.remove(&place);
        }
        self.groups.remove(&(slave.master, slave.slot));
        self.addresses.remove(&(slave.master, slave.slot)).unwrap_or_default()
    }
}

/// Multicast groups.
impl Registry {
    /// Adds slots to a group, as they are in the table.
    pub fn add_members(&mut self, master: IfIndex, group: Mac, members: &Members) {
        for slot in members.slots() {
            self.groups.entry((master, slot)).or_default().insert(group);
        }
    }

    /// Sets the groups that a slot has in the table.
    pub fn set_groups(&mut self, master: IfIndex, slot: Slot, groups: BTreeSet<Mac>) {
        self.groups.insert((master, slot), groups);
    }

    /// The groups that a slot has in the table.
    pub fn groups(&self, master: IfIndex, slot: Slot) -> BTreeSet<Mac> {
        self.groups.get(&(master, slot)).cloned().unwrap_or_default()
    }

    /// Sets which multicast a slave receives. Returns whether that changed.
    pub fn set_reception(&mut self, host_end: IfIndex, reception: McastReception) -> bool {
        let Some(slave) = self.slaves.get_mut(&host_end) else { return false };
        slave.reception.replace(reception) != Some(reception)
    }
}

/// Addresses.
impl Registry {
    /// Adds an address that a slot has in the table.
    pub fn add_address(&mut self, master: IfIndex, slot: Slot, addr: Addr) {
        self.addresses.entry((master, slot)).or_default().insert(addr);
    }

    /// Removes an address that a slot had in the table.
    pub fn remove_address(&mut self, master: IfIndex, slot: Slot, addr: Addr) {
        self.addresses.entry((master, slot)).or_default().remove(&addr);
    }

    /// The addresses that a slot has in the table.
    pub fn addresses(&self, master: IfIndex, slot: Slot) -> BTreeSet<Addr> {
        self.addresses.get(&(master, slot)).cloned().unwrap_or_default()
    }

    /// Sets the addresses on a slave's device that another slave or the host owns.
    pub fn set_refused(&mut self, host_end: IfIndex, refused: BTreeSet<Addr>) {
        if let Some(slave) = self.slaves.get_mut(&host_end) {
            slave.refused = refused;
        }
    }

    /// Sets the addresses on a slave's device that are edges of its own network. Returns those that were not there before.
    pub fn set_edges(&mut self, host_end: IfIndex, edges: BTreeSet<Addr>) -> Vec<Addr> {
        let Some(slave) = self.slaves.get_mut(&host_end) else { return Vec::new() };
        let before = mem::replace(&mut slave.edges, edges);
        slave.edges.difference(&before).copied().collect()
    }

    /// The host ends of slaves that have one of these addresses on their device, but not in the table.
    pub fn refused(&self, addrs: &BTreeSet<Addr>) -> Vec<IfIndex> {
        let waiting = self.slaves.iter().filter(|(_, slave)| !slave.refused.is_disjoint(addrs));
        waiting.map(|(host_end, _)| *host_end).collect()
    }

    /// Sets whether addresses of a slave found no room.
    pub fn set_without_room(&mut self, host_end: IfIndex, without_room: bool) {
        if let Some(slave) = self.slaves.get_mut(&host_end) {
            slave.without_room = without_room;
        }
    }

    /// The host ends of a master's slaves of which addresses found no room.
    pub fn without_room(&self, master: IfIndex) -> Vec<IfIndex> {
        let waiting = self.slaves.iter().filter(|(_, slave)| slave.master == master && slave.without_room);
        waiting.map(|(host_end, _)| *host_end).collect()
    }

    /// How many addresses a slave has in the table.
    pub fn held(&self, host_end: IfIndex) -> usize {
        let slave = self.slaves.get(&host_end);
        slave.and_then(|slave| self.addresses.get(&(slave.master, slave.slot))).map_or(0, BTreeSet::len)
    }

    /// How many addresses other slaves of the same netns have in the same table.
    pub fn held_beside(&self, host_end: IfIndex) -> usize {
        let Some(CachedSlave { master, place: Some(place), .. }) = self.slaves.get(&host_end) else { return 0 };
        self.held.get(&(*master, place.netns)).map_or(0, |held| held.saturating_sub(self.held(host_end)))
    }

    /// Counts the addresses of one slave again, which had `before`.
    pub fn recount(&mut self, host_end: IfIndex, before: usize) {
        let now = self.held(host_end);
        let Some(CachedSlave { master, place: Some(place), .. }) = self.slaves.get(&host_end) else { return };
        let held = self.held.entry((*master, place.netns)).or_default();
        *held = (*held + now).saturating_sub(before);
    }

    /// Counts again how many addresses the slaves of each netns have.
    pub fn count_held(&mut self) {
        self.held.clear();
        for slave in self.slaves.values() {
            let Some(place) = slave.place else { continue };
            let its = self.addresses.get(&(slave.master, slave.slot)).map_or(0, BTreeSet::len);
            *self.held.entry((slave.master, place.netns)).or_default() += its;
        }
    }

    /// The host ends of slaves with any such address.
    pub fn in_conflict(&self) -> Vec<IfIndex> {
        let waiting = self.slaves.iter().filter(|(_, slave)| !slave.refused.is_empty());
        waiting.map(|(host_end, _)| *host_end).collect()
    }

    /// The slaves of a master with announced addresses: their host ends, and what was announced.
    pub fn announced(&self, master: IfIndex) -> impl Iterator<Item = (IfIndex, &BTreeSet<(Mac, Addr)>)> {
        let its = self.slaves.iter().filter(move |(_, slave)| slave.master == master && !slave.announced.is_empty());
        its.map(|(host_end, slave)| (*host_end, &slave.announced))
    }

    /// Sets what was announced of a slave.
    pub fn set_announced(&mut self, host_end: IfIndex, announced: BTreeSet<(Mac, Addr)>) {
        if let Some(slave) = self.slaves.get_mut(&host_end) {
            slave.announced = announced;
        }
    }

    /// Sets how often the device of a slave has lost its carrier. If that is news, nothing counts as announced: the slave may
    /// have been down and up again since it was last read.
    pub fn set_carrier_losses(&mut self, host_end: IfIndex, losses: u32) {
        if let Some(slave) = self.slaves.get_mut(&host_end)
            && mem::replace(&mut slave.carrier_losses, losses) != losses
        {
            slave.announced.clear();
        }
    }

    /// Sets what is declared for the slots of a master (`ipvl addr add`). An address that no longer is has left the table:
    /// if it is on the slave's device as well, it must be written there again.
    pub fn set_declared(&mut self, master: IfIndex, declared: BTreeMap<Slot, BTreeSet<Prefix>>) {
        let (before, others) = mem::take(&mut self.declared).into_iter().partition(|((other, _), _)| *other == master);
        self.declared = others;
        let before: BTreeMap<(IfIndex, Slot), BTreeSet<Prefix>> = before;
        for ((_, slot), prefixes) in before {
            let now = declared.get(&slot);
            let gone = prefixes.iter().filter(|prefix| now.is_none_or(|now| !now.contains(prefix)));
            gone.for_each(|(addr, _)| self.remove_address(master, slot, *addr));
        }
        self.declared.extend(declared.into_iter().map(|(slot, prefixes)| ((master, slot), prefixes)));
    }

    /// What is declared for one slot.
    pub fn declared(&self, master: IfIndex, slot: Slot) -> BTreeSet<Prefix> {
        self.declared.get(&(master, slot)).cloned().unwrap_or_default()
    }
}

/// Our routes.
impl Registry {
    /// Adds a route through a host end.
    pub fn add_route(&mut self, host_end: IfIndex, route: Route) {
        self.routes.entry(host_end).or_default().insert(route);
    }

    /// Removes a route that is gone. Returns whether it was known.
    pub fn remove_route(&mut self, host_end: IfIndex, route: &Route) -> bool {
        self.routes.get_mut(&host_end).is_some_and(|routes| routes.remove(route))
    }

    /// The routes through a host end.
    pub fn routes(&self, host_end: IfIndex) -> BTreeSet<Route> {
        self.routes.get(&host_end).cloned().unwrap_or_default()
    }

    /// The routes to the slaves of one master, each with its host end.
    pub fn routes_of(&self, master: IfIndex) -> Vec<(IfIndex, Route)> {
        let of_master = |host_end: &IfIndex| self.slave(*host_end).is_some_and(|slave| slave.master == master);
        let its = self.routes.iter().filter(|(host_end, _)| of_master(host_end));
        its.flat_map(|(host_end, routes)| routes.iter().map(|route| (*host_end, *route))).collect()
    }

    /// Sets the routes through a host end.
    pub fn set_routes(&mut self, host_end: IfIndex, routes: BTreeSet<Route>) {
        self.routes.insert(host_end, routes);
    }
}
