//! How is a named network namespace made? As by `ip netns add`: it is mounted at `/run/netns/NAME`.

use crate::error::{Error, Result};
use crate::kernel::netlink::{LinkChange, Netlink};
use crate::kernel::sys;
use ipvl_core::IfIndex;
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_bind, mount_bind_recursive, mount_change, unmount};
use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const NAMED: &str = "/run/netns";
const OWN: &str = "/proc/thread-self/ns/net";

/// Makes a network namespace, with its loopback device up.
pub fn make(name: &str) -> Result<()> {
    let path = path(name);
    prepare()
        .and_then(|()| OpenOptions::new().write(true).create_new(true).open(&path))
        .map_err(failed("make", name))?;
    let work = || {
        sys::enter_new_netns()?;
        mount_bind(OWN, &path)?;
        io::Result::Ok(Netlink::open().and_then(|netlink| netlink.set_link(IfIndex::LOOPBACK, &up())))
    };
    let done = std::thread::scope(|scope| scope.spawn(work).join());
    let done = done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map_err(failed("make", name)).flatten();
    if done.is_err() {
        unmake(name);
    }
    done
}

/// Removes the name of a network namespace that was just made.
pub fn unmake(name: &str) {
    let path = path(name);
    let _ = unmount(&path, UnmountFlags::DETACH);
    let _ = fs::remove_file(&path);
}

/// Makes the directory a shared mount point, so that all mount namespaces that have it see what is mounted in it.
fn prepare() -> io::Result<()> {
    make_directory()?;
    let share = || mount_change(NAMED, MountPropagationFlags::SHARED | MountPropagationFlags::REC);
    if share().is_err() {
        mount_bind_recursive(NAMED, NAMED)?;
        share()?;
    }
    Ok(())
}

/// As `ip netns` does, for all users to see, whatever the umask: that of `ipvl-apply.service` lets root alone in.
fn make_directory() -> io::Result<()> {
    match fs::create_dir(NAMED) {
        Ok(()) => fs::set_permissions(NAMED, Permissions::from_mode(0o755)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn up() -> LinkChange<'static> {
    LinkChange { up: Some(true), ..LinkChange::default() }
}

fn path(name: &str) -> PathBuf {
    Path::new(NAMED).join(name)
}

fn failed(op: &'static str, name: &str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Netns { op, object: name.to_owned(), source }
}
