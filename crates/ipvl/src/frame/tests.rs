//! Does a frame get what its description leaves open from the right place?

use super::*;
use crate::command::Protocol;
use ipvl_control::Detail;
use ipvl_core::{IfIndex, Options, Slot};

const MASTER_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

#[test]
fn a_sibling_of_l2_has_our_own_mac_and_a_stranger_another() {
    assert_eq!(dst_mac(&sent("10.0.0.11", Mode::L2)), MASTER_MAC.0);
    assert_eq!(dst_mac(&sent("10.0.0.99", Mode::L2)), STRANGER_MAC.0);
    assert_eq!(dst_mac(&sent("10.0.0.99", Mode::L3)), MASTER_MAC.0);
    assert_eq!(dst_mac(&sent("224.0.0.1", Mode::L2)), [1, 0, 0x5e, 0, 0, 1]);
}

#[test]
fn the_source_is_the_slaves_own_of_the_same_family_and_scope() {
    assert_eq!(sent("10.0.0.99", Mode::L2)[26..30], [10, 0, 0, 10]);
    assert_eq!(sent("fd00::99", Mode::L2)[22..38], addr("fd00::10").0);
    assert_eq!(sent("fe80::99", Mode::L2)[22..38], addr("fe80::10").0);
    assert_eq!(sent("ff02::1", Mode::L2)[22..38], addr("fe80::10").0);
}

#[test]
fn a_slave_without_an_address_must_be_told_one() {
    let question = question(Direction::From, "s0", description("10.0.0.99"));
    let error = bytes(&question, &[link(Mode::L2, MASTER_MAC)], &[], None).unwrap_err();
    assert_eq!(error, FrameError::NoSource { slave: "s0".to_owned(), family: "IPv4" });
    let src = Some(addr("10.0.0.7"));
    let told = Question { frame: Frame::Described(Description { src, ..description("10.0.0.99") }), ..question };
    assert_eq!(bytes(&told, &[link(Mode::L2, MASTER_MAC)], &[], None).unwrap()[26..30], [10, 0, 0, 7]);
}

#[test]
fn what_a_master_receives_is_for_its_mac_from_a_stranger() {
    let question = question(Direction::In, "eth0", description("10.0.0.10"));
    let frame = bytes(&question, &[link(Mode::L2, MASTER_MAC)], &[], None).unwrap();
    assert_eq!((dst_mac(&frame), &frame[6..12]), (MASTER_MAC.0, &STRANGER_MAC.0[..]));
    assert_eq!(frame[26..30], STRANGER_4.0[12..]);
    let tun = Link { master_is_ip: true, ..link(Mode::L3, MASTER_MAC) };
    let tun = bytes(&question, &[tun], &[], None).unwrap();
    assert_eq!(tun, frame[ETHERNET..]);
}

#[test]
fn unknown_devices_are_named() {
    let name = "s9".to_owned();
    let from = bytes(&question(Direction::From, "s9", description("10.0.0.1")), &[], &[], None);
    assert_eq!(from, Err(FrameError::NotASlave { name: name.clone() }));
    let into = bytes(&question(Direction::In, "s9", description("10.0.0.1")), &[], &[], None);
    assert_eq!(into, Err(FrameError::NotAMaster { name }));
}

fn sent(to: &str, mode: Mode) -> Vec<u8> {
    let own = ["fe80::10", "10.0.0.10", "fd00::10"].map(|own| entry(own, "s0"));
    let addresses = own.into_iter().chain([entry("10.0.0.11", "s1")]).collect::<Vec<_>>();
    bytes(&question(Direction::From, "s0", description(to)), &[link(mode, MASTER_MAC)], &addresses, None).unwrap()
}

fn dst_mac(frame: &[u8]) -> [u8; 6] {
    frame[..6].try_into().unwrap()
}

fn question(way: Direction, device: &str, description: Description) -> Question {
    Question { way, device: device.to_owned(), frame: Frame::Described(description) }
}

fn description(to: &str) -> Description {
    Description {
        to: addr(to),
        src: None,
        dst_mac: None,
        src_mac: None,
        protocol: Protocol::Icmp,
        dport: None,
        len: None,
    }
}

fn entry(text: &str, slave: &str) -> AddressEntry {
    let addr = addr(text);
    AddressEntry {
        addr,
        prefix_len: if is_v4(addr) { 32 } else { 128 },
        slave: Some(slave.to_owned()),
        master: "eth0".to_owned(),
        status: AddressStatus::Device,
        owner: None,
    }
}

fn link(mode: Mode, mac: Mac) -> Link {
    Link {
        kind: ipvl_control::Kind::Ipvlan,
        ifindex: IfIndex(3),
        name: "s0".to_owned(),
        master: (IfIndex(2), "eth0".to_owned()),
        master_is_ip: false,
        slot: Slot(0),
        host_end: (IfIndex(7), "ipvlh2".to_owned()),
        backend: None,
        netnsid: None,
        netns: None,
        flags: 0,
        operstate: 0,
        mtu: 1500,
        txqlen: 1000,
        qdisc: String::new(),
        mac,
        options: Options { mode, ..Options::DEFAULT },
        groups: Vec::new(),
        all_groups: false,
        queue: None,
        rates: ipvl_control::Rates::default(),
        degraded: Vec::new(),
        detail: Detail::default(),
    }
}

fn addr(text: &str) -> Addr {
    text.parse::<std::net::IpAddr>().unwrap().into()
}
