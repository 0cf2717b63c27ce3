//! How is a network namespace opened, named and entered?

use crate::error::{Error, Result, io_error};
use crate::kernel::sys;
use crate::model::NetnsRef;
use rustix::fs::fstat;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Where `ip netns` keeps its names.
pub(super) const NAMED: &str = "/run/netns";
/// The namespace of the calling thread, not of its process.
pub(super) const OWN: &str = "/proc/thread-self/ns/net";

/// Opens a namespace. It lives as long as the descriptor: close it soon.
pub fn open(netns: &NetnsRef) -> Result<OwnedFd> {
    let path = match netns {
        NetnsRef::Name(path) if path.contains('/') => PathBuf::from(path),
        NetnsRef::Name(name) => Path::new(NAMED).join(name),
        NetnsRef::Pid(pid) => PathBuf::from(format!("/proc/{pid}/ns/net")),
    };
    open_path(&path)
}

/// The calling thread's namespace.
pub fn own() -> Result<OwnedFd> {
    open_path(Path::new(OWN))
}

/// Runs `work` in a namespace, in a thread that enters it and ends.
pub fn within<T: Send>(netns: impl AsFd, work: impl FnOnce() -> T + Send) -> Result<T> {
    let netns = netns.as_fd();
    let enter = move || move_into_link_name_space(netns, Some(LinkNameSpaceType::Network)).map(|()| work());
    let outcome = std::thread::scope(|scope| scope.spawn(enter).join());
    let failed = |source: io::Error| Error::Netns { op: "enter", object: inode_name(netns), source };
    match outcome {
        Ok(result) => result.map_err(|errno| failed(errno.into())),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Whether two descriptors refer to the same namespace.
pub fn same(a: impl AsFd, b: impl AsFd) -> Result<bool> {
    let identity = |fd: BorrowedFd<'_>| {
        fstat(fd).map(|stat| (stat.st_dev, stat.st_ino)).map_err(|errno| io_error("stat", "a namespace")(errno.into()))
    };
    Ok(identity(a.as_fd())? == identity(b.as_fd())?)
}

/// The calling thread's namespace as a number that no other namespace has had since boot; none before Linux 5.14.
pub fn cookie() -> Option<u64> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).ok()?;
    sys::netns_cookie(socket).ok()
}

/// The names under `/run/netns`.
pub fn names() -> BTreeSet<String> {
    let entries = fs::read_dir(NAMED).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn inode_name(fd: BorrowedFd<'_>) -> String {
    fstat(fd).map_or_else(|_| "?".to_owned(), |stat| format!("net:[{}]", stat.st_ino))
}

fn open_path(path: &Path) -> Result<OwnedFd> {
    let failed = |source| Error::Netns { op: "open", object: path.display().to_string(), source };
    File::open(path).map(OwnedFd::from).map_err(failed)
}
