//! What is known of one slave, and how does that change?

use crate::kernel::netlink::LinkInfo;
use crate::model::{Link, News, Property};
use crate::port::host_end::HostEnd;
use crate::read::view::{self, Known};
use crate::slave::alias_event;
use crate::slave::find::place_of;
use ipvl_core::{Addr, Slave};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Where a device is: the id of its netns here, if it is another, and its ifindex there.
pub type Place = (Option<i32>, u32);

/// What the agent puts right within this, nobody need be told of.
const PASSES: Duration = Duration::from_secs(1);

/// One slave.
pub struct Watched {
    /// All but its own device.
    pub known: Known,
    /// Its own device; empty if it cannot be read.
    pub device: LinkInfo,
    /// The name of its netns.
    pub netns: Option<String>,
    /// What is on its device.
    pub addrs: BTreeSet<Addr>,
    /// Events with smaller numbers were older than what was read of the host end, and of the device.
    pub fresh: (u64, u64),
    /// What the host end's alias told last.
    told: Option<Slave>,
    degraded: Option<&'static str>,
    worse_since: Option<Instant>,
}

impl Watched {
    /// A slave as it was read.
    pub fn new(known: Known, device: LinkInfo, netns: Option<String>, addrs: Vec<Addr>, fresh: (u64, u64)) -> Self {
        let told = alias_event::told(&known.host_end);
        let (addrs, degraded, worse_since) = (addrs.into_iter().collect(), None, None);
        Self { known, device, netns, addrs, fresh, told, degraded, worse_since }
    }

    /// The same slave, read again.
    pub fn again(&mut self, new: Self) {
        *self = Self { degraded: self.degraded, worse_since: self.worse_since, ..new };
    }

    /// The slave as it is shown.
    pub fn link(&self) -> Link {
        let degraded = self.degraded.map(str::to_owned).into_iter().collect();
        Link { degraded, ..view::link(&self.known, &self.device, self.netns.clone()) }
    }

    /// Where its device is.
    pub fn place(&self) -> Option<Place> {
        place_of(&self.known.host_end)
    }

    /// Whether the host end still says that it is of this master, with the slave in this place.
    pub fn is_of(&self, host_end: &LinkInfo) -> bool {
        let master = HostEnd::of(host_end).map(|described| described.master);
        self.place() == place_of(host_end) && master.is_none_or(|master| master == self.known.master.ifindex)
    }

    /// Takes over what the host end is now, and the entry if its alias tells a new one: what a command that was killed
    /// did not tell stays as the table has it.
    pub fn follow_host_end(&mut self, host_end: &LinkInfo) {
        let told = alias_event::told(host_end);
        if let Some(entry) = told.filter(|_| told != self.told) {
            self.known.slave = self.known.slave.with_options(entry.options());
        }
        self.told = told;
        self.known.host_end = host_end.clone();
    }

    /// Notes whether it is as it should be.
    pub fn judge(&mut self, now: Instant) {
        match view::degraded(&self.known, &self.device) {
            None => (self.degraded, self.worse_since) = (None, None),
            Some((why, passes)) => {
                let since = *self.worse_since.get_or_insert(now);
                if !passes || now.duration_since(since) >= PASSES {
                    self.degraded = Some(why);
                }
            }
        }
    }
}

/// What is told of a slave that is not as it was.
pub fn differences<'a>(old: &'a Link, new: &'a Link) -> impl Iterator<Item = News> + 'a {
    let told = move |what| News::LinkChanged { what, old: Box::new(old.clone()), new: Box::new(new.clone()) };
    Property::differing(old, new).into_iter().map(told)
}
