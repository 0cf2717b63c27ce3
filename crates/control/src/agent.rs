//! Who keeps the tables true while people use stock tools? The agent: one process in the netns of the masters.
//!
//! It has no state of its own. Whatever it is told by an event it reads again from the kernel, compares with the tables,
//! and puts right; so it may be killed at any time, and a new one goes on.

mod announce;
mod clients;
mod groups;
mod master;
mod plan;
mod registry;
mod rejoin;
mod routes;
mod slave;
mod tap;

use crate::error::{Error, Result, io_error};
use crate::kernel::finder::{self, Finder};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::{Events, Netlink};
use crate::kernel::sys::FrameSocket;
use crate::port::Port;
use crate::port::groups::sync_master;
use crate::port::host::{self, HostAddresses};
use crate::port::host_end::HostEnd;
use crate::slave::agent_client;
use crate::slave::routes::Prefix;
use crate::slave::routes::{PROTOCOL, family_len};
use crate::slave::tidy;
use clients::Clients;
use groups::Ways;
use ipvl_core::{Addr, Origin};
use master::Departed;
use registry::Registry;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;

/// After something went wrong that may pass.
const PAUSE: Duration = Duration::from_secs(1);
/// How often to ask whether the netns still has another user.
const TICK: Duration = Duration::from_secs(2);

/// How many slaves are read again before we look who asks for one.
const SLAVES_A_TURN: usize = 64;

/// How long an agent serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// Until the last slave is gone; and not at all where there is an agent already.
    WhileNeeded,
    /// Until it is ended, in the place of any other: a service. Tells its manager when it is ready (`sd_notify(3)`).
    ForGood,
}

/// Runs the agent of this netns.
pub fn run_agent(term: Term) -> Result<()> {
    let listener = match term {
        Term::WhileNeeded => agent_client::claim()?,
        Term::ForGood => Some(agent_client::take_over()?),
    };
    let Some(listener) = listener else { return Ok(()) };
    // Whoever started us may log out; in a shell of its own we stay its job.
    let _ = rustix::process::setsid();
    let mut agent = Agent::new(listener, term)?;
    agent.read_everything()?;
    if term == Term::ForGood {
        // Where nobody wants to know, this does nothing.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    }
    loop {
        match agent.step() {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) => {
                complain("what happened", &error);
                agent.dirty.everything = true;
                std::thread::sleep(PAUSE);
            }
        }
    }
}

struct Agent {
    term: Term,
    netlink: Netlink,
    /// To the wire, for what must be announced there; none without CAP_NET_RAW.
    wire: Option<FrameSocket>,
    events: Events,
    ways: Ways,
    finder: Finder,
    clients: Clients,
    ports: BTreeMap<u32, Port>,
    registry: Registry,
    dirty: Dirty,
    /// Host ends that are in no table: a command is just making them, or was killed over it.
    strays: BTreeSet<u32>,
    /// Masters that went to another netns and may return.
    departed: Departed,
    waited: bool,
}

/// What must be read again.
#[derive(Default)]
struct Dirty {
    everything: bool,
    host_addresses: bool,
    masters: BTreeSet<u32>,
    host_ends: BTreeSet<u32>,
    /// Host ends of slaves that may have joined or left a multicast group.
    groups: BTreeSet<u32>,
    /// The last host end that was taken for a turn.
    last: u32,
}

impl Dirty {
    /// The slaves of this turn: who is dirty again and again does not keep others waiting.
    fn next_slaves(&mut self) -> BTreeSet<u32> {
        let (before, after) = (self.host_ends.range(..=self.last), self.host_ends.range(self.last.saturating_add(1)..));
        let next: Vec<u32> = after.chain(before).copied().take(SLAVES_A_TURN).collect();
        self.last = next.last().copied().unwrap_or(0);
        BTreeSet::from_iter(next)
    }
}

impl Agent {
    fn new(listener: UnixListener, term: Term) -> Result<Self> {
        Ok(Self {
            term,
            events: Events::open(PROTOCOL)?,
            ways: Ways::choose()?,
            netlink: Netlink::open()?,
            wire: FrameSocket::open().ok(),
            finder: Finder::default(),
            clients: Clients::new(listener, term)?,
            ports: BTreeMap::new(),
            registry: Registry::default(),
            dirty: Dirty::default(),
            strays: BTreeSet::new(),
            departed: Departed::default(),
            waited: false,
        })
    }

    /// One round; whether it was the last.
    fn step(&mut self) -> Result<bool> {
        if self.is_done()? {
            return Ok(true);
        }
        if !self.dirty.everything {
            self.wait()?;
        }
        self.turn()?;
        Ok(false)
    }

