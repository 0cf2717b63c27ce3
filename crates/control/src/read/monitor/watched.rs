//! What does the monitor know of one slave, and how does that change?

use crate::kernel::netlink::LinkInfo;
use crate::model::{Link, MonitorEvent, Property};
use crate::place::Place;
use crate::port::host_end::{HostEnd, place_of};
use crate::read::degraded::degraded;
use crate::read::record::SlaveRecord;
use crate::read::shown;
use crate::slave::alias_event;
use ipvl_core::{Addr, Slave, Slot};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// A state that the agent repairs within this time is not reported.
const PASSES: Duration = Duration::from_secs(1);

/// A slave that is watched.
pub struct Watched {
    /// What is known of it besides its own device.
    pub record: SlaveRecord,
    /// Its own device; empty if it cannot be read.
    pub device: LinkInfo,
    /// The name of its netns.
    pub netns: Option<String>,
    /// The addresses on its device.
    pub addrs: BTreeSet<Addr>,
    /// The numbers of the first events after the host end was read, and after the device was read.
    pub fresh: (u64, u64),
    /// The entry that was last in the host end's alias.
    alias_entry: Option<Slave>,
    /// Why it is degraded, as it is reported.
    degraded: Option<&'static str>,
    degraded_since: Option<Instant>,
}

impl Watched {
    /// A slave as it was read.
    pub fn new(
        record: SlaveRecord,
        device: LinkInfo,
        netns: Option<String>,
        addrs: Vec<Addr>,
        fresh: (u64, u64),
    ) -> Self {
        let alias_entry = alias_event::read(&record.host_end);
        let (addrs, degraded, degraded_since) = (addrs.into_iter().collect(), None, None);
        Self { record, device, netns, addrs, fresh, alias_entry, degraded, degraded_since }
    }

    /// The same slave, read again.
    pub fn replace(&mut self, new: Self) {
        *self = Self { degraded: self.degraded, degraded_since: self.degraded_since, ..new };
    }

    /// The slave as it is shown.
    pub fn link(&self) -> Link {
        let degraded = self.degraded.map(str::to_owned).into_iter().collect();
        Link { degraded, ..shown::link(&self.record, &self.device, self.netns.clone()) }
    }

    /// Where its device is.
    pub fn place(&self) -> Option<Place> {
        place_of(&self.record.host_end)
    }

    /// What it may own: its slot, its name and the addresses on its device.
    pub fn claim(&self) -> (Slot, (String, Vec<Addr>)) {
        (self.record.slot, (self.link().name, self.addrs.iter().copied().collect()))
    }

    /// Whether the host end still belongs to this master, and the slave is still at this place.
    pub fn is_of(&self, host_end: &LinkInfo) -> bool {
        let master = HostEnd::of(host_end).map(|described| described.master);
        self.place() == place_of(host_end) && master.is_none_or(|master| master == self.record.master.ifindex)
    }

    /// Takes over the host end, and the entry in its alias if that is new. An old one may differ from the table, if a
    /// command was killed before it wrote the alias.
    pub fn follow_host_end(&mut self, host_end: &LinkInfo) {
        let alias_entry = alias_event::read(host_end);
        if let Some(entry) = alias_entry.filter(|_| alias_entry != self.alias_entry) {
            self.record.slave = self.record.slave.with_options(entry.options());
        }
        self.alias_entry = alias_entry;
        self.record.host_end = host_end.clone();
    }

    /// Notes whether it is degraded.
    pub fn check_state(&mut self, now: Instant) {
        match degraded(&self.record, &self.device) {
            None => (self.degraded, self.degraded_since) = (None, None),
            Some((why, passes)) => {
                let since = *self.degraded_since.get_or_insert(now);
                if !passes || now.duration_since(since) >= PASSES {
                    self.degraded = Some(why);
                }
            }
        }
    }
}

/// What to report of a slave that changed.
pub fn differences<'a>(old: &'a Link, new: &'a Link) -> impl Iterator<Item = MonitorEvent> + 'a {
    let report = move |what| MonitorEvent::LinkChanged { what, old: Box::new(old.clone()), new: Box::new(new.clone()) };
    Property::differing(old, new).into_iter().map(report)
}
