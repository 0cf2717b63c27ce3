//! Does a slave get the very first datagrams to a group that it has just joined?

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

use ipvl_testbed::packet::{Link, udp};
use ipvl_testbed::{EXT_MAC, EXT_V4, EXT_V6, Lab, MASTER_MAC, Mac, PacketSocket, require_root};

use crate::common::{run, soon};

const ROUNDS: u32 = 100;
/// How many datagrams are sent, within microseconds, when a join has returned.
const BURST: usize = 3;
const PORT: u16 = 5000;
/// A socket of IPv6 would refuse the same port to one of IPv4.
const PORT_6: u16 = 5001;
const GROUP_4: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const MAC_4: Mac = [0x01, 0x00, 0x5e, 0x01, 0x02, 0x03];
const GROUP_6: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 1, 3);
const MAC_6: Mac = [0x33, 0x33, 0, 1, 0, 3];

#[test]
fn what_a_sibling_sends_right_after_a_join_arrives() {
    require_root!();
    let Some(lab) = lab() else { return };
    let sibling = lab.slaves[1].port("ipvl1");
    let addresses = (IpAddr::from([10, 0, 0, 11]), IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 0x11]));
    expect_all_rounds(&lab, &sibling, MASTER_MAC, addresses);
}

#[test]
fn what_comes_from_the_wire_right_after_a_join_arrives() {
    require_root!();
    let Some(lab) = lab() else { return };
    // The group has another member all the time.
    let _other = (joined_4(&lab, 1), joined_6(&lab, 1));
    expect_all_rounds(&lab, &lab.wire(), EXT_MAC, (EXT_V4.into(), EXT_V6.into()));
}

#[test]
fn a_slave_that_joins_many_groups_at_once_misses_nothing_of_the_last() {
    require_root!();
    let Some(lab) = lab() else { return };
    let (wire, socket) = (lab.wire(), socket_4(&lab, 0));
    for number in 0..ROUNDS as u8 {
        let group = Ipv4Addr::new(239, 9, 9, number);
        socket.join_multicast_v4(&group, &Ipv4Addr::new(10, 0, 0, 10)).expect("join");
        let frame = udp(
            Link::new(EXT_MAC, [1, 0, 0x5e, 9, 9, number]),
            (IpAddr::V4(EXT_V4), PORT),
            (IpAddr::V4(group), PORT),
            b"-",
        );
        wire.inject(&frame);
        assert_eq!(received(&socket, 1), 1, "group {number}");
        // The kernel allows a socket twenty groups.
        if number >= 10 {
            let old = Ipv4Addr::new(239, 9, 9, number - 10);
            socket.leave_multicast_v4(&old, &Ipv4Addr::new(10, 0, 0, 10)).expect("leave");
        }
    }
}

/// Two slaves with groups that the agent knows; none where the kernel does not allow to trace joins.
fn lab() -> Option<Lab> {
    let lab = Lab::new(2);
    let examined = lab.try_ipvl("doctor").stdout;
    if !examined.contains("from the moment it has joined it") {
        eprintln!("SKIPPED: {}", examined.lines().find(|line| line.contains("joins")).unwrap_or(&examined));
        return None;
    }
    lab.add_slave(0, "mode l2 bridge", &["10.0.0.10/24", "fd00::10/64"]);
    lab.add_slave(1, "mode l2 bridge", &["10.0.0.11/24", "fd00::11/64"]);
    for name in ["ipvl0", "ipvl1"] {
        soon("its groups are known", || lab.ipvl(&format!("-d link show {name}")).contains("33:33:ff:00:00:1"));
    }
    Some(lab)
}

/// Joins and leaves both families' groups again and again; fails unless each datagram that is sent after a join arrives.
fn expect_all_rounds(lab: &Lab, from: &PacketSocket, mac: Mac, (source_4, source_6): (IpAddr, IpAddr)) {
    let frames = [
        udp(Link::new(mac, MAC_4), (source_4, PORT), (IpAddr::V4(GROUP_4), PORT), b"-"),
        udp(Link::new(mac, MAC_6), (source_6, PORT), (IpAddr::V6(GROUP_6), PORT_6), b"-"),
    ];
    let (addr, index) = (Ipv4Addr::new(10, 0, 0, 10), ifindex(lab, 0));
    let sockets = [socket_4(lab, 0), socket_6(lab, 0)];
    let mut lost = Vec::new();
    for round in 0..ROUNDS {
        sockets[0].join_multicast_v4(&GROUP_4, &addr).expect("join");
        (0..BURST).for_each(|_| from.inject(&frames[0]));
        sockets[1].join_multicast_v6(&GROUP_6, index).expect("join");
        (0..BURST).for_each(|_| from.inject(&frames[1]));
        let arrived = sockets.each_ref().map(|socket| received(socket, BURST));
        if arrived != [BURST, BURST] {
            lost.push((round, arrived));
        }
        sockets[0].leave_multicast_v4(&GROUP_4, &addr).expect("leave");
        sockets[1].leave_multicast_v6(&GROUP_6, index).expect("leave");
    }
    assert!(lost.is_empty(), "of {BURST} in IPv4 and in IPv6, only these came: {lost:?}");
}

fn joined_4(lab: &Lab, place: usize) -> UdpSocket {
    let socket = socket_4(lab, place);
    socket.join_multicast_v4(&GROUP_4, &Ipv4Addr::new(10, 0, 0, 10 + place as u8)).expect("join");
    socket
}

fn joined_6(lab: &Lab, place: usize) -> UdpSocket {
    let socket = socket_6(lab, place);
    socket.join_multicast_v6(&GROUP_6, ifindex(lab, place)).expect("join");
    socket
}

fn socket_4(lab: &Lab, place: usize) -> UdpSocket {
    lab.slaves[place].within(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).expect("bind"))
}

fn socket_6(lab: &Lab, place: usize) -> UdpSocket {
    lab.slaves[place].within(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORT_6)).expect("bind"))
}

fn ifindex(lab: &Lab, place: usize) -> u32 {
    run(&lab.slaves[place], &format!("cat /sys/class/net/ipvl{place}/ifindex")).trim().parse().expect("an ifindex")
}

/// How many datagrams come, at most so many. Only a failing test waits.
fn received(socket: &UdpSocket, most: usize) -> usize {
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("set a timeout");
    (0..most).take_while(|_| socket.recv(&mut [0; 16]).is_ok()).count()
}
