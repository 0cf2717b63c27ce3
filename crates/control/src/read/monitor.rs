//! What changes? Slaves and the address table, told in the order in which it happens.
//!
//! Nothing is asked of the agent. Links, addresses and, by way of aliases, mode, flag, guard and host tell of themselves
//! (`notice.rs`); what an event says is told, not what is read afterwards, so that a change that was undone at once is
//! told as well. Of the address table nobody tells: after every event it is read and compared, a few times, for the
//! agent takes a moment to follow.

mod pace;
mod watched;

use crate::error::{Result, io_error};
use crate::kernel::finder;
use crate::kernel::netlink::{AddressInfo, Event, Events, LinkInfo, Netlink, What};
use crate::model::{AddressEntry, News};
use crate::port::Port;
use crate::port::host_end::HostEnd;
use crate::read::view::{self, Line, Table};
use crate::slave::alias_event;
use crate::slave::routes::PROTOCOL;
use ipvl_core::{OwnerEntry, Slave};
use pace::Pace;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;
use watched::{Place, Watched, differences};

/// Watches the masters of this netns and all their slaves.
pub struct Monitor {
    netlink: Netlink,
    events: Events,
    queue: VecDeque<Event>,
    /// How many events have been queued so far: the number of the next.
    heard: u64,
    /// By host end.
    slaves: BTreeMap<u32, Watched>,
    /// Host ends of which too little is known yet.
    unsure: BTreeSet<u32>,
    /// The address table as it was told, by master.
    lines: BTreeMap<u32, BTreeMap<Line, AddressEntry>>,
    names: HashMap<i32, Option<String>>,
    news: VecDeque<News>,
    pace: Pace,
}

/// What a port's maps have.
struct Look {
    master: u32,
    cut: bool,
    bare: bool,
    slaves: Vec<(u32, Slave)>,
    table: Table,
}

impl Monitor {
    /// Begins to watch. Whatever happens from now on will be told.
    pub fn open() -> Result<Self> {
        let mut monitor = Self {
            events: Events::open(PROTOCOL)?,
            netlink: Netlink::open()?,
            queue: VecDeque::new(),
            heard: 0,
            slaves: BTreeMap::new(),
            unsure: BTreeSet::new(),
            lines: BTreeMap::new(),
            names: HashMap::new(),
            news: VecDeque::new(),
            pace: Pace::new(Instant::now()),
        };
        monitor.read_everything()?;
        monitor.look()?;
        monitor.news.clear();
        Ok(monitor)
    }

    /// Waits for the next news; none once nobody reads at the other end of `reader` any more.
    pub fn next(&mut self, reader: impl AsFd) -> Result<Option<News>> {
        loop {
            if let Some(news) = self.news.pop_front() {
                return Ok(Some(news));
            }
            self.pull()?;
            let now = Instant::now();
            let left = self.pace.left(now);
            match self.queue.pop_front() {
                Some(event) if !self.pace.is_late(now) => self.take(event)?,
                event if left.is_zero() => {
                    event.into_iter().for_each(|event| self.queue.push_front(event));
                    self.look()?;
                }
                _ if !self.wait(left, reader.as_fd())? => return Ok(None),
                _ => {}
            }
        }
    }

    /// Queues what has happened.
    fn pull(&mut self) -> Result<()> {
        while let Some(event) = self.events.next()? {
            self.queue.push_back(event);
            self.heard += 1;
        }
        Ok(())
    }

    /// Waits for events, no longer than `limit`; false if the reader is gone.
    fn wait(&self, limit: std::time::Duration, reader: BorrowedFd<'_>) -> Result<bool> {
        let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
        let events = PollFd::from_borrowed_fd(self.events.as_fd(), PollFlags::IN);
        let mut polled = [events, PollFd::from_borrowed_fd(reader, PollFlags::empty())];
        match poll(&mut polled, Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(polled[1].revents().is_empty()),
            Err(error) => Err(io_error("wait for", "events")(error.into())),
        }
    }

