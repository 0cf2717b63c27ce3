//! What keeps the tables in sync while people use stock tools? The agent: one process in the netns of the masters.
//!
//! It has no state of its own. An event only says what to read again; the agent reads that from the kernel, compares it
//! with the tables, and changes what differs. So it may be killed at any time, and a new one continues.
//!
//! It works in turns. At the top of a turn it reads all events and requests, then it syncs what they are about, then it
//! answers the requests. Nothing else reads events.

mod addresses;
mod announce;
mod clients;
mod contests;
mod count;
mod departed;
mod dirty;
mod disputes;
mod events;
mod flowtable;
mod gone;
mod groups;
mod inquiry;
mod join_counter;
mod joins;
mod log;
mod master;
mod mcast_query;
mod mcast_sources;
mod missing;
mod own_addresses;
mod pace;
mod plan;
mod registry;
mod retries;
mod routes;
mod slave;
mod spare;
mod state;
mod sync;
mod tap;
mod term;

pub use term::Term;

use crate::error::{Error, Result, io_error};
use crate::kernel::finder;
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::port::Port;
use crate::port::host_end::HostEnd;
use crate::slave::agent_client;
use ipvl_core::IfIndex;
use log::log_error;
use retries::Task;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use state::Agent;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long the agent pauses after an error that may pass.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the agent tries to start, and its pause in between.
const STARTS: usize = 5;
const START_PAUSE: Duration = Duration::from_millis(200);
/// How often the agent checks whether the netns still has another user.
const TICK: Duration = Duration::from_secs(2);

/// Runs the agent of this netns.
pub fn run_agent(term: Term) -> Result<()> {
    let single = match term {
        Term::WhileNeeded => agent_client::claim()?,
        Term::Service => Some(agent_client::take_over()?),
    };
    let Some(single) = single else { return Ok(()) };
    // The command that started the agent may end, and its user may log out. This fails if we lead a process group.
    let _ = rustix::process::setsid();
    let mut agent = Agent::new(single, term)?;
    agent.start()?;
    if term == Term::Service {
        // Does nothing where no service manager asked for it.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    }
    loop {
        match agent.step() {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) => {
                log_error("events", &error);
                agent.count.told.errors += 1;
                agent.dirty.everything = true;
                std::thread::sleep(PAUSE);
            }
        }
    }
}

impl Agent {
    /// Syncs everything for the first time. What fails may pass, such as a lock that another command has for long.
    fn start(&mut self) -> Result<()> {
        for _ in 1..STARTS {
            match self.sync_everything() {
                Ok(()) => return Ok(()),
                Err(error) => log_error("the start", &error),
            }
            self.count.told.errors += 1;
            std::thread::sleep(START_PAUSE);
        }
        self.sync_everything()
    }

    /// Waits and takes one turn. Returns whether the agent is done.
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

    /// Waits for an event, a request or the next tick. If there is work left, does not wait.
    fn wait(&mut self) -> Result<()> {
        let busy = self.has_work();
        let patience = if busy { Duration::ZERO } else { self.patience(TICK) };
        let tick = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: patience.subsec_nanos().into() };
        let mcast = self.mcast.kernel.as_ref().map(AsFd::as_fd);
        let reports = self.ports.values().filter_map(Port::reports_fd);
        let fds = std::iter::once(self.events.as_fd()).chain(mcast).chain(reports).chain(self.contests.fds());
        let fds = fds.map(|fd| (fd, PollFlags::IN)).chain(self.clients.fds());
        let mut polled: Vec<PollFd<'_>> = fds.map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)).collect();
        match poll(&mut polled, Some(&tick)) {
            Ok(ready) => self.idle = ready == 0 && patience == TICK,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(io_error("wait for", "events")(error.into())),
        }
        Ok(())
    }

    /// Reads what has happened, syncs it, and answers requests.
    fn turn(&mut self) -> Result<()> {
        self.take_events()?;
        self.take_retries();
        self.requests.extend(self.clients.requests());
        self.clients.tell_counters(|| self.count.line());
        self.clients.lend(&mut self.spare);
        if !self.requests.is_empty() {
            self.finder.look_again();
            self.read_declared()?;
        }
        let asked: BTreeSet<IfIndex> = self.requests.iter().map(|request| request.host_end).collect();
        self.read_moved(&asked)?;
        if self.has_abandoned(&asked)? {
            // Some may be complete: a command that was killed may not have asked for them.
            self.incomplete.clear();
            self.dirty.everything = true;
        }
        if std::mem::take(&mut self.dirty.everything) {
            self.sync_everything()?;
        }
        self.sync_host_and_masters();
        let mut failures = self.sync_slaves(&asked);
        self.answer(&mut failures);
        let some = self.dirty.next_slaves(Instant::now());
        self.sync_slaves(&some);
        if std::mem::take(&mut self.dirty.flowtable) {
            let result = self.sync_flowtable();
            self.settle(Task::Flowtable, result);
        }
        self.judge_contests();
        self.close_joins();
        if self.term == Term::Service && self.idle {
            self.spare.prepare();
        }
        Ok(())
    }

    /// Answers the requests, and takes their errors out of `failures`. A request for a slave that must be looked for again
    /// is answered in the next turn.
    fn answer(&mut self, failures: &mut BTreeMap<IfIndex, Error>) {
        for request in std::mem::take(&mut self.requests) {
            if self.missing.is_open(request.host_end) {
                self.requests.push(request);
            } else {
                self.clients.answer(request.client, failures.remove(&request.host_end));
            }
        }
    }

    /// Whether an incomplete slave belongs to no command that still runs. Checked when the agent is idle, or when a
    /// command waits anyway.
    fn has_abandoned(&self, asked: &BTreeSet<IfIndex>) -> Result<bool> {
        let time = self.idle || !asked.is_empty();
        Ok(time && self.incomplete.difference(asked).next().is_some() && Lock::held_by()?.is_none())
    }

    /// Whether nothing is left to look after: there is no slave, or no other process uses the netns. A service runs until
    /// it is stopped.
    fn is_done(&mut self) -> Result<bool> {
        if self.term == Term::Service {
            return Ok(false);
        }
        if self.registry.is_empty() && !self.has_work() {
            return self.may_end();
        }
        let deserted = std::mem::take(&mut self.idle) && finder::last_user(&[]).unwrap_or(false);
        Ok(deserted)
    }

    /// Whether the agent, which knows no slave, may end: a command may just have made one, and hold the lock until it asks
    /// the agent for it.
    fn may_end(&mut self) -> Result<bool> {
        let _lock = Lock::acquire(LOCK_WAIT)?;
        self.detach_unused_ports()?;
        let links = self.netlink.links(None)?;
        let host_ends: Vec<IfIndex> = links.iter().filter(|l| HostEnd::of(l).is_some()).map(|l| l.ifindex).collect();
        if host_ends.is_empty() {
            // A command that waits for the agent's end need not wait for the kernel to close the rest, which takes longest.
            self.wire = None;
            self.clients.close();
        }
        self.dirty.host_ends.extend(&host_ends);
        Ok(host_ends.is_empty())
    }
}
