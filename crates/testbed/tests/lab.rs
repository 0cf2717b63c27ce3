//! Does the testbed itself work? Two namespaces talk, a socket receives what another sends, and everything is removed.

use std::fs;
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use ipvl_testbed::packet::{self, Link};
use ipvl_testbed::{EXT_MAC, EXT_V4, HOST_V4, Lab, MASTER_MAC, require_root, wait_until};

#[test]
fn both_ends_of_the_wire_ping_each_other() {
    require_root!();
    let lab = Lab::new(1);
    assert!(lab.pings(&lab.host, "10.0.0.254"));
    assert!(lab.pings(&lab.ext, "fd00::1"));
    assert!(!lab.pings(&lab.slaves[0], "10.0.0.1"));
}

#[test]
fn a_port_catches_what_was_injected() {
    require_root!();
    let lab = Lab::new(0);
    let (wire, mut host) = (lab.wire(), lab.host.port("eth0"));
    let frame = packet::udp(Link::new(EXT_MAC, MASTER_MAC), (EXT_V4, 1000), (HOST_V4, 9), b"caught");
    wire.inject(&frame);
    let caught = host.expect("the datagram", |frame| frame.goes(EXT_V4, HOST_V4));
    assert_eq!(caught.bytes, frame);
    assert_eq!(caught.transport()[8..], *b"caught");
}

#[test]
fn a_tag_comes_back_to_its_place() {
    require_root!();
    let lab = Lab::new(0);
    let (wire, mut host) = (lab.wire(), lab.host.port("eth0"));
    let frame = packet::with_tag(&packet::arp_request(EXT_MAC, EXT_V4, HOST_V4), 7);
    wire.inject(&frame);
    let caught = host.expect("the tagged request", |frame| frame.vlan == Some(7));
    assert_eq!(caught.bytes, frame);
    assert!(caught.asks_for(HOST_V4));
}

#[test]
fn the_kernel_believes_our_checksums() {
    require_root!();
    let lab = Lab::new(0);
    let mut wire = lab.wire();
    let link = Link::new(EXT_MAC, MASTER_MAC);
    for (from, to) in [("10.0.0.254", "10.0.0.1"), ("fd00::254", "fd00::1")] {
        let (from, to): (IpAddr, IpAddr) = (from.parse().unwrap(), to.parse().unwrap());
        wire.inject(&packet::echo_request(link, from, to, 77, 1));
        wire.expect("the echo reply", |frame| frame.goes(to, from) && [0, 129].contains(&frame.transport()[0]));
    }
}

#[test]
fn a_marker_proves_an_absence() {
    require_root!();
    let lab = Lab::new(0);
    let (wire, mut host) = (lab.wire(), lab.host.port("eth0"));
    let link = Link::new(EXT_MAC, MASTER_MAC);
    wire.inject(&packet::udp(link, (EXT_V4, 1), (HOST_V4, 9), b"marker"));
    host.expect_none_before("a forbidden datagram", |f| f.contains(b"marker"), |f| f.contains(b"forbidden"));
    host.expect_none("anything more of it", &lab.rest(), |f| f.contains(b"forbidden"));
}

#[test]
fn at_rest_even_the_answers_have_come() {
    require_root!();
    let lab = Lab::new(0);
    let (mut wire, rest) = (lab.wire(), lab.rest());
    let (link, from, to) = (Link::new(EXT_MAC, MASTER_MAC), EXT_V4.into(), HOST_V4.into());
    for number in 0..100 {
        wire.inject(&packet::echo_request(link, from, to, 77, number));
        rest.wait();
        assert_eq!(wire.count(|frame| frame.goes(to, from) && frame.transport()[0] == 0), 1, "answers to {number}");
    }
}

#[test]
fn a_failing_test_keeps_its_capture() {
    require_root!();
    let failing = || {
        let lab = Lab::new(0);
        let (wire, mut host) = (lab.wire(), lab.host.port("eth0"));
        wire.inject(&packet::gratuitous_arp(EXT_MAC, EXT_V4));
        host.expect("a frame", |frame| frame.addresses().is_some_and(|(sender, _)| sender == EXT_V4));
        panic!("on purpose");
    };
    let test = thread::Builder::new().name("meant-to-fail".to_owned()).spawn(failing).expect("start a thread");
    assert!(test.join().is_err());
    let here = std::env::current_exe().unwrap();
    let target = here.ancestors().nth(3).expect("the target directory");
    let captures = ["host", "ext"].map(|end| target.join(format!("pcap/meant-to-fail-{end}-eth0.pcap")));
    let (headers, request) = (24 + 16, 42);
    assert!(fs::read(&captures[0]).expect("the capture").len() >= headers + request);
    for capture in captures {
        fs::remove_file(capture).unwrap();
    }
}

#[test]
fn nothing_is_left() {
    require_root!();
    let lab = Lab::new(1);
    let names = [&lab.host, &lab.ext, &lab.slaves[0]].map(|netns| netns.name().to_owned());
    let mut sleeper = lab.host.command(["sleep", "1000"]).spawn().expect("start a process inside");
    let comm = format!("/proc/{}/comm", sleeper.id());
    assert!(wait_until(Duration::from_secs(1), || fs::read_to_string(&comm).is_ok_and(|name| name == "sleep\n")));
    drop(lab);
    assert!(!sleeper.wait().expect("wait for the process").success());
    for name in names {
        assert!(!fs::exists(format!("/run/netns/{name}")).unwrap());
    }
}
