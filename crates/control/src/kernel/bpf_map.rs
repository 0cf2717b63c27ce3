//! How is a map made, described, copied and handed to a loader, whatever types it is used with? By `bpf(2)` itself: aya wants the
//! types of keys and values, and shares maps only by files of bpffs.
#![allow(unsafe_code)]

use super::bpf::{InfoAttr, address, bpf, bpf_fd, bpf_mut, failed, padded, raw};
use crate::error::{Result, io_error};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::ffi::CString;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use zerocopy::{FromZeros, Immutable, IntoBytes};

const BPF_MAP_CREATE: i32 = 0;
const BPF_MAP_LOOKUP_ELEM: i32 = 1;
const BPF_MAP_UPDATE_ELEM: i32 = 2;
const BPF_MAP_DELETE_ELEM: i32 = 3;
const BPF_MAP_GET_NEXT_KEY: i32 = 4;
const BPF_OBJ_PIN: i32 = 6;
const BPF_OBJ_GET_INFO_BY_FD: i32 = 15;
const BPF_PROG_BIND_MAP: i32 = 35;
/// What a loader asks for and a kernel reports alike. Others, such as `BPF_F_RDONLY_PROG`, are not used.
const BPF_F_NO_PREALLOC: u32 = 1;
const UNLIMITED: Rlimit = Rlimit { current: None, maximum: None };
/// A map of which the values are maps (`enum bpf_map_type`).
pub const ARRAY_OF_MAPS: u32 = 12;

/// What two maps must have in common so that one can stand for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapShape {
    /// `enum bpf_map_type`.
    pub kind: u32,
    /// Length of a key in bytes.
    pub key: u32,
    /// Length of a value in bytes.
    pub value: u32,
    /// The most entries.
    pub entries: u32,
    /// Whether room for entries is found when they are written.
    pub grows: bool,
}

impl MapShape {
    /// The shape of a map with these flags (`BPF_F_*`).
    pub fn new(kind: u32, key: u32, value: u32, entries: u32, flags: u32) -> Self {
        Self { kind, key, value, entries, grows: flags & BPF_F_NO_PREALLOC != 0 }
    }
}

/// Makes a map; of maps, if there is one that they are like.
pub fn new_map(name: &str, shape: MapShape, like: Option<BorrowedFd<'_>>) -> Result<OwnedFd> {
    let MapShape { kind, key, value, entries, grows } = shape;
    let (flags, inner) = (if grows { BPF_F_NO_PREALLOC } else { 0 }, like.map_or(0, |map| raw(&map)));
    let attr = NewAttr { kind, key, value, entries, flags, inner, node: 0, name: padded(name) };
    let make = || bpf_fd(BPF_MAP_CREATE, &attr);
    let made = make().or_else(|error| match error.raw_os_error() {
        // Before Linux 5.11 maps are locked memory, of which a process may have 64 KiB unless it asks for more.
        Some(libc::EPERM) if setrlimit(Resource::Memlock, UNLIMITED).is_ok() => make(),
        _ => Err(error),
    });
    made.map_err(failed("make", format!("the bpf map {name}")))
}

/// Writes an entry of a map with keys and values of these lengths.
pub fn set_entry(
    map: impl AsFd,
    key: &(impl IntoBytes + Immutable),
    value: &(impl IntoBytes + Immutable),
) -> Result<()> {
    let (mut key, mut value) = (key.as_bytes().to_vec(), value.as_bytes().to_vec());
    entry(BPF_MAP_UPDATE_ELEM, &map, &mut key, &mut value).map_err(failed("write", "a bpf map".to_owned()))
}

/// Removes an entry, if it is there.
pub fn remove_entry(map: impl AsFd, key: &(impl IntoBytes + Immutable)) -> Result<()> {
    let mut key = key.as_bytes().to_vec();
    match entry(BPF_MAP_DELETE_ELEM, &map, &mut key, &mut []).map_err(failed("write", "a bpf map".to_owned())) {
        Err(error) if error.is_gone() => Ok(()),
        other => other,
    }
}

/// Makes a map live as long as a program that does not use it (Linux 5.10).
pub fn bind_map(program: impl AsFd, map: impl AsFd) -> Result<()> {
    let attr = BindAttr { prog: raw(&program), map: raw(&map), flags: 0 };
    match bpf(BPF_PROG_BIND_MAP, &attr).map_err(failed("bind a map to", "a bpf program".to_owned())) {
        Err(error) if error.is_exists() => Ok(()),
        other => other.map(drop),
    }
}

/// The name and the shape of a map.
pub fn map_info(map: impl AsFd) -> Result<(String, MapShape)> {
    let mut info = RawMapInfo::new_zeroed();
    let mut attr = InfoAttr { fd: raw(&map), length: size_of::<RawMapInfo>() as u32, info: 0 };
    attr.info = address(std::slice::from_mut(&mut info));
    // SAFETY: `info` lives past the call, is writable and as long as we say.
    let result = unsafe { bpf_mut(BPF_OBJ_GET_INFO_BY_FD, &mut attr) };
    result.map_err(failed("describe", "a bpf map".to_owned()))?;
    let name = info.name.split(|byte| *byte == 0).next().unwrap_or_default();
    let shape = MapShape::new(info.kind, info.key, info.value, info.entries, info.flags);
    Ok((String::from_utf8_lossy(name).into_owned(), shape))
}

