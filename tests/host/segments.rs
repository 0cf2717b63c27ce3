//! Do packets of several segments arrive whole, on every path, and those that are not TCP's or have several receivers?

use crate::lab::{lab, lead_outside_to, run};
use ipvl_testbed::{Lab, Netns, bound, require_root, segment};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);
const SIZE: usize = 1000;
const COUNT: usize = 32;
/// Of a stream.
const LENGTH: usize = 16 << 20;
/// Packets cut to the MTU would have a tenth of it.
const SUPER: u64 = 15_000;
const BIG: u64 = 150_000;
/// What a packet without BIG TCP cannot have.
const LEGACY: usize = 65_600;

#[test]
fn segmented_datagrams_arrive_whole_in_every_mode() {
    require_root!();
    for mode in ["l2", "l3", "l3s"] {
        let lab = lab(&[&format!("mode {mode}"), &format!("mode {mode}")]);
        lead_outside_to(&lab, &["10.0.0.10", "fd00::10"]);
        let [a, b] = &lab.slaves[..] else { panic!("two slaves") };
        for (slave, sibling, outside) in
            [("10.0.0.10", "10.0.0.11", "10.0.0.254"), ("[fd00::10]", "[fd00::11]", "[fd00::254]")]
        {
            train(a, slave, &format!("{sibling}:4001"), &[b]);
            train(a, slave, &format!("{outside}:4001"), &[&lab.ext]);
            train(&lab.ext, outside, &format!("{slave}:4001"), &[a]);
        }
    }
}

#[test]
fn segmented_broadcasts_arrive_whole_everywhere() {
    require_root!();
    let lab = lab(&["mode l2"; 3]);
    run(&lab.slaves[0], "ip route add 224.0.0.0/4 dev ipvl0");
    run(&lab.ext, "ip route add 224.0.0.0/4 dev eth0");
    let [a, b, c] = &lab.slaves[..] else { panic!("three slaves") };
    train(a, "10.0.0.10", "224.0.0.1:4001", &[b, c, &lab.ext]);
    train(&lab.ext, "10.0.0.254", "224.0.0.1:4001", &[a, b, c, &lab.host]);
}

#[test]
fn a_stream_crosses_in_super_packets_on_every_path() {
    require_root!();
    for mode in ["l2", "l3", "l3s"] {
        let lab = forwarding(Lab::new(2));
        with_slaves(&lab, mode);
        for (path, averages) in streams(&lab) {
            assert!(averages >= SUPER, "{mode}, {path}: packets of {averages} bytes on average");
        }
        for netns in [&lab.host, &lab.ext, &lab.slaves[0], &lab.slaves[1]] {
            assert_eq!(wrong_checksums(netns), 0, "{mode}: checksums at {}", netns.label());
        }
    }
}

#[test]
fn a_stream_crosses_in_packets_beyond_64_kilobytes_where_the_master_has_them() {
    require_root!();
    for mode in ["l2", "l3"] {
        let lab = forwarding(Lab::new(2));
        for netns in [&lab.host, &lab.ext] {
            run(netns, &format!("ip link set eth0 gso_max_size {BIG} gro_max_size {BIG}"));
        }
        with_slaves(&lab, mode);
        let [a, b] = &lab.slaves[..] else { panic!("two slaves") };
        for (from, to, address, device) in
            [(a, b, "[fd00::11]", "ipvl1"), (a, &lab.ext, "[fd00::254]", "eth0"), (&lab.ext, a, "[fd00::10]", "ipvl0")]
        {
            let mut port = to.port(device);
            stream(from, to, address);
            let largest = port.take().iter().map(|frame| frame.bytes.len()).max().unwrap_or(0);
            assert!(largest > LEGACY, "{mode}, to {address}: no packet of more than {largest} bytes");
        }
    }
}

/// Before Linux 6.17 `host on` and l3s want it from the user.
fn forwarding(lab: Lab) -> Lab {
    lab.host.sysctl("net/ipv6/conf/all/forwarding", "1");
    lab
}

fn with_slaves(lab: &Lab, mode: &str) {
    for (n, addresses) in [["10.0.0.10/24", "fd00::10/64"], ["10.0.0.11/24", "fd00::11/64"]].iter().enumerate() {
        lab.add_slave(n, &format!("mode {mode} host on"), addresses);
    }
    lead_outside_to(lab, &["10.0.0.10", "fd00::10"]);
}

