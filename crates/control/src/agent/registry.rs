//! What did the agent last see and write, so that it need not read all of it again for every event?
//!
//! A cache of the kernel's state and nothing else: it is made anew at every start.

use crate::slave::routes::Prefix;
use crate::slave::routes::Route;
use ipvl_core::{Addr, Mac, Members, Slot};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Where a slave is: the id of its netns here, if it is another, and its ifindex there.
pub type Place = (Option<i32>, u32);

/// All slaves of all ports.
#[derive(Default)]
pub struct Registry {
    slaves: BTreeMap<u32, Known>,
    places: HashMap<Place, u32>,
    claims: BTreeMap<(u32, u32), BTreeSet<Addr>>,
    routes: BTreeMap<u32, BTreeSet<Route>>,
    declared: BTreeMap<(u32, u32), BTreeSet<Prefix>>,
    groups: BTreeMap<(u32, u32), BTreeSet<Mac>>,
}

/// One slave.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its master's ifindex.
    pub master: u32,
    /// Its number there.
    pub slot: Slot,
    /// Addresses on its device that belong to somebody else.
    pub refused: BTreeSet<Addr>,
    /// What the wire was told of it, with the MAC address of then.
    pub announced: BTreeSet<(Mac, Addr)>,
    /// What decides on the groups that it gets.
    pub hearing: Option<Hearing>,
    place: Option<Place>,
}

/// What decides, besides its list, which multicast a slave gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hearing {
    /// Where its list is.
    pub place: Place,
    /// Whether it gets any: in l2, and up.
    pub listens: bool,
    /// Whether it gets all of it, whatever it has joined.
    pub everything: bool,
    /// Whether questions for its addresses must reach the master, for us to answer.
    pub answered_for: bool,
}

impl Known {
    fn new(master: u32, slot: Slot) -> Self {
        let (refused, announced) = (BTreeSet::new(), BTreeSet::new());
        Self { master, slot, refused, announced, hearing: None, place: None }
    }
}

impl Registry {
    /// Whether there is no slave.
    pub fn is_empty(&self) -> bool {
        self.slaves.is_empty()
    }

    /// The slave behind a host end.
    pub fn slave(&self, host_end: u32) -> Option<&Known> {
        self.slaves.get(&host_end)
    }

    /// The host end of the slave that is there.
    pub fn at(&self, place: Place) -> Option<u32> {
        self.places.get(&place).copied()
    }

    /// Whether this is a host end that we look after.
    pub fn is_host_end(&self, ifindex: u32) -> bool {
        self.slaves.contains_key(&ifindex)
    }

    /// The host ends of all slaves in a netns.
    pub fn in_netns(&self, nsid: i32) -> Vec<u32> {
        let there = self.places.iter().filter(|((id, _), _)| *id == Some(nsid));
        there.map(|(_, host_end)| *host_end).collect()
    }

    /// The host end of the slave in a slot of a master.
    pub fn in_slot(&self, master: u32, slot: Slot) -> Option<u32> {
        let its = self.slaves.iter().find(|(_, known)| (known.master, known.slot) == (master, slot));
        its.map(|(host_end, _)| *host_end)
    }

    /// The host ends of a master's slaves.
    pub fn of_master(&self, master: u32) -> Vec<u32> {
        let its = self.slaves.iter().filter(|(_, known)| known.master == master);
        its.map(|(host_end, _)| *host_end).collect()
    }

    /// A slave is there now.
    pub fn seen(&mut self, host_end: u32, master: u32, slot: Slot, place: Option<Place>) {
        let known = self.slaves.entry(host_end).or_insert_with(|| Known::new(master, slot));
        let old = std::mem::replace(&mut known.place, place);
        // Indexes and ids are used again: the place may be another slave's by now.
        if let Some(old) = old.filter(|old| self.places.get(old) == Some(&host_end)) {
            self.places.remove(&old);
        }
        if let Some(place) = place {
            self.places.insert(place, host_end);
        }
    }

    /// All host ends, in order.
    pub fn host_ends(&self) -> Vec<u32> {
        self.slaves.keys().copied().collect()
    }

    /// The table says that these have joined a group.
    pub fn joined(&mut self, master: u32, group: Mac, members: &Members) {
        for Slot(slot) in members.slots() {
            self.groups.entry((master, slot)).or_default().insert(group);
        }
    }

    /// It says that a slot has joined these.
    pub fn set_groups(&mut self, master: u32, slot: Slot, groups: BTreeSet<Mac>) {
        self.groups.insert((master, slot.0), groups);
    }

    /// What a slot has joined, as the table says.
    pub fn groups(&self, master: u32, slot: Slot) -> BTreeSet<Mac> {
        self.groups.get(&(master, slot.0)).cloned().unwrap_or_default()
    }

