//! Which path leads to the namespace with a given id, and does anything but this process keep ours alive?
//!
//! The kernel gives no descriptor for a namespace id. So mounts, processes and their descriptors are searched for one.

use crate::error::Result;
use crate::kernel::netlink::Netlink;
use crate::kernel::netns::{NAMED, OWN};
use crate::place::NsId;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, fstatfs, openat, openat2};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::fs::{self, File};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// A setting of the whole machine, which the kernel shows to threads in the initial netns only.
const INITIAL_ONLY: &str = "/proc/sys/net/core/netdev_max_backlog";
/// The magic number of the file system that holds namespaces (`NSFS_MAGIC`).
const NSFS: u32 = 0x6e73_6673;
/// After a search without a result, the same id is not searched for again for this long: a search reads every descriptor
/// of every process.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// A change of a directory is complete after this long, even on a file system with coarse times.
const SETTLED: Duration = Duration::from_secs(2);

/// Finds a descriptor for the namespace with a given id. Remembers where it found one, and for a moment that it found none.
#[derive(Debug, Default)]
pub struct Finder {
    hints: HashMap<NsId, NetnsPath>,
    missed: HashMap<NsId, Instant>,
    /// How many searches there were.
    searches: u64,
    /// By inode: in which search it was last opened.
    opened: HashMap<u64, u64>,
    /// What the last search found and did not need to open.
    unopened: VecDeque<Candidate>,
}

impl Finder {
    /// A descriptor for the namespace that has the id `nsid` in the netns of `netlink`; none if no process, mount or
    /// descriptor that is visible here leads to it.
    pub fn find(&mut self, netlink: &Netlink, nsid: NsId) -> Result<Option<OwnedFd>> {
        if self.missed.get(&nsid).is_some_and(|when| when.elapsed() < RETRY_AFTER) {
            return Ok(None);
        }
        let matches = |fd: &OwnedFd| has_id(netlink, nsid, fd);
        if let Some(fd) = self.hints.get(&nsid).and_then(open).filter(matches) {
            return Ok(Some(fd));
        }
        self.forget(nsid);
        let found = self.search(netlink, nsid);
        if found.is_none() {
            self.missed.insert(nsid, Instant::now());
        }
        Ok(found)
    }

    /// Opens one namespace after the other, those first that were not opened yet or not for the longest time: one that has
    /// just got an id was seldom among the last few. Any order finds it. But where thousands of namespaces are mounted, to
    /// read where, and to open most of them for each new slave, takes longer than all the rest.
    fn search(&mut self, netlink: &Netlink, nsid: NsId) -> Option<OwnedFd> {
        self.searches += 1;
        let unopened = mem::take(&mut self.unopened);
        for mut list in std::iter::once(unopened).chain(lists().map(VecDeque::from)) {
            list.make_contiguous().sort_by_key(|candidate| self.opened.get(&candidate.inode));
            while let Some(candidate) = list.pop_front() {
                let Some((id, fd)) = self.look(netlink, &candidate) else { continue };
                self.hints.entry(id).or_insert(candidate.path);
                if id == nsid {
                    list.retain(|other| !self.opened.contains_key(&other.inode));
                    self.unopened = list;
                    return Some(fd);
                }
            }
        }
        self.opened.clear();
        None
    }

    /// The id of a namespace that was not opened yet in this search, if it has one. Its inode is taken from the opened
    /// descriptor: a candidate that only claims to lead to a namespace does not hide the real path to it.
    fn look(&mut self, netlink: &Netlink, candidate: &Candidate) -> Option<(NsId, OwnedFd)> {
        if self.opened.get(&candidate.inode) == Some(&self.searches) {
            return None;
        }
        let fd = open(&candidate.path)?;
        self.opened.insert(fstat(&fd).ok()?.st_ino, self.searches);
        Some((netlink.nsid_of_fd(&fd).ok()??, fd))
    }

    /// The id may mean another namespace from now on.
    pub fn forget(&mut self, nsid: NsId) {
        self.hints.remove(&nsid);
        self.missed.remove(&nsid);
    }

    /// Searches again at once for namespaces that were not found.
    pub fn look_again(&mut self) {
        self.missed.clear();
    }
}

