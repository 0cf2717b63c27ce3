//! Do packets of several segments arrive whole that are not TCP's, or have several receivers?

use crate::lab::{lab, lead_outside_to, run};
use ipvl_testbed::{Netns, require_root, segment};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);
const SIZE: usize = 1000;
const COUNT: usize = 32;

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
    let socket = netns.within(|| UdpSocket::bind(at)).unwrap_or_else(|error| panic!("open {at}: {error}"));
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}
