//! Do the host's netfilter hooks see l3s traffic, both ways, and none of the other modes'?

use crate::lab::{FAR, lab, nft, run};
use ipvl_testbed::{Lab, require_root};

#[test]
fn a_filter_in_forward_stops_l3s_and_nothing_else() {
    require_root!();
    for (mode, stopped) in [("l2", false), ("l3", false), ("l3s", true)] {
        let lab = reachable(mode);
        assert!(lab.pings(&lab.slaves[0], "10.0.0.254"), "{mode}, without a filter");
        nft(&lab.host, "chain inet t f { type filter hook forward priority 0 ; policy drop ; }");
        assert_eq!(lab.pings(&lab.slaves[0], "10.0.0.254"), !stopped, "{mode}, outward");
        assert_eq!(lab.pings(&lab.slaves[0], "10.0.0.11"), !stopped, "{mode}, to a sibling");
    }
}

#[test]
fn what_the_filter_lets_pass_passes_by_state() {
    require_root!();
    let lab = reachable("l3s");
    nft(&lab.host, "chain inet t f { type filter hook forward priority 0 ; policy drop ; }");
    nft(&lab.host, "rule inet t f ct state established,related accept");
    nft(&lab.host, "rule inet t f iifname ipvlh0 accept");
    assert!(lab.pings(&lab.slaves[0], "10.0.0.254"), "answers pass because the host saw the question");
    assert!(!lab.pings(&lab.ext, "10.0.0.10"), "questions from outside do not");
}

#[test]
fn masquerading_hides_l3s_slaves() {
    require_root!();
    let lab = lab(&["mode l3s"]);
    run(&lab.slaves[0], "ip route add default dev ipvl0");
    run(&lab.host, "ip route add default via 10.0.0.254");
    run(&lab.ext, &format!("ip addr add {FAR}/32 dev lo"));
    nft(&lab.host, "table inet t");
    nft(&lab.host, "chain inet t n { type nat hook postrouting priority 100 ; }");
    nft(&lab.host, "rule inet t n oifname eth0 masquerade");
    assert!(lab.pings(&lab.slaves[0], FAR), "though nobody outside knows the slave");
}

#[test]
fn a_port_of_the_host_leads_to_an_l3s_slave() {
    require_root!();
    let lab = reachable("l3s");
    nft(&lab.host, "chain inet t p { type nat hook prerouting priority -100 ; }");
    nft(&lab.host, "rule inet t p iifname eth0 tcp dport 8080 dnat ip to 10.0.0.10:80");
    crate::transfers::whole(&lab.slaves[0], "10.0.0.10:80", &lab.ext, "10.0.0.1:8080");
}

#[test]
fn the_slaves_own_filter_holds_in_every_mode() {
    require_root!();
    for mode in ["l2", "l3", "l3s"] {
        let lab = reachable(mode);
        assert!(lab.pings(&lab.ext, "10.0.0.10"), "{mode}, without a filter");
        nft(&lab.slaves[0], "table inet t");
        nft(&lab.slaves[0], "chain inet t i { type filter hook input priority 0 ; policy drop ; }");
        assert!(!lab.pings(&lab.ext, "10.0.0.10"), "{mode}, with one");
    }
}

/// Two slaves that outside knows how to reach, and an empty table of filters in the host.
fn reachable(mode: &str) -> Lab {
    let lab = lab(&[&format!("mode {mode}"), &format!("mode {mode}")]);
    if mode != "l2" {
        for slave in ["10.0.0.10", "10.0.0.11"] {
            run(&lab.ext, &format!("ip route add {slave}/32 via 10.0.0.1"));
        }
    }
    nft(&lab.host, "table inet t");
    lab
}