/// All namespaces to which a mount, a process or a descriptor that is visible here leads, each once.
pub fn all() -> Vec<OwnedFd> {
    let mut seen = HashSet::new();
    let unseen = lists().flatten().filter_map(|candidate| {
        let fd = if seen.contains(&candidate.inode) { None } else { open(&candidate.path) }?;
        fstat(&fd).is_ok_and(|stat| seen.insert(stat.st_ino)).then_some(fd)
    });
    unseen.collect()
}

/// The name under `/run/netns` of the namespace that has the id `nsid` in the netns of `netlink`, if it has one.
pub fn name_of(netlink: &Netlink, nsid: NsId) -> Option<String> {
    let open = |entry: &fs::DirEntry| open(&NetnsPath::Link(entry.path()));
    let matching = |entry: &fs::DirEntry| open(entry).is_some_and(|fd| has_id(netlink, nsid, &fd));
    let entry = fs::read_dir(NAMED).ok()?.flatten().find(matching)?;
    entry.file_name().into_string().ok()
}

/// Whether only this process keeps its thread's namespace alive: no other process is in it, no mount and no other
/// process's descriptor leads to it. Never true of the initial one. Processes in `ignore` do not count; those outside
/// of our pid namespace cannot be seen.
pub fn last_user(ignore: &[u32]) -> io::Result<bool> {
    let own = fs::metadata(OWN)?.ino();
    if Path::new(INITIAL_ONLY).exists() {
        return Ok(false);
    }
    // This runs every few seconds. Most namespaces are mounted, so it rarely has to look at every process.
    if mounts().flatten().any(|candidate| candidate.inode == own) {
        return Ok(false);
    }
    let us = std::process::id();
    let mut others = pids().filter(|pid| *pid != us && !ignore.contains(pid));
    let uses_it = |pid: u32| threads(pid).chain(descriptors_of(pid)).any(|candidate| candidate.inode == own);
    Ok(!others.any(uses_it))
}

/// The names of namespaces under `/run/netns`, for a process that reads them again and again: a look at each of them takes as
/// long as all the rest. Meant for one netns and one thread at a time.
#[derive(Debug, Default)]
pub struct Names {
    /// When `/run/netns` had changed last, if that was long enough ago: a name is there a moment before its mount is.
    stamp: Option<SystemTime>,
    names: HashMap<NsId, String>,
    /// Ids without a name.
    nameless: BTreeSet<NsId>,
}

impl Names {
    /// The names of these ids, of those that have one. Reads them again if a name has come or gone, or for a new id.
    pub fn of(&mut self, netlink: &Netlink, ids: BTreeSet<NsId>) -> &HashMap<NsId, String> {
        let stamp = fs::metadata(NAMED).and_then(|metadata| metadata.modified()).ok();
        let is_known = |id: &NsId| self.names.contains_key(id) || self.nameless.contains(id);
        let is_fresh = stamp.is_some() && self.stamp == stamp && ids.iter().all(is_known);
        if !is_fresh && !ids.is_empty() {
            let has_settled = |stamp: &SystemTime| stamp.elapsed().is_ok_and(|elapsed| elapsed > SETTLED);
            self.names = names(netlink);
            self.stamp = stamp.filter(has_settled);
            self.nameless = ids.into_iter().filter(|id| !self.names.contains_key(id)).collect();
        }
        &self.names
    }
}

fn names(netlink: &Netlink) -> HashMap<NsId, String> {
    let entries = fs::read_dir(NAMED).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let id = netlink.nsid_of_fd(open(&NetnsPath::Link(entry.path()))?).ok()??;
        Some((id, entry.file_name().into_string().ok()?))
    });
    named.collect()
}

/// A path that is said to lead to a namespace.
#[derive(Debug)]
struct Candidate {
    inode: u64,
    path: NetnsPath,
}

/// A path to a namespace. Other processes can change what it leads to at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
enum NetnsPath {
    /// One of the kernel's own links in `/proc`, or a name under `/run/netns`.
    Link(PathBuf),
    /// A mount point as a process sees it: the process and a path below its root.
    Mount(u32, PathBuf),
}

