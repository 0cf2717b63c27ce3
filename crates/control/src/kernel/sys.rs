//! Which system calls does no library offer safely? Netlink's ancillary data, packet sockets, socket options, new namespaces.
#![allow(unsafe_code)]

use crate::error::{Result, io_error};
use crate::place::NsId;
use ipvl_core::IfIndex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::ffi::c_void;
use std::io;
use std::mem::{size_of, size_of_val};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

const SO_NETNS_COOKIE: i32 = 71;

/// Reads one datagram without waiting: its length, and the id of the netns that it comes from, if that is not our own.
pub(crate) fn receive_with_nsid(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Option<NsId>)> {
    let mut control = [0_u64; 8];
    let mut iov = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all bytes zero is a valid msghdr: no address, no buffers.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    (header.msg_iov, header.msg_iovlen) = (&raw mut iov, 1);
    (header.msg_control, header.msg_controllen) = (control.as_mut_ptr().cast(), size_of_val(&control) as _);
    // SAFETY: `header` points to `iov` and `control`, `iov` to `buffer`; all live past the call with these lengths.
    let length = retry(|| unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT) })?;
    if header.msg_flags & libc::MSG_TRUNC != 0 {
        return Err(io::Error::from_raw_os_error(libc::ENOBUFS));
    }
    // SAFETY: the kernel has filled `control` and set its length; neither has moved since.
    Ok((length as usize, unsafe { nsid_of(&header) }))
}

/// Waits until one of `sources` can be read, no longer than `limit`; false if the other end of the pipe `reader` is closed.
pub(crate) fn wait_for<'a>(
    sources: impl IntoIterator<Item = BorrowedFd<'a>>,
    reader: BorrowedFd<'_>,
    limit: Duration,
) -> io::Result<bool> {
    let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: limit.subsec_nanos().into() };
    let mut polled = vec![PollFd::from_borrowed_fd(reader, PollFlags::empty())];
    polled.extend(sources.into_iter().map(|source| PollFd::from_borrowed_fd(source, PollFlags::IN)));
    match poll(&mut polled, Some(&limit)) {
        Ok(_) | Err(Errno::INTR) => Ok(polled[0].revents().is_empty()),
        Err(error) => Err(error.into()),
    }
}

/// Filters a subscription: of messages about routes, only deletions of routes of `protocol` pass.
pub(crate) fn filter_routes(socket: impl AsFd, new: u16, gone: u16, protocol: u8) -> io::Result<()> {
    const TYPE: u32 = 4;
    const RTM_PROTOCOL: u32 = 21;
    let swapped = |kind: u16| u32::from(u16::from_be_bytes(kind.to_ne_bytes()));
    let load = |size: u32, offset| step(libc::BPF_LD | size | libc::BPF_ABS, offset, (0, 0));
    let is = |value, (yes, no)| step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, (yes, no));
    let end = |length| step(libc::BPF_RET | libc::BPF_K, length, (0, 0));
    let mut filter = [
        load(libc::BPF_H, TYPE),
        is(swapped(new), (3, 0)),
        is(swapped(gone), (0, 3)),
        load(libc::BPF_B, RTM_PROTOCOL),
        is(protocol.into(), (1, 0)),
        end(0),
        end(u32::MAX),
    ];
    attach_filter(socket.as_fd(), &mut filter)
}

fn attach_filter(socket: BorrowedFd<'_>, filter: &mut [libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    let (pointer, length) = ((&raw const program).cast(), size_of_val(&program) as u32);
    let socket = socket.as_raw_fd();
    // SAFETY: `program` and the filter that it points to live past the call, with these lengths.
    retry(|| unsafe { libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, pointer, length) } as isize)
        .map(drop)
}

/// Has a socket run a program on each message that is queued there.
pub(crate) fn attach_program(socket: impl AsFd, program: impl AsFd) -> io::Result<()> {
    const SO_ATTACH_BPF: i32 = 50;
    let program = program.as_fd().as_raw_fd();
    let (socket, pointer) = (socket.as_fd().as_raw_fd(), (&raw const program).cast());
    let length = size_of_val(&program) as u32;
    // SAFETY: `program` lives past the call, with this length.
    retry(|| unsafe { libc::setsockopt(socket, libc::SOL_SOCKET, SO_ATTACH_BPF, pointer, length) } as isize).map(drop)
}

fn step(code: u32, k: u32, (jt, jf): (u8, u8)) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

