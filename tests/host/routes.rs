//! Do the host's routes and rules decide where an l3 slave's packets go?

use crate::lab::{FAR, FAR_6, datagram, drops, ip, is_datagram, lab, reaches, run};
use ipvl_core::Reason;
use ipvl_testbed::packet::router_advert;
use ipvl_testbed::{EXT_MAC, Frame, Lab, MASTER_MAC, Netns, require_root, wait_until};
use std::net::Ipv6Addr;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn a_packet_leaves_by_the_hosts_route_with_its_hops() {
    require_root!();
    let lab = lab(&["mode l3"]);
    let mut wire = lab.wire();
    default_routes(&lab);
    for (from, to) in [("10.0.0.10", FAR), ("fd00::10", FAR_6)] {
        lab.slaves[0].port("ipvl0").inject(&datagram(from, to));
        let seen = wire.expect("the packet", is_datagram(from, to));
        assert_eq!((seen.source(), seen.destination(), seen.hops()), (MASTER_MAC, EXT_MAC, Some(64)));
    }
}

#[test]
fn without_a_route_nothing_leaves() {
    require_root!();
    let lab = lab(&["mode l3"]);
    let mut wire = lab.wire();
    reaches(&lab, &mut wire, FAR, false);
    reaches(&lab, &mut wire, FAR_6, false);
    assert_eq!(drops(&lab, Reason::NoRoute), 2, "both are counted");
    wire.expect_none("a question for a stranger", &lab.rest(), |frame| frame.asks_for(FAR.parse().unwrap()));
}

#[test]
fn routes_that_refuse_are_obeyed() {
    require_root!();
    let lab = lab(&["mode l3"]);
    let mut wire = lab.wire();
    default_routes(&lab);
    let kinds =
        [("blackhole", Reason::Blackhole), ("unreachable", Reason::Unreachable), ("prohibit", Reason::Prohibit)];
    for (kind, reason) in kinds {
        run(&lab.host, &format!("ip route add {kind} {FAR}/32"));
        run(&lab.host, &format!("ip -6 route add {kind} {FAR_6}/128"));
        reaches(&lab, &mut wire, FAR, false);
        reaches(&lab, &mut wire, FAR_6, false);
        assert_eq!(drops(&lab, reason), 2, "{kind}, in both families");
        run(&lab.host, &format!("ip route del {kind} {FAR}/32"));
        run(&lab.host, &format!("ip -6 route del {kind} {FAR_6}/128"));
    }
    reaches(&lab, &mut wire, FAR, true);
    reaches(&lab, &mut wire, FAR_6, true);
}

/// Packets like one that has just left are not asked about anew, but for no longer than a millisecond.
#[test]
fn a_change_of_routes_holds_in_the_midst_of_a_stream() {
    require_root!();
    let lab = lab(&["mode l3"]);
    let mut wire = lab.wire();
    default_routes(&lab);
    for (ip, from, to, bits) in [("ip", "10.0.0.10", FAR, 32), ("ip -6", "fd00::10", FAR_6, 128)] {
        let port = lab.slaves[0].port("ipvl0");
        let stream = || (0..200).for_each(|_| port.inject(&datagram(from, to)));
        stream();
        lab.rest().wait();
        assert!(wire.count(is_datagram(from, to)) >= 200, "the stream flows");
        run(&lab.host, &format!("{ip} route add blackhole {to}/{bits}"));
        let before = drops(&lab, Reason::Blackhole);
        stream();
        wire.expect_none("a datagram", &lab.rest(), is_datagram(from, to));
        assert_eq!(drops(&lab, Reason::Blackhole) - before, 200, "each is counted");
    }
}

#[test]
fn a_route_learnt_from_a_router_is_neither_lost_nor_in_the_way() {
    require_root!();
    let lab = Lab::new(1);
    let mut wire = lab.wire();
    let learnt = || run(&lab.host, "ip -6 route show default").contains("proto ra");
    wire.inject(&router_advert(EXT_MAC, link_local(&lab), "2001:db8:1::".parse().expect("a prefix")));
    assert!(wait_until(PATIENCE, learnt), "the host hears the router");
    lab.add_slave(0, "mode l3", &["fd00::10/64"]);
    assert!(learnt(), "the route is still there");
    reaches(&lab, &mut wire, FAR_6, true);
    run(&lab.host, &format!("ip -6 route add blackhole {FAR_6}/128"));
    reaches(&lab, &mut wire, FAR_6, false);
}

#[test]
fn rules_are_obeyed() {
    require_root!();
    let lab = lab(&["mode l3", "mode l3"]);
    let mut wire = lab.wire();
    default_routes(&lab);
    for (ip, host_bits, slave, sibling, far) in
        [("ip", 32, "10.0.0.10", "10.0.0.11", FAR), ("ip -6", 128, "fd00::10", "fd00::11", FAR_6)]
    {
        run(&lab.host, &format!("{ip} route add blackhole {far}/{host_bits} table 77"));
        for rule in [
            format!("from {slave} table 77"),
            format!("iif ipvlh0 to {far} table 77"),
            format!("from {slave} blackhole"),
        ] {
            run(&lab.host, &format!("{ip} rule add {rule}"));
            reaches(&lab, &mut wire, far, false);
            lab.slaves[1].port("ipvl1").inject(&datagram(sibling, far));
            wire.expect(&format!("{rule}: another slave's datagram"), is_datagram(sibling, far));
            run(&lab.host, &format!("{ip} rule del {rule}"));
        }
        // A mark that the slave sets is its own affair.
        run(&lab.host, &format!("{ip} rule add fwmark 7 table 77"));
        reaches(&lab, &mut wire, far, true);
    }
}

