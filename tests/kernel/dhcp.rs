//! Does a DHCP request leave with the slave's own client identifier, and does the client get its own back?

use crate::devices::Devices;
use crate::programs::Programs;
use ipvl_core::Slot;
use ipvl_testbed::packet::{Link, checksum, dhcp_offer, dhcp_request};
use ipvl_testbed::{EXT_MAC, EXT_V4, MASTER_MAC, require_root};
use ipvl_tests::world::{Member, World};
use std::net::Ipv4Addr;

const UDP: usize = 34;
const OPTIONS: usize = 42 + 240;
const XID: u32 = 0x0102_0304;
const DISCOVER: [u8; 3] = [53, 1, 1];
/// What most clients say: the type Ethernet and the MAC address, which siblings have as well.
const SHARED: [u8; 9] = {
    let [a, b, c, d, e, f] = MASTER_MAC;
    [61, 7, 1, a, b, c, d, e, f]
};
/// What dhcpcd and systemd-networkd say: an IAID and the machine's DUID.
const NODE: [u8; 15] = [61, 13, 255, 1, 2, 3, 4, 0, 2, 0, 0, 0xab, 0x11, 9, 8];

#[test]
fn a_request_gets_the_slaves_identifier_wherever_there_is_room() {
    let long_name = [&[12, 55][..], &[b'n'; 55]].concat();
    for (options, length, at) in [
        ([&DISCOVER[..], &SHARED, &[55, 1, 3]].concat(), 300, 3),
        ([&SHARED[..], &DISCOVER].concat(), 0, 0),
        (DISCOVER.to_vec(), 300, 3),
        ([&DISCOVER[..], &long_name].concat(), 300, 60),
        ([&DISCOVER[..], &long_name, &[0]].concat(), 0, 61),
        (DISCOVER.to_vec(), 0, 3),
    ] {
        let found = sent("a", &options, length).expect("a try");
        let other = sent("b", &options, length).expect("a try");
        let identifier = |frame: &[u8]| frame[OPTIONS + at..OPTIONS + at + 9].to_vec();
        assert_eq!(identifier(&found)[..3], [61, 7, 0], "{options:?}");
        assert_ne!(identifier(&found), identifier(&other), "{options:?}");
        assert!(is_sound(&found) && is_sound(&other), "{options:?}");
    }
}

/// Two namespaces of one machine have the same machine id and devices of the same name.
#[test]
fn an_identifier_of_the_machine_gets_an_iaid_of_the_slave() {
    require_root!();
    let options = [&DISCOVER[..], &NODE].concat();
    for length in [0, 300] {
        let [found, other] = ["a", "b"].map(|slave| sent(slave, &options, length).expect("a try"));
        let same = dhcp_request(MASTER_MAC, XID, &options, length);
        let differ = |frame: &[u8]| (0..frame.len()).filter(|at| frame[*at] != same[*at]).collect::<Vec<_>>();
        let iaid = OPTIONS + DISCOVER.len() + 3;
        let sum = [UDP + 6, UDP + 7];
        let may_differ = |at: &usize| sum.contains(at) || (iaid..iaid + 4).contains(at);
        assert!(differ(&found).iter().chain(&differ(&other)).all(may_differ), "{found:?} {other:?}");
        assert_ne!(found[iaid..iaid + 4], other[iaid..iaid + 4]);
        assert!(is_sound(&found) && is_sound(&other));
    }
}

#[test]
fn other_identifiers_are_the_clients_own_and_another_setting_is_obeyed() {
    for own in [&[61, 5, 255, 1, 2, 3, 4][..], &[61, 4, 0, b'w', b'e', b'b'], &[61, 9, 0, 255, 1, 2, 3, 4, 5, 6, 7]] {
        let own = [&DISCOVER[..], own].concat();
        assert_eq!(sent("a", &own, 300), Some(dhcp_request(MASTER_MAC, XID, &own, 300)));
    }
    for shared in [&SHARED[..], &NODE] {
        let options = [&DISCOVER[..], shared].concat();
        assert_eq!(sent("a nodhcp", &options, 300), Some(dhcp_request(MASTER_MAC, XID, &options, 300)));
    }
}

#[test]
fn the_client_gets_the_identifier_that_it_knows() {
    require_root!();
    let devices = Devices::new();
    devices.within(|| {
        let mut programs = Programs::load();
        programs.fill(&world("a").snapshot_at(devices.master(), |slot| devices.host_end(slot)));
        for known in [&SHARED[..], &NODE] {
            let request = dhcp_request(MASTER_MAC, XID, &[&DISCOVER[..], known].concat(), 300);
            let sent = programs.egress(&request.into(), devices.host_end(Slot(0))).expect("a try").data;
            let at = OPTIONS + DISCOVER.len();
            let theirs = &sent[at..at + known.len()];
            assert_ne!(theirs, known);
            let offer = |option: &[u8]| {
                let (link, address) = (Link::new(EXT_MAC, MASTER_MAC), Ipv4Addr::new(10, 0, 0, 99));
                dhcp_offer(link, [EXT_V4, address], MASTER_MAC, XID, address, option)
            };
            let arrived = programs.ingress(&offer(theirs).into(), devices.master()).expect("a try");
            assert_eq!(arrived.data, offer(known));
        }
    });
}

/// The request of a slave after its program has seen it; `None` without root.
fn sent(slave: &str, options: &[u8], length: usize) -> Option<Vec<u8>> {
    if !ipvl_testbed::requires_root() {
        return Some(dhcp_request(MASTER_MAC, XID, options, length));
    }
    let devices = Devices::new();
    devices.within(|| {
        let mut programs = Programs::load();
        let world = world(slave);
        programs.fill(&world.snapshot_at(devices.master(), |slot| devices.host_end(slot)));
        let request = dhcp_request(MASTER_MAC, XID, options, length);
        Some(programs.egress(&request.into(), devices.host_end(world.members[0].slot()))?.data)
    })
}

fn world(slave: &str) -> World {
    let mut words = slave.split(' ').map(str::to_owned);
    let member = Member { name: words.next().expect("a name"), words: words.collect() };
    World { members: vec![member], declared: Vec::new(), joined: None, asked: Vec::new(), port: Vec::new() }
}

/// Whether lengths and both checksums are right.
fn is_sound(frame: &[u8]) -> bool {
    let datagram = &frame[UDP..];
    let length = (datagram.len() as u32).to_be_bytes();
    let pseudo = [&frame[26..34], &length, &[0, 0, 0, 17], datagram].concat();
    let lengths = frame[16..18] == (frame.len() as u16 - 14).to_be_bytes() && datagram[4..6] == length[2..];
    lengths && checksum(&frame[14..UDP]) == [0, 0] && checksum(&pseudo) == [0, 0]
}
