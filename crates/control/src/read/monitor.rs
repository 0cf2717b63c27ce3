//! What changes? Slaves and the address table, reported in the order in which they change.
//!
//! The agent takes no part in it. Netlink events report changes of links and addresses, and, in the host end's alias, of
//! mode, flag, guard and host (`alias_event.rs`). The monitor reports what the event says, not what it reads afterwards,
//! so it also reports a change that was undone at once. No event reports changes of the address table: after each event
//! the monitor reads the table several times and compares, since the agent takes a moment to change it. Slaves of our kernel
//! module are read anew then, too.

mod in_module;
mod pace;
mod reported;
mod watched;

use super::record::{self, SlaveRecord};
use super::table::Table;
use crate::error::{Result, io_error};
use crate::kernel::finder;
use crate::kernel::netlink::{AddressInfo, Event, Events, LinkInfo, Netlink, What};
use crate::kernel::sys;
use crate::model::MonitorEvent;
use crate::place::{NsId, Place};
use crate::port::Port;
use crate::port::host_end::HostEnd;
use crate::slave::alias_event;
use crate::slave::peers::addresses_on;
use crate::slave::routes::PROTOCOL;
use in_module::ReportedModule;
use ipvl_core::{IfIndex, OwnerEntry, Slave};
use pace::Pace;
use reported::{ReportedTable, ReportedTables};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::os::fd::AsFd;
use std::time::Instant;
use watched::{Watched, differences};

/// Watches the masters of this netns and all their slaves.
pub struct Monitor {
    netlink: Netlink,
    events: Events,
    queue: VecDeque<Event>,
    /// How many events have been queued so far, which is the number of the next event.
    received: u64,
    /// By host end.
    slaves: BTreeMap<IfIndex, Watched>,
    /// Host ends of slaves that could not be read, or not completely.
    unread: BTreeSet<IfIndex>,
    /// The address tables as they were reported.
    tables: ReportedTables,
    /// The slaves of our kernel module as they were reported.
    in_module: ReportedModule,
    /// Names of namespaces, by id.
    names: HashMap<NsId, Option<String>>,
    /// What is still to be reported.
    reports: VecDeque<MonitorEvent>,
    pace: Pace,
}

/// The content of a port's maps.
struct PortContent {
    master: IfIndex,
    master_gone: bool,
    unattached: bool,
    slaves: Vec<(IfIndex, Slave)>,
    table: Table,
}

impl Monitor {
    /// Begins to watch. Everything that changes from now on is reported.
    pub fn open() -> Result<Self> {
        let mut monitor = Self {
            events: Events::open(PROTOCOL)?,
            netlink: Netlink::open()?,
            queue: VecDeque::new(),
            received: 0,
            slaves: BTreeMap::new(),
            unread: BTreeSet::new(),
            tables: ReportedTables::default(),
            in_module: ReportedModule::default(),
            names: HashMap::new(),
            reports: VecDeque::new(),
            pace: Pace::new(Instant::now()),
        };
        monitor.read_everything()?;
        monitor.read_maps()?;
        monitor.reports.clear();
        Ok(monitor)
    }

    /// Waits for the next change. Returns none once the other end of the pipe `reader` is closed.
    pub fn next(&mut self, reader: impl AsFd) -> Result<Option<MonitorEvent>> {
        loop {
            if let Some(report) = self.reports.pop_front() {
                return Ok(Some(report));
            }
            self.queue_events()?;
            let now = Instant::now();
            let left = self.pace.left(now);
            match self.queue.pop_front() {
                Some(event) if !self.pace.is_late(now) => self.take(event)?,
                event if left.is_zero() => {
                    event.into_iter().for_each(|event| self.queue.push_front(event));
                    self.read_maps()?;
                }
                _ if !sys::wait_for([self.events.as_fd()], reader.as_fd(), left)
                    .map_err(io_error("wait for", "events"))? =>
                {
                    return Ok(None);
                }
                _ => {}
            }
        }
    }

