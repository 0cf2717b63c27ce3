//! What does the agent have in its hands: sockets, ports, and what it must read again?

use super::clients::{Clients, Request};
use super::contests::Contests;
use super::count::Count;
use super::departed::DepartedMasters;
use super::dirty::Dirty;
use super::log::log_failure;
use super::mcast_sources::McastSources;
use super::missing::Missing;
use super::registry::Registry;
use super::retries::{Retries, Task};
use super::spare::Spare;
use super::term::Term;
use crate::error::{Error, Result};
use crate::kernel::finder::Finder;
use crate::kernel::netlink::{Events, Netlink};
use crate::kernel::single::Single;
use crate::kernel::sys::FrameSocket;
use crate::port::Port;
use crate::quota;
use crate::slave::flowtable::Devices;
use crate::slave::routes::{PROTOCOL, Vrf};
use ipvl_core::{Addr, IfIndex};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What slaves follow of their master, besides what is in the tables.
#[derive(Clone, Copy, Debug)]
pub struct MasterState {
    /// Whether it is up and has a carrier.
    pub running: bool,
    /// The VRF that it belongs to.
    pub vrf: Option<Vrf>,
}

/// The agent of one netns. The other files of this folder extend it.
pub struct Agent {
    /// How long it runs.
    pub term: Term,
    /// For questions and changes.
    pub netlink: Netlink,
    /// For frames that announce addresses; none without CAP_NET_RAW.
    pub wire: Option<FrameSocket>,
    /// What changes. Read only at the top of a turn.
    pub events: Events,
    /// What changes of multicast groups. Read only at the top of a turn.
    pub mcast: McastSources,
    /// Opens the namespaces of slaves.
    pub finder: Finder,
    /// The commands that are connected.
    pub clients: Clients,
    /// Requests that are not answered yet.
    pub requests: Vec<Request>,
    /// By master.
    pub ports: BTreeMap<IfIndex, Port>,
    /// What masters are like, once that was read in this batch of slaves.
    pub masters: BTreeMap<IfIndex, MasterState>,
    /// What was last read and written.
    pub registry: Registry,
    /// What must be read again.
    pub dirty: Dirty,
    /// Links that were not found, and are looked for once more.
    pub missing: Missing,
    /// Host ends of slaves that are gone, and still in the tables.
    pub gone: BTreeSet<IfIndex>,
    /// How many addresses the slaves of one netns may have in a table.
    pub quota: usize,
    /// The MTU that a master had before a change which this slave, by its host end, could not follow.
    pub old_mtus: BTreeMap<IfIndex, u32>,
    /// The devices of the flowtable, if it is on.
    pub flowing: Devices,
    /// What failed, and is tried again.
    pub retries: Retries,
    /// Addresses that a slave has on its device and another owns.
    pub contests: Contests,
    /// Host ends that are in no table: a command is making them, or was killed while it did.
    pub incomplete: BTreeSet<IfIndex>,
    /// Masters in another netns, which may return.
    pub departed: DepartedMasters,
    /// Programs for the next master. Only a service keeps some.
    pub spare: Spare,
    /// Whether the last wait ended without an event.
    pub idle: bool,
    /// What it has done.
    pub count: Count,
}

impl Agent {
    /// An agent that has subscribed to events and has read nothing yet.
    pub fn new(single: Single, term: Term) -> Result<Self> {
        Ok(Self {
            term,
            events: Events::open(PROTOCOL)?,
            mcast: McastSources::open()?,
            netlink: Netlink::open()?,
            wire: FrameSocket::open().ok(),
            finder: Finder::default(),
            clients: Clients::new(single, term)?,
            requests: Vec::new(),
            ports: BTreeMap::new(),
            masters: BTreeMap::new(),
            registry: Registry::default(),
            dirty: Dirty::default(),
            missing: Missing::default(),
            gone: BTreeSet::new(),
            quota: quota::own(),
            old_mtus: BTreeMap::new(),
            flowing: Devices::default(),
            retries: Retries::default(),
            contests: Contests::default(),
            incomplete: BTreeSet::new(),
            departed: DepartedMasters::default(),
            spare: Spare::default(),
            idle: false,
            count: Count::default(),
        })
    }

    /// Whether slaves wait for the next turn.
    pub fn has_work(&self) -> bool {
        self.dirty.has_slaves(Instant::now()) || !self.missing.is_empty()
    }

    /// How long the agent may wait for events, no longer than `most`.
    pub fn patience(&self, most: Duration) -> Duration {
        let now = Instant::now();
        let joins = self.mcast.joins.as_ref().and_then(|joins| joins.left(now));
        let due = [self.dirty.left(now), self.retries.left(now), self.contests.left(now), joins];
        due.into_iter().flatten().min().map_or(most, |due| due.min(most))
    }

    /// Addresses are free: slaves that have them on their devices may get them now.
    pub fn offer(&mut self, addrs: &BTreeSet<Addr>) {
        if !addrs.is_empty() {
            self.dirty.host_ends.extend(self.registry.refused(addrs));
        }
    }

    /// Has a task that failed done again, after a while. An error is reported when it is new.
    pub fn failed(&mut self, task: Task, error: &Error) {
        self.count.told.errors += 1;
        if self.retries.failed(task, error.to_string(), Instant::now()) {
            log_failure(task, error);
        }
    }

    /// The same if it failed.
    pub fn settle(&mut self, task: Task, result: Result<()>) {
        match result {
            Ok(()) => self.retries.done(task),
            Err(error) => self.failed(task, &error),
        }
    }

    /// Notes what has failed, and must be done again now.
    pub fn take_retries(&mut self) {
        let now = Instant::now();
        for task in self.retries.take_due(now) {
            match task {
                Task::Room(host_end) if !self.has_room(host_end) => self.retries.put_off(task, now),
                Task::Slave(host_end) | Task::Room(host_end) => _ = self.dirty.host_ends.insert(host_end),
                Task::Groups(host_end) => _ = self.dirty.groups.insert(host_end),
                Task::Master(master) => _ = self.dirty.masters.insert(master),
                Task::MasterGroups(master) => self.sync_master_groups(master),
                Task::Joins => self.count_joins(),
                Task::HostAddresses => self.dirty.host_addresses = true,
                Task::Flowtable => self.dirty.flowtable = true,
                // Every turn looks at them.
                Task::Arrivals => {}
            }
        }
    }
}
