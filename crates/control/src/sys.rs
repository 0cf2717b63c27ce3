//! Which system calls does nobody else offer? `bpf(2)` to attach, replace, find; netlink's ancillary data; two options.
//!
//! Programs are attached without a link, so that they outlive whoever attached them and need no pin.
#![allow(unsafe_code)]

use crate::error::{Error, Result, io_error};
use std::ffi::c_void;
use std::io;
use std::mem::{size_of, size_of_val};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use zerocopy::{FromZeros, Immutable, IntoBytes};

/// Where on a device a program hangs (`enum bpf_attach_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum AttachType {
    /// What comes in, Linux 6.6.
    TcxIngress = 46,
    /// What goes out, Linux 6.6.
    TcxEgress = 47,
    /// What the primary device of a netkit pair sends, Linux 6.7.
    NetkitPrimary = 54,
    /// What its peer sends, Linux 6.7.
    NetkitPeer = 55,
}

/// What the kernel says of a loaded program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgInfo {
    /// Its id.
    pub id: u32,
    /// The first 15 bytes of its function's name.
    pub name: String,
    /// The digest of its instructions.
    pub tag: [u8; 8],
    /// The maps it uses.
    pub map_ids: Vec<u32>,
}

const BPF_PROG_ATTACH: i32 = 8;
const BPF_PROG_DETACH: i32 = 9;
const BPF_PROG_GET_FD_BY_ID: i32 = 13;
const BPF_MAP_GET_FD_BY_ID: i32 = 14;
const BPF_OBJ_GET_INFO_BY_FD: i32 = 15;
const BPF_PROG_QUERY: i32 = 16;
const BPF_F_REPLACE: u32 = 1 << 2;
/// The kernel lets no more programs hang on one hook (`BPF_MPROG_MAX`).
const MAX_PROGRAMS: usize = 64;
/// The verifier lets no more maps into one program (`MAX_USED_MAPS`).
const MAX_MAPS: usize = 64;
const SO_NETNS_COOKIE: i32 = 71;

/// Hangs `program` on the device, behind those that hang there.
pub fn prog_attach(ifindex: u32, program: impl AsFd, at: AttachType) -> Result<()> {
    let prog = raw(&program);
    let attr = AttachAttr { ifindex, prog, at: at as u32, ..AttachAttr::new_zeroed() };
    bpf(BPF_PROG_ATTACH, &attr).map(drop).map_err(failed("attach a program to", device(ifindex)))
}

/// Puts `program` in the place of `old`; no packet meets neither or both.
pub fn prog_replace(ifindex: u32, program: impl AsFd, old: impl AsFd, at: AttachType) -> Result<()> {
    let (prog, replace) = (raw(&program), raw(&old));
    let attr = AttachAttr { ifindex, prog, at: at as u32, flags: BPF_F_REPLACE, replace, ..AttachAttr::new_zeroed() };
    bpf(BPF_PROG_ATTACH, &attr).map(drop).map_err(failed("replace the program on", device(ifindex)))
}

/// Takes `program` off the device; false if it does not hang there.
pub fn prog_detach(ifindex: u32, program: impl AsFd, at: AttachType) -> Result<bool> {
    let attr = AttachAttr { ifindex, prog: raw(&program), at: at as u32, ..AttachAttr::new_zeroed() };
    match bpf(BPF_PROG_DETACH, &attr).map_err(failed("detach a program from", device(ifindex))) {
        Err(error) if error.is_gone() => Ok(false),
        other => other.map(|_| true),
    }
}

/// The ids of the programs on the device, in the order in which they run; none if the device is gone.
pub fn prog_query(ifindex: u32, at: AttachType) -> Result<Vec<u32>> {
    let mut ids = [0_u32; MAX_PROGRAMS];
    let mut attr = QueryAttr { ifindex, at: at as u32, ..QueryAttr::new_zeroed() };
    (attr.ids, attr.count) = (address(ids.as_mut_slice()), ids.len() as u32);
    // SAFETY: `ids` lives past the call, is writable, and has the room that `count` says.
    let result = unsafe { bpf_mut(BPF_PROG_QUERY, &mut attr) };
    match result.map_err(failed("query the programs of", device(ifindex))) {
        Err(error) if error.is_gone() => Ok(Vec::new()),
        other => other.map(|_| ids[..MAX_PROGRAMS.min(attr.count as usize)].to_vec()),
    }
}

/// The program with this id.
pub fn prog_fd_by_id(id: u32) -> Result<OwnedFd> {
    fd_by_id(BPF_PROG_GET_FD_BY_ID, id).map_err(failed("open", format!("bpf program {id}")))
}

