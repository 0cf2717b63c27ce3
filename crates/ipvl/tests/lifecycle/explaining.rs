//! Does `ipvl explain` say what becomes of a packet after the decision: routes, next hops, the master's state?

use std::net::UdpSocket;
use std::time::Duration;

use ipvl_testbed::{Lab, require_root};

use crate::common::{pings_now, run, soon};

/// A destination behind the outside machine.
const FAR: &str = "198.51.100.7";

/// A slave in this mode, with a default route.
fn lab(mode: &str) -> Lab {
    let lab = Lab::new(1);
    lab.add_slave(0, &format!("mode {mode}"), &["10.0.0.10/24"]);
    let way = if mode == "l2" { "via 10.0.0.254" } else { "dev ipvl0" };
    run(&lab.slaves[0], &format!("ip route add default {way}"));
    lab
}

#[track_caller]
fn says(lab: &Lab, question: &str, expected: &str) {
    let explained = lab.ipvl(&format!("explain from ipvl0 to {question}"));
    let last = explained.lines().last().unwrap_or_default();
    assert!(last.contains(expected), "{question}: not {expected:?} but\n{explained}");
}

#[track_caller]
fn dropped(lab: &Lab, reason: &str) {
    pings_now(&lab.slaves[0], FAR);
    assert!(lab.ipvl("stats dev ipvl0").contains(reason), "{reason}: {}", lab.ipvl("stats dev ipvl0"));
}

#[test]
fn for_l3_the_hosts_routing_table_is_asked_as_the_program_does() {
    require_root!();
    let lab = lab("l3");
    says(&lab, FAR, "dropped as no-route");
    dropped(&lab, "no-route");
    run(&lab.host, "ip route add default via 10.0.0.254");
    says(&lab, FAR, "sent out of eth0 by the host's routing table");
    for (kind, reason) in [("blackhole", "blackhole"), ("unreachable", "unreachable"), ("prohibit", "prohibit")] {
        run(&lab.host, &format!("ip route add {kind} {FAR}"));
        says(&lab, FAR, &format!("dropped as {reason}"));
        dropped(&lab, reason);
        run(&lab.host, &format!("ip route del {kind} {FAR}"));
    }
    run(&lab.host, &format!("ip route add {FAR} via 10.0.0.254 mtu lock 600"));
    says(&lab, &format!("{FAR} len 1000"), "sends fragments of 600 bytes");
    says(&lab, FAR, "sent out of eth0");
    run(&lab.host, "ip link set eth0 down");
    says(&lab, FAR, "dropped as no-route");
}

#[test]
fn the_route_that_matches_is_named_with_its_prefix() {
    require_root!();
    let lab = lab("l3");
    let named = |to: &str, expected: &str| {
        let explained = lab.ipvl(&format!("explain from ipvl0 to {to}"));
        assert!(explained.contains(expected), "{expected}: {explained}");
    };
    run(&lab.host, "ip route add default via 10.0.0.254");
    named(FAR, "ipvl0's own routing table say of 198.51.100.7? default on the link");
    named(FAR, "the host's routing table say of 198.51.100.7? default via 10.0.0.254 dev eth0");
    run(&lab.host, "ip route add 198.51.100.0/28 via 10.0.0.253");
    named(FAR, "the host's routing table say of 198.51.100.7? 198.51.100.0/28 via 10.0.0.253 dev eth0");
    run(&lab.slaves[0], "ip addr add fd00::10/64 dev ipvl0 nodad");
    run(&lab.slaves[0], "ip -6 route add default dev ipvl0");
    run(&lab.host, "ip -6 route add 2001:db8::/40 via fe80::1 dev eth0");
    soon("the address is the slave's", || lab.ipvl("addr show").contains("fd00::10"));
    named("2001:db8::7", "ipvl0's own routing table say of 2001:db8::7? default on the link");
    named("2001:db8::7", "the host's routing table say of 2001:db8::7? 2001:db8::/40 via fe80::1 dev eth0");
}

#[test]
fn a_master_that_is_down_sends_nothing() {
    require_root!();
    let lab = lab("l2");
    says(&lab, FAR, "sent out of the master");
    run(&lab.ext, "ip link set eth0 down");
    soon("the loss of the carrier is told", || {
        lab.ipvl(&format!("explain from ipvl0 to {FAR} dst-mac 00:00:5e:00:53:01")).contains("eth0 has no carrier")
    });
    run(&lab.host, "ip link set eth0 down");
    says(&lab, &format!("{FAR} dst-mac 00:00:5e:00:53:01"), "lost: eth0 is down. To do: ip link set dev eth0 up");
}