    /// Tells what an event says.
    fn take(&mut self, event: Event) -> Result<()> {
        let number = self.heard - self.queue.len() as u64 - 1;
        match (event.nsid, event.what) {
            (_, What::Overrun) => {
                self.news.push_back(News::Lost);
                self.read_everything()?;
            }
            (None, What::NewLink(link)) => {
                self.take_host_end(number, &link)?;
                self.take_master(&link, true);
                self.take_device(number, (None, link.ifindex), &link);
            }
            (nsid, What::NewLink(link)) => self.take_device(number, (nsid, link.ifindex), &link),
            (nsid, What::DelLink(link)) => self.take_end(number, nsid, &link)?,
            (nsid, What::NewAddress(address)) => self.take_address(number, nsid, &address, true),
            (nsid, What::DelAddress(address)) => self.take_address(number, nsid, &address, false),
            (_, What::NewNsid(nsid) | What::DelNsid(nsid)) => _ = self.names.remove(&nsid),
            (_, What::DelRoute(_) | What::Queue(_) | What::Groups(_)) => {}
        }
        Ok(())
    }

    fn take_host_end(&mut self, number: u64, link: &LinkInfo) -> Result<()> {
        match self.slaves.get(&link.ifindex) {
            Some(slave) if number < slave.fresh.0 => Ok(()),
            Some(slave) if !slave.is_of(link) => self.read(link.ifindex),
            Some(_) => {
                self.change(link.ifindex, |slave| slave.follow_host_end(link));
                Ok(())
            }
            None if alias_event::read(link).is_some() => {
                self.pace.hurry(Instant::now());
                self.read(link.ifindex)
            }
            None => {
                if HostEnd::of(link).is_some() {
                    self.unsure.insert(link.ifindex);
                    self.pace.hurry(Instant::now());
                }
                Ok(())
            }
        }
    }

    fn take_master(&mut self, link: &LinkInfo, present: bool) {
        let its = self.slaves.values_mut().filter(|slave| slave.known.master.ifindex == link.ifindex);
        for slave in its {
            slave.known.master = if present { link.clone() } else { view::absent(link.ifindex) };
            self.pace.hurry(Instant::now());
        }
    }

    fn take_device(&mut self, number: u64, place: Place, link: &LinkInfo) {
        if let Some(host_end) = self.at(place, number) {
            self.change(host_end, |slave| slave.device = link.clone());
        }
    }

    fn take_end(&mut self, number: u64, nsid: Option<i32>, link: &LinkInfo) -> Result<()> {
        if nsid.is_none() {
            self.take_master(link, false);
            self.unsure.remove(&link.ifindex);
            if self.slaves.get(&link.ifindex).is_some_and(|slave| number >= slave.fresh.0) {
                self.forget(link.ifindex);
            }
        }
        match self.at((nsid, link.ifindex), number) {
            Some(host_end) if link.moved => self.read(host_end),
            // With a slave its host end goes.
            _ => Ok(()),
        }
    }

    fn take_address(&mut self, number: u64, nsid: Option<i32>, address: &AddressInfo, there: bool) {
        let slave = self.at((nsid, address.ifindex), number).and_then(|host_end| self.slaves.get_mut(&host_end));
        match slave {
            Some(slave) if there => _ = slave.addrs.insert(address.addr),
            Some(slave) => _ = slave.addrs.remove(&address.addr),
            None if nsid.is_some() => return,
            None => {}
        }
        self.pace.hurry(Instant::now());
    }

    /// The host end of the slave whose device is there, unless what was read of it is newer than the event.
    fn at(&self, place: Place, number: u64) -> Option<u32> {
        let found = self.slaves.iter().find(|(_, slave)| slave.place() == Some(place));
        found.filter(|(_, slave)| number >= slave.fresh.1).map(|(host_end, _)| *host_end)
    }

