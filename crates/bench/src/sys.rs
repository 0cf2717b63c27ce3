//! How is `bpf(2)` asked to load instructions, to run a program often, and to describe it?
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const BPF_MAP_CREATE: i32 = 0;
const BPF_PROG_LOAD: i32 = 5;
const BPF_PROG_ATTACH: i32 = 8;
const BPF_PROG_DETACH: i32 = 9;
const BPF_PROG_TEST_RUN: i32 = 10;
const BPF_OBJ_GET_INFO_BY_FD: i32 = 15;
const SCHED_CLS: u32 = 3;
/// `struct __sk_buff`, and where it has the input device.
const CONTEXT: usize = 192;
const INGRESS_IFINDEX: usize = 36;
const IFINDEX: usize = 40;
const LICENSE: &[u8; 4] = b"GPL\0";

#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    rest: [u64; 4],
}

#[repr(C)]
#[derive(Default)]
struct TestAttr {
    program: i32,
    result: u32,
    length_in: u32,
    length_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    nanoseconds: u32,
    context_in_length: u32,
    context_out_length: u32,
    context_in: u64,
    context_out: u64,
    rest: [u32; 4],
}

#[repr(C)]
struct InfoAttr {
    program: i32,
    length: u32,
    info: u64,
}

/// `struct bpf_prog_info`.
#[repr(C, align(8))]
struct Info([u32; 64]);

/// What the kernel says of a program's size.
pub struct Size {
    /// Instructions after the verifier's rewriting.
    pub translated: u32,
    /// Bytes of machine code.
    pub machine_code: u32,
    /// How many instructions the verifier walked.
    pub verified: u32,
}

/// Loads a program for a device's hook.
pub fn load(instructions: &[u64]) -> io::Result<OwnedFd> {
    load_as(SCHED_CLS, instructions)
}

/// Loads a program of another kind (`enum bpf_prog_type`).
pub fn load_as(kind: u32, instructions: &[u64]) -> io::Result<OwnedFd> {
    let mut attr = LoadAttr {
        kind,
        count: instructions.len() as u32,
        instructions: instructions.as_ptr().addr() as u64,
        license: LICENSE.as_ptr().addr() as u64,
        ..LoadAttr::default()
    };
    // SAFETY: the instructions and the license outlive the call, and are as long as it says or end with zero.
    let fd = unsafe { bpf(BPF_PROG_LOAD, &mut attr) }?;
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes an empty map of that kind (`enum bpf_map_type`).
pub fn map(kind: u32, key: u32, value: u32, entries: u32) -> io::Result<OwnedFd> {
    // SAFETY: the attributes are numbers only.
    let fd = unsafe { bpf(BPF_MAP_CREATE, &mut [kind, key, value, entries, 0]) }?;
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Hangs a program on what is no device: a cgroup, a map.
pub fn attach(to: BorrowedFd<'_>, program: BorrowedFd<'_>, at: u32) -> io::Result<()> {
    let [to, program] = [to, program].map(|fd| fd.as_raw_fd().cast_unsigned());
    // SAFETY: the attributes are numbers only.
    unsafe { bpf(BPF_PROG_ATTACH, &mut [to, program, at, 0]) }.map(drop)
}

/// Takes it off again.
pub fn detach(from: BorrowedFd<'_>, program: BorrowedFd<'_>, at: u32) -> io::Result<()> {
    let [from, program] = [from, program].map(|fd| fd.as_raw_fd().cast_unsigned());
    // SAFETY: the attributes are numbers only.
    unsafe { bpf(BPF_PROG_DETACH, &mut [from, program, at, 0]) }.map(drop)
}

/// Sets a socket's option that is a number.
pub fn set_option(socket: BorrowedFd<'_>, level: i32, option: i32, number: i32) -> io::Result<()> {
    let value = std::ptr::from_ref(&number).cast();
    // SAFETY: the number outlives the call and is as long as it says.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value, size_of::<i32>() as u32) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Runs a program `repeat` times on a frame that comes in by `ifindex`: what it returned, and nanoseconds a time.
pub fn test_run(program: BorrowedFd<'_>, frame: &[u8], ifindex: u32, repeat: u32) -> io::Result<(u32, u32)> {
    let mut context = [0_u8; CONTEXT];
    for field in [INGRESS_IFINDEX, IFINDEX] {
        context[field..field + 4].copy_from_slice(&ifindex.to_ne_bytes());
    }
    let mut attr = TestAttr {
        program: program.as_raw_fd(),
        length_in: frame.len() as u32,
        data_in: frame.as_ptr().addr() as u64,
        context_in: context.as_ptr().addr() as u64,
        context_in_length: CONTEXT as u32,
        repeat,
        ..TestAttr::default()
    };
    // SAFETY: the frame and the context outlive the call and are as long as it says; nothing is written to them.
    unsafe { bpf(BPF_PROG_TEST_RUN, &mut attr) }?;
    Ok((attr.result, attr.nanoseconds))
}

/// Describes a program.
pub fn size(program: BorrowedFd<'_>) -> io::Result<Size> {
    let mut info = Info([0; 64]);
    let length = size_of::<Info>() as u32;
    let mut attr = InfoAttr { program: program.as_raw_fd(), length, info: (&raw mut info).addr() as u64 };
    // SAFETY: `info` outlives the call, is writable and as long as it says; it asks for no arrays.
    unsafe { bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attr) }?;
    let Info(words) = info;
    Ok(Size { machine_code: words[4], translated: words[5] / 8, verified: words[54] })
}

/// # Safety
/// Every address in `attr` must be that of memory which the command may use as `attr` says.
unsafe fn bpf<T>(command: i32, attr: &mut T) -> io::Result<i32> {
    // SAFETY: `attr` is live and as long as stated; what it points to is the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}
