//! Where are programs for sockets attached, without effect on other processes? At a cgroup of our own, on a private mount.

use ipvl_testbed::wait_until;
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(2);

/// This process is in it until it is dropped.
pub struct Cgroup {
    root: OwnedFd,
    directory: OwnedFd,
    name: String,
}

impl Cgroup {
    /// Makes the cgroup and moves this process into it.
    pub fn join() -> io::Result<Self> {
        let root = hierarchy()?;
        let name = format!("ipvl-bench-{}", std::process::id());
        mkdirat(&root, &name, Mode::RWXU)?;
        let directory = openat(&root, &name, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        enter(&directory)?;
        Ok(Self { root, directory, name })
    }
}

impl AsFd for Cgroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl Drop for Cgroup {
    /// A thread that has just ended may still count as being in it.
    fn drop(&mut self) {
        let _ = enter(&self.root);
        let _left = !wait_until(PATIENCE, || unlinkat(&self.root, &self.name, AtFlags::REMOVEDIR).is_ok());
    }
}

fn hierarchy() -> io::Result<OwnedFd> {
    let context = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?)
}

fn enter(cgroup: &OwnedFd) -> io::Result<()> {
    let processes = openat(cgroup, "cgroup.procs", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&processes, b"0").map(drop).map_err(io::Error::from)
}