/// Copies all entries of `from` to `to`, which has the same shape. Not for maps with a value for each CPU.
pub fn copy_map(from: impl AsFd, to: impl AsFd, shape: MapShape) -> Result<()> {
    let (mut key, mut next) = (None::<Vec<u8>>, vec![0; shape.key as usize]);
    let mut value = vec![0; shape.value as usize];
    while next_key(&from, key.as_deref(), &mut next).map_err(failed("read", "a bpf map".to_owned()))? {
        entry(BPF_MAP_LOOKUP_ELEM, &from, &mut next, &mut value).map_err(failed("read", "a bpf map".to_owned()))?;
        entry(BPF_MAP_UPDATE_ELEM, &to, &mut next, &mut value).map_err(failed("write", "a bpf map".to_owned()))?;
        key = Some(next.clone());
    }
    Ok(())
}

/// The value of the key 0 of an array.
pub fn first_value(map: impl AsFd, shape: MapShape) -> Result<Vec<u8>> {
    let (mut key, mut value) = (vec![0; shape.key as usize], vec![0; shape.value as usize]);
    entry(BPF_MAP_LOOKUP_ELEM, &map, &mut key, &mut value).map_err(failed("read", "a bpf map".to_owned()))?;
    Ok(value)
}

/// A bpffs that is mounted nowhere and is gone when this is dropped. A loader can open maps in it.
pub struct Bpffs(OwnedFd);

impl Bpffs {
    /// Makes an empty one.
    pub fn new() -> Result<Self> {
        let mount = || {
            let context = fsopen("bpf", FsOpenFlags::FSOPEN_CLOEXEC)?;
            fsconfig_create(&context)?;
            fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
        };
        mount().map(Self).map_err(|errno: rustix::io::Errno| io_error("mount", "a bpffs")(errno.into()))
    }

    /// Puts a map there; its path. A bpffs refuses names with a dot.
    pub fn pin(&self, map: impl AsFd, name: &str) -> Result<PathBuf> {
        let path = format!("/proc/self/fd/{}/{}", self.0.as_raw_fd(), name.replace('.', "_"));
        let failed = || failed("pin", format!("the map {name}"));
        let text = CString::new(path.as_str()).map_err(|error| failed()(error.into()))?;
        let attr = PinAttr { path: text.as_ptr().addr() as u64, fd: raw(&map), flags: 0 };
        bpf(BPF_OBJ_PIN, &attr).map_err(failed())?;
        Ok(PathBuf::from(path))
    }
}

/// The key that follows `key`, or the first one; false if there is none.
fn next_key(map: &impl AsFd, key: Option<&[u8]>, next: &mut [u8]) -> io::Result<bool> {
    let key = key.map_or(0, |key| key.as_ptr().addr() as u64);
    let mut attr = EntryAttr { map: raw(map), reserved: 0, key, value: address(next), flags: 0 };
    // SAFETY: `key` and `next` live past the call and are as long as the map's keys; `next` is writable.
    match unsafe { bpf_mut(BPF_MAP_GET_NEXT_KEY, &mut attr) } {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        other => other.map(|_| true),
    }
}

/// Without a value the kernel wants no address of one either.
fn entry(command: i32, map: &impl AsFd, key: &mut [u8], value: &mut [u8]) -> io::Result<()> {
    let value = if value.is_empty() { 0 } else { address(value) };
    let mut attr = EntryAttr { map: raw(map), reserved: 0, key: address(key), value, flags: 0 };
    // SAFETY: `key` and `value` live past the call, are writable and as long as the map's keys and values.
    unsafe { bpf_mut(command, &mut attr) }.map(drop)
}

/// `union bpf_attr`, as `BPF_MAP_CREATE` reads it.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct NewAttr {
    kind: u32,
    key: u32,
    value: u32,
    entries: u32,
    flags: u32,
    inner: u32,
    node: u32,
    name: [u8; 16],
}

/// The same for `BPF_PROG_BIND_MAP`.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct BindAttr {
    prog: u32,
    map: u32,
    flags: u32,
}

/// The same for the commands about entries.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct EntryAttr {
    map: u32,
    reserved: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// The same for `BPF_OBJ_PIN`.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct PinAttr {
    path: u64,
    fd: u32,
    flags: u32,
}

/// The beginning of `struct bpf_map_info`.
#[derive(FromZeros)]
#[repr(C)]
struct RawMapInfo {
    kind: u32,
    id: u32,
    key: u32,
    value: u32,
    entries: u32,
    flags: u32,
    name: [u8; 16],
}
