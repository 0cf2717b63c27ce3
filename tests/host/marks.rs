//! Do a packet's mark and connection stay on the side that set them?

use crate::lab::{counted, ip, is_datagram, lab, lead_outside_to, nft, run};
use ipvl_testbed::packet::{Link, udp};
use ipvl_testbed::{Lab, Mac, Netns, PacketSocket, require_root, wait_until};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);
const MODES: [&str; 3] = ["l2", "l3", "l3s"];
/// The master with a wire that ends in the host's own netns, and the device at that end.
const MASTER: Mac = [2, 0, 0, 0, 9, 1];
const NEIGHBOUR: Mac = [2, 0, 0, 0, 9, 0xfe];
/// Two slaves of that master, and the neighbour.
const SLAVE: [&str; 2] = ["10.9.0.10", "fd09::10"];
const SIBLING: [&str; 2] = ["10.9.0.11", "fd09::11"];
const OUTSIDE: [&str; 2] = ["10.9.0.254", "fd09::254"];
const GROUP: [&str; 2] = ["224.0.0.1", "ff02::1"];
const BROADCAST: Mac = [0xff; 6];

#[test]
fn what_a_slave_notes_stays_with_the_slave() {
    require_root!();
    for mode in MODES {
        let lab = with_a_wire_inside(&[mode, mode]);
        mark_what_leaves(&lab.slaves[0], "ipvl0");
        watch(&lab.host, "netdev w", "ingress device m1");
        watch(&lab.slaves[1], "inet w", "prerouting");
        let (slave, mut wire, mut sibling) =
            (lab.slaves[0].port("ipvl0"), lab.host.port("m1"), lab.slaves[1].port("ipvl1"));
        for family in [0, 1] {
            send(
                &slave,
                (MASTER, SLAVE[family]),
                (if mode == "l2" { NEIGHBOUR } else { MASTER }, OUTSIDE[family]),
                &mut wire,
            );
            send(&slave, (MASTER, SLAVE[family]), (MASTER, SIBLING[family]), &mut sibling);
            if mode == "l2" {
                send(&slave, (MASTER, SLAVE[family]), (BROADCAST, GROUP[family]), &mut wire);
            }
        }
        let expected = if mode == "l2" { 4 } else { 2 };
        assert_eq!(seen_and_noted(&lab.host, "netdev w"), (expected, 0), "{mode}: on the wire");
        assert_eq!(seen_and_noted(&lab.slaves[1], "inet w"), (expected, 0), "{mode}: in the sibling's netns");
    }
}

#[test]
fn what_a_slave_in_the_hosts_netns_notes_stays_with_it() {
    require_root!();
    for mode in ["l2", "l3"] {
        let lab = with_a_wire_inside(&[]);
        lab.ipvl(&format!("link add link m0 name ipvl0 type ipvlan mode {mode}"));
        run(&lab.host, "ip addr add 10.9.0.10/32 dev ipvl0");
        run(&lab.host, "ip addr add fd09::10/128 dev ipvl0 nodad");
        raise(&lab, &lab.host, "ipvl0");
        mark_what_leaves(&lab.host, "ipvl0");
        watch(&lab.host, "netdev w", "ingress device m1");
        let (slave, mut wire) = (lab.host.port("ipvl0"), lab.host.port("m1"));
        for family in [0, 1] {
            send(
                &slave,
                (MASTER, SLAVE[family]),
                (if mode == "l2" { NEIGHBOUR } else { MASTER }, OUTSIDE[family]),
                &mut wire,
            );
        }
        assert_eq!(seen_and_noted(&lab.host, "netdev w"), (2, 0), "{mode}");
    }
}

#[test]
fn what_the_host_notes_of_what_comes_in_stays_with_the_host() {
    require_root!();
    for mode in MODES {
        let lab = with_a_wire_inside(&[mode]);
        mark_what_leaves(&lab.host, "m1");
        let (wire, mut slave) = (lab.host.port("m1"), lab.slaves[0].port("ipvl0"));
        watch(&lab.slaves[0], "inet w", "prerouting");
        watch(&lab.host, "inet w", "prerouting");
        for family in [0, 1] {
            send(&wire, (NEIGHBOUR, OUTSIDE[family]), (MASTER, SLAVE[family]), &mut slave);
            if mode == "l2" {
                send(&wire, (NEIGHBOUR, OUTSIDE[family]), (BROADCAST, GROUP[family]), &mut slave);
            }
        }
        assert_eq!(
            seen_and_noted(&lab.slaves[0], "inet w"),
            (if mode == "l2" { 4 } else { 2 }, 0),
            "{mode}: the slave"
        );
        if mode == "l3s" {
            assert_eq!(seen_and_noted(&lab.host, "inet w"), (2, 2), "the host forwards by its own marks");
        }
    }
}

