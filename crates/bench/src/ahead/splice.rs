//! What if TCP between two namespaces went from socket to socket, past both stacks? An experiment: when a connection is
//! established, both of its ends are put in a map of sockets, and what is written to one end is queued at the other. No
//! message is checked, so this is the least that such a path can cost.

use super::cgroup::Cgroup;
use crate::bytecode::{EXIT, call, one, set};
use crate::sys;
use ipvl_testbed::Netns;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

const SOCKHASH: u32 = 18;
const SOCK_OPS: u32 = 13;
const SK_MSG: u32 = 16;
const CGROUP_SOCK_OPS: u32 = 3;
const SK_MSG_VERDICT: u32 = 7;
const SOCK_HASH_UPDATE: i32 = 70;
const MSG_REDIRECT_HASH: i32 = 71;
const GET_NETNS_COOKIE: i32 = 122;
/// `BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB` and its passive counterpart.
const ESTABLISHED: [i32; 2] = [4, 5];
const MAX_SOCKETS: u32 = 65_536;
const AF_INET: i32 = 2;
/// Two addresses of four words, and two ports.
const KEY_WORDS: i16 = 10;
const KEY_BYTES: i16 = 4 * KEY_WORDS;

/// While this lives, new connections between the two namespaces that this process makes go from socket to socket.
pub struct Splice<'a> {
    cgroup: &'a Cgroup,
    sock_ops: OwnedFd,
    _sockets: OwnedFd,
    _sk_msg: OwnedFd,
}

impl<'a> Splice<'a> {
    /// Attaches the programs.
    pub fn between(cgroup: &'a Cgroup, a: &Netns, b: &Netns) -> io::Result<Self> {
        let cookie =
            |netns: &Netns| netns.within(ipvl_control::kernel::netns::cookie).ok_or(io::ErrorKind::Unsupported);
        let sockets = sys::map(SOCKHASH, KEY_BYTES as u32, 4, MAX_SOCKETS)?;
        let sk_msg = sys::load_as(SK_MSG, &to_the_other_end(&sockets))?;
        let sock_ops = sys::load_as(SOCK_OPS, &enter_map(&sockets, [cookie(a)?, cookie(b)?]))?;
        sys::attach(sockets.as_fd(), sk_msg.as_fd(), SK_MSG_VERDICT)?;
        sys::attach(cgroup.as_fd(), sock_ops.as_fd(), CGROUP_SOCK_OPS)?;
        Ok(Self { cgroup, sock_ops, _sockets: sockets, _sk_msg: sk_msg })
    }
}

impl Drop for Splice<'_> {
    fn drop(&mut self) {
        let _ = sys::detach(self.cgroup.as_fd(), self.sock_ops.as_fd(), CGROUP_SOCK_OPS);
    }
}

const R0: u8 = 0;
const R1: u8 = 1;
const R2: u8 = 2;
const R3: u8 = 3;
const CONTEXT: u8 = 6;
const FRAME: u8 = 10;

const fn copy(dst: u8, src: u8) -> u64 {
    one(0xbf, dst, src, 0, 0)
}

const fn load_word(dst: u8, src: u8, offset: i16) -> u64 {
    one(0x61, dst, src, offset, 0)
}

const fn store_word(src: u8, offset: i16) -> u64 {
    one(0x63, FRAME, src, offset, 0)
}

const fn unless_equal(register: u8, number: i32, skip: i16) -> u64 {
    one(0x55, register, 0, skip, number)
}

fn map_into(register: u8, map: &OwnedFd) -> [u64; 2] {
    [one(0x18, register, 1, 0, map.as_raw_fd()), 0]
}

fn number_into(register: u8, number: u64) -> [u64; 2] {
    [one(0x18, register, 0, 0, number as i32), (number >> 32) << 32]
}

/// The offsets of an address of either family, and of a port, in a context.
struct End {
    v4: i16,
    v6: i16,
    port: i16,
}

/// Code that writes both ends to the stack, in this order. What an IPv6 socket has for an IPv4 address means nothing.
fn key(family: i16, ends: [&End; 2]) -> Vec<u64> {
    let mut code = Vec::new();
    for (end, start) in ends.into_iter().zip([-KEY_BYTES, -KEY_BYTES / 2]) {
        let words = (0..4).map(|word| end.v6 + 4 * word).chain([end.port]);
        for (at, offset) in words.enumerate() {
            code.extend([load_word(R1, CONTEXT, offset), store_word(R1, start + 4 * at as i16)]);
        }
    }
    let v4 = ends
        .into_iter()
        .zip([-KEY_BYTES, -KEY_BYTES / 2])
        .flat_map(|(end, start)| [load_word(R1, CONTEXT, end.v4), store_word(R1, start)]);
    code.extend([load_word(R1, CONTEXT, family), unless_equal(R1, AF_INET, 4)]);
    code.extend(v4);
    code
}

/// The remote port is in network byte order, the local one in the host's.
fn to_host_order(offset: i16) -> [u64; 3] {
    [load_word(R1, FRAME, offset), one(0xdc, R1, 0, 0, 32), store_word(R1, offset)]
}

/// Remote, local: the key of the socket itself.
fn enter_map(sockets: &OwnedFd, cookies: [u64; 2]) -> Vec<u64> {
    let (remote, local) = (End { v4: 24, v6: 32, port: 64 }, End { v4: 28, v6: 48, port: 68 });
    let update = [
        key(20, [&remote, &local]),
        to_host_order(-KEY_BYTES + 16).to_vec(),
        vec![copy(R1, CONTEXT)],
        map_into(R2, sockets).to_vec(),
        vec![copy(R3, FRAME), one(0x07, R3, 0, 0, (-KEY_BYTES).into()), set(4, 0), call(SOCK_HASH_UPDATE)],
    ]
    .concat();
    let ours = [
        vec![copy(R1, CONTEXT), call(GET_NETNS_COOKIE)],
        number_into(R1, cookies[0]).to_vec(),
        vec![one(0x1d, R0, R1, 3, 0)],
        number_into(R1, cookies[1]).to_vec(),
        vec![one(0x5d, R0, R1, update.len() as i16, 0)],
    ]
    .concat();
    let [active, passive] = ESTABLISHED;
    let established = [
        copy(CONTEXT, R1),
        load_word(R2, R1, 0),
        one(0x15, R2, 0, 1, active),
        unless_equal(R2, passive, (ours.len() + update.len()) as i16),
    ];
    [established.to_vec(), ours, update, vec![set(R0, 1), EXIT]].concat()
}

/// Local, remote: the key of the other end. If the map does not have it, the message goes through the stack.
fn to_the_other_end(sockets: &OwnedFd) -> Vec<u64> {
    let (remote, local) = (End { v4: 20, v6: 28, port: 60 }, End { v4: 24, v6: 44, port: 64 });
    const BPF_F_INGRESS: i32 = 1;
    [
        vec![copy(CONTEXT, R1)],
        key(16, [&local, &remote]),
        to_host_order(-KEY_BYTES + 36).to_vec(),
        vec![copy(R1, CONTEXT)],
        map_into(R2, sockets).to_vec(),
        vec![copy(R3, FRAME), one(0x07, R3, 0, 0, (-KEY_BYTES).into()), set(4, BPF_F_INGRESS)],
        vec![call(MSG_REDIRECT_HASH), set(R0, 1), EXIT],
    ]
    .concat()
}