/// Lets programs that this process starts inherit only the standard descriptors. Has no effect before Linux 5.11.
pub fn close_descriptors_on_exec() {
    const CLOEXEC: libc::c_uint = 4;
    // SAFETY: this closes nothing; it only marks descriptors to be closed in programs that are started.
    unsafe { libc::syscall(libc::SYS_close_range, 3 as libc::c_uint, libc::c_uint::MAX, CLOEXEC) };
}

/// A socket that sends whole frames and receives none. Closing it takes long, as the kernel waits for all CPUs: keep it.
#[derive(Debug)]
pub struct FrameSocket(OwnedFd);

impl FrameSocket {
    /// Opens one in the calling thread's netns.
    pub fn open() -> Result<Self> {
        packet_socket().map(Self).map_err(io_error("open", "a packet socket"))
    }

    /// Sends a frame out of a device.
    pub fn send(&self, ifindex: IfIndex, frame: &[u8]) -> Result<()> {
        let to = link_address(ifindex, 0);
        let (address, length) = ((&raw const to).cast::<libc::sockaddr>(), size_of::<libc::sockaddr_ll>() as u32);
        let (data, size) = (frame.as_ptr().cast(), frame.len());
        // SAFETY: `frame` and `to` live past the call and are as long as we say.
        retry(|| unsafe { libc::sendto(self.0.as_raw_fd(), data, size, 0, address, length) })
            .map(drop)
            .map_err(io_error("send a frame out of", device(ifindex)))
    }
}

/// A socket that hears what a device sends of ARP and of neighbour advertisements. Closing it takes long, as above.
#[derive(Debug)]
pub(crate) struct NeighbourSocket(OwnedFd);

impl NeighbourSocket {
    /// Opens one for a device of the calling thread's netns; of a tap device it hears what the guest sends.
    pub fn open(ifindex: IfIndex, tap: bool) -> Result<Self> {
        Self::bound(ifindex, tap).map_err(io_error("listen on", device(ifindex)))
    }

    fn bound(ifindex: IfIndex, tap: bool) -> io::Result<Self> {
        let socket = packet_socket()?;
        attach_filter(socket.as_fd(), &mut neighbour_filter(tap))?;
        let at = link_address(ifindex, (libc::ETH_P_ALL as u16).to_be());
        let (address, length) = ((&raw const at).cast::<libc::sockaddr>(), size_of::<libc::sockaddr_ll>() as u32);
        // SAFETY: `at` lives past the call and is as long as we say.
        retry(|| unsafe { libc::bind(socket.as_raw_fd(), address, length) } as isize)?;
        Ok(Self(socket))
    }

    /// The next frame, or as much of it as there is room for, without waiting; none if there is none.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Option<&'a [u8]>> {
        match rustix::net::recv(&self.0, &mut *buffer, rustix::net::RecvFlags::DONTWAIT) {
            Ok((length, _)) => Ok(Some(&buffer[..length])),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether frames found no room in the socket since this was last asked.
    pub fn has_lost(&self) -> io::Result<bool> {
        let mut counts = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        // SAFETY: it is two plain numbers, for which any bytes will do.
        unsafe { socket_option(self.0.as_fd(), (libc::SOL_PACKET, libc::PACKET_STATISTICS), &mut counts)? };
        Ok(counts.tp_drops > 0)
    }
}

impl AsFd for NeighbourSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// ARP, and ICMPv6 advertisements right behind the IPv6 header, in frames that the device sends or, of a tap device,
/// receives.
fn neighbour_filter(tap: bool) -> [libc::sock_filter; 11] {
    const PACKET_TYPE: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE).cast_unsigned();
    const ETHERTYPE: u32 = 12;
    const NEXT_HEADER: u32 = 20;
    const ICMP_TYPE: u32 = 54;
    const ADVERTISEMENT: u32 = 136;
    let load = |size: u32, offset| step(libc::BPF_LD | size | libc::BPF_ABS, offset, (0, 0));
    let is = |value, (yes, no)| step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, (yes, no));
    let end = |length| step(libc::BPF_RET | libc::BPF_K, length, (0, 0));
    [
        load(libc::BPF_B, PACKET_TYPE),
        is(libc::PACKET_OUTGOING.into(), if tap { (7, 0) } else { (0, 7) }),
        load(libc::BPF_H, ETHERTYPE),
        is(libc::ETH_P_ARP as u32, (6, 0)),
        is(libc::ETH_P_IPV6 as u32, (0, 4)),
        load(libc::BPF_B, NEXT_HEADER),
        is(libc::IPPROTO_ICMPV6 as u32, (0, 2)),
        load(libc::BPF_B, ICMP_TYPE),
        is(ADVERTISEMENT, (1, 0)),
        end(0),
        end(u32::MAX),
    ]
}

