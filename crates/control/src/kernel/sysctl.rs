//! How is a switch under `/proc/sys` read, and how is it set, even where a container engine has mounted that tree read-only?

use rustix::fs::{Mode, OFlags, openat};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;

/// Writes `value` to the switch `name`, such as `net/ipv4/ip_forward`, of the calling thread's netns.
///
/// Engines mount `/proc/sys` read-only in containers, those of their own plugins among them. A process with CAP_SYS_ADMIN
/// may mount procfs itself: the switch is then written there, in a mount that is attached nowhere.
///
/// # Errors
///
/// What writing the file gives: that `/proc/sys` is read-only, if no procfs can be mounted either (before Linux 5.2, or
/// without CAP_SYS_ADMIN).
pub fn set(name: &str, value: &str) -> io::Result<()> {
    match fs::write(path(name), value) {
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            let Ok(procfs) = mount_procfs() else { return Err(error) };
            let switch = openat(procfs, format!("sys/{name}"), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
            File::from(switch).write_all(value.as_bytes())
        }
        written => written,
    }
}

/// The value of a switch of the calling thread's netns; `None` if this kernel does not have it.
pub fn get(name: &str) -> Option<String> {
    fs::read_to_string(path(name)).ok().map(|text| text.trim().to_owned())
}

/// Whether the switch has this value.
pub fn is(name: &str, value: &str) -> bool {
    get(name).as_deref() == Some(value)
}

/// The file that a switch is.
pub fn path(name: &str) -> String {
    format!("/proc/sys/{name}")
}

fn mount_procfs() -> io::Result<OwnedFd> {
    let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?)
}
