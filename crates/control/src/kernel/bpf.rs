//! How is a program attached to a device's hook, queried there, replaced, and opened by its id? By `bpf(2)` itself: aya
//! attaches by links only, and not to netkit at all.
//!
//! Without a link, a program outlives the process that attached it, and needs no pin.
#![allow(unsafe_code)]

use crate::error::{Error, Result};
use crate::kernel::sys::retry;
use ipvl_core::IfIndex;
use std::ffi::c_void;
use std::io;
use std::mem::{size_of, size_of_val};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use zerocopy::{FromZeros, Immutable, IntoBytes};

/// A hash of sockets (`enum bpf_map_type`).
pub const SOCKHASH: u32 = 18;

/// A hook of a device (`enum bpf_attach_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum AttachType {
    /// What the device receives, Linux 6.6.
    TcxIngress = 46,
    /// What the device sends, Linux 6.6.
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

/// A program that a socket runs on what is sent to it.
pub const SOCKET_FILTER: u32 = 1;
/// A program for a TC hook.
pub const SCHED_CLS: u32 = 3;
const BPF_MAP_UPDATE_ELEM: i32 = 2;
const BPF_MAP_GET_NEXT_KEY: i32 = 4;
const BPF_PROG_LOAD: i32 = 5;
const BPF_PROG_ATTACH: i32 = 8;
const BPF_PROG_DETACH: i32 = 9;
const BPF_PROG_TEST_RUN: i32 = 10;
const BPF_MAP_GET_NEXT_ID: i32 = 12;
const BPF_PROG_GET_FD_BY_ID: i32 = 13;
const BPF_MAP_GET_FD_BY_ID: i32 = 14;
const BPF_OBJ_GET_INFO_BY_FD: i32 = 15;
const BPF_PROG_QUERY: i32 = 16;
const BPF_F_REPLACE: u32 = 1 << 2;
const BPF_F_BEFORE: u32 = 1 << 3;
const BPF_NOEXIST: u64 = 1;
/// The most programs on one hook (`BPF_MPROG_MAX`).
const MAX_PROGRAMS: usize = 64;
/// The most maps of one program (`MAX_USED_MAPS`).
const MAX_MAPS: usize = 64;

/// Attaches `program` to the device, behind those that are attached already.
pub fn prog_attach(ifindex: IfIndex, program: impl AsFd, at: AttachType) -> Result<()> {
    let prog = raw(&program);
    let attr = AttachAttr { ifindex: ifindex.0, prog, at: at as u32, ..AttachAttr::new_zeroed() };
    bpf(BPF_PROG_ATTACH, &attr).map(drop).map_err(failed("attach a program to", device(ifindex)))
}

/// Attaches `program` to the device, before those that are attached already.
pub fn prog_attach_first(ifindex: IfIndex, program: impl AsFd, at: AttachType) -> Result<()> {
    let prog = raw(&program);
    let (at, flags) = (at as u32, BPF_F_BEFORE);
    let attr = AttachAttr { ifindex: ifindex.0, prog, at, flags, ..AttachAttr::new_zeroed() };
    bpf(BPF_PROG_ATTACH, &attr).map(drop).map_err(failed("attach a program to", device(ifindex)))
}

/// Replaces `old` by `program`: each packet meets exactly one of them.
pub fn prog_replace(ifindex: IfIndex, program: impl AsFd, old: impl AsFd, at: AttachType) -> Result<()> {
    let (prog, replace) = (raw(&program), raw(&old));
    let attr = AttachAttr {
        ifindex: ifindex.0,
        prog,
        at: at as u32,
        flags: BPF_F_REPLACE,
        replace,
        ..AttachAttr::new_zeroed()
    };
    bpf(BPF_PROG_ATTACH, &attr).map(drop).map_err(failed("replace the program on", device(ifindex)))
}