    /// Changes what is known of a slave, and tells what is different.
    fn change(&mut self, host_end: u32, change: impl FnOnce(&mut Watched)) {
        let Some(slave) = self.slaves.get_mut(&host_end) else { return };
        let old = slave.link();
        change(slave);
        self.news.extend(differences(&old, &slave.link()));
        self.pace.hurry(Instant::now());
    }

    fn forget(&mut self, host_end: u32) {
        if let Some(slave) = self.slaves.remove(&host_end) {
            self.news.push_back(News::LinkDeleted(Box::new(slave.link())));
            self.pace.hurry(Instant::now());
        }
    }

    /// Reads a slave, which is new or has moved. What cannot be read now is tried again.
    fn read(&mut self, host_end: u32) -> Result<()> {
        self.pull()?;
        let fresh = self.heard;
        match view::known_slave(&self.netlink, host_end) {
            Ok(Some(known)) => self.read_device(known, fresh),
            _ => {
                self.unsure.insert(host_end);
                Ok(())
            }
        }
    }

    fn read_device(&mut self, known: view::Known, fresh: u64) -> Result<()> {
        self.pull()?;
        let fresh = (fresh, self.heard);
        let device = view::readable_peer(&self.netlink, &known.host_end);
        let addrs = view::addresses_on(&self.netlink, device.ifindex, &known.host_end);
        let (host_end, netns) = (known.host_end.ifindex, self.name_of(known.host_end.link_netnsid));
        match device.ifindex {
            0 => self.unsure.insert(host_end),
            _ => self.unsure.remove(&host_end),
        };
        let new = Watched::new(known, device, netns, addrs, fresh);
        if self.slaves.contains_key(&host_end) {
            self.change(host_end, |slave| slave.again(new));
        } else {
            self.news.push_back(News::LinkAdded(Box::new(new.link())));
            self.slaves.insert(host_end, new);
            self.pace.hurry(Instant::now());
        }
        Ok(())
    }

    fn name_of(&mut self, nsid: Option<i32>) -> Option<String> {
        let nsid = nsid?;
        if let Some(Some(name)) = self.names.get(&nsid) {
            return Some(name.clone());
        }
        let name = finder::name_of(&self.netlink, nsid);
        self.names.insert(nsid, name.clone());
        name
    }

    /// Reads all slaves, and tells what is different from what was known.
    fn read_everything(&mut self) -> Result<()> {
        self.pull()?;
        self.queue.clear();
        self.unsure.clear();
        let fresh = self.heard;
        let known = view::known_slaves(&self.netlink)?;
        let present: BTreeSet<u32> = known.iter().map(|known| known.host_end.ifindex).collect();
        let gone: Vec<u32> = self.slaves.keys().filter(|host_end| !present.contains(host_end)).copied().collect();
        gone.into_iter().for_each(|host_end| self.forget(host_end));
        for known in known {
            self.read_device(known, fresh)?;
        }
        self.pace.hurry(Instant::now());
        Ok(())
    }

    /// Looks at the tables, and tells what is different.
    fn look(&mut self) -> Result<()> {
        let start = Instant::now();
        let looks = self.looks();
        self.pull()?;
        // Whoever changed an entry, tells before the next may change one. So if there is nothing to hear, what was not
        // told until now are changes of one command at most, and the last.
        if self.queue.is_empty() {
            self.catch_up(&looks)?;
        }
        looks.iter().for_each(|look| self.judge(look));
        let lines = looks.into_iter().map(|look| (look.master, look.table.lines()));
        self.tell_lines(lines.collect());
        self.pace.looked(start, Instant::now());
        Ok(())
    }

    /// Reads the ports' maps. One that cannot be read is looked at next time.
    fn looks(&self) -> Vec<Look> {
        let ports: BTreeMap<u32, u32> =
            self.slaves.iter().map(|(host_end, slave)| (slave.known.master.ifindex, *host_end)).collect();
        ports.into_iter().filter_map(|(master, host_end)| self.look_at(master, host_end).ok().flatten()).collect()
    }