    /// Waits for an event, a request, or the next look around; if there is work left, only looks.
    fn wait(&mut self) -> Result<()> {
        let busy = !self.dirty.host_ends.is_empty();
        let tick = Timespec { tv_sec: if busy { 0 } else { TICK.as_secs() as i64 }, tv_nsec: 0 };
        let of_groups = self.ways.kernel.as_ref().map(AsFd::as_fd);
        let reports = self.ports.values().filter_map(Port::reports_fd);
        let fds = std::iter::once(self.events.as_fd()).chain(self.clients.fds()).chain(of_groups).chain(reports);
        let mut polled: Vec<PollFd<'_>> = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        match poll(&mut polled, Some(&tick)) {
            Ok(ready) => self.waited = ready == 0 && !busy,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(io_error("wait for", "events")(error.into())),
        }
        Ok(())
    }

    /// Takes in what has happened, puts it right, and answers who asked.
    fn turn(&mut self) -> Result<()> {
        self.note_events()?;
        self.note_groups()?;
        let requests = self.clients.requests();
        if !requests.is_empty() {
            self.finder.look_again();
            self.read_declared()?;
        }
        let asked: BTreeSet<u32> = requests.iter().map(|request| request.host_end).collect();
        if self.is_left_half_made(&asked)? {
            // Some may be complete, only that nobody lived to tell us.
            self.strays.clear();
            self.dirty.everything = true;
        }
        self.put_right()?;
        let mut failures = self.sync_slaves(&asked);
        for request in requests {
            self.clients.answer(request.client, failures.remove(&request.host_end));
        }
        let some = self.dirty.next_slaves();
        failures.extend(self.sync_slaves(&some));
        failures.iter().for_each(|(host_end, error)| report(*host_end, error));
        Ok(())
    }

    fn note_events(&mut self) -> Result<()> {
        while let Some(event) = self.events.next()? {
            self.note(event);
        }
        Ok(())
    }

    /// Whether there is a stray that nobody is at work on. Looked at when there is time, or when a command waits anyway.
    fn is_left_half_made(&self, asked: &BTreeSet<u32>) -> Result<bool> {
        let time = self.waited || !asked.is_empty();
        Ok(time && self.strays.difference(asked).next().is_some() && Lock::held_by()?.is_none())
    }

    /// Puts right what is dirty but the slaves.
    fn put_right(&mut self) -> Result<()> {
        if std::mem::take(&mut self.dirty.everything) {
            self.read_everything()?;
        }
        if std::mem::take(&mut self.dirty.host_addresses)
            && let Err(error) = self.adopt_host_addresses().and_then(|()| self.review_sources())
        {
            complain("the host's addresses", &error);
        }
        if let Err(error) = self.welcome_back() {
            complain("a new link", &error);
        }
        for master in std::mem::take(&mut self.dirty.masters) {
            if let Err(error) = self.sync_master(master) {
                report(master, &error);
            }
        }
        Ok(())
    }

    /// Puts these slaves right; what could not be, by host end.
    fn sync_slaves(&mut self, host_ends: &BTreeSet<u32>) -> BTreeMap<u32, Error> {
        let mut failures = BTreeMap::new();
        for host_end in host_ends {
            self.dirty.host_ends.remove(host_end);
            if let Err(error) = self.sync_slave(*host_end) {
                failures.insert(*host_end, error);
            }
        }
        // Of all at the end: it is one visit to each netns.
        let all = self.dirty.host_ends.is_empty();
        let groups = self.dirty.groups.extract_if(.., |host_end| all || host_ends.contains(host_end)).collect();
        self.sync_groups(groups);
        failures
    }

    /// Reads the kernel's whole state: at the start, and after events were lost.
    fn read_everything(&mut self) -> Result<()> {
        self.tidy()?;
        self.registry = Registry::default();
        for port in self.ports.values() {
            for (addr, entry) in port.maps.owners()?.into_iter().filter(|(_, e)| e.origin() != Origin::Expected) {
                self.registry.claimed(port.master, entry.slot, addr);
            }
            self.registry.set_declared(port.master, declared(port)?);
            port.maps
                .groups()?
                .into_iter()
                .for_each(|(group, members)| self.registry.joined(port.master, group.mac, &members));
            self.dirty.host_ends.extend(port.maps.slots()?.into_iter().map(|(host_end, _)| host_end));
        }
        for route in self.netlink.routes_of_protocol(PROTOCOL)? {
            self.registry.routed(route.oif, (route.table, (route.dst, route.prefix_len)));
        }
        self.dirty.host_addresses = true;
        self.dirty.masters.extend(self.ports.keys());
        self.put_right()?;
        while !self.dirty.host_ends.is_empty() {
            let some = self.dirty.next_slaves();
            self.sync_slaves(&some).iter().for_each(|(host_end, error)| report(*host_end, error));
        }
        Ok(())
    }

    /// Undoes what a command that was killed left half done.
    fn tidy(&mut self) -> Result<()> {
        let _lock = Lock::acquire(LOCK_WAIT)?;
        self.ports = tidy::ports(&self.netlink)?;
        tidy::tidy(&self.netlink, &mut self.ports)?;
        for port in self.ports.values().filter(|port| port.is_departed()) {
            self.departed.left(port.master);
        }
        self.listen_to_reports();
        for port in self.ports.values_mut() {
            if let Err(error) = sync_master(&self.netlink, &mut port.maps, port.master) {
                report(port.master, &error);
            }
        }
        self.retire_empty()
    }

    /// What commands declare no event tells; they ask for a slave to be looked at.
    fn read_declared(&mut self) -> Result<()> {
        for port in self.ports.values() {
            self.registry.set_declared(port.master, declared(port)?);
        }
        Ok(())
    }

    fn retire_empty(&mut self) -> Result<()> {
        let mut retired = Vec::new();
        for port in self.ports.values_mut() {
            if port.detach_if_unused(&self.netlink)? {
                retired.push(port.master);
            }
        }
        retired.iter().for_each(|master| _ = self.ports.remove(master));
        Ok(())
    }

    fn adopt_host_addresses(&mut self) -> Result<()> {
        let _lock = Lock::acquire(LOCK_WAIT)?;
        let host = HostAddresses::read(&self.netlink)?;
        for port in self.ports.values_mut() {
            for (slot, addr) in host::write_addresses(&mut port.maps, port.master, &host)? {
                self.registry.released(port.master, slot.0, addr);
                self.dirty.host_ends.extend(self.registry.in_slot(port.master, slot));
            }
        }
        self.dirty.host_ends.extend(self.registry.in_conflict());
        Ok(())
    }

    /// Whether there is nothing left to look after: no slave, or a netns that only we keep alive. A service is ended by
    /// others.
    fn is_done(&mut self) -> Result<bool> {
        if self.term == Term::ForGood {
            return Ok(false);
        }
        if self.registry.is_empty() && self.dirty.host_ends.is_empty() {
            return self.may_leave();
        }
        let deserted = std::mem::take(&mut self.waited) && finder::last_user(&[]).unwrap_or(false);
        Ok(deserted)
    }

    /// No slave that we know; but a command may just have made one, and is waiting for us with the lock in its hand.
    fn may_leave(&mut self) -> Result<bool> {
        let _lock = Lock::acquire(LOCK_WAIT)?;
        self.retire_empty()?;
        let links = self.netlink.links(None)?;
        let host_ends: Vec<u32> = links.iter().filter(|l| HostEnd::of(l).is_some()).map(|l| l.ifindex).collect();
        if host_ends.is_empty() {
            // Whoever waits for our end shall not wait for this, which takes longest.
            self.wire = None;
            self.clients.close();
        }
        self.dirty.host_ends.extend(&host_ends);
        Ok(host_ends.is_empty())
    }

    fn conflicting(&mut self, released: Addr) {
        self.dirty.host_ends.extend(self.registry.wanting(released));
    }
}

/// By slot, with lengths in bits of their own family.
fn declared(port: &Port) -> Result<BTreeMap<u32, BTreeSet<Prefix>>> {
    let mut by_slot: BTreeMap<u32, BTreeSet<Prefix>> = BTreeMap::new();
    for (addr, bits, entry) in port.maps.owned()?.into_iter().filter(|(_, _, entry)| entry.origin() == Origin::Declared)
    {
        by_slot.entry(entry.slot).or_default().insert((addr, family_len(addr, bits)));
    }
    Ok(by_slot)
}

fn complain(what: &str, error: &Error) {
    eprintln!("ipvl agent: cannot take in {what}: {error}");
}

/// One slave or master that cannot be put right is no reason to let the others down.
fn report(ifindex: u32, error: &Error) {
    eprintln!("ipvl agent: link {ifindex}: {error}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_turn() {
        let mut dirty = Dirty { host_ends: (1..=100).collect(), ..Dirty::default() };
        assert_eq!(dirty.next_slaves(), (1..=64).collect());
        // All of them are dirty again by then.
        assert_eq!(dirty.next_slaves(), (1..=28).chain(65..=100).collect());
        assert_eq!(dirty.next_slaves(), (29..=92).collect());
    }
}
