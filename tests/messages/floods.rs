//! What is sent all the time? Pings to every slave and to all at once, from outside, from the host and from the slaves' own
//! namespaces.

use crate::world::Place;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, ipproto, sendto, socket_with, sockopt};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::Instant;

/// Echo requests; the kernel fills in the second one's checksum.
const ECHO_V4: [u8; 8] = [8, 0, 0xf7, 0xff, 0, 0, 0, 0];
const ECHO_V6: [u8; 8] = [128, 0, 0, 0, 0, 0, 0, 0];

/// The last bytes of the addresses that slaves have, and of those outside and of everybody.
const SLAVES: std::ops::Range<u8> = 1..34;
const OTHERS: [u8; 2] = [254, 255];

/// Floods from a place, as outside or the host, until the program ends.
pub fn from(place: &Place) {
    let net = place.open();
    thread::spawn(move || {
        enter(&net);
        let pings = Pings::open();
        loop {
            pings.round();
        }
    });
}

/// A short flood from within a namespace; `home` is where the thread then goes back to, so that the namespace can die.
pub fn inside(net: &File, home: &File) {
    enter(net);
    let pings = Pings::open();
    for _ in 0..10 {
        pings.round();
    }
    enter(home);
}

fn enter(net: &File) {
    move_into_link_name_space(net.as_fd(), Some(LinkNameSpaceType::Network)).expect("enter a namespace");
}

/// Two sockets that pings are sent by.
struct Pings {
    v4: OwnedFd,
    v6: OwnedFd,
}

impl Pings {
    fn open() -> Self {
        let open = |family, protocol| socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, Some(protocol));
        let v4 = open(AddressFamily::INET, ipproto::ICMP).expect("a socket for ICMP");
        let v6 = open(AddressFamily::INET6, ipproto::ICMPV6).expect("a socket for ICMPv6");
        sockopt::set_socket_broadcast(&v4, true).expect("a socket that may broadcast");
        Self { v4, v6 }
    }

    /// One ping to each, which may fail: there may be no master at the moment. Then a pause three times as long, so that a
    /// slow machine has time for all else.
    fn round(&self) {
        let begun = Instant::now();
        for low in SLAVES.chain(OTHERS) {
            let v4 = IpAddr::V4(Ipv4Addr::new(10, 0, 0, low));
            let v6 = IpAddr::V6(Ipv6Addr::from(0xfd00_u128 << 112 | u128::from(low)));
            let _ = sendto(&self.v4, &ECHO_V4, SendFlags::DONTWAIT, &SocketAddr::new(v4, 0));
            let _ = sendto(&self.v6, &ECHO_V6, SendFlags::DONTWAIT, &SocketAddr::new(v6, 0));
        }
        thread::sleep(begun.elapsed() * 3);
    }
}