    fn look_at(&self, master: u32, host_end: u32) -> Result<Option<Look>> {
        let Some(port) = Port::of_host_end(&self.netlink, host_end, master)? else { return Ok(None) };
        let slots = port.maps.slots()?.into_iter();
        let slaves: Result<_> = slots.map(|(host_end, slot)| Ok((host_end, port.maps.slave(slot)?))).collect();
        let its = self.slaves.values().filter(|slave| slave.known.master.ifindex == master);
        let claimants: BTreeMap<_, _> = its.clone().map(claimant).collect();
        let mut owned = port.maps.owned()?;
        owned.retain(|(_, _, owner)| owner.slot == OwnerEntry::HOST || claimants.contains_key(&owner.slot));
        let name = its.map(|slave| slave.known.master.name.clone()).next().unwrap_or_default();
        let cut = port.maps.port()?.has(ipvl_core::PortEntry::MASTER_GONE);
        Ok(Some(Look {
            master,
            cut,
            bare: port.is_departed(),
            slaves: slaves?,
            table: Table { master: name, owned, claimants },
        }))
    }

    /// Takes over what is in the maps and nobody told.
    fn catch_up(&mut self, looks: &[Look]) -> Result<()> {
        let mut unread = std::mem::take(&mut self.unsure);
        for (host_end, entry) in looks.iter().flat_map(|look| &look.slaves) {
            match self.slaves.get(host_end) {
                Some(slave) if slave.known.slave == *entry => {}
                Some(_) => self.correct(*host_end, *entry),
                None => _ = unread.insert(*host_end),
            }
        }
        unread.into_iter().try_for_each(|host_end| self.read(host_end))
    }

    fn correct(&mut self, host_end: u32, entry: Slave) {
        let Some(slave) = self.slaves.get_mut(&host_end) else { return };
        let old = slave.link();
        slave.known.slave = entry;
        self.news.extend(differences(&old, &slave.link()));
    }

    fn judge(&mut self, look: &Look) {
        let now = Instant::now();
        for slave in self.slaves.values_mut().filter(|slave| slave.known.master.ifindex == look.master) {
            let old = slave.link();
            (slave.known.cut, slave.known.bare) = (look.cut, look.bare);
            slave.judge(now);
            self.news.extend(differences(&old, &slave.link()));
        }
    }

    /// What is gone first: an address may have gone from one slave to another.
    fn tell_lines(&mut self, new: BTreeMap<u32, BTreeMap<Line, AddressEntry>>) {
        let masters: BTreeSet<u32> = self.slaves.values().map(|slave| slave.known.master.ifindex).collect();
        // Of a port that could not be read, nothing is known to have changed.
        let kept = self.lines.iter().filter(|(master, _)| masters.contains(master) && !new.contains_key(master));
        let kept: Vec<_> = kept.map(|(master, lines)| (*master, lines.clone())).collect();
        let old = std::mem::replace(&mut self.lines, new);
        self.lines.extend(kept);
        self.news.extend(missing(&old, &self.lines).map(News::AddressDeleted));
        self.news.extend(missing(&self.lines, &old).map(News::AddressAdded));
    }
}

type Lines = BTreeMap<u32, BTreeMap<Line, AddressEntry>>;

/// What `from` has and `other` has not.
fn missing<'a>(from: &'a Lines, other: &'a Lines) -> impl Iterator<Item = AddressEntry> + 'a {
    let has = |master: &u32, line: &Line| other.get(master).is_some_and(|lines| lines.contains_key(line));
    let lines = from.iter().flat_map(|(master, lines)| lines.iter().map(move |(line, entry)| (master, line, entry)));
    lines.filter(move |(master, line, _)| !has(master, line)).map(|(_, _, entry)| entry.clone())
}

fn claimant(slave: &Watched) -> (u32, (String, Vec<ipvl_core::Addr>)) {
    let name = slave.link().name;
    (slave.known.slot.0, (name, slave.addrs.iter().copied().collect()))
}
