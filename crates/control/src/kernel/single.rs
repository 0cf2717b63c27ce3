//! How does a process make sure that it is the only one of its kind in a netns? It binds an abstract socket of a fixed name.
//!
//! Such a name belongs to the netns, whatever the mount namespace, and the kernel frees it when its process is gone.

use crate::error::{Error, Result, io_error};
use crate::kernel::sys;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::time::Duration;

/// The longest wait for room in the socket's queue of connections. A process of ours accepts or ends sooner.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// Takes the name, until the socket is dropped; none if another process has it.
pub fn claim(name: &str) -> Result<Option<UnixListener>> {
    match address(name).and_then(|address| UnixListener::bind_addr(&address)) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(io_error("claim", socket(name))(error)),
    }
}

/// The process that has the name; an error if it is another user's, who could only take the name to do harm.
pub fn running(name: &str) -> Result<Option<u32>> {
    let Some(stream) = connect(name)? else { return Ok(None) };
    trusted_peer(name, &stream).map(Some)
}

/// A connection to the process that has the name. It ends when that process ends or drops the name.
pub(crate) fn connect(name: &str) -> Result<Option<UnixStream>> {
    match try_connect(name) {
        Ok(stream) => Ok(Some(stream)),
        Err(Errno::CONNREFUSED) => Ok(None),
        Err(error) => Err(io_error("connect to", socket(name))(error.into())),
    }
}

/// The process at the other end; an error unless it is root's or our own user's.
pub(crate) fn trusted_peer(name: &str, stream: &UnixStream) -> Result<u32> {
    let sys::Peer { pid, uid } = sys::peer(stream).map_err(io_error("ask who has", socket(name)))?;
    let own = rustix::process::geteuid().as_raw();
    if uid == 0 || uid == own { Ok(pid) } else { Err(Error::Held { object: socket(name), pid, uid }) }
}

/// The name as `ss -x` prints it.
pub(crate) fn socket(name: &str) -> String {
    format!("socket @{name}")
}

fn try_connect(name: &str) -> rustix::io::Result<UnixStream> {
    let stream = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&stream, Timeout::Send, Some(CONNECT_WAIT))?;
    rustix::net::connect(&stream, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
    Ok(stream.into())
}

fn address(name: &str) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(name)
}