/// Detaches `program` from the device; false if it is not attached.
pub fn prog_detach(ifindex: IfIndex, program: impl AsFd, at: AttachType) -> Result<bool> {
    let attr = AttachAttr { ifindex: ifindex.0, prog: raw(&program), at: at as u32, ..AttachAttr::new_zeroed() };
    match bpf(BPF_PROG_DETACH, &attr).map_err(failed("detach a program from", device(ifindex))) {
        Err(error) if error.is_gone() => Ok(false),
        other => other.map(|_| true),
    }
}

/// The ids of the programs on the device, in the order in which they run; none if the device is gone.
pub fn prog_query(ifindex: IfIndex, at: AttachType) -> Result<Vec<u32>> {
    let mut ids = [0_u32; MAX_PROGRAMS];
    let mut attr = QueryAttr { ifindex: ifindex.0, at: at as u32, ..QueryAttr::new_zeroed() };
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

/// The id of the map that was made next after the one with this id, of all maps that exist.
pub fn map_after(id: u32) -> Result<Option<u32>> {
    let mut attr = IdAttr { id, next: 0, flags: 0 };
    // SAFETY: the attributes hold no pointers.
    let result = unsafe { bpf_mut(BPF_MAP_GET_NEXT_ID, &mut attr) };
    match result.map_err(failed("list", "bpf maps".to_owned())) {
        Err(error) if error.is_gone() => Ok(None),
        other => other.map(|_| Some(attr.next)),
    }
}

/// Whether a map is a hash of sockets with this name.
pub fn is_socket_hash(map: impl AsFd, name: &str) -> Result<bool> {
    map_info(map).map(|info| info.kind == SOCKHASH && info.name == padded(name))
}

/// The id of a map.
pub fn map_id(map: impl AsFd) -> Result<u32> {
    map_info(map).map(|info| info.id)
}

fn map_info(map: impl AsFd) -> Result<RawMapInfo> {
    let mut info = RawMapInfo::new_zeroed();
    let mut attr = InfoAttr { fd: raw(&map), length: size_of::<RawMapInfo>() as u32, info: 0 };
    attr.info = address(std::slice::from_mut(&mut info));
    // SAFETY: `info` lives past the call, is writable and as long as we say.
    let result = unsafe { bpf_mut(BPF_OBJ_GET_INFO_BY_FD, &mut attr) };
    result.map_err(failed("describe", "a bpf map".to_owned())).map(|_| info)
}

/// Puts a socket into a hash, unless the key is there: false then. The kernel takes it out when the socket is closed.
pub fn insert_socket(map: impl AsFd, key: &(impl IntoBytes + Immutable), socket: impl AsFd) -> Result<bool> {
    let value = u64::from(raw(&socket));
    let (key, value) = (key.as_bytes().as_ptr().addr() as u64, std::ptr::from_ref(&value).addr() as u64);
    let attr = ElementAttr { map: raw(&map), padding: 0, key, value, flags: BPF_NOEXIST };
    match bpf(BPF_MAP_UPDATE_ELEM, &attr).map_err(failed("write to", "a bpf map of sockets".to_owned())) {
        Err(error) if error.is_exists() => Ok(false),
        other => other.map(|_| true),
    }
}

/// The key behind this one, or the first; the first also where this one is gone.
pub fn next_key<K: FromZeros + IntoBytes + Immutable>(map: impl AsFd, key: Option<&K>) -> Result<Option<K>> {
    let mut next = K::new_zeroed();
    let key = key.map_or(0, |key| key.as_bytes().as_ptr().addr() as u64);
    let value = address(std::slice::from_mut(&mut next));
    let mut attr = ElementAttr { map: raw(&map), padding: 0, key, value, flags: 0 };
    // SAFETY: both keys live past the call and are as long as the map's keys; the next one is writable.
    match unsafe { bpf_mut(BPF_MAP_GET_NEXT_KEY, &mut attr) }.map_err(failed("read", "a bpf map".to_owned())) {
        Err(error) if error.is_gone() => Ok(None),
        other => other.map(|_| Some(next)),
    }
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

/// Loads a program of this kind from its instructions.
pub fn prog_load(kind: u32, instructions: &[[u8; 8]]) -> Result<OwnedFd> {
    let license = c"GPL".to_bytes_with_nul();
    let (insns, license) = (instructions.as_ptr().addr() as u64, license.as_ptr().addr() as u64);
    let attr = LoadAttr { kind, count: instructions.len() as u32, insns, license, ..LoadAttr::new_zeroed() };
    bpf_fd(BPF_PROG_LOAD, &attr).map_err(failed("load", "a bpf program".to_owned()))
}

/// Runs a program for a TC hook on a frame, which it may change; its return value.
pub fn prog_test_run(program: impl AsFd, frame: &mut [u8]) -> Result<u32> {
    let (given, length) = (frame.to_vec(), frame.len() as u32);
    let mut attr = TestAttr { prog: raw(&program), size_in: length, size_out: length, ..TestAttr::new_zeroed() };
    (attr.data_in, attr.data_out) = (given.as_ptr().addr() as u64, address(frame));
    // SAFETY: `given` and `frame` live past the call and are as long as we say; `frame` is writable.
    let result = unsafe { bpf_mut(BPF_PROG_TEST_RUN, &mut attr) };
    result.map(|_| attr.retval).map_err(failed("run", "a bpf program".to_owned()))
}

/// `union bpf_attr`, as `BPF_PROG_LOAD` reads it.
#[derive(FromZeros, IntoBytes, Immutable)]
#[repr(C)]
struct LoadAttr {
    kind: u32,
    count: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
}

/// The same for `BPF_MAP_UPDATE_ELEM` and `BPF_MAP_GET_NEXT_KEY`.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct ElementAttr {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// The beginning of `struct bpf_map_info`.
#[derive(FromZeros)]
#[repr(C)]
struct RawMapInfo {
    kind: u32,
    id: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    name: [u8; 16],
}

/// The same for `BPF_PROG_TEST_RUN`.
#[derive(FromZeros, IntoBytes, Immutable)]
#[repr(C)]
struct TestAttr {
    prog: u32,
    retval: u32,
    size_in: u32,
    size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
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

/// The same for `BPF_PROG_GET_FD_BY_ID`, `BPF_MAP_GET_FD_BY_ID` and `BPF_MAP_GET_NEXT_ID`.
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
pub(super) struct InfoAttr {
    pub fd: u32,
    pub length: u32,
    pub info: u64,
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
    bpf_fd(command, &IdAttr { id, next: 0, flags: 0 })
}

/// A command of which the result is a descriptor.
pub(super) fn bpf_fd(command: i32, attr: &(impl IntoBytes + Immutable)) -> io::Result<OwnedFd> {
    let fd = bpf(command, attr)?;
    // SAFETY: the kernel has just opened this descriptor for us, and nothing else uses it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// A command that only reads its attributes, which hold no pointers.
pub(super) fn bpf(command: i32, attr: &(impl IntoBytes + Immutable)) -> io::Result<i64> {
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
pub(super) unsafe fn bpf_mut<T: IntoBytes>(command: i32, attr: &mut T) -> io::Result<i64> {
    let pointer = std::ptr::from_mut(attr).cast::<c_void>();
    // SAFETY: `attr` lives past the call, is writable and as long as we say; the caller answers for its pointers.
    retry(|| unsafe { libc::syscall(libc::SYS_bpf, command, pointer, size_of::<T>()) } as isize)
        .map(|value| value as i64)
}

/// A name as the kernel keeps it: 15 bytes and a zero at most.
pub(crate) fn padded(name: &str) -> [u8; 16] {
    let mut padded = [0; 16];
    padded.iter_mut().zip(name.bytes().take(15)).for_each(|(to, byte)| *to = byte);
    padded
}

pub(super) fn failed(op: &'static str, object: String) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Bpf { op, object, source }
}

fn device(ifindex: IfIndex) -> String {
    format!("link {ifindex}")
}

pub(super) fn raw(fd: &impl AsFd) -> u32 {
    fd.as_fd().as_raw_fd().cast_unsigned()
}

pub(super) fn address<T>(slice: &mut [T]) -> u64 {
    slice.as_mut_ptr().addr() as u64
}
