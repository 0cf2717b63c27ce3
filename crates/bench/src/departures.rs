//! How would a rate be kept by departure times (EDT), which `fq` on the device observes?
//!
//! `scripts/rates` compares that with what ipvl does. The program is the smallest one that paces everything that a device sends:
//! `skb->tstamp` becomes the time at which the packet before it will have left.

use crate::bytecode::{DROP, EXIT, call, look_up, one, set};
use crate::sys;
use ipvl_control::kernel::bpf::{AttachType, prog_attach, prog_detach};
use ipvl_core::IfIndex;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

const ARRAY: u32 = 2;
const BPF_KTIME_GET_NS: i32 = 5;
/// `struct __sk_buff`: the length with the headers of all segments, and the departure time.
const WIRE_LEN: i16 = 160;
const TSTAMP: i16 = 152;
/// 8 bits in nanoseconds a byte, at one bit a second.
const BITS_OF_BYTE: i64 = 8_000_000_000;
/// A packet that would wait longer than this is dropped (nanoseconds).
const HORIZON: i32 = 200_000_000;

/// Paces what this device sends at `rate` bits a second, from when it says so until standard input ends.
pub fn pace(ifindex: &str, rate: &str) -> io::Result<()> {
    let (ifindex, rate) = (number(ifindex)?, number(rate)?);
    let last = sys::map(ARRAY, 4, 8, 1)?;
    let program = program(&last, rate)?;
    let device = IfIndex(ifindex.cast_unsigned());
    prog_attach(device, &program, AttachType::TcxEgress).map_err(io::Error::other)?;
    println!("paced");
    io::stdin().read_to_end(&mut Vec::new())?;
    prog_detach(device, &program, AttachType::TcxEgress).map(drop).map_err(io::Error::other)
}

fn number(word: &str) -> io::Result<i32> {
    word.parse().map_err(|_| io::Error::other(format!("\"{word}\" is no number")))
}

/// `last` has the departure time of the packet before.
fn program(last: &OwnedFd, rate: i32) -> io::Result<OwnedFd> {
    let arrival = [
        one(0xbf, 6, 1, 0, 0),
        one(0x61, 7, 6, WIRE_LEN, 0),
        call(BPF_KTIME_GET_NS),
        one(0xbf, 8, 0, 0, 0),
        one(0x62, 10, 0, -4, 0),
    ];
    let without_value = [one(0x55, 0, 0, 2, 0), set(0, 0), EXIT];
    // When it leaves: its own duration after the packet before, or now.
    let departure = [
        one(0x18, 2, 0, 0, BITS_OF_BYTE as i32),
        one(0, 0, 0, 0, (BITS_OF_BYTE >> 32) as i32),
        one(0x2f, 7, 2, 0, 0),
        one(0x37, 7, 0, 0, rate),
        one(0x79, 1, 0, 0, 0),
        one(0x0f, 1, 7, 0, 0),
        one(0x3d, 1, 8, 1, 0),
        one(0xbf, 1, 8, 0, 0),
    ];
    let too_late = [one(0xbf, 3, 1, 0, 0), one(0x1f, 3, 8, 0, 0), one(0xb5, 3, 0, 2, HORIZON), set(0, DROP), EXIT];
    let paced = [one(0x7b, 0, 1, 0, 0), one(0x7b, 6, 1, TSTAMP, 0), set(0, 0), EXIT];
    sys::load(&[&arrival[..], &look_up(last), &without_value, &departure, &too_late, &paced].concat())
}
