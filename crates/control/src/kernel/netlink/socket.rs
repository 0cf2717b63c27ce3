//! How is a request sent to rtnetlink, and its answer read?

use super::uapi::*;
use super::wire::{Message, Reply, outcome, replies};
use crate::error::{Error, Result, io_error};
use crate::place::NsId;
use netlink_sys::{
    Socket, SocketAddr,
    protocols::{NETLINK_NETFILTER, NETLINK_ROUTE},
};
use std::cell::{Cell, RefCell};
use std::io;

/// How often a list is read again that changed while it was read.
const DUMP_TRIES: usize = 20;
/// The kernel writes at most 32 KiB of a list at once, but never divides a link, and alternative names alone may take
/// 64 KiB.
pub(super) const BUFFER: usize = 256 << 10;

/// A connection to rtnetlink in the netns of the thread that opened it, wherever that thread goes later.
pub struct Netlink {
    socket: Socket,
    sequence: Cell<u32>,
    buffer: RefCell<Box<[u8]>>,
}

/// The operation and the object of a request, for an error.
pub(super) struct About<'a> {
    op: &'static str,
    object: &'a dyn std::fmt::Display,
}

impl Netlink {
    /// Connects.
    pub fn open() -> Result<Self> {
        Self::open_for(NETLINK_ROUTE)
    }

    /// The same for nfnetlink.
    pub(super) fn open_netfilter() -> Result<Self> {
        Self::open_for(NETLINK_NETFILTER)
    }

    fn open_for(protocol: isize) -> Result<Self> {
        let socket = connect(protocol).map_err(io_error("open", "a netlink socket"))?;
        Ok(Self { socket, sequence: Cell::new(0), buffer: RefCell::new(vec![0; BUFFER].into()) })
    }

    /// Sends a request that has no answer but success or an error.
    pub(super) fn order(&self, about: About<'_>, message: Message) -> Result<()> {
        self.exchange(&about, message, |_| ()).map(drop)
    }

    /// Sends a request, and passes each answer to `each`.
    pub(super) fn ask(&self, about: About<'_>, message: Message, each: impl FnMut(Reply<'_>)) -> Result<()> {
        self.exchange(&about, message, each).map(drop)
    }

    /// Reads a list, again if it changed while it was read.
    pub(super) fn list<T>(
        &self,
        about: About<'_>,
        message: impl Fn() -> Message,
        parse: impl Fn(Reply<'_>) -> Option<T>,
    ) -> Result<Vec<T>> {
        for _ in 0..DUMP_TRIES {
            let mut found = Vec::new();
            if self.exchange(&about, message(), |reply| found.extend(parse(reply)))? {
                return Ok(found);
            }
        }
        Err(about.error(io::Error::from_raw_os_error(libc::EINTR), None))
    }

    /// Sends `message` and reads the answer to its end; false if the answer is not consistent.
    fn exchange(&self, about: &About<'_>, message: Message, mut each: impl FnMut(Reply<'_>)) -> Result<bool> {
        let sequence = self.sequence.get().wrapping_add(1);
        self.sequence.set(sequence);
        self.send(&message.finish(sequence)).map_err(|error| about.error(error, None))?;
        let mut buffer = self.buffer.borrow_mut();
        let mut consistent = true;
        loop {
            let length = self.receive(&mut buffer).map_err(|error| about.error(error, None))?;
            for reply in replies(&buffer[..length]).filter(|reply| reply.sequence == sequence) {
                consistent &= reply.flags & NLM_F_DUMP_INTR == 0;
                match reply.kind {
                    NLMSG_ERROR | NLMSG_DONE => return about.verdict(reply).map(|()| consistent),
                    NLMSG_NOOP => {}
                    _ => each(reply),
                }
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.send(bytes, 0)
    }

    fn receive(&self, mut buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len();
        loop {
            match self.socket.recv(&mut buffer, libc::MSG_TRUNC) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(length) if length > room => return Err(io::Error::from_raw_os_error(libc::EMSGSIZE)),
                other => return other,
            }
        }
    }
}

impl About<'_> {
    fn verdict(&self, reply: Reply<'_>) -> Result<()> {
        match outcome(reply) {
            (0, _) => Ok(()),
            (errno, extack) => Err(self.error(io::Error::from_raw_os_error(errno), extack)),
        }
    }

    fn error(&self, source: io::Error, extack: Option<String>) -> Error {
        Error::Netlink { op: self.op, object: self.object.to_string(), source, extack }
    }
}

/// Names the operation and the object of a request.
pub(super) fn about<'a>(op: &'static str, object: &'a dyn std::fmt::Display) -> About<'a> {
    About { op, object }
}

/// `None` instead of an error that says the object is gone.
pub(super) fn unless_gone<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(error) if error.is_gone() => Ok(None),
        other => other.map(Some),
    }
}

/// The same for an object in the netns with the id `nsid`: EINVAL then means that there is no such netns.
pub(super) fn unless_gone_there<T>(nsid: Option<NsId>, result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(error) if nsid.is_some() && error.errno() == Some(libc::EINVAL) => Ok(None),
        other => unless_gone(other),
    }
}

fn connect(protocol: isize) -> io::Result<Socket> {
    let mut socket = Socket::new(protocol)?;
    socket.set_ext_ack(true)?;
    socket.set_cap_ack(true)?;
    socket.set_netlink_get_strict_chk(true)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    Ok(socket)
}
