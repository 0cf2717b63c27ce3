//! Which network namespaces are there, how are they entered, and who keeps ours alive?

use crate::error::{Error, Result, io_error};
use crate::kernel::netlink::Netlink;
use crate::kernel::sys;
use crate::model::NetnsRef;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, fstatfs, openat, openat2};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where `ip netns` keeps its names.
const NAMED: &str = "/run/netns";
/// The namespace of the calling thread, not of its process.
const OWN: &str = "/proc/thread-self/ns/net";
/// A setting of the whole machine, which the kernel shows to threads in the initial netns only.
const INITIAL_ONLY: &str = "/proc/sys/net/core/netdev_max_backlog";
/// The file system that namespaces are files of (`NSFS_MAGIC`).
const NSFS: u32 = 0x6e73_6673;
/// A look at every descriptor of every process costs too much to repeat it for each event.
const NOT_AGAIN_FOR: Duration = Duration::from_secs(2);

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

/// Whether two descriptors are of one namespace.
pub fn same(a: impl AsFd, b: impl AsFd) -> Result<bool> {
    let identity = |fd: rustix::fd::BorrowedFd<'_>| {
        fstat(fd).map(|stat| (stat.st_dev, stat.st_ino)).map_err(|errno| io_error("stat", "a namespace")(errno.into()))
    };
    Ok(identity(a.as_fd())? == identity(b.as_fd())?)
}

/// A number that no other namespace has or ever had since the machine was started; none before Linux 5.14.
pub fn cookie() -> Option<u64> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).ok()?;
    sys::netns_cookie(socket).ok()
}

/// Finds a descriptor for the namespace that has a certain id here, remembering where it was, and for a moment that it
/// was nowhere.
#[derive(Debug, Default)]
pub struct Finder {
    hints: HashMap<i32, Way>,
    missed: HashMap<i32, Instant>,
}

impl Finder {
    /// A descriptor for the namespace that has the id `nsid` in the netns of `netlink`; none if no process, mount or
    /// descriptor that we can see leads there.
    pub fn find(&mut self, netlink: &Netlink, nsid: i32) -> Result<Option<OwnedFd>> {
        if self.missed.get(&nsid).is_some_and(|when| when.elapsed() < NOT_AGAIN_FOR) {
            return Ok(None);
        }
        let has_it = |fd: &OwnedFd| has_id(netlink, nsid, fd);
        if let Some(fd) = self.hints.get(&nsid).and_then(open_way).filter(has_it) {
            return Ok(Some(fd));
        }
        let found = search(has_it);
        self.forget(nsid);
        match &found {
            Some((way, _)) => _ = self.hints.insert(nsid, way.clone()),
            None => _ = self.missed.insert(nsid, Instant::now()),
        }
        Ok(found.map(|(_, fd)| fd))
    }

    /// The id may mean another namespace from now on.
    pub fn forget(&mut self, nsid: i32) {
        self.hints.remove(&nsid);
        self.missed.remove(&nsid);
    }

    /// What was nowhere is to be looked for again at once.
    pub fn look_again(&mut self) {
        self.missed.clear();
    }
}

/// The name under `/run/netns` of the namespace that has the id `nsid` in the netns of `netlink`, if it has one.
pub fn name_of(netlink: &Netlink, nsid: i32) -> Option<String> {
    let open = |entry: &fs::DirEntry| open_way(&Way::Link(entry.path()));
    let matching = |entry: &fs::DirEntry| open(entry).is_some_and(|fd| has_id(netlink, nsid, &fd));
    let entry = fs::read_dir(NAMED).ok()?.flatten().find(matching)?;
    entry.file_name().into_string().ok()
}

/// The names under `/run/netns`.
pub fn names() -> BTreeSet<String> {
    let entries = fs::read_dir(NAMED).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Whether only this process keeps its thread's namespace alive: no other process is in it, no mount and no other
/// process's descriptor leads to it. Never true of the initial one. Processes in `ignore` do not count; those outside
/// of our pid namespace cannot be seen.
pub fn last_user(ignore: &[u32]) -> io::Result<bool> {
    let own = fs::metadata(OWN)?.ino();
    if Path::new(INITIAL_ONLY).exists() {
        return Ok(false);
    }
    // Asked every few seconds: most find it at once in their own mounts, and need not look at every process.
    if mounts().any(|place| place.inode == own) {
        return Ok(false);
    }
    let us = std::process::id();
    let mut others = pids().filter(|pid| *pid != us && !ignore.contains(pid));
    let in_it = |pid: u32| threads(pid).chain(descriptors_of(pid)).any(|place| place.inode == own);
    Ok(!others.any(in_it))
}

/// What is said to lead to a namespace.
struct Place {
    inode: u64,
    way: Way,
}

/// A path to a namespace. Whose processes these are, decides where it leads when it is walked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// One of the kernel's own links in `/proc`, or a name under `/run/netns`.
    Link(PathBuf),
    /// A mount point as a process sees it: a path below its root.
    Mount(u32, PathBuf),
}