fn packet_socket() -> io::Result<OwnedFd> {
    // SAFETY: `socket` takes numbers only.
    retry(|| unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) } as isize)
        // SAFETY: the kernel has just opened this descriptor for us, and nothing else uses it.
        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

fn link_address(ifindex: IfIndex, protocol: u16) -> libc::sockaddr_ll {
    // SAFETY: all bytes zero is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    (address.sll_family, address.sll_ifindex) = (libc::AF_PACKET as u16, ifindex.0.cast_signed());
    address.sll_protocol = protocol;
    address
}

/// A time in this process's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct LocalTime {
    pub year: i32,
    /// From 1.
    pub month: u8,
    pub day: u8,
    /// From Sunday, which is 0.
    pub weekday: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
}

/// The local time, so many seconds after the Unix epoch.
pub fn local_time(seconds: i64) -> LocalTime {
    let seconds: libc::time_t = seconds;
    // SAFETY: all bytes zero is a valid `tm`.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals that live past the call.
    unsafe { libc::localtime_r(&raw const seconds, &raw mut tm) };
    let small = |number: i32| number as u8;
    let (month, day, weekday) = (small(tm.tm_mon + 1), small(tm.tm_mday), small(tm.tm_wday));
    let (hour, minute, second) = (small(tm.tm_hour), small(tm.tm_min), small(tm.tm_sec));
    LocalTime { year: tm.tm_year + 1900, month, day, weekday, hour, minute, second }
}

/// Moves the calling thread into a new network namespace. The thread must end soon: the rest of the process stays behind.
pub(crate) fn enter_new_netns() -> io::Result<()> {
    // SAFETY: a network namespace belongs to the thread alone; the threads go on sharing memory and descriptors.
    Ok(unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?)
}

/// The cookie of the netns of `socket`: a number that no other netns has had since boot. Linux 5.14.
pub(crate) fn netns_cookie(socket: impl AsFd) -> io::Result<u64> {
    let mut cookie = 0;
    // SAFETY: any eight bytes are a u64.
    unsafe { socket_option(socket.as_fd(), (libc::SOL_SOCKET, SO_NETNS_COOKIE), &mut cookie)? };
    Ok(cookie)
}

/// The process at the other end of a unix socket.
pub(crate) struct Peer {
    /// Its pid; 0 if it is outside of our pid namespace.
    pub pid: u32,
    /// Its effective user.
    pub uid: u32,
}

/// The process at the other end of a unix socket.
pub(crate) fn peer(socket: impl AsFd) -> io::Result<Peer> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    // SAFETY: a ucred is three plain numbers, for which any bytes will do.
    unsafe { socket_option(socket.as_fd(), (libc::SOL_SOCKET, libc::SO_PEERCRED), &mut peer)? };
    Ok(Peer { pid: peer.pid.cast_unsigned(), uid: peer.uid })
}

/// # Safety
/// Any bytes must make a valid `T`.
unsafe fn socket_option<T>(socket: BorrowedFd<'_>, (level, option): (i32, i32), value: &mut T) -> io::Result<()> {
    let mut length = size_of::<T>() as libc::socklen_t;
    let pointer = std::ptr::from_mut(value).cast::<c_void>();
    // SAFETY: `value` and `length` live past the call, and `value` is as long as `length` says.
    retry(|| unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, pointer, &raw mut length) } as isize)
        .map(drop)
}

/// # Safety
/// `header` must come from a successful `recvmsg`, with its control buffer still in place.
unsafe fn nsid_of(header: &libc::msghdr) -> Option<NsId> {
    // SAFETY: the caller answers for `header`.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: a header that CMSG_FIRSTHDR or CMSG_NXTHDR found lies within the control buffer.
    while let Some(found) = unsafe { message.as_ref() } {
        if (found.cmsg_level, found.cmsg_type) == (libc::SOL_NETLINK, libc::NETLINK_LISTEN_ALL_NSID) {
            // SAFETY: the kernel puts one int behind a header of this type.
            return Some(NsId(unsafe { libc::CMSG_DATA(message).cast::<i32>().read_unaligned() }));
        }
        // SAFETY: as above.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    None
}

pub(crate) fn retry(mut call: impl FnMut() -> isize) -> io::Result<isize> {
    loop {
        match call() {
            -1 => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
            value => return Ok(value),
        }
    }
}

fn device(ifindex: IfIndex) -> String {
    format!("link {ifindex}")
}
