//! Can a device without Ethernet headers be a master?

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use ipvl_testbed::packet::{self, IPV4, Link};
use ipvl_testbed::{Lab, Netns, require_root};

use crate::common::{agents, run, soon};
use crate::tun_device;

const SLAVE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 10);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 99);
const ETHERNET: usize = 14;
const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;

#[test]
fn pings_go_both_ways_through_a_tun_master() {
    require_root!();
    for mode in ["l3", "l3s"] {
        let lab = Lab::new(1);
        let mut tun = Tun::open(&lab.host);
        lab.ipvl(&format!("link add link tun0 name ipvl0 netns {} type ipvlan mode {mode}", lab.slaves[0].name()));
        run(&lab.slaves[0], "ip addr add 10.9.0.10/24 dev ipvl0");
        run(&lab.slaves[0], "ip link set ipvl0 up");
        soon("carrier", || run(&lab.slaves[0], "ip link show ipvl0").contains("LOWER_UP"));
        soon("the address is known", || lab.ipvl("addr show").contains("10.9.0.10"));
        let explained = lab.ipvl("explain in tun0 to 10.9.0.10 from 10.9.0.99");
        assert!(explained.contains("delivered to ipvl0") || mode == "l3s", "{explained}");
        assert!(!explained.contains("malformed"), "{explained}");
        let mut request = tun_packet(FAR, SLAVE, ECHO_REQUEST);
        soon(&format!("{mode}: an answer"), || {
            tun.send(&request);
            tun.came(SLAVE, FAR, ECHO_REPLY)
        });
        let (slave, stop) = (&lab.slaves[0], Duration::from_secs(5));
        let ping = format!("ping -n -c 1 -W {} {FAR}", stop.as_secs());
        let pinged = thread::scope(|scope| {
            let pinging = scope.spawn(|| crate::common::exec(slave, &ping));
            soon(&format!("{mode}: a question"), || match tun.next(SLAVE, FAR, ECHO_REQUEST) {
                Some(question) => {
                    request = answer(&question);
                    tun.send(&request);
                    true
                }
                None => false,
            });
            pinging.join().expect("ping")
        });
        assert!(pinged.ok, "{mode}: {}", pinged.stdout);
        lab.ipvl("link del ipvl0");
        assert!(agents(&lab.host).is_empty());
    }
}

/// The far end of the device: whole IP packets.
struct Tun {
    file: File,
    packets: Receiver<Vec<u8>>,
}

impl Tun {
    fn open(host: &Netns) -> Self {
        let file = host.within(|| tun_device::open("tun0", tun_device::TUN)).expect("open tun0");
        run(host, "ip addr add 10.9.0.1/24 dev tun0");
        run(host, "ip link set tun0 up");
        let (sender, packets) = channel();
        let mut reading = file.try_clone().expect("a second descriptor");
        thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok(length) = reading.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { file, packets }
    }

    fn send(&mut self, packet: &[u8]) {
        self.file.write_all(packet).expect("write to the tun device");
    }

    fn came(&self, from: Ipv4Addr, to: Ipv4Addr, kind: u8) -> bool {
        self.next(from, to, kind).is_some()
    }

    /// The next ICMP message of that kind, if one comes soon.
    fn next(&self, from: Ipv4Addr, to: Ipv4Addr, kind: u8) -> Option<Vec<u8>> {
        let wanted = |packet: &Vec<u8>| {
            packet.len() > 20 && packet[12..16] == from.octets() && packet[16..20] == to.octets() && packet[20] == kind
        };
        std::iter::from_fn(|| self.packets.recv_timeout(Duration::from_millis(200)).ok()).find(wanted)
    }
}

fn tun_packet(from: Ipv4Addr, to: Ipv4Addr, kind: u8) -> Vec<u8> {
    let mut icmp = vec![kind, 0, 0, 0, 0, 7, 0, 1];
    let sum = packet::checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum);
    icmp_packet(from, to, &icmp)
}

fn answer(question: &[u8]) -> Vec<u8> {
    let mut icmp = question[20..].to_vec();
    (icmp[0], icmp[2], icmp[3]) = (ECHO_REPLY, 0, 0);
    let sum = packet::checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum);
    icmp_packet(FAR, SLAVE, &icmp)
}

fn icmp_packet(from: Ipv4Addr, to: Ipv4Addr, icmp: &[u8]) -> Vec<u8> {
    let frame = packet::ip(Link::new([0; 6], [0; 6]), IpAddr::V4(from), IpAddr::V4(to), 1, icmp);
    assert_eq!(frame[12..14], IPV4.to_be_bytes());
    frame[ETHERNET..].to_vec()
}
