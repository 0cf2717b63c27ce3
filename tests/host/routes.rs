//! Do the host's routes and rules decide where an l3 slave's packets go?

use crate::lab::{FAR, FAR_6, QUIET, datagram, drops, ip, is_datagram, lab, reaches, run};
use ipvl_core::Reason;
use ipvl_testbed::{EXT_MAC, Lab, MASTER_MAC, Netns, require_root};

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
    assert_eq!(drops(&lab, Reason::NoRoute), 1, "the IPv6 one is the kernel's to count");
    assert!(!wire.count(QUIET, |frame| frame.asks_for(FAR.parse().unwrap())) > 0, "the host asks for a stranger");
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
        assert_eq!(drops(&lab, reason), 1, "{kind}");
        run(&lab.host, &format!("ip route del {kind} {FAR}/32"));
        run(&lab.host, &format!("ip -6 route del {kind} {FAR_6}/128"));
    }
    reaches(&lab, &mut wire, FAR, true);
    reaches(&lab, &mut wire, FAR_6, true);
}

#[test]
fn rules_by_source_are_obeyed() {
    require_root!();
    let lab = lab(&["mode l3", "mode l3"]);
    let mut wire = lab.wire();
    default_routes(&lab);
    run(&lab.host, "ip rule add from 10.0.0.10 table 77");
    run(&lab.host, &format!("ip route add blackhole {FAR}/32 table 77"));
    reaches(&lab, &mut wire, FAR, false);
    lab.slaves[1].port("ipvl1").inject(&datagram("10.0.0.11", FAR));
    wire.expect("another slave's datagram", is_datagram("10.0.0.11", FAR));
}

#[test]
fn a_route_by_another_device_is_taken() {
    require_root!();
    let lab = lab(&["mode l3"]);
    let other = Netns::new("other");
    run(&lab.host, &format!("ip link add eth1 type veth peer name eth0 netns {}", other.name()));
    run(&lab.host, "ip addr add 10.1.0.1/24 dev eth1");
    run(&lab.host, "ip link set eth1 up");
    run(&other, "ip addr add 10.1.0.2/24 dev eth0");
    run(&other, "ip link set eth0 up");
    run(&lab.host, "ip route add default via 10.1.0.2");
    let (mut wire, mut other) = (lab.wire(), other.port("eth0"));
    reaches(&lab, &mut wire, FAR, false);
    other.expect("the datagram", is_datagram("10.0.0.10", FAR));
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
    wire.expect_none("a datagram", QUIET, is_datagram("10.0.0.10", "10.0.0.254"));
    run(&lab.host, "ip link set eth0 up");
    let up = ipvl_testbed::wait_until(std::time::Duration::from_secs(5), || {
        lab.slaves[0].exec(["ip", "link", "show", "ipvl0"]).stdout.contains("LOWER_UP")
    });
    assert!(up, "the slave has its carrier back");
    slave.inject(&datagram("10.0.0.10", "10.0.0.11"));
    sibling.expect("a sibling's datagram", is_datagram("10.0.0.10", "10.0.0.11"));
}

fn default_routes(lab: &Lab) {
    run(&lab.host, "ip route add default via 10.0.0.254");
    run(&lab.host, "ip -6 route add default via fd00::254");
}