#[test]
fn each_side_has_its_own_connections() {
    require_root!();
    for (family, ping) in [("ip", "10.0.0.254"), ("ip6", "fd00::254")] {
        let lab = lab(&["mode l3s"]);
        lead_outside_to(&lab, &["10.0.0.10", "fd00::10"]);
        for (netns, hook, number) in [(&lab.slaves[0], "output", "0x99"), (&lab.host, "forward", "0x55")] {
            nft(netns, "table inet w");
            nft(netns, "counter inet w noted");
            nft(netns, "chain inet w early { type filter hook prerouting priority -300 ; }");
            nft(netns, "rule inet w early ct mark != 0 counter name noted");
            nft(netns, &format!("chain inet w late {{ type filter hook {hook} priority 0 ; }}"));
            nft(
                netns,
                &format!(
                    "rule inet w late meta nfproto ipv{} ct mark set {number}",
                    if family == "ip" { 4 } else { 6 }
                ),
            );
        }
        assert!(lab.pings(&lab.slaves[0], ping), "{family}");
        for netns in [&lab.slaves[0], &lab.host] {
            assert_eq!(
                counted(netns, "inet w noted"),
                0,
                "{family}: a connection of the other side in {}",
                netns.label()
            );
        }
    }
}

/// A lab with a second wire, from `m0` to `m1`, both in the host's netns, so that marks survive on it; and slaves of `m0`.
fn with_a_wire_inside(modes: &[&str]) -> Lab {
    let lab = Lab::new(modes.len());
    run(&lab.host, "ip link add m0 address 02:00:00:00:09:01 type veth peer name m1");
    lab.host.sysctl("net/ipv6/conf/m1/disable_ipv6", "1");
    for (address, options, neighbour) in [("10.9.0.1/24", "", OUTSIDE[0]), ("fd09::1/64", "nodad", OUTSIDE[1])] {
        run(&lab.host, &format!("ip addr add {address} dev m0 {options}"));
        run(&lab.host, &format!("ip neigh add {neighbour} lladdr 02:00:00:00:09:fe dev m0"));
    }
    for device in ["m0", "m1"] {
        run(&lab.host, &format!("ip link set {device} up"));
    }
    for (n, mode) in modes.iter().enumerate() {
        let netns = &lab.slaves[n];
        lab.ipvl(&format!("link add link m0 name ipvl{n} netns {} type ipvlan mode {mode}", netns.name()));
        run(netns, &format!("ip addr add {}/24 dev ipvl{n}", [SLAVE, SIBLING][n][0]));
        run(netns, &format!("ip addr add {}/64 dev ipvl{n} nodad", [SLAVE, SIBLING][n][1]));
        raise(&lab, netns, &format!("ipvl{n}"));
    }
    lab
}

fn raise(lab: &Lab, netns: &Netns, slave: &str) {
    run(netns, &format!("ip link set {slave} up"));
    let up = || run(netns, &format!("ip link show {slave}")).contains("LOWER_UP");
    // The addresses are in the table as well, once a command about the slave has come back.
    assert!(wait_until(PATIENCE, up), "{slave} has no carrier");
    lab.ipvl(&format!("link set {slave} up"));
}

/// Notes a mark on all that leaves a device.
fn mark_what_leaves(netns: &Netns, device: &str) {
    nft(netns, "table netdev m");
    nft(netns, &format!("chain netdev m out {{ type filter hook egress device {device} priority 0 ; }}"));
    nft(netns, "rule netdev m out meta mark set 0x77");
}

/// Counts the tests' datagrams at a hook, and those of them with a mark.
fn watch(netns: &Netns, table: &str, hook: &str) {
    nft(netns, &format!("table {table}"));
    nft(netns, &format!("counter {table} seen"));
    nft(netns, &format!("counter {table} noted"));
    nft(netns, &format!("chain {table} look {{ type filter hook {hook} priority -300 ; }}"));
    nft(netns, &format!("rule {table} look udp dport 4001 counter name seen"));
    nft(netns, &format!("rule {table} look udp dport 4001 meta mark != 0 counter name noted"));
}

fn seen_and_noted(netns: &Netns, table: &str) -> (u64, u64) {
    (counted(netns, &format!("{table} seen")), counted(netns, &format!("{table} noted")))
}

/// Sends a datagram, and waits until it is there.
#[track_caller]
fn send(by: &PacketSocket, (from_mac, from): (Mac, &str), (to_mac, to): (Mac, &str), there: &mut PacketSocket) {
    by.inject(&udp(Link::new(from_mac, to_mac), (ip(from), 4000), (ip(to), 4001), b"of the slave"));
    there.expect(&format!("the datagram from {from} to {to}"), is_datagram(from, to));
}