/// What the receiving devices count of a stream on each path: bytes a packet.
fn streams(lab: &Lab) -> Vec<(String, u64)> {
    let [a, b] = &lab.slaves[..] else { panic!("two slaves") };
    let mut found = Vec::new();
    for [slave, sibling, outside, host] in
        [["10.0.0.10", "10.0.0.11", "10.0.0.254", "10.0.0.1"], ["[fd00::10]", "[fd00::11]", "[fd00::254]", "[fd00::1]"]]
    {
        for (path, from, to, address, device) in [
            ("slave to slave", a, b, sibling, "ipvl1"),
            ("slave to outside", a, &lab.ext, outside, "eth0"),
            ("outside to slave", &lab.ext, a, slave, "ipvl0"),
            ("slave to host", a, &lab.host, host, "ipvlh0"),
            ("host to slave", &lab.host, a, slave, "ipvl0"),
        ] {
            let before = received(to, device);
            stream(from, to, address);
            let after = received(to, device);
            found.push((format!("{path} {address}"), (after[1] - before[1]) / (after[0] - before[0]).max(1)));
        }
    }
    found
}

/// Sends a stream there, and fails unless all of it arrives as it was.
#[track_caller]
fn stream(from: &Netns, to: &Netns, address: &str) {
    let at: SocketAddr = format!("{address}:4002").parse().expect("an address");
    let listener = to.within(|| bound(|| TcpListener::bind(at)));
    let data: Vec<u8> = (0..LENGTH).map(|place| (place >> 8) as u8).collect();
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut arrived = Vec::with_capacity(LENGTH);
            listener.accept().and_then(|(mut stream, _)| stream.read_to_end(&mut arrived)).expect("read");
            arrived
        });
        let mut stream = from.within(|| TcpStream::connect(at)).unwrap_or_else(|error| panic!("connect {at}: {error}"));
        stream.write_all(&data).expect("write");
        drop(stream);
        assert!(reader.join().expect("a reader") == data, "the stream to {at} is not what was sent");
    });
}

/// Packets and bytes that a device has received.
fn received(netns: &Netns, device: &str) -> [u64; 2] {
    ["packets", "bytes"].map(|what| {
        let count = run(netns, &format!("cat /sys/class/net/{device}/statistics/rx_{what}"));
        count.trim().parse().expect("a number")
    })
}

/// Packets of TCP that were refused for their checksum.
fn wrong_checksums(netns: &Netns) -> u64 {
    let text = run(netns, "cat /proc/net/snmp");
    let count = text.lines().filter(|line| line.starts_with("Tcp:")).nth(1).and_then(|line| line.split(' ').nth(15));
    count.and_then(|count| count.parse().ok()).expect("a count of wrong checksums")
}

/// Sends one packet of many segments, and fails unless each receiver gets every one of them as it was.
#[track_caller]
fn train(sender: &Netns, from: &str, to: &str, receivers: &[&Netns]) {
    let any = if to.starts_with('[') { "[::]:4001" } else { "0.0.0.0:4001" };
    let sockets: Vec<_> = receivers.iter().map(|netns| (netns.label(), open(netns, any))).collect();
    let socket = open(sender, &format!("{from}:0"));
    segment(&socket, SIZE as u16).expect("segment");
    let to: SocketAddr = to.parse().expect("an address");
    let data: Vec<u8> = (0..SIZE * COUNT).map(|place| (place / SIZE) as u8).collect();
    // The first may be lost while neighbours are being resolved.
    open(sender, &format!("{from}:0")).send_to(b"hello", to).expect("send");
    for (label, socket) in &sockets {
        let mut hello = [0; SIZE];
        socket.recv(&mut hello).unwrap_or_else(|error| panic!("{to} at {label}: {error}"));
    }
    socket.send_to(&data, to).expect("send");
    for (label, socket) in &sockets {
        for number in 0..COUNT {
            let mut datagram = [0; SIZE + 1];
            let length =
                socket.recv(&mut datagram).unwrap_or_else(|error| panic!("{number} of {to} at {label}: {error}"));
            assert_eq!(datagram[..length], [number as u8; SIZE], "{number} of {to} at {label}");
        }
    }
}

fn open(netns: &Netns, at: &str) -> UdpSocket {
    let socket = netns.within(|| bound(|| UdpSocket::bind(at)));
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}