/// Where namespaces may be: the mounts of one mount namespace after the other, then processes, then their descriptors.
fn lists() -> impl Iterator<Item = Vec<Candidate>> {
    mounts().chain([processes, descriptors].into_iter().map(|list| list()))
}

fn has_id(netlink: &Netlink, nsid: NsId, netns: &OwnedFd) -> bool {
    netlink.nsid_of_fd(netns).is_ok_and(|id| id == Some(nsid))
}

/// Opens what the path leads to, if it is a namespace. Any user may have put a pipe or a device there, which may block or
/// act when it is opened. So the file is opened with `O_PATH` first, and for reading only once it is known to be in nsfs.
fn open(path: &NetnsPath) -> Option<OwnedFd> {
    let found = match path {
        NetnsPath::Link(path) => openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()),
        NetnsPath::Mount(pid, path) => open_below_root(*pid, path),
    };
    let found = found.ok()?;
    if fstatfs(&found).ok()?.f_type as u32 != NSFS {
        return None;
    }
    File::open(format!("/proc/self/fd/{}", found.as_raw_fd())).ok().map(OwnedFd::from)
}

fn open_below_root(pid: u32, path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = openat(CWD, format!("/proc/{pid}/root"), flags | OFlags::DIRECTORY, Mode::empty())?;
    openat2(root, path, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
}

/// Where namespaces are mounted, by mount namespace, our own first.
fn mounts() -> impl Iterator<Item = Vec<Candidate>> {
    let mut seen = HashSet::new();
    let fresh = move |pid: &u32| seen.insert(inode(Path::new(&format!("/proc/{pid}/ns/mnt"))));
    std::iter::once(std::process::id()).chain(pids()).filter(fresh).map(mounts_of)
}

fn mounts_of(pid: u32) -> Vec<Candidate> {
    let table = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    table.lines().filter_map(|line| mounted(pid, line)).collect()
}

/// A line of `mountinfo` that mounts a netns: `41 23 0:4 net:[4026532301] /run/netns/a rw shared:1 - nsfs nsfs rw`.
fn mounted(pid: u32, line: &str) -> Option<Candidate> {
    let mut words = line.split(' ').skip(3);
    let inode = parse_inode(words.next()?)?;
    let path = words.next()?.trim_start_matches('/').replace("\\040", " ");
    Some(Candidate { inode, path: NetnsPath::Mount(pid, PathBuf::from(path)) })
}

fn processes() -> Vec<Candidate> {
    pids().flat_map(threads).collect()
}

fn descriptors() -> Vec<Candidate> {
    pids().flat_map(descriptors_of).collect()
}

fn threads(pid: u32) -> impl Iterator<Item = Candidate> {
    entries(format!("/proc/{pid}/task")).filter_map(|task| linked(task.join("ns/net")))
}

fn descriptors_of(pid: u32) -> impl Iterator<Item = Candidate> {
    entries(format!("/proc/{pid}/fd")).filter_map(linked)
}

/// The target of a link such as `net:[4026532301]`.
fn linked(path: PathBuf) -> Option<Candidate> {
    let inode = parse_inode(fs::read_link(&path).ok()?.to_str()?)?;
    Some(Candidate { inode, path: NetnsPath::Link(path) })
}

fn pids() -> impl Iterator<Item = u32> {
    entries("/proc").filter_map(|path| path.file_name()?.to_str()?.parse().ok())
}

/// The entries of a directory; none if it is gone, as a process's directories may be at any time.
fn entries(directory: impl AsRef<Path>) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn parse_inode(link: &str) -> Option<u64> {
    link.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

fn inode(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_line_is_read() {
        let line = "41 23 0:4 net:[4026532301] /run/netns/a\\040b rw shared:1 - nsfs nsfs rw";
        let found = mounted(7, line).expect("a netns");
        assert_eq!((found.inode, found.path), (4026532301, NetnsPath::Mount(7, PathBuf::from("run/netns/a b"))));
        assert!(mounted(7, "41 23 0:4 mnt:[4026532301] /run/m rw - nsfs nsfs rw").is_none());
    }
}
