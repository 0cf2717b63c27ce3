//! How is a tap device made? By ioctls of `/dev/net/tun`, for which there is no safe library.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

const TUN: &str = "/dev/net/tun";

/// An open tap device. The kernel removes it when this is dropped, unless it was made persistent.
pub struct Device {
    file: File,
    /// Its name, which the kernel has made from the requested name or pattern.
    pub name: String,
}

/// `struct ifreq`.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    flags: libc::c_short,
    rest: [u8; 22],
}

impl Device {
    /// Makes a new one in the calling thread's netns. EBUSY if the name is taken.
    pub fn create(name: &str, multi_queue: bool) -> io::Result<Self> {
        let queues = if multi_queue { libc::IFF_MULTI_QUEUE } else { 0 };
        let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_TUN_EXCL | queues;
        let mut request = Request { name: [0; libc::IFNAMSIZ], flags: flags as libc::c_short, rest: [0; 22] };
        let room = &mut request.name[..libc::IFNAMSIZ - 1];
        room.get_mut(..name.len()).ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(name.as_bytes());
        let file = File::options().read(true).write(true).open(TUN)?;
        // SAFETY: TUNSETIFF reads and writes one ifreq, which outlives the call.
        done(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })?;
        let name = request.name.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(Self { file, name: String::from_utf8_lossy(name).into_owned() })
    }

    /// Lets this user open it.
    pub fn set_user(&self, uid: u32) -> io::Result<()> {
        self.set(libc::TUNSETOWNER, uid)
    }

    /// Lets members of this group open it.
    pub fn set_group(&self, gid: u32) -> io::Result<()> {
        self.set(libc::TUNSETGROUP, gid)
    }

    /// Lets it live on when no process has it open.
    pub fn persist(&self) -> io::Result<()> {
        self.set(libc::TUNSETPERSIST, 1)
    }

    fn set(&self, what: libc::Ioctl, value: u32) -> io::Result<()> {
        // SAFETY: these requests take a number in place of a pointer.
        done(unsafe { libc::ioctl(self.file.as_raw_fd(), what, libc::c_ulong::from(value)) })
    }
}

fn done(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