    /// Queues the events that have come.
    fn queue_events(&mut self) -> Result<()> {
        while let Some(event) = self.events.next()? {
            self.queue.push_back(event);
            self.received += 1;
        }
        Ok(())
    }

    /// Reports what an event says.
    fn take(&mut self, event: Event) -> Result<()> {
        if self.in_module.may_change_by(&event) {
            self.pace.hurry(Instant::now());
        }
        let number = self.received - self.queue.len() as u64 - 1;
        match (event.nsid, event.what) {
            (_, What::Overrun) => {
                self.reports.push_back(MonitorEvent::Lost);
                self.read_everything()?;
            }
            (None, What::NewLink(link)) => {
                self.take_host_end(number, &link)?;
                self.take_master(&link, true);
                self.take_device(number, Place::here(link.ifindex), &link);
            }
            (nsid, What::NewLink(link)) => {
                self.take_device(number, Place { netns: nsid, ifindex: link.ifindex }, &link)
            }
            (nsid, What::DelLink(link)) => self.take_deleted(number, nsid, &link)?,
            (nsid, What::NewAddress(address)) => self.take_address(number, nsid, &address, true),
            (nsid, What::DelAddress(address)) => self.take_address(number, nsid, &address, false),
            (_, What::NewNsid(nsid) | What::DelNsid(nsid)) => _ = self.names.remove(&nsid),
            (_, What::DelRoute(_) | What::Queue(_) | What::Groups(_)) => {}
        }
        Ok(())
    }

