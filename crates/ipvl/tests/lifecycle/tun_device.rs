//! How are tun and tap devices opened? By ioctls that no safe library has.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

/// IP packets, without a header of the device's own.
pub const TUN: i32 = libc::IFF_TUN | libc::IFF_NO_PI;
/// Ethernet frames, likewise.
pub const TAP: i32 = libc::IFF_TAP | libc::IFF_NO_PI;
/// Ethernet frames behind a `struct virtio_net_hdr`.
pub const VIRTIO_TAP: i32 = TAP | libc::IFF_VNET_HDR;

/// `struct ifreq`.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    flags: libc::c_short,
    rest: [u8; 22],
}

/// Opens the device in the caller's netns; makes it where it is not there yet, and then it lives as long as the file.
pub fn open(name: &str, flags: i32) -> io::Result<File> {
    let file = File::options().read(true).write(true).open("/dev/net/tun")?;
    attach(&file, name, flags)?;
    Ok(file)
}

/// The same, for the user and the group of a thread that ends after this.
pub fn open_as(user: u32, group: u32, name: &str, flags: i32) -> io::Result<File> {
    let file = File::options().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: these take numbers, and no groups; by the raw call they change this thread alone.
    unsafe {
        checked(libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<u32>()))?;
        checked(libc::syscall(libc::SYS_setresgid, group, group, group))?;
        checked(libc::syscall(libc::SYS_setresuid, user, user, user))?;
    }
    attach(&file, name, flags)?;
    Ok(file)
}

/// Whether it takes packets as large as a socket's, with checksums yet to be made, as a modern guest does. A device
/// keeps the setting of the last process that had it open.
pub fn set_offloads(file: &File, on: bool) -> io::Result<()> {
    let offloads = if on { libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 } else { 0 };
    // SAFETY: TUNSETOFFLOAD takes a number in the place of a pointer.
    checked(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(offloads)) }.into())
}

fn attach(file: &File, name: &str, flags: i32) -> io::Result<()> {
    let mut request = Request { name: [0; libc::IFNAMSIZ], flags: flags as libc::c_short, rest: [0; 22] };
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: TUNSETIFF reads and writes one ifreq, which outlives the call.
    checked(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) }.into())
}

fn checked(result: libc::c_long) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
