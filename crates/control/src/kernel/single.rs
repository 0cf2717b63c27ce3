//! How does a process make sure that it is the only one of its kind in a netns, and how do others reach it?
//!
//! It claims its kind in a table that only root can open ([`claims`]), and listens on an abstract socket. Every user of
//! the netns can bind such a socket, so its name ends in a random label, which that table tells: nobody can foresee it.

use crate::error::{Error, Result, io_error};
use crate::kernel::claims::{self, Claim, Label};
use crate::kernel::sys;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use rustix::rand::{GetRandomFlags, getrandom};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::time::Duration;

/// The longest wait for room in the socket's queue of connections. A process of ours accepts or ends sooner.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// The only process of its kind, until this is dropped or the process ends.
#[derive(Debug)]
pub struct Single {
    // Dropped first: a process that finds the label finds the socket as well.
    _claim: Claim,
    listener: UnixListener,
}

impl Single {
    /// The socket on which others reach it.
    pub fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

/// Becomes the only process of its kind; none if another one is.
pub fn claim(kind: &str) -> Result<Option<Single>> {
    let Some(claim) = claims::claim(kind)? else { return Ok(None) };
    let label = random()?;
    let address = SocketAddr::from_abstract_name(name(kind, label));
    let listener =
        address.and_then(|address| UnixListener::bind_addr(&address)).map_err(io_error("bind", socket(kind)))?;
    claims::publish(kind, &claim, label)?;
    Ok(Some(Single { _claim: claim, listener }))
}

/// A connection to a process of this kind of tables before version 6: its socket had no label. None if there is none, or if
/// another user has bound the name.
pub(crate) fn connect_older(kind: &str) -> Option<UnixStream> {
    try_connect(kind).ok().filter(|stream| trusted_peer(kind, stream).is_ok())
}

/// The pid of the only process of its kind; 0 if it is outside of our pid namespace.
pub fn running(kind: &str) -> Result<Option<u32>> {
    let Some(stream) = connect(kind)? else { return Ok(None) };
    trusted_peer(kind, &stream).map(Some)
}

/// A connection to the only process of its kind. It ends when that process ends or is no longer the one.
pub(crate) fn connect(kind: &str) -> Result<Option<UnixStream>> {
    let Some(label) = claims::label(kind)? else { return Ok(None) };
    match try_connect(&name(kind, label)) {
        Ok(stream) => match trusted_peer(kind, &stream) {
            // It has just ended, and another user has bound the name that it left.
            Err(_) if claims::label(kind)? != Some(label) => Ok(None),
            trusted => trusted.map(|_| Some(stream)),
        },
        Err(Errno::CONNREFUSED) => Ok(None),
        Err(error) => Err(io_error("connect to", socket(kind))(error.into())),
    }
}

/// The process at the other end; an error unless it is root's or our own user's.
pub(crate) fn trusted_peer(kind: &str, stream: &UnixStream) -> Result<u32> {
    let sys::Peer { pid, uid } = sys::peer(stream).map_err(io_error("ask who has", socket(kind)))?;
    let own = rustix::process::geteuid().as_raw();
    if uid == 0 || uid == own { Ok(pid) } else { Err(Error::Held { object: socket(kind), pid, uid }) }
}

/// The name as `ss -x` prints it, without its label.
pub(crate) fn socket(kind: &str) -> String {
    format!("socket @{kind}")
}

fn try_connect(name: &str) -> rustix::io::Result<UnixStream> {
    let stream = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&stream, Timeout::Send, Some(CONNECT_WAIT))?;
    rustix::net::connect(&stream, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
    Ok(stream.into())
}

fn name(kind: &str, label: Label) -> String {
    format!("{kind}-{:032x}", u128::from_be_bytes(label))
}

fn random() -> Result<Label> {
    let mut label = Label::default();
    getrandom(&mut label, GetRandomFlags::empty())
        .map_err(|errno| io_error("make", "a random number")(errno.into()))?;
    Ok(label)
}