    /// Reads the slaves of our kernel module, and reports what differs.
    fn read_module(&mut self) -> Result<()> {
        let masters: Vec<IfIndex> = self.slaves.values().map(|slave| slave.record.master.ifindex).collect();
        let (netlink, names) = (&self.netlink, &mut self.names);
        let read = ReportedModule::read(netlink, &masters, |id| known_name(netlink, names, id))?;
        self.reports.extend(self.in_module.replace(read));
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
                    self.unread.insert(link.ifindex);
                    self.pace.hurry(Instant::now());
                }
                Ok(())
            }
        }
    }

    fn take_master(&mut self, link: &LinkInfo, present: bool) {
        let its = self.slaves.values_mut().filter(|slave| slave.record.master.ifindex == link.ifindex);
        for slave in its {
            let master = if present { link.clone() } else { record::absent(link.ifindex) };
            slave.record.master = master.into();
            self.pace.hurry(Instant::now());
        }
    }

    fn take_device(&mut self, number: u64, place: Place, link: &LinkInfo) {
        if let Some(host_end) = self.at(place, number) {
            self.change(host_end, |slave| slave.device = link.clone());
        }
    }

    fn take_deleted(&mut self, number: u64, nsid: Option<NsId>, link: &LinkInfo) -> Result<()> {
        if nsid.is_none() {
            self.take_master(link, false);
            self.unread.remove(&link.ifindex);
            if self.slaves.get(&link.ifindex).is_some_and(|slave| number >= slave.fresh.0) {
                self.forget(link.ifindex);
            }
        }
        match self.at(Place { netns: nsid, ifindex: link.ifindex }, number) {
            Some(host_end) if link.moved => self.read(host_end),
            // When a slave is deleted, the kernel deletes its host end with it, and reports that too.
            _ => Ok(()),
        }
    }

    fn take_address(&mut self, number: u64, nsid: Option<NsId>, address: &AddressInfo, there: bool) {
        let slave = self
            .at(Place { netns: nsid, ifindex: address.ifindex }, number)
            .and_then(|host_end| self.slaves.get_mut(&host_end));
        match slave {
            Some(slave) if there => _ = slave.addrs.insert(address.addr),
            Some(slave) => _ = slave.addrs.remove(&address.addr),
            None if nsid.is_some() => return,
            None => {}
        }
        self.pace.hurry(Instant::now());
    }

    /// The host end of the slave with its device at this place, unless the device was read after the event.
    fn at(&self, place: Place, number: u64) -> Option<IfIndex> {
        let found = self.slaves.iter().find(|(_, slave)| slave.place() == Some(place));
        found.filter(|(_, slave)| number >= slave.fresh.1).map(|(host_end, _)| *host_end)
    }

    /// Changes what is known of a slave, and reports the differences.
    fn change(&mut self, host_end: IfIndex, change: impl FnOnce(&mut Watched)) {
        let Some(slave) = self.slaves.get_mut(&host_end) else { return };
        let old = slave.link();
        change(slave);
        self.reports.extend(differences(&old, &slave.link()));
        self.pace.hurry(Instant::now());
    }

    fn forget(&mut self, host_end: IfIndex) {
        if let Some(slave) = self.slaves.remove(&host_end) {
            self.reports.push_back(MonitorEvent::LinkDeleted(Box::new(slave.link())));
            self.pace.hurry(Instant::now());
        }
    }

    /// Reads a slave that is new or has moved. If it cannot be read now, that is tried again later.
    fn read(&mut self, host_end: IfIndex) -> Result<()> {
        self.queue_events()?;
        let fresh = self.received;
        match record::slave_record(&self.netlink, host_end) {
            Ok(Some(record)) => self.read_device(record, fresh),
            _ => {
                self.unread.insert(host_end);
                Ok(())
            }
        }
    }

    fn read_device(&mut self, record: SlaveRecord, fresh: u64) -> Result<()> {
        self.queue_events()?;
        let fresh = (fresh, self.received);
        let device = record::readable_peer(&self.netlink, &record.host_end);
        let found = addresses_on(&self.netlink, device.ifindex, &record.host_end);
        let addrs = found.into_iter().map(|info| info.addr).collect();
        let (host_end, netns) = (record.host_end.ifindex, self.name_of(record.host_end.link_netnsid));
        match device.ifindex {
            IfIndex::NONE => self.unread.insert(host_end),
            _ => self.unread.remove(&host_end),
        };
        let new = Watched::new(record, device, netns, addrs, fresh);
        if self.slaves.contains_key(&host_end) {
            self.change(host_end, |slave| slave.replace(new));
        } else {
            self.reports.push_back(MonitorEvent::LinkAdded(Box::new(new.link())));
            self.slaves.insert(host_end, new);
            self.pace.hurry(Instant::now());
        }
        Ok(())
    }

    fn name_of(&mut self, nsid: Option<NsId>) -> Option<String> {
        known_name(&self.netlink, &mut self.names, nsid?)
    }

    /// Reads all slaves, and reports what differs from what was known.
    fn read_everything(&mut self) -> Result<()> {
        self.queue_events()?;
        self.queue.clear();
        self.unread.clear();
        let fresh = self.received;
        let records = record::slave_records(&self.netlink)?;
        let present: BTreeSet<IfIndex> = records.iter().map(|record| record.host_end.ifindex).collect();
        let gone: Vec<IfIndex> = self.slaves.keys().filter(|host_end| !present.contains(host_end)).copied().collect();
        gone.into_iter().for_each(|host_end| self.forget(host_end));
        for record in records {
            self.read_device(record, fresh)?;
        }
        self.pace.hurry(Instant::now());
        Ok(())
    }

    /// Reads the maps, and reports what differs.
    fn read_maps(&mut self) -> Result<()> {
        let start = Instant::now();
        let mut contents = self.contents();
        self.queue_events()?;
        self.drop_departed(&mut contents);
        // A command that changes an entry writes the alias before the next command gets the lock. So if no event is
        // queued, at most the changes of the last command have not been reported.
        if self.queue.is_empty() {
            self.correct_entries(&contents)?;
        }
        contents.iter().for_each(|content| self.check_state(content));
        let masters = self.slaves.values().map(|slave| slave.record.master.ifindex).collect();
        let read = contents.iter().map(|content| (content.master, ReportedTable::of(&content.table))).collect();
        self.reports.extend(self.tables.replace(&masters, read));
        self.read_module()?;
        self.pace.has_read(start, Instant::now());
        Ok(())
    }

    /// Reads the maps of all ports, except those that cannot be read now.
    fn contents(&self) -> Vec<PortContent> {
        let ports: BTreeMap<IfIndex, IfIndex> =
            self.slaves.iter().map(|(host_end, slave)| (slave.record.master.ifindex, *host_end)).collect();
        ports.into_iter().filter_map(|(master, host_end)| self.content(master, host_end).ok().flatten()).collect()
    }

    fn content(&self, master: IfIndex, host_end: IfIndex) -> Result<Option<PortContent>> {
        let Some(port) = Port::of_host_end(&self.netlink, host_end, master)? else { return Ok(None) };
        let slots = port.maps.slots()?.into_iter();
        let slaves: Result<_> = slots.map(|(host_end, slot)| Ok((host_end, port.maps.slave(slot)?))).collect();
        let its = self.slaves.values().filter(|slave| slave.record.master.ifindex == master);
        let claimants: BTreeMap<_, _> = its.clone().map(Watched::claim).collect();
        let mut owned = port.maps.owned()?;
        owned.retain(|(_, _, owner)| owner.slot == OwnerEntry::HOST || claimants.contains_key(&owner.slot));
        let name = its.map(|slave| slave.record.master.name.clone()).next().unwrap_or_default();
        Ok(Some(PortContent {
            master,
            master_gone: record::is_master_gone(&port)?,
            unattached: port.is_departed(),
            slaves: slaves?,
            table: Table { master: name, owned, claimants, refused: Vec::new() },
        }))
    }

    /// Drops addresses of which a queued event says that they have left their device. Their next owner may have been in the
    /// maps already, which would look like a conflict.
    fn drop_departed(&self, contents: &mut [PortContent]) {
        for (number, event) in (self.received - self.queue.len() as u64..).zip(&self.queue) {
            let What::DelAddress(address) = &event.what else { continue };
            let host_end = self.at(Place { netns: event.nsid, ifindex: address.ifindex }, number);
            let Some(slave) = host_end.and_then(|host_end| self.slaves.get(&host_end)) else { continue };
            let its = contents.iter_mut().filter(|content| content.master == slave.record.master.ifindex);
            for (_, addrs) in its.filter_map(|content| content.table.claimants.get_mut(&slave.record.slot)) {
                addrs.retain(|addr| *addr != address.addr);
            }
        }
    }

    /// Takes over entries that no alias reported.
    fn correct_entries(&mut self, contents: &[PortContent]) -> Result<()> {
        let mut unread = std::mem::take(&mut self.unread);
        for (host_end, entry) in contents.iter().flat_map(|content| &content.slaves) {
            match self.slaves.get(host_end) {
                Some(slave) if slave.record.slave == *entry => {}
                Some(_) => self.correct(*host_end, *entry),
                None => _ = unread.insert(*host_end),
            }
        }
        unread.into_iter().try_for_each(|host_end| self.read(host_end))
    }

    fn correct(&mut self, host_end: IfIndex, entry: Slave) {
        let Some(slave) = self.slaves.get_mut(&host_end) else { return };
        let old = slave.link();
        slave.record.slave = entry;
        self.reports.extend(differences(&old, &slave.link()));
    }

    fn check_state(&mut self, content: &PortContent) {
        let now = Instant::now();
        for slave in self.slaves.values_mut().filter(|slave| slave.record.master.ifindex == content.master) {
            let old = slave.link();
            (slave.record.master_gone, slave.record.unattached) = (content.master_gone, content.unattached);
            slave.check_state(now);
            self.reports.extend(differences(&old, &slave.link()));
        }
    }
}

fn known_name(netlink: &Netlink, names: &mut HashMap<NsId, Option<String>>, nsid: NsId) -> Option<String> {
    if let Some(Some(name)) = names.get(&nsid) {
        return Some(name.clone());
    }
    let name = finder::name_of(netlink, nsid);
    names.insert(nsid, name.clone());
    name
}