    /// This decides now; whether that is new.
    pub fn set_hearing(&mut self, host_end: u32, hearing: Hearing) -> bool {
        let Some(known) = self.slaves.get_mut(&host_end) else { return false };
        known.hearing.replace(hearing) != Some(hearing)
    }

    /// A slave is gone; the addresses that it had.
    pub fn forget(&mut self, host_end: u32) -> BTreeSet<Addr> {
        self.routes.remove(&host_end);
        let Some(known) = self.slaves.remove(&host_end) else { return BTreeSet::new() };
        if let Some(place) = known.place.filter(|place| self.places.get(place) == Some(&host_end)) {
            self.places.remove(&place);
        }
        self.groups.remove(&(known.master, known.slot.0));
        self.claims.remove(&(known.master, known.slot.0)).unwrap_or_default()
    }

    /// The table gives an address to a slot.
    pub fn claimed(&mut self, master: u32, slot: u32, addr: Addr) {
        self.claims.entry((master, slot)).or_default().insert(addr);
    }

    /// It does not any more.
    pub fn released(&mut self, master: u32, slot: u32, addr: Addr) {
        self.claims.entry((master, slot)).or_default().remove(&addr);
    }

    /// What the table gives to a slot.
    pub fn claims(&self, master: u32, slot: Slot) -> BTreeSet<Addr> {
        self.claims.get(&(master, slot.0)).cloned().unwrap_or_default()
    }

    /// The slave has these addresses, which somebody else owns.
    pub fn set_refused(&mut self, host_end: u32, refused: BTreeSet<Addr>) {
        if let Some(known) = self.slaves.get_mut(&host_end) {
            known.refused = refused;
        }
    }

    /// The slaves of a master of which the wire was told: their host ends, and what it was told.
    pub fn announced(&self, master: u32) -> impl Iterator<Item = (u32, &BTreeSet<(Mac, Addr)>)> {
        let its = self.slaves.iter().filter(move |(_, known)| known.master == master && !known.announced.is_empty());
        its.map(|(host_end, known)| (*host_end, &known.announced))
    }

    /// The wire has been told this.
    pub fn set_announced(&mut self, host_end: u32, announced: BTreeSet<(Mac, Addr)>) {
        if let Some(known) = self.slaves.get_mut(&host_end) {
            known.announced = announced;
        }
    }

    /// The host ends of those that would have this address if it were free.
    pub fn wanting(&self, addr: Addr) -> Vec<u32> {
        let wanting = self.slaves.iter().filter(|(_, known)| known.refused.contains(&addr));
        wanting.map(|(host_end, _)| *host_end).collect()
    }

    /// The host ends of all that want some address that another has.
    pub fn in_conflict(&self) -> Vec<u32> {
        let wanting = self.slaves.iter().filter(|(_, known)| !known.refused.is_empty());
        wanting.map(|(host_end, _)| *host_end).collect()
    }

    /// What `ipvl addr add` gave to each slot of a master.
    pub fn set_declared(&mut self, master: u32, declared: BTreeMap<u32, BTreeSet<Prefix>>) {
        self.declared.retain(|(other, _), _| *other != master);
        self.declared.extend(declared.into_iter().map(|(slot, prefixes)| ((master, slot), prefixes)));
    }

    /// What it gave to one.
    pub fn declared(&self, master: u32, slot: Slot) -> BTreeSet<Prefix> {
        self.declared.get(&(master, slot.0)).cloned().unwrap_or_default()
    }

    /// There is a route of ours through this host end.
    pub fn routed(&mut self, host_end: u32, route: Route) {
        self.routes.entry(host_end).or_default().insert(route);
    }

    /// It is gone; whether we knew of it.
    pub fn unrouted(&mut self, host_end: u32, route: &Route) -> bool {
        self.routes.get_mut(&host_end).is_some_and(|routes| routes.remove(route))
    }

    /// Our routes through this host end.
    pub fn routes(&self, host_end: u32) -> BTreeSet<Route> {
        self.routes.get(&host_end).cloned().unwrap_or_default()
    }

    /// Our routes to slaves of one master, each with its host end.
    pub fn routes_of(&self, master: u32) -> Vec<(u32, Route)> {
        let of_master = |host_end: &u32| self.slave(*host_end).is_some_and(|known| known.master == master);
        let ways = self.routes.iter().filter(|(host_end, _)| of_master(host_end));
        ways.flat_map(|(host_end, routes)| routes.iter().map(|route| (*host_end, *route))).collect()
    }

    /// These are all of them now.
    pub fn set_routes(&mut self, host_end: u32, routes: BTreeSet<Route>) {
        self.routes.insert(host_end, routes);
    }
}
