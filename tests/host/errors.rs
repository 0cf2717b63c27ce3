//! Does an l3 slave get an ICMP error for a packet that cannot be routed?

use crate::lab::{FAR, FAR_6, lab, run};
use ipvl_testbed::{Lab, require_root, wait_until};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(2);

#[test]
fn what_a_route_refuses_is_answered() {
    require_root!();
    let lab = slave_with_routes();
    assert!(said(&lab, FAR, "Destination Net Unreachable"), "no route");
    for (kind, words) in [("unreachable", "Destination Host Unreachable"), ("prohibit", "Packet filtered")] {
        run(&lab.host, &format!("ip route add {kind} {FAR}/32"));
        assert!(said(&lab, FAR, words), "{kind}");
        run(&lab.host, &format!("ip route del {kind} {FAR}/32"));
    }
    run(&lab.host, &format!("ip route add blackhole {FAR}/32"));
    assert!(!said(&lab, FAR, "From 10.0.0.1"), "a blackhole is silent");
}

#[test]
fn what_an_ipv6_route_refuses_is_answered() {
    require_root!();
    let lab = slave_with_routes();
    assert!(said(&lab, FAR_6, "Destination unreachable: No route"), "no route");
    for (kind, words) in [("unreachable", "No route"), ("prohibit", "Administratively prohibited")] {
        run(&lab.host, &format!("ip -6 route add {kind} {FAR_6}/128"));
        assert!(said(&lab, FAR_6, words), "{kind}");
        run(&lab.host, &format!("ip -6 route del {kind} {FAR_6}/128"));
    }
    run(&lab.host, &format!("ip -6 route add blackhole {FAR_6}/128"));
    assert!(!said(&lab, FAR_6, "From fd00::1"), "a blackhole is silent");
}

#[test]
fn the_mtu_of_the_way_is_learnt() {
    require_root!();
    let lab = slave_with_routes();
    run(&lab.host, &format!("ip route add {FAR}/32 via 10.0.0.254 mtu lock 1200"));
    run(&lab.host, &format!("ip -6 route add {FAR_6}/128 via fd00::254 mtu lock 1300"));
    for (to, mtu) in [(FAR, "mtu 1200"), (FAR_6, "mtu 1300")] {
        lab.slaves[0].exec(["ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1400", to]);
        let learnt = || lab.slaves[0].run(["ip", "route", "get", to]).contains(mtu);
        assert!(wait_until(PATIENCE, learnt), "{}", lab.slaves[0].run(["ip", "route", "get", to]));
    }
}

/// An l3 slave that sends everything to the host, which has no route to what is far.
fn slave_with_routes() -> Lab {
    let lab = lab(&["mode l3"]);
    run(&lab.slaves[0], "ip route replace default dev ipvl0");
    run(&lab.slaves[0], "ip -6 route replace default dev ipvl0");
    lab
}

/// Whether a ping to this address is told that.
fn said(lab: &Lab, to: &str, words: &str) -> bool {
    lab.slaves[0].exec(["ping", "-n", "-c", "1", "-W", "1", to]).stdout.contains(words)
}
