//! What that only one process of a netns may have is taken, and by which? A BPF map says it, which only root can open.
//!
//! The map is a hash of sockets: a key is inserted once, and the kernel takes it out when its socket is closed, however
//! the process ends. No file leads to the map; it is found by its name, and lives while a process of ipvl has it open.
//!
//! All processes use the map of this name with the smallest id. A process makes one only if it finds none, and then looks
//! again: of two maps that were made at once both processes see the older one. Ids are given in order, so a map that was
//! the oldest stays so as long as it is open.

use crate::error::{Result, io_error};
use crate::kernel::bpf_map::{MapShape, new_map};
use crate::kernel::{bpf, netns};
use rustix::fs::fstat;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use zerocopy::{FromZeros, Immutable, IntoBytes};

const MAP: &str = "ipvl_claims";
/// Two for each claim; a netns with slaves has one or two claims.
const MAX_ENTRIES: u32 = 16_384;
/// What stands where no label does.
const NONE: Label = [0; 16];

/// A hash of sockets.
const SHAPE: MapShape = MapShape {
    kind: bpf::SOCKHASH,
    key: size_of::<Key>() as u32,
    value: size_of::<u64>() as u32,
    entries: MAX_ENTRIES,
    grows: false,
};

/// What a process publishes of its claim: a random number that nobody can foresee.
pub type Label = [u8; 16];

/// A claim, until this is dropped or the process ends.
#[derive(Debug)]
pub struct Claim(Vec<OwnedFd>);

/// A key of the map. A claim has two: one without a label, of which there can be no second, and one with its label.
#[derive(Clone, Copy, FromZeros, IntoBytes, Immutable, PartialEq, Eq)]
#[repr(C)]
struct Key {
    netns: u64,
    what: [u8; 16],
    label: Label,
}

/// Claims something in the calling thread's netns; none if another process has it.
pub fn claim(what: &str) -> Result<Option<Claim>> {
    let (map, key) = (map()?, Key::new(what, NONE)?);
    let pair = pair()?;
    match bpf::insert_socket(map, &key, &pair[0]) {
        // Before Linux 5.15 the map takes no unix sockets.
        Err(error) if error.errno() == Some(libc::EOPNOTSUPP) => {
            let socket = datagram_socket()?;
            Ok(bpf::insert_socket(map, &key, &socket)?.then(|| Claim(vec![socket])))
        }
        inserted => Ok(inserted?.then(|| Claim(pair.into()))),
    }
}

/// Publishes the label of a claim.
pub fn publish(what: &str, claim: &Claim, label: Label) -> Result<()> {
    bpf::insert_socket(map()?, &Key::new(what, label)?, &claim.0[0]).map(drop)
}

/// The label of the process that has claimed this; none if nobody has, or if the label is not published yet.
pub fn label(what: &str) -> Result<Option<Label>> {
    let (map, wanted) = (map()?, Key::new(what, NONE)?);
    let mut key: Option<Key> = None;
    // If a key goes while its successor is looked for, the kernel starts again.
    for _ in 0..2 * MAX_ENTRIES {
        key = bpf::next_key(map, key.as_ref())?;
        match key {
            None => return Ok(None),
            Some(Key { netns, what, label }) if (netns, what) == (wanted.netns, wanted.what) && label != NONE => {
                return Ok(Some(label));
            }
            Some(_) => {}
        }
    }
    Ok(None)
}

impl Key {
    /// The socket of a claim keeps its netns, so no other netns has this inode number meanwhile.
    fn new(what: &str, label: Label) -> Result<Self> {
        let netns = fstat(netns::own()?).map_err(|errno| io_error("stat", "a namespace")(errno.into()))?.st_ino;
        Ok(Self { netns, what: bpf::padded(what), label })
    }
}

/// The map, opened once for the whole process.
fn map() -> Result<&'static OwnedFd> {
    static OPEN: OnceLock<OwnedFd> = OnceLock::new();
    match OPEN.get() {
        Some(map) => Ok(map),
        None => oldest().map(|map| OPEN.get_or_init(|| map)),
    }
}

fn oldest() -> Result<OwnedFd> {
    if let Some(map) = find()? {
        return Ok(map);
    }
    let made = new_map(MAP, SHAPE, None)?;
    Ok(find()?.unwrap_or(made))
}

/// The map with the smallest id.
fn find() -> Result<Option<OwnedFd>> {
    let mut id = 0;
    while let Some(next) = bpf::map_after(id)? {
        id = next;
        match bpf::map_fd_by_id(id) {
            Ok(map) if bpf::is_socket_hash(&map, MAP)? => return Ok(Some(map)),
            Err(error) if !error.is_gone() => return Err(error),
            _ => {}
        }
    }
    Ok(None)
}

fn pair() -> Result<[OwnedFd; 2]> {
    let (one, other) = UnixStream::pair().map_err(io_error("make", "a pair of sockets"))?;
    Ok([one.into(), other.into()])
}

/// On the loopback address, whether there is one or not.
fn datagram_socket() -> Result<OwnedFd> {
    let make = || {
        let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        sockopt::set_ip_freebind(&socket, true)?;
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        Ok(socket)
    };
    make().map_err(|errno: rustix::io::Errno| io_error("make", "a socket")(errno.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a thread with another table of descriptors would: two maps are made, and all use one.
    #[test]
    fn of_two_maps_that_are_made_at_once_all_use_the_older_one() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let id = |map: &OwnedFd| bpf::map_id(map).expect("a map");
        let here = map().expect("the map");
        let late = new_map(MAP, SHAPE, None).expect("root");
        assert!(id(&late) > id(here));
        assert_eq!(id(&oldest().expect("the map")), id(here));
    }

    #[test]
    fn a_datagram_socket_does_for_kernels_whose_maps_take_no_unix_sockets() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (map, key) = (map().expect("the map"), Key::new("test-datagram", NONE).expect("a key"));
        let socket = datagram_socket().expect("a socket");
        assert!(bpf::insert_socket(map, &key, &socket).expect("inserted"));
        assert!(claim("test-datagram").expect("root").is_none());
        drop(socket);
        assert!(claim("test-datagram").expect("root").is_some());
    }
}
