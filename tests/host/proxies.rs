//! Does the host answer for an l3 slave, which answers no ARP itself? With a proxy it does; and for declared addresses.

use crate::lab::{lab, run};
use ipvl_testbed::require_root;

#[test]
fn proxy_arp_and_proxy_ndp_answer_for_l3_slaves() {
    require_root!();
    for mode in ["l3", "l3s"] {
        let lab = lab(&[&format!("mode {mode}")]);
        run(&lab.slaves[0], "ip route add default dev ipvl0");
        run(&lab.slaves[0], "ip -6 route add default dev ipvl0");
        assert!(!lab.pings(&lab.ext, "10.0.0.10"), "{mode}: nobody answers for the slave yet");
        let settings = [
            "net/ipv4/conf/eth0/proxy_arp",
            "net/ipv4/conf/eth0/forwarding",
            "net/ipv6/conf/eth0/proxy_ndp",
            "net/ipv6/conf/eth0/forwarding",
        ];
        settings.iter().for_each(|key| lab.host.sysctl(key, "1"));
        // Without this the kernel waits before it answers for others.
        lab.host.sysctl("net/ipv4/neigh/eth0/proxy_delay", "0");
        lab.host.sysctl("net/ipv6/neigh/eth0/proxy_delay", "0");
        run(&lab.host, "ip route replace 10.0.0.10/32 dev ipvlh0");
        run(&lab.host, "ip -6 neigh replace proxy fd00::10 dev eth0");
        run(&lab.ext, "ip neigh flush all");
        assert!(lab.pings(&lab.ext, "10.0.0.10"), "{mode}: IPv4 by proxy_arp");
        assert!(lab.pings(&lab.ext, "fd00::10"), "{mode}: IPv6 by proxy_ndp");
    }
}

#[test]
fn an_address_on_another_device_of_the_slave_works_once_declared() {
    require_root!();
    let lab = lab(&["mode l2", "mode l2"]);
    run(&lab.slaves[0], "ip addr add 10.50.0.1/32 dev lo");
    run(&lab.slaves[1], "ip route add 10.50.0.0/16 dev ipvl1");
    run(&lab.ext, "ip route add 10.50.0.0/16 dev eth0");
    lab.ipvl("addr add 10.50.0.0/16 dev ipvl0");
    assert!(lab.pings(&lab.slaves[1], "10.50.0.1"), "from a sibling");
    assert!(lab.pings(&lab.ext, "10.50.0.1"), "from outside");
    lab.ipvl("addr del 10.50.0.0/16 dev ipvl0");
    assert!(!lab.pings(&lab.slaves[1], "10.50.0.1"), "from a sibling, once withdrawn");
}
