//! How does a test speak AF_PACKET? The system calls that no safe library covers, each behind a safe function.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ffi::CString;
use std::io;
use std::mem::{size_of, zeroed};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Big enough for the largest GSO packet a device hands over.
const LARGEST: usize = 1 << 17;
thread_local! {
    /// Filling so many bytes with zeros takes longer than to receive a frame.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; LARGEST]);
}

/// Room for one control message with a `tpacket_auxdata`.
const CONTROL: usize = 64;

/// A packet from the socket, with what the kernel keeps outside of the bytes.
pub(crate) struct Received {
    /// The bytes from the start of the link header.
    pub(crate) bytes: Vec<u8>,
    /// `PACKET_HOST`, `PACKET_BROADCAST`, `PACKET_OUTGOING`, ...
    pub(crate) pkt_type: u8,
    /// A VLAN tag that is kept beside the bytes: protocol and control information.
    pub(crate) vlan: Option<(u16, u16)>,
    /// The checksum was left for a device to fill in.
    pub(crate) checksum_open: bool,
}

/// Everything, before any hook: what `tcpdump` sees.
pub(crate) const ALL: u16 = libc::ETH_P_ALL as u16;

/// Opens a packet socket, in the caller's namespace, for what device `index` receives of `protocol`; 0 is any device.
pub(crate) fn packet_socket(index: i32, protocol: u16, ignore_outgoing: bool) -> io::Result<OwnedFd> {
    // Protocol 0 until it is bound: nothing of other devices gets in first.
    // SAFETY: socket(2) takes no pointers.
    let raw = check(unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the descriptor is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    set_option(&socket, libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
    set_option(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, i32::from(ignore_outgoing))?;
    set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 16 << 20)?;
    // SAFETY: all-zero is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = index;
    // SAFETY: the pointer and the length are those of one live sockaddr_ll.
    check(unsafe { libc::bind(raw, (&raw const address).cast(), size_of::<libc::sockaddr_ll>() as u32) })?;
    Ok(socket)
}

/// The index of a device of the caller's namespace.
pub(crate) fn device_index(name: &str) -> io::Result<i32> {
    let name = CString::new(name)?;
    // SAFETY: the name is a C string that lives over the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index as i32),
    }
}

/// Has the device `index` receive a group's frames as long as the socket is open.
pub(crate) fn join_group(socket: &OwnedFd, index: i32, group: [u8; 6]) -> io::Result<()> {
    let mut address = [0; 8];
    address[..6].copy_from_slice(&group);
    let request = libc::packet_mreq {
        mr_ifindex: index,
        mr_type: libc::PACKET_MR_MULTICAST as u16,
        mr_alen: 6,
        mr_address: address,
    };
    let (pointer, length) = ((&raw const request).cast(), size_of::<libc::packet_mreq>() as u32);
    let (level, option) = (libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP);
    // SAFETY: the pointer and the length are those of one live packet_mreq.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, pointer, length) }).map(drop)
}

/// Sends one frame, link header included.
pub(crate) fn send(socket: &OwnedFd, frame: &[u8]) -> io::Result<()> {
    match send_once(socket, frame) {
        // The kernel reports once that the device was down, even if it is up again.
        Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => send_once(socket, frame),
        sent => sent,
    }
}

fn send_once(socket: &OwnedFd, frame: &[u8]) -> io::Result<()> {
    // SAFETY: the pointer and the length are those of one slice.
    let sent = unsafe { libc::send(socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Waits up to `timeout` for the next packet.
pub(crate) fn receive(socket: &OwnedFd, timeout: Duration) -> io::Result<Option<Received>> {
    if !timeout.is_zero() && !readable(socket, timeout)? {
        return Ok(None);
    }
    loop {
        match BUFFER.with_borrow_mut(|buffer| receive_into(buffer, socket)).map(Some) {
            // The kernel reports once that the device was down; the socket and its frames stay usable.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINTR | libc::ENETDOWN)) => (),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            received => return received,
        }
    }
}

fn receive_into(bytes: &mut [u8], socket: &OwnedFd) -> io::Result<Received> {
    let mut control = [0u64; CONTROL / 8];
    // SAFETY: all-zero is a valid sockaddr_ll, and a valid msghdr.
    let (mut from, mut message): (libc::sockaddr_ll, libc::msghdr) = unsafe { zeroed() };
    let mut parts = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: LARGEST };
    message.msg_name = (&raw mut from).cast();
    message.msg_namelen = size_of::<libc::sockaddr_ll>() as u32;
    message.msg_iov = &raw mut parts;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = CONTROL;
    // SAFETY: every pointer in the message is to a local that outlives the call, with its own length.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
    if length < 0 {
        return Err(io::Error::last_os_error());
    }
    let bytes = bytes[..length as usize].to_vec();
    let extra = auxiliary(&message);
    let vlan = extra.and_then(|extra| {
        (extra.tp_status & libc::TP_STATUS_VLAN_VALID != 0).then_some((extra.tp_vlan_tpid, extra.tp_vlan_tci))
    });
    let checksum_open = extra.is_some_and(|extra| extra.tp_status & libc::TP_STATUS_CSUMNOTREADY != 0);
    Ok(Received { bytes, pkt_type: from.sll_pkttype, vlan, checksum_open })
}

/// Makes the kernel cut what the socket sends into datagrams of `size` bytes, as late as it can (`UDP_SEGMENT`).
pub fn segment(socket: &UdpSocket, size: u16) -> io::Result<()> {
    set_option(socket, libc::SOL_UDP, libc::UDP_SEGMENT, size.into())
}

/// Moves the calling thread to a new network namespace without a name.
pub fn enter_new_netns() -> io::Result<()> {
    // SAFETY: unshare(2) takes no pointers, and a network namespace is the thread's alone.
    check(unsafe { libc::unshare(libc::CLONE_NEWNET) }).map(drop)
}

fn auxiliary(message: &libc::msghdr) -> Option<libc::tpacket_auxdata> {
    // SAFETY: the kernel filled the message's control buffer and its length; CMSG_FIRSTHDR checks that length.
    let header = unsafe { libc::CMSG_FIRSTHDR(message).as_ref() }?;
    if (header.cmsg_level, header.cmsg_type) != (libc::SOL_PACKET, libc::PACKET_AUXDATA) {
        return None;
    }
    // SAFETY: a PACKET_AUXDATA message carries one tpacket_auxdata, which has no invalid bit patterns.
    Some(unsafe { libc::CMSG_DATA(header).cast::<libc::tpacket_auxdata>().read_unaligned() })
}

fn readable(socket: &OwnedFd, timeout: Duration) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let wait = timeout.as_micros().div_ceil(1000).min(i32::MAX as u128) as i32;
    // SAFETY: the pointer is to one pollfd, and the count says one.
    match check(unsafe { libc::poll(&raw mut poll, 1, wait) }) {
        Ok(ready) => Ok(ready > 0),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(error) => Err(error),
    }
}

fn set_option(socket: &impl AsRawFd, level: i32, option: i32, value: i32) -> io::Result<()> {
    let (pointer, length) = ((&raw const value).cast(), size_of::<i32>() as u32);
    // SAFETY: the pointer and the length are those of one live i32.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, pointer, length) }).map(drop)
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
