//! Do machines on the master's link find a slave that does not answer ARP itself?

use ipvl_testbed::{Lab, require_root};

use crate::common::{exec, pings_now, run, soon};

#[test]
fn an_l3_slave_is_found_without_a_route_to_it() {
    require_root!();
    for mode in ["l3", "l3s"] {
        let lab = Lab::new(1);
        // Without it the host's stack would route IPv6 to no l3s slave before Linux 6.17.
        lab.host.sysctl("net/ipv6/conf/all/forwarding", "1");
        lab.add_slave(0, &format!("mode {mode}"), &["10.0.0.10/24", "fd00::10/64"]);
        assert!(!pings_now(&lab.ext, "10.0.0.10") && !pings_now(&lab.ext, "fd00::10"), "{mode}: nobody answers");
        run(&lab.ext, "ip neigh flush dev eth0");
        lab.ipvl("link set ipvl0 type ipvlan neigh proxy");
        assert!(lab.ipvl("link show ipvl0").contains("neigh proxy"));
        soon("IPv4 is answered for", || lab.pings(&lab.ext, "10.0.0.10"));
        soon("IPv6 is answered for", || lab.pings(&lab.ext, "fd00::10"));
        let groups = run(&lab.host, "ip maddr show dev eth0");
        assert!(groups.contains("33:33:ff:00:00:10"), "{mode}: who asks is heard: {groups}");
        lab.ipvl("link set ipvl0 type ipvlan neigh off");
        run(&lab.ext, "ip neigh flush dev eth0");
        assert!(!pings_now(&lab.ext, "10.0.0.10"), "{mode}: nobody answers any more");
        soon("nor listens", || !run(&lab.host, "ip maddr show dev eth0").contains("33:33:ff:00:00:10"));
    }
}

#[test]
fn who_wants_the_address_of_an_l3_slave_sees_that_it_is_taken() {
    require_root!();
    let lab = Lab::new(1);
    lab.ext.sysctl("net/ipv6/conf/eth0/accept_dad", "1");
    lab.add_slave(0, "mode l3 neigh proxy", &["10.0.0.10/24", "fd00::10/64"]);
    soon("IPv6 is answered for", || lab.pings(&lab.ext, "fd00::10"));
    run(&lab.ext, "ip addr add fd00::10/64 dev eth0");
    soon("the duplicate is seen", || exec(&lab.ext, "ip addr show dev eth0").stdout.contains("dadfailed"));
}
