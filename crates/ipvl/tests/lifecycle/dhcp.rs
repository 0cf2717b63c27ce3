//! Do stock DHCP clients in l2 slaves get leases of their own, and keep them?

#[path = "dhcp/programs.rs"]
mod programs;

use crate::common::{run, soon};
use ipvl_testbed::{EXT_V4, HOST_V4, Lab, Netns, require_root};
use programs::{Place, Running, relay, server};
use std::collections::BTreeSet;

const RANGE: &str = "10.0.0.100,10.0.0.150";
const OTHER_RANGE: &str = "10.0.0.200,10.0.0.250";

#[test]
fn stock_clients_that_start_together_get_leases_of_their_own() {
    require_root!();
    let lab = Lab::new(7);
    let place = Place::new("together");
    let server = server(&lab.ext, RANGE, "--interface=eth0");
    let clients = start_clients(&lab, &place, "mode l2");
    expect_distinct(&place.wait_for(&lab, 7, 1));
    expect_reach(&lab, &EXT_V4.to_string());
    expect_renewals(&lab, &place, &server, &clients[..4]);
}

#[test]
fn a_server_may_be_in_a_sibling() {
    require_root!();
    for options in ["mode l2", "mode l2 guard router"] {
        let lab = Lab::new(2);
        let place = Place::new("sibling");
        lab.add_slave(1, options, &["10.0.0.10/24"]);
        lab.add_slave(0, "mode l2", &[]);
        let server = server(&lab.slaves[1], RANGE, "--interface=ipvl1");
        let client = place.udhcpc(&lab.slaves[0], 0, "");
        place.wait_for(&lab, 1, 1);
        soon("it reaches the server", || lab.pings(&lab.slaves[0], "10.0.0.10"));
        expect_renewals(&lab, &place, &server, &[client]);
    }
}

/// The server sees its host's slaves by their host ends, which have no address. It must not write neighbour entries for them:
/// such an entry expires, because host ends use no ARP.
#[test]
fn a_server_may_be_on_the_host_of_slaves_with_host_access() {
    require_root!();
    let lab = Lab::new(7);
    let place = Place::new("host");
    let server = server(&lab.host, RANGE, "--interface=eth0 --bridge-interface=eth0,ipvlh* --dhcp-broadcast");
    let clients = start_clients(&lab, &place, "mode l2 host on");
    expect_distinct(&place.wait_for(&lab, 7, 1));
    expect_reach(&lab, &HOST_V4.to_string());
    expect_renewals(&lab, &place, &server, &clients[..4]);
}

/// The relay ends before clients renew, so that they do it by unicast.
#[test]
fn a_server_may_be_behind_a_relay() {
    require_root!();
    let lab = Lab::new(7);
    let place = Place::new("relay");
    let far = Netns::new("far");
    run(&lab.ext, &format!("ip link add far type veth peer name eth0 netns {}", far.name()));
    for (netns, device, address) in [(&lab.ext, "far", "10.9.0.1/24"), (&far, "eth0", "10.9.0.2/24")] {
        run(netns, &format!("ip addr add {address} dev {device}"));
        run(netns, &format!("ip link set {device} up"));
    }
    run(&far, "ip route add default via 10.9.0.1");
    lab.ext.sysctl("net/ipv4/ip_forward", "1");
    let server = server(&far, RANGE, &format!("--interface=eth0 --dhcp-option=3,{EXT_V4}"));
    let relay = relay(&lab.ext, &EXT_V4.to_string(), "10.9.0.2");
    let clients = start_clients(&lab, &place, "mode l2");
    expect_distinct(&place.wait_for(&lab, 7, 1));
    expect_reach(&lab, "10.9.0.2");
    drop(relay);
    expect_renewals(&lab, &place, &server, &clients[..4]);
}

/// A server that has lost its leases, and has other addresses now, refuses what clients ask for.
#[test]
fn a_lost_lease_is_replaced() {
    require_root!();
    let lab = Lab::new(7);
    let place = Place::new("lost");
    let first = server(&lab.ext, RANGE, "--interface=eth0");
    let mut clients = start_clients(&lab, &place, "mode l2");
    place.wait_for(&lab, 7, 1);
    drop(first);
    let _second = server(&lab.ext, OTHER_RANGE, "--interface=eth0");
    clients.drain(4..).for_each(Running::stop);
    clients.iter().for_each(Running::renew);
    clients.extend((4..7).map(|n| start_client(&lab, &place, n)));
    let addresses = place.wait_for(&lab, 7, 2);
    expect_distinct(&addresses);
    assert!(addresses.iter().all(|address| address.starts_with("10.0.0.2")), "{addresses:?}");
}

/// One client in each slave. The first four are udhcpc, which can be told to renew its lease.
fn start_clients(lab: &Lab, place: &Place, options: &str) -> Vec<Running> {
    let slaves = 0..lab.slaves.len();
    slaves.clone().for_each(|n| drop(lab.add_slave(n, options, &[])));
    slaves.map(|n| start_client(lab, place, n)).collect()
}

fn start_client(lab: &Lab, place: &Place, n: usize) -> Running {
    let netns = &lab.slaves[n];
    match n {
        0..=2 => place.udhcpc(netns, n, ""),
        3 => place.udhcpc(netns, n, "-C"),
        4 => place.dhclient(netns, n),
        _ => place.dhcpcd(netns, n),
    }
}

/// Soon: the agent follows the addresses that clients set.
#[track_caller]
fn expect_reach(lab: &Lab, address: &str) {
    soon("every slave reaches it", || lab.slaves.iter().all(|slave| lab.pings(slave, address)));
}

#[track_caller]
fn expect_distinct(addresses: &[String]) {
    assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), addresses.len(), "{addresses:?}");
}

/// Has these clients, those of the first slaves, renew their first leases, and fails unless they get the same again.
/// udhcpc opens the socket for the answer when it has asked: an answer within less than that would be lost.
#[track_caller]
fn expect_renewals(lab: &Lab, place: &Place, server: &Running, clients: &[Running]) {
    server.after_a_moment(|| clients.iter().for_each(Running::renew));
    place.wait_for(lab, clients.len(), 2);
    for n in 0..clients.len() {
        let [first, second] = &place.leases(n)[..] else { panic!("one lease each time: {:?}", place.leases(n)) };
        assert_eq!(first.replace("bound", "renew"), *second, "the same address, without starting again");
    }
}
