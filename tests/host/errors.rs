//! Does an l3 slave hear why its packet went nowhere?

use crate::lab::{FAR, lab, run};
use ipvl_testbed::{Lab, require_root, wait_until};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(2);

#[test]
fn what_a_route_refuses_is_answered() {
    require_root!();
    let lab = lab(&["mode l3"]);
    run(&lab.slaves[0], "ip route replace default dev ipvl0");
    assert!(said(&lab, "Destination Net Unreachable"), "no route");
    for (kind, words) in [("unreachable", "Destination Host Unreachable"), ("prohibit", "Packet filtered")] {
        run(&lab.host, &format!("ip route add {kind} {FAR}/32"));
        assert!(said(&lab, words), "{kind}");
        run(&lab.host, &format!("ip route del {kind} {FAR}/32"));
    }
    run(&lab.host, &format!("ip route add blackhole {FAR}/32"));
    assert!(!said(&lab, "From 10.0.0.1"), "a blackhole is silent");
}

#[test]
fn the_mtu_of_the_way_is_learnt() {
    require_root!();
    let lab = lab(&["mode l3"]);
    run(&lab.slaves[0], "ip route replace default dev ipvl0");
    run(&lab.host, &format!("ip route add {FAR}/32 via 10.0.0.254 mtu lock 1200"));
    lab.slaves[0].exec(["ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1300", FAR]);
    let learnt = || lab.slaves[0].run(["ip", "route", "get", FAR]).contains("mtu 1200");
    assert!(wait_until(PATIENCE, learnt), "{}", lab.slaves[0].run(["ip", "route", "get", FAR]));
}

/// Whether a ping to a far address is told this.
fn said(lab: &Lab, words: &str) -> bool {
    lab.slaves[0].exec(["ping", "-n", "-c", "1", "-W", "1", FAR]).stdout.contains(words)
}