#[test]
fn a_route_by_another_device_is_taken() {
    require_root!();
    let lab = lab(&["mode l3"]);
    let other = another_network(&lab);
    run(&lab.host, "ip route add default via 10.1.0.2");
    run(&lab.host, "ip -6 route add default via fd01::2");
    let (mut wire, mut other) = (lab.wire(), other.port("eth0"));
    for (from, to) in [("10.0.0.10", FAR), ("fd00::10", FAR_6)] {
        reaches(&lab, &mut wire, to, false);
        other.expect("the datagram", is_datagram(from, to));
    }
}

#[test]
fn a_slave_with_host_access_is_answered_by_another_device() {
    require_root!();
    let lab = lab(&["mode l3 host on"]);
    let other = another_network(&lab);
    lab.host.sysctl("net/ipv4/conf/eth1/forwarding", "1");
    run(&other, "ip route add 10.0.0.10/32 via 10.1.0.1");
    run(&lab.slaves[0], "ip route add default dev ipvl0");
    assert!(lab.pings(&lab.slaves[0], "10.1.0.2"), "out by eth1, and back through the host");
}

#[test]
fn of_several_next_hops_each_gets_its_share() {
    require_root!();
    let lab = lab(&["mode l3"]);
    let other = another_network(&lab);
    run(&lab.host, "ip route add 203.0.113.0/24 nexthop via 10.0.0.254 nexthop via 10.1.0.2");
    run(&lab.host, "ip -6 route add 2001:db8:2::/64 nexthop via fd00::254 nexthop via fd01::2");
    let (mut wire, mut other) = (lab.wire(), other.port("eth0"));
    let slave = lab.slaves[0].port("ipvl0");
    for (from, net) in [("10.0.0.10", "203.0.113."), ("fd00::10", "2001:db8:2::")] {
        let to: Vec<String> = (1..=64).map(|n| format!("{net}{n}")).collect();
        to.iter().for_each(|to| slave.inject(&datagram(from, to)));
        let ours = |frame: &Frame| to.iter().any(|to| frame.goes(ip(from), ip(to)));
        lab.rest().wait();
        let shares = (wire.count(ours), other.count(ours));
        assert!(shares.0 > 5 && shares.1 > 5 && shares.0 + shares.1 == 64, "{net}: {shares:?}");
    }
}

#[test]
fn a_router_that_does_not_answer_stops_nobody_else() {
    require_root!();
    let lab = lab(&["mode l3"]);
    let mut wire = lab.wire();
    run(&lab.host, "ip route add 203.0.113.0/24 via 10.0.0.77");
    default_routes(&lab);
    reaches(&lab, &mut wire, "203.0.113.1", false);
    reaches(&lab, &mut wire, FAR, true);
}

#[test]
fn a_master_that_is_down_carries_nothing() {
    require_root!();
    let lab = lab(&["mode l3", "mode l3"]);
    let mut wire = lab.wire();
    let mut sibling = lab.slaves[1].port("ipvl1");
    let slave = lab.slaves[0].port("ipvl0");
    run(&lab.host, "ip link set eth0 down");
    for to in ["10.0.0.254", "fd00::254"] {
        slave.inject(&datagram(if ip(to).is_ipv4() { "10.0.0.10" } else { "fd00::10" }, to));
    }
    wire.expect_none("a datagram", &lab.rest(), is_datagram("10.0.0.10", "10.0.0.254"));
    run(&lab.host, "ip link set eth0 up");
    let up = wait_until(PATIENCE, || lab.slaves[0].exec(["ip", "link", "show", "ipvl0"]).stdout.contains("LOWER_UP"));
    assert!(up, "the slave has its carrier back");
    slave.inject(&datagram("10.0.0.10", "10.0.0.11"));
    sibling.expect("a sibling's datagram", is_datagram("10.0.0.10", "10.0.0.11"));
}

/// A second network of the host's, behind its `eth1`.
fn another_network(lab: &Lab) -> Netns {
    let other = Netns::new("other");
    run(&lab.host, &format!("ip link add eth1 type veth peer name eth0 netns {}", other.name()));
    for (netns, device, last) in [(&lab.host, "eth1", 1), (&other, "eth0", 2)] {
        run(netns, &format!("ip addr add 10.1.0.{last}/24 dev {device}"));
        run(netns, &format!("ip addr add fd01::{last}/64 dev {device} nodad"));
        run(netns, &format!("ip link set {device} up"));
    }
    other
}

/// The outside machine's own address on the link.
fn link_local(lab: &Lab) -> Ipv6Addr {
    let shown = run(&lab.ext, "ip -6 -o addr show dev eth0 scope link");
    let address = shown.split_whitespace().find_map(|word| word.strip_suffix("/64"));
    address.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("no address in {shown}"))
}

fn default_routes(lab: &Lab) {
    run(&lab.host, "ip route add default via 10.0.0.254");
    run(&lab.host, "ip -6 route add default via fd00::254");
}