#[test]
fn the_slaves_own_routes_and_neighbours_are_asked() {
    require_root!();
    let lab = Lab::new(2);
    for n in 0..2 {
        lab.add_slave(n, "mode l2", &[&format!("10.0.0.1{n}/24")]);
    }
    says(&lab, FAR, "not sent: ipvl0's own stack has no route");
    run(&lab.slaves[0], &format!("ip route add {FAR} via 10.0.0.11"));
    says(&lab, FAR, "dropped as undeclared");
    pings_now(&lab.slaves[0], FAR);
    assert!(lab.ipvl("stats dev ipvl0").contains("undeclared"), "{}", lab.ipvl("stats dev ipvl0"));
    lab.ipvl(&format!("addr add {FAR} dev ipvl1"));
    says(&lab, FAR, "delivered to ipvl1");
    let unresolved = lab.ipvl("explain from ipvl0 to 10.0.0.99");
    assert!(unresolved.contains("unresolved"), "{unresolved}");
}

#[test]
fn for_l3s_the_hosts_forward_rules_are_named() {
    require_root!();
    let lab = lab("l3s");
    run(&lab.host, "ip route add default via 10.0.0.254");
    says(&lab, FAR, "unless the host's FORWARD rules drop it");
    lab.host.run(["nft", "add", "table", "inet", "t"]);
    lab.host.run(["nft", "add", "chain", "inet", "t", "f", "{ type filter hook forward priority 0 ; policy drop ; }"]);
    let explained = lab.ipvl(&format!("explain from ipvl0 to {FAR}"));
    assert!(explained.contains("chain f of table inet t has policy drop"), "{explained}");
    for value in ["1", "0"] {
        lab.host.sysctl("net/ipv4/conf/all/forwarding", value);
    }
    says(&lab, FAR, "lost: the host's stack does not forward what ipvlh");
}

#[test]
fn explain_asks_each_receiver_of_a_flood() {
    require_root!();
    let lab = Lab::new(4);
    for (n, mode) in ["l2", "l2", "l2", "l3"].into_iter().enumerate() {
        lab.add_slave(n, &format!("mode {mode}"), &[&format!("10.0.0.1{n}/24")]);
    }
    soon("the slaves are up", || pings_now(&lab.slaves[0], "10.0.0.11") && pings_now(&lab.slaves[0], "10.0.0.12"));
    lab.ipvl("policy set dev ipvl1 in drop rules in udp dport 7 accept");
    lab.ipvl("policy set dev ipvl3 in drop");
    for (target, mac) in [("10.0.0.255", "ff:ff:ff:ff:ff:ff"), ("224.0.0.1", "01:00:5e:00:00:01")] {
        for question in
            [format!("explain from ipvl0 to {target}"), format!("explain in eth0 to {target} dst-mac {mac}")]
        {
            let (dropped, passing) =
                (lab.ipvl(&format!("{question} udp dport 9")), lab.ipvl(&format!("{question} udp dport 7")));
            assert!(dropped.contains("may ipvl1 receive it, by its policy? no: default (in)"), "{dropped}");
            assert!(dropped.contains("dropped as policy: the copies for ipvl1"), "{dropped}");
            assert!(passing.contains("may ipvl1 receive it, by its policy? yes: rule 1"), "{passing}");
            assert!(!passing.contains("dropped") && passing.contains("copied to all l2"), "{passing}");
            for other in ["ipvl0", "ipvl2", "ipvl3"] {
                assert!(!dropped.contains(&format!("may {other} receive")), "no copy or no policy: {dropped}");
            }
        }
    }
    // The programs do so.
    for (port, arrives) in [(9, false), (7, true)] {
        assert!(hears(&lab, 2, port), "without a policy");
        assert_eq!(hears(&lab, 1, port), arrives, "port {port}: {}", lab.ipvl("-s policy show"));
    }
    assert!(lab.ipvl("stats dev ipvl0").contains("policy"), "{}", lab.ipvl("stats dev ipvl0"));
}

/// Whether a broadcast of ipvl0 to this port arrives at a slave.
fn hears(lab: &Lab, slave: usize, port: u16) -> bool {
    let receiver = lab.slaves[slave].within(|| UdpSocket::bind(("0.0.0.0", port)).expect("bind"));
    receiver.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    lab.slaves[0].within(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("bind");
        socket.set_broadcast(true).expect("may broadcast");
        socket.send_to(b"?", ("10.0.0.255", port)).expect("sent");
    });
    receiver.recv(&mut [0; 1]).is_ok()
}