/// The map with this id.
pub fn map_fd_by_id(id: u32) -> Result<OwnedFd> {
    fd_by_id(BPF_MAP_GET_FD_BY_ID, id).map_err(failed("open", format!("bpf map {id}")))
}

/// Describes a program.
pub fn prog_info(program: impl AsFd) -> Result<ProgInfo> {
    let mut map_ids = [0_u32; MAX_MAPS];
    let mut info = RawProgInfo::new_zeroed();
    (info.map_ids, info.map_count) = (address(map_ids.as_mut_slice()), MAX_MAPS as u32);
    let mut attr = InfoAttr { fd: raw(&program), length: size_of::<RawProgInfo>() as u32, info: 0 };
    attr.info = address(std::slice::from_mut(&mut info));
    // SAFETY: `info` and the `map_ids` it points to live past the call, are writable and as long as they say.
    let result = unsafe { bpf_mut(BPF_OBJ_GET_INFO_BY_FD, &mut attr) };
    result.map_err(failed("describe", "a bpf program".to_owned()))?;
    let name = info.name.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = String::from_utf8_lossy(name).into_owned();
    let map_ids = map_ids[..MAX_MAPS.min(info.map_count as usize)].to_vec();
    Ok(ProgInfo { id: info.id, name, tag: info.tag, map_ids })
}

/// Reads one datagram without waiting: its length, and the id of the netns it is about where that is not our own.
pub(crate) fn receive_with_nsid(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Option<i32>)> {
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

/// Keeps a subscription from hearing of routes, but for the end of those that `protocol` made.
pub(crate) fn hear_of_routes(socket: impl AsFd, new: u16, gone: u16, protocol: u8) -> io::Result<()> {
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
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    let (pointer, length) = ((&raw const program).cast(), size_of_val(&program) as u32);
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: `program` and the filter that it points to live past the call, with these lengths.
    retry(|| unsafe { libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, pointer, length) } as isize)
        .map(drop)
}

fn step(code: u32, k: u32, (jt, jf): (u8, u8)) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

/// Lets no program that we start inherit a descriptor but the standard ones. Before Linux 5.11 it has no effect.
pub fn keep_descriptors_to_ourselves() {
    const CLOEXEC: libc::c_uint = 4;
    // SAFETY: this closes nothing; it only marks what a program started from here shall not have.
    unsafe { libc::syscall(libc::SYS_close_range, 3 as libc::c_uint, libc::c_uint::MAX, CLOEXEC) };
}

/// A socket that sends whole frames and hears nothing. To close one, the kernel waits for all CPUs: keep it.
#[derive(Debug)]
pub struct FrameSocket(OwnedFd);

impl FrameSocket {
    /// Opens one in the calling thread's netns.
    pub fn open() -> Result<Self> {
        // SAFETY: `socket` takes numbers only.
        retry(|| unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) } as isize)
            // SAFETY: the kernel has just opened this descriptor for us, and nobody else knows it.
            .map(|fd| Self(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }))
            .map_err(io_error("open", "a packet socket"))
    }

    /// Sends a frame out of a device.
    pub fn send(&self, ifindex: u32, frame: &[u8]) -> Result<()> {
        // SAFETY: all bytes zero is a valid sockaddr_ll.
        let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        (to.sll_family, to.sll_ifindex) = (libc::AF_PACKET as u16, ifindex.cast_signed());
        let (address, length) = ((&raw const to).cast::<libc::sockaddr>(), size_of::<libc::sockaddr_ll>() as u32);
        let (data, size) = (frame.as_ptr().cast(), frame.len());
        // SAFETY: `frame` and `to` live past the call and are as long as we say.
        retry(|| unsafe { libc::sendto(self.0.as_raw_fd(), data, size, 0, address, length) })
            .map(drop)
            .map_err(io_error("send a frame out of", device(ifindex)))
    }
}

/// A moment as people here write it.
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

/// The time in this process's time zone, so many seconds after 1970 began in Greenwich.
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

/// A number that the kernel gives to the netns of `socket` alone, ever. Linux 5.14.
pub(crate) fn netns_cookie(socket: impl AsFd) -> io::Result<u64> {
    let mut cookie = 0;
    // SAFETY: any eight bytes are a u64.
    unsafe { socket_option(socket.as_fd(), SO_NETNS_COOKIE, &mut cookie)? };
    Ok(cookie)
}

/// Process and effective user at the other end of a unix socket; process 0 if it is in no pid namespace of ours.
pub(crate) fn peer(socket: impl AsFd) -> io::Result<(u32, u32)> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    // SAFETY: a ucred is three plain numbers, for which any bytes will do.
    unsafe { socket_option(socket.as_fd(), libc::SO_PEERCRED, &mut peer)? };
    Ok((peer.pid.cast_unsigned(), peer.uid))
}

