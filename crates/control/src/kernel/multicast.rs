//! How does a device receive a multicast group? By an ioctl: there is no netlink message for it.
#![allow(unsafe_code)]

use ipvl_core::Mac;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use std::io;
use std::os::fd::AsRawFd;

/// Has a device receive a group permanently, or no longer (`ip maddr`).
pub fn receive_group(device: &str, mac: Mac, wanted: bool) -> io::Result<()> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: all bytes zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(device.bytes()) {
        *to = from as libc::c_char;
    }
    let mut address = libc::sockaddr { sa_family: libc::AF_UNSPEC as u16, sa_data: [0; 14] };
    for (to, from) in address.sa_data.iter_mut().zip(mac.0) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_hwaddr = address;
    let command = if wanted { libc::SIOCADDMULTI } else { libc::SIOCDELMULTI };
    // SAFETY: `request` lives past the call and is what both commands read.
    match unsafe { libc::ioctl(socket.as_raw_fd(), command as _, &raw const request) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