/// The first namespace that `is_it`. One that is not is tried once; what merely was to lead to one hides nothing.
fn search(is_it: impl Fn(&OwnedFd) -> bool) -> Option<(Way, OwnedFd)> {
    let mut tried = HashSet::new();
    let ways: [fn() -> Vec<Place>; 3] = [|| mounts().collect(), processes, descriptors];
    for place in ways.into_iter().flat_map(|way| way()) {
        if tried.contains(&place.inode) {
            continue;
        }
        let Some(fd) = open_way(&place.way) else { continue };
        if is_it(&fd) {
            return Some((place.way, fd));
        }
        tried.extend(fstat(&fd).map(|stat| stat.st_ino));
    }
    None
}

fn has_id(netlink: &Netlink, nsid: i32, netns: &OwnedFd) -> bool {
    netlink.nsid_of_fd(netns).is_ok_and(|id| id == Some(nsid))
}

/// Opens what the path leads to if it is a namespace. Anybody may have put a pipe, which blocks, or a device, which does
/// what devices do, in the place of one: it is opened only once it is known.
fn open_way(way: &Way) -> Option<OwnedFd> {
    let known = match way {
        Way::Link(path) => openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()),
        Way::Mount(pid, path) => open_below_root(*pid, path),
    };
    let known = known.ok()?;
    if fstatfs(&known).ok()?.f_type as u32 != NSFS {
        return None;
    }
    File::open(format!("/proc/self/fd/{}", known.as_raw_fd())).ok().map(OwnedFd::from)
}

fn open_below_root(pid: u32, path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = openat(CWD, format!("/proc/{pid}/root"), flags | OFlags::DIRECTORY, Mode::empty())?;
    openat2(root, path, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
}

/// Where namespaces are mounted, in any mount namespace, our own first.
fn mounts() -> impl Iterator<Item = Place> {
    let mut seen = HashSet::new();
    let fresh = move |pid: &u32| seen.insert(inode(Path::new(&format!("/proc/{pid}/ns/mnt"))));
    std::iter::once(std::process::id()).chain(pids()).filter(fresh).flat_map(mounts_of)
}

fn mounts_of(pid: u32) -> Vec<Place> {
    let table = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    table.lines().filter_map(|line| mounted(pid, line)).collect()
}

/// A line of `mountinfo` that mounts a netns: `41 23 0:4 net:[4026532301] /run/netns/a rw shared:1 - nsfs nsfs rw`.
fn mounted(pid: u32, line: &str) -> Option<Place> {
    let mut words = line.split(' ').skip(3);
    let inode = parse_inode(words.next()?)?;
    let path = words.next()?.trim_start_matches('/').replace("\\040", " ");
    Some(Place { inode, way: Way::Mount(pid, PathBuf::from(path)) })
}

fn processes() -> Vec<Place> {
    pids().flat_map(threads).collect()
}

fn descriptors() -> Vec<Place> {
    pids().flat_map(descriptors_of).collect()
}

fn threads(pid: u32) -> impl Iterator<Item = Place> {
    entries(format!("/proc/{pid}/task")).filter_map(|task| linked(task.join("ns/net")))
}

fn descriptors_of(pid: u32) -> impl Iterator<Item = Place> {
    entries(format!("/proc/{pid}/fd")).filter_map(linked)
}

/// What a link such as `net:[4026532301]` leads to.
fn linked(path: PathBuf) -> Option<Place> {
    let inode = parse_inode(fs::read_link(&path).ok()?.to_str()?)?;
    Some(Place { inode, way: Way::Link(path) })
}

fn pids() -> impl Iterator<Item = u32> {
    entries("/proc").filter_map(|path| path.file_name()?.to_str()?.parse().ok())
}

/// What is in a directory; nothing if it is gone, as those of processes may be at any time.
fn entries(directory: impl AsRef<Path>) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn parse_inode(link: &str) -> Option<u64> {
    link.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

fn inode(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| metadata.ino())
}

fn inode_name(fd: rustix::fd::BorrowedFd<'_>) -> String {
    fstat(fd).map_or_else(|_| "?".to_owned(), |stat| format!("net:[{}]", stat.st_ino))
}

fn open_path(path: &Path) -> Result<OwnedFd> {
    let failed = |source| Error::Netns { op: "open", object: path.display().to_string(), source };
    File::open(path).map(OwnedFd::from).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_line_is_read() {
        let line = "41 23 0:4 net:[4026532301] /run/netns/a\\040b rw shared:1 - nsfs nsfs rw";
        let place = mounted(7, line).expect("a netns");
        assert_eq!((place.inode, place.way), (4026532301, Way::Mount(7, PathBuf::from("run/netns/a b"))));
        assert!(mounted(7, "41 23 0:4 mnt:[4026532301] /run/m rw - nsfs nsfs rw").is_none());
    }
}