/// `union bpf_attr`, as `BPF_PROG_ATTACH` and `BPF_PROG_DETACH` read it.
#[derive(FromZeros, IntoBytes, Immutable)]
#[repr(C)]
struct AttachAttr {
    ifindex: u32,
    prog: u32,
    at: u32,
    flags: u32,
    replace: u32,
    relative: u32,
    expected_revision: u64,
}

/// The same for `BPF_PROG_QUERY`.
#[derive(FromZeros, IntoBytes, Immutable)]
#[repr(C)]
struct QueryAttr {
    ifindex: u32,
    at: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    reserved: u32,
    flags_of_each: u64,
    link_ids: u64,
    link_flags: u64,
    revision: u64,
}

/// The same for `BPF_PROG_GET_FD_BY_ID` and `BPF_MAP_GET_FD_BY_ID`.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct IdAttr {
    id: u32,
    next: u32,
    flags: u32,
}

/// The same for `BPF_OBJ_GET_INFO_BY_FD`.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct InfoAttr {
    fd: u32,
    length: u32,
    info: u64,
}

/// The beginning of `struct bpf_prog_info`.
#[derive(FromZeros)]
#[repr(C)]
struct RawProgInfo {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    jited_length: u32,
    xlated_length: u32,
    jited: u64,
    xlated: u64,
    load_time: u64,
    uid: u32,
    map_count: u32,
    map_ids: u64,
    name: [u8; 16],
}

fn fd_by_id(command: i32, id: u32) -> io::Result<OwnedFd> {
    let fd = bpf(command, &IdAttr { id, next: 0, flags: 0 })?;
    // SAFETY: the kernel has just opened this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// A command that only reads its attributes, which hold no pointers.
fn bpf(command: i32, attr: &(impl IntoBytes + Immutable)) -> io::Result<i64> {
    // SAFETY: `attr` lives past the call and is as long as we say; the commands used write nothing to it.
    retry(|| unsafe {
        libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attr).cast::<c_void>(), size_of_val(attr))
    } as isize)
    .map(|value| value as i64)
}

/// A command that answers in its attributes.
///
/// # Safety
/// Every pointer in `attr` must be to memory that the kernel may write as `attr` says.
unsafe fn bpf_mut<T: IntoBytes>(command: i32, attr: &mut T) -> io::Result<i64> {
    let pointer = std::ptr::from_mut(attr).cast::<c_void>();
    // SAFETY: `attr` lives past the call, is writable and as long as we say; the caller answers for its pointers.
    retry(|| unsafe { libc::syscall(libc::SYS_bpf, command, pointer, size_of::<T>()) } as isize)
        .map(|value| value as i64)
}

/// # Safety
/// Any bytes must make a valid `T`.
unsafe fn socket_option<T>(socket: BorrowedFd<'_>, option: i32, value: &mut T) -> io::Result<()> {
    let mut length = size_of::<T>() as libc::socklen_t;
    let pointer = std::ptr::from_mut(value).cast::<c_void>();
    // SAFETY: `value` and `length` live past the call, and `value` is as long as `length` says.
    retry(
        || unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, pointer, &raw mut length) } as isize
    )
    .map(drop)
}

/// # Safety
/// `header` must come from a successful `recvmsg`, with its control buffer still in place.
unsafe fn nsid_of(header: &libc::msghdr) -> Option<i32> {
    // SAFETY: the caller answers for `header`.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: a header that CMSG_FIRSTHDR or CMSG_NXTHDR found lies within the control buffer.
    while let Some(found) = unsafe { message.as_ref() } {
        if (found.cmsg_level, found.cmsg_type) == (libc::SOL_NETLINK, libc::NETLINK_LISTEN_ALL_NSID) {
            // SAFETY: the kernel puts one int behind a header of this type.
            return Some(unsafe { libc::CMSG_DATA(message).cast::<i32>().read_unaligned() });
        }
        // SAFETY: as above.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    None
}

fn retry(mut call: impl FnMut() -> isize) -> io::Result<isize> {
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

fn failed(op: &'static str, object: String) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Bpf { op, object, source }
}

fn device(ifindex: u32) -> String {
    format!("link {ifindex}")
}

fn raw(fd: &impl AsFd) -> u32 {
    fd.as_fd().as_raw_fd().cast_unsigned()
}

fn address<T>(slice: &mut [T]) -> u64 {
    slice.as_mut_ptr().addr() as u64
}
