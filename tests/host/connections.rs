//! Do connections hold through the host's address translation, its strictness, fragments, and a change of mode?

use crate::lab::{lab, lead_outside_to, nft, run};
use crate::transfers::whole;
use ipvl_testbed::{Lab, require_root};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);
const SLAVES: [&str; 4] = ["10.0.0.10", "10.0.0.11", "fd00::10", "fd00::11"];

#[test]
fn a_service_of_the_host_leads_to_a_backend_outside_and_to_a_sibling() {
    require_root!();
    let lab = of_two("l3s");
    nft(&lab.host, "table inet t");
    nft(&lab.host, "chain inet t p { type nat hook prerouting priority -100 ; }");
    for (family, service, backend) in [
        ("ip", "10.96.0.1", "10.0.0.254:80"),
        ("ip", "10.96.0.2", "10.0.0.11:80"),
        ("ip6", "fd96::1", "[fd00::254]:80"),
        ("ip6", "fd96::2", "[fd00::11]:80"),
    ] {
        nft(&lab.host, &format!("rule inet t p {family} daddr {service} tcp dport 80 dnat {family} to {backend}"));
    }
    let [a, b] = &lab.slaves[..] else { panic!("two slaves") };
    whole(&lab.ext, "10.0.0.254:80", a, "10.96.0.1:80");
    whole(b, "10.0.0.11:80", a, "10.96.0.2:80");
    whole(&lab.ext, "[fd00::254]:80", a, "[fd96::1]:80");
    whole(b, "[fd00::11]:80", a, "[fd96::2]:80");
}

#[test]
fn siblings_in_other_modes_meet_an_l3s_slave_behind_the_hosts_filter() {
    require_root!();
    for mode in ["l2", "l3"] {
        let lab = lab(&["mode l3s", &format!("mode {mode} host on"), &format!("mode {mode}")]);
        let [l3s, with, without] = &lab.slaves[..] else { panic!("three slaves") };
        for (to_l3s, to_with) in [("10.0.0.10", "10.0.0.11"), ("fd00::10", "fd00::11")] {
            assert!(lab.pings(with, to_l3s) && lab.pings(l3s, to_with), "{mode}: both have host access");
            assert!(!lab.pings(without, to_l3s), "{mode}: without host access");
        }
        nft(&lab.host, "table inet t");
        nft(&lab.host, "chain inet t f { type filter hook forward priority 0 ; policy drop ; }");
        assert!(!lab.pings(with, "10.0.0.10") && !lab.pings(l3s, "10.0.0.11"), "{mode}: the host forbids it");
    }
}

#[test]
fn a_strict_host_and_strict_slaves_stop_nobody() {
    require_root!();
    for mode in ["l2", "l3", "l3s"] {
        let lab = of_two(mode);
        for device in ["all", "eth0", "ipvlh0", "ipvlh1"] {
            lab.host.sysctl(&format!("net/ipv4/conf/{device}/rp_filter"), "1");
        }
        for (n, slave) in lab.slaves.iter().enumerate() {
            slave.sysctl("net/ipv4/conf/all/rp_filter", "1");
            slave.sysctl(&format!("net/ipv4/conf/ipvl{n}/rp_filter"), "1");
        }
        assert!(lab.pings(&lab.slaves[0], "10.0.0.254"), "{mode}: outward");
        assert!(lab.pings(&lab.ext, "10.0.0.10"), "{mode}: inward");
        assert!(lab.pings(&lab.slaves[0], "10.0.0.11"), "{mode}: to a sibling");
    }
}

#[test]
fn fragments_arrive_whole_whoever_tracks_connections() {
    require_root!();
    for mode in ["l2", "l3", "l3s"] {
        let lab = of_two(mode);
        for netns in [&lab.host, &lab.slaves[0]] {
            nft(netns, "table inet t");
            nft(netns, "chain inet t p { type filter hook prerouting priority 0 ; }");
            nft(netns, "rule inet t p ct state invalid drop");
        }
        let big = |from: &ipvl_testbed::Netns, to| from.exec(["ping", "-n", "-c", "1", "-W", "2", "-s", "4000", to]).ok;
        for (slave, sibling, outside) in
            [("10.0.0.10", "10.0.0.11", "10.0.0.254"), ("fd00::10", "fd00::11", "fd00::254")]
        {
            assert!(big(&lab.slaves[0], outside), "{mode}: to {outside}");
            assert!(big(&lab.ext, slave), "{mode}: to {slave}");
            assert!(big(&lab.slaves[0], sibling), "{mode}: to {sibling}");
        }
    }
}

#[test]
fn an_established_connection_survives_every_change_of_mode() {
    require_root!();
    let lab = of_two("l2");
    for at in ["10.0.0.10:80", "[fd00::10]:80"] {
        let listener = lab.slaves[0].within(|| TcpListener::bind(at)).expect("listen");
        let address = at.parse().expect("an address");
        let mut from_ext = lab.ext.within(|| TcpStream::connect_timeout(&address, PATIENCE)).expect("connect");
        let echo = thread::spawn(move || echo(listener));
        for mode in ["l2", "l3", "l3s", "l3", "l2", "l3s", "l2"] {
            lab.ipvl(&format!("link set ipvl0 type ipvlan mode {mode}"));
            assert_eq!(answer(&mut from_ext), *b"still there", "{mode}, {at}");
        }
        drop(from_ext);
        echo.join().expect("the server");
    }
}

/// Two slaves in this mode, and an outside that finds them.
fn of_two(mode: &str) -> Lab {
    let lab = lab(&[&format!("mode {mode}"), &format!("mode {mode}")]);
    lead_outside_to(&lab, &SLAVES);
    for (n, slave) in lab.slaves.iter().enumerate() {
        run(slave, &format!("ip route add default dev ipvl{n}"));
        run(slave, &format!("ip -6 route add default dev ipvl{n}"));
    }
    lab
}

fn echo(listener: TcpListener) {
    let (mut stream, _) = listener.accept().expect("accept");
    let mut words = [0; 11];
    while stream.read_exact(&mut words).is_ok() {
        stream.write_all(&words).expect("answer");
    }
}

fn answer(stream: &mut TcpStream) -> [u8; 11] {
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(b"still there").expect("send");
    let mut words = [0; 11];
    stream.read_exact(&mut words).expect("an answer");
    words
}
