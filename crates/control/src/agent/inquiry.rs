//! Does the owner of addresses still answer for them, and does a slave that has them as well?
//!
//! Both are asked at the same time in the same way, each for the other: through its host end, as a sibling would. What
//! they answer is heard at their devices, before the programs see it. If the owner alone is silent, that is not because
//! no question arrived or this machine had no time.
//!
//! A thread asks: it takes a second to find out that nobody answers, and long to close packet sockets.

use crate::error::{Error, Result, io_error};
use crate::kernel::netns;
use crate::kernel::sys::{FrameSocket, NeighbourSocket};
use ipvl_core::{Addr, IfIndex, Mac, Question, address_of_sender};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often a slave is asked that does not answer.
const REQUESTS: u32 = 4;
/// How long it has for each.
const PATIENCE: Duration = Duration::from_millis(250);
/// Longer than every answer.
const LONGEST_FRAME: usize = 128;

/// A slave that is asked.
pub struct Station {
    /// Its host end, by which it is asked.
    pub host_end: IfIndex,
    /// Its device, in its netns.
    pub device: IfIndex,
    /// Its netns, if it is another than ours.
    pub netns: Option<OwnedFd>,
    /// Whether it is a tap device, so that its guest answers.
    pub tap: bool,
    /// Its own link-local address.
    pub link_local: Addr,
}

/// Two slaves that are being asked for the same addresses.
pub struct Inquiry {
    /// The other end is closed when the thread is done.
    done: UnixStream,
    thread: JoinHandle<Result<BTreeSet<Addr>>>,
}

impl Inquiry {
    /// Begins to ask both.
    pub fn start(owner: Station, claimant: Station, addrs: BTreeSet<Addr>, mac: Mac) -> Result<Self> {
        let failed = io_error("start", "a thread that asks slaves for their addresses");
        let begun = || {
            let (done, end) = UnixStream::pair()?;
            done.set_nonblocking(true)?;
            let ask = move || {
                let silent = silent_at(&owner, &claimant, &addrs, mac);
                drop(end);
                silent
            };
            Ok(Self { done, thread: thread::Builder::new().name("inquiry".to_owned()).spawn(ask)? })
        };
        begun().map_err(failed)
    }

    /// Whether there is a result. Until then, [`Inquiry::as_fd`] is not readable.
    pub fn is_done(&self) -> bool {
        let heard = (&self.done).read(&mut [0]);
        !heard.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// The addresses for which the owner did not answer and the other did.
    pub fn result(self) -> Result<BTreeSet<Addr>> {
        let panicked = |_| Error::Io { op: "ask", object: "slaves".to_owned(), source: ErrorKind::Other.into() };
        self.thread.join().map_err(panicked)?
    }
}

impl AsFd for Inquiry {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }
}

fn silent_at(owner: &Station, claimant: &Station, addrs: &BTreeSet<Addr>, mac: Mac) -> Result<BTreeSet<Addr>> {
    let wire = FrameSocket::open()?;
    let mut parties = [Party::of(owner, claimant.link_local)?, Party::of(claimant, owner.link_local)?];
    for _ in 0..REQUESTS {
        parties.iter().try_for_each(|party| party.ask(&wire, addrs, mac))?;
        let until = Instant::now() + PATIENCE;
        while !parties.iter().all(|party| party.heard.is_superset(addrs)) && wait(&parties, until)? {
            parties.iter_mut().try_for_each(Party::hear)?;
        }
        if parties[0].heard.is_superset(addrs) {
            return Ok(BTreeSet::new());
        }
    }
    let [owner, claimant] = parties;
    match owner.socket.has_lost() {
        Ok(false) => Ok(claimant.heard.difference(&owner.heard).filter(|addr| addrs.contains(addr)).copied().collect()),
        // What was lost may have been an answer.
        _ => Ok(BTreeSet::new()),
    }
}

/// A slave that is being asked.
struct Party<'a> {
    station: &'a Station,
    /// The link-local address that it is to answer to.
    asker: Addr,
    socket: NeighbourSocket,
    /// The addresses for which it has answered.
    heard: BTreeSet<Addr>,
}

impl<'a> Party<'a> {
    fn of(station: &'a Station, asker: Addr) -> Result<Self> {
        let open = || NeighbourSocket::open(station.device, station.tap);
        let socket = match &station.netns {
            Some(netns) => netns::within(netns, open)??,
            None => open()?,
        };
        Ok(Self { station, asker, socket, heard: BTreeSet::new() })
    }

    /// Asks for the addresses for which it has not answered.
    fn ask(&self, wire: &FrameSocket, addrs: &BTreeSet<Addr>, mac: Mac) -> Result<()> {
        for addr in addrs.difference(&self.heard) {
            let question = Question { addr: *addr, asker: self.asker, mac };
            match question.probe() {
                Some(probe) => wire.send(self.station.host_end, &probe)?,
                None => wire.send(self.station.host_end, &question.solicitation())?,
            }
        }
        Ok(())
    }

    fn hear(&mut self) -> Result<()> {
        let mut buffer = [0; LONGEST_FRAME];
        let failed = io_error("listen to", "a slave");
        loop {
            match self.socket.receive(&mut buffer) {
                Ok(Some(frame)) => self.heard.extend(address_of_sender(&frame)),
                Ok(None) => return Ok(()),
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

/// Waits until one of them has said something; false if the time has come first.
fn wait(parties: &[Party<'_>; 2], until: Instant) -> Result<bool> {
    let left = until.saturating_duration_since(Instant::now());
    let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
    let mut polled = parties.each_ref().map(|party| PollFd::new(&party.socket, PollFlags::IN));
    match poll(&mut polled, Some(&left)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(true),
        Err(error) => Err(io_error("wait for", "answers of slaves")(error.into())),
    }
}
