//! What does `bpf_fib_lookup` answer to the programs? A program of its own asks, with the same parameters, and sends nothing.

use crate::error::Result;
use crate::kernel::bpf;
use crate::kernel::instructions::{FP, Instruction, add, call, copy, exit, instruction, set};
use ipvl_core::{Addr, IfIndex, RouteAnswer, RouteLookup};

/// What the kernel answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FibAnswer {
    /// What the routing table says.
    pub route: RouteAnswer,
    /// The link that the route leads out of.
    pub oif: IfIndex,
    /// The next hop: a gateway, or the destination itself.
    pub next_hop: Addr,
    /// The MTU in bytes, if the packet exceeds it.
    pub mtu: u16,
}

/// Where `struct bpf_fib_lookup` has its fields; its whole length.
const FAMILY: usize = 0;
const PROTOCOL: usize = 1;
const TOT_LEN: usize = 6;
const IFINDEX: usize = 8;
const CLASS: usize = 12;
const SRC: usize = 16;
const DST: usize = 32;
const PARAMS: usize = 64;

/// The parameters follow an empty Ethernet header: the kernel tries no frame without one.
const HEADER: usize = 14;

/// Asks about a packet that the device `input` has received.
pub fn look_up(key: &RouteLookup, input: IfIndex) -> Result<FibAnswer> {
    let mut frame = [0; HEADER + PARAMS];
    frame[HEADER..].copy_from_slice(&params(key, input));
    let code = bpf::prog_test_run(bpf::prog_load(bpf::SCHED_CLS, &program())?, &mut frame)?;
    let answer = &frame[HEADER..];
    let word = |at: usize| u32::from_ne_bytes([answer[at], answer[at + 1], answer[at + 2], answer[at + 3]]);
    Ok(FibAnswer {
        route: route_answer(code),
        oif: IfIndex(word(IFINDEX)),
        next_hop: next_hop(answer),
        mtu: u16::from_ne_bytes([answer[TOT_LEN], answer[TOT_LEN + 1]]),
    })
}

/// What a result of `bpf_fib_lookup` means (`BPF_FIB_LKUP_RET_*`), as the program at the host ends reads it.
fn route_answer(result: u32) -> RouteAnswer {
    match result {
        0 | 7 => RouteAnswer::NextHop,
        1 => RouteAnswer::Blackhole,
        2 => RouteAnswer::Unreachable,
        3 => RouteAnswer::Prohibit,
        4 => RouteAnswer::NoRoute,
        5 => RouteAnswer::NotForwarding,
        8 => RouteAnswer::TooBig,
        _ => RouteAnswer::Unsupported,
    }
}

/// As the program at the host ends fills them.
fn params(key: &RouteLookup, input: IfIndex) -> [u8; PARAMS] {
    let mut params = [0; PARAMS];
    let mut put = |at: usize, bytes: &[u8]| params[at..at + bytes.len()].copy_from_slice(bytes);
    put(PROTOCOL, &[key.protocol]);
    put(TOT_LEN, &key.len.to_ne_bytes());
    put(IFINDEX, &input.0.to_ne_bytes());
    match (key.src.as_v4(), key.dst.as_v4()) {
        (Some(src), Some(dst)) => {
            put(FAMILY, &[libc::AF_INET as u8]);
            put(CLASS, &[key.class as u8]);
            put(SRC, &src);
            put(DST, &dst);
        }
        _ => {
            put(FAMILY, &[libc::AF_INET6 as u8]);
            put(CLASS, &key.class.to_ne_bytes());
            put(SRC, &key.src.0);
            put(DST, &key.dst.0);
        }
    }
    params
}

/// The kernel writes the family of the next hop, which need not be the packet's.
fn next_hop(answer: &[u8]) -> Addr {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&answer[DST..DST + 16]);
    let [a, b, c, d, ..] = bytes;
    if i32::from(answer[FAMILY]) == libc::AF_INET { Addr::v4([a, b, c, d]) } else { Addr(bytes) }
}

/// Copies the parameters from the frame to the stack, calls `bpf_fib_lookup`, and copies them back.
fn program() -> [Instruction; 23] {
    const SKB_STORE_BYTES: i32 = 9;
    const SKB_LOAD_BYTES: i32 = 26;
    const FIB_LOOKUP: i32 = 69;
    let (header, length) = (HEADER as i32, PARAMS as i32);
    [
        copy(6, 1),
        set(2, header),
        copy(3, FP),
        add(3, -length),
        set(4, length),
        call(SKB_LOAD_BYTES),
        instruction(0x55, 0, 15, 0), // if r0 != 0, go to the last instruction
        copy(1, 6),
        copy(2, FP),
        add(2, -length),
        set(3, length),
        set(4, 0),
        call(FIB_LOOKUP),
        copy(7, 0),
        copy(1, 6),
        set(2, header),
        copy(3, FP),
        add(3, -length),
        set(4, length),
        set(5, 0),
        call(SKB_STORE_BYTES),
        copy(0, 7),
        exit(),
    ]
}
