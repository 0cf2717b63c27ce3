//! What does a program cost that only redirects, or only looks up one key? Written in the kernel's instructions.

use crate::sys;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

const BPF_REDIRECT: i32 = 23;
const BPF_REDIRECT_PEER: i32 = 155;
const BPF_MAP_LOOKUP: i32 = 1;
/// `TC_ACT_SHOT`.
pub const DROP: i32 = 2;

/// Where a frame goes.
#[derive(Clone, Copy)]
pub enum Target {
    /// Out of this device.
    Device(u32),
    /// Into the netns of this device's peer.
    Peer(u32),
}

/// One instruction: code, registers, offset, number.
pub const fn one(code: u8, dst: u8, src: u8, offset: i16, number: i32) -> u64 {
    code as u64 | ((src << 4 | dst) as u64) << 8 | (offset as u16 as u64) << 16 | (number as u32 as u64) << 32
}

pub const fn set(register: u8, number: i32) -> u64 {
    one(0xb7, register, 0, 0, number)
}

pub const fn call(helper: i32) -> u64 {
    one(0x85, 0, 0, 0, helper)
}

pub const EXIT: u64 = one(0x95, 0, 0, 0, 0);

/// A program that redirects every frame there.
pub fn redirect(target: Target) -> io::Result<OwnedFd> {
    let (ifindex, helper) = match target {
        Target::Device(ifindex) => (ifindex, BPF_REDIRECT),
        Target::Peer(ifindex) => (ifindex, BPF_REDIRECT_PEER),
    };
    sys::load(&[set(1, ifindex.cast_signed()), set(2, 0), call(helper), EXIT])
}

/// A program that does nothing.
pub fn nothing() -> io::Result<OwnedFd> {
    sys::load(&[set(0, DROP), EXIT])
}

/// A program that looks up its input device in a hash map with keys of four bytes.
pub fn lookup(map: &OwnedFd) -> io::Result<OwnedFd> {
    let key = [one(0x61, 2, 1, 40, 0), one(0x63, 10, 2, -4, 0)];
    sys::load(&[&key[..], &look_up(map), &[set(0, DROP), EXIT]].concat())
}

/// Looks up the key of four bytes that is last on the stack. Register 0 has the value's address then, or 0.
pub fn look_up(map: &OwnedFd) -> [u64; 5] {
    let map = [one(0x18, 1, 1, 0, map.as_raw_fd()), one(0, 0, 0, 0, 0)];
    [one(0xbf, 2, 10, 0, 0), one(0x07, 2, 0, 0, -4), map[0], map[1], call(BPF_MAP_LOOKUP)]
}
