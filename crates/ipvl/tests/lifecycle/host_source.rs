//! Which source address does the host use towards a slave? One in the slave's network, where it has one: answers to another
//! address might not come back.

use ipvl_testbed::{Lab, require_root};

use crate::common::{run, soon};

/// The address that the host would speak to the slave from.
fn source(lab: &Lab, to: &str) -> String {
    let way = run(&lab.host, &format!("ip route get {to}"));
    let mut words = way.split_whitespace().skip_while(|word| *word != "src");
    words.nth(1).unwrap_or_default().to_owned()
}

#[test]
fn a_host_with_two_networks_speaks_to_a_slave_from_the_slaves_own() {
    require_root!();
    for mode in ["l2 host on", "l3s"] {
        let lab = Lab::new(2);
        lab.host.sysctl("net/ipv6/conf/eth0/disable_ipv6", "1");
        run(&lab.host, "ip addr add 10.78.0.1/24 dev eth0");
        lab.add_slave(0, &format!("mode {mode}"), &["10.78.0.10/24"]);
        lab.add_slave(1, &format!("mode {mode}"), &["10.0.0.10/24"]);
        soon(&format!("{mode}: the slave in the second network"), || lab.pings(&lab.host, "10.78.0.10"));
        soon(&format!("{mode}: and in the first"), || lab.pings(&lab.host, "10.0.0.10"));
        assert_eq!(
            (source(&lab, "10.78.0.10").as_str(), source(&lab, "10.0.0.10").as_str()),
            ("10.78.0.1", "10.0.0.1")
        );
    }
}

#[test]
fn the_source_follows_the_hosts_addresses() {
    require_root!();
    let lab = Lab::new(1);
    lab.host.sysctl("net/ipv6/conf/eth0/disable_ipv6", "1");
    lab.add_slave(0, "mode l2 host on", &["10.78.0.10/24"]);
    run(&lab.slaves[0], "ip route add default dev ipvl0");
    let routed = || run(&lab.host, "ip route show proto 157").contains("10.78.0.10 ");
    soon("a route", routed);
    assert_eq!(source(&lab, "10.78.0.10"), "10.0.0.1");
    run(&lab.host, "ip addr add 10.78.0.1/24 dev eth0");
    soon("the neighbour's", || source(&lab, "10.78.0.10") == "10.78.0.1");
    soon("which is answered", || lab.pings(&lab.host, "10.78.0.10"));
    run(&lab.host, "ip addr del 10.78.0.1/24 dev eth0");
    soon("the route comes back with another", || routed() && source(&lab, "10.78.0.10") == "10.0.0.1");
    soon("which is answered, too", || lab.pings(&lab.host, "10.78.0.10"));
    run(&lab.slaves[0], "ip addr del 10.78.0.10/24 dev ipvl0");
    soon("it goes with the slave's address", || !routed());
}

#[test]
fn a_host_with_its_address_on_another_link_speaks_to_a_slave_from_that() {
    require_root!();
    let lab = Lab::new(1);
    lab.host.sysctl("net/ipv6/conf/eth0/disable_ipv6", "1");
    lab.add_slave(0, "mode l2 host on", &["10.78.0.10/24"]);
    soon("a route", || run(&lab.host, "ip route show proto 157").contains("10.78.0.10 "));
    let doubted = || lab.ipvl("doctor").contains("no address in the network of 10.78.0.10");
    assert!(doubted());
    run(&lab.host, "ip link add br0 type bridge");
    run(&lab.host, "ip addr add 10.78.0.1/24 dev br0");
    soon("the bridge's", || source(&lab, "10.78.0.10") == "10.78.0.1");
    soon("which is answered", || lab.pings(&lab.host, "10.78.0.10"));
    assert!(!doubted());
}

#[test]
fn a_slave_in_the_hosts_own_namespace_is_no_source() {
    require_root!();
    let lab = Lab::new(1);
    lab.ipvl("link add link eth0 name beside type ipvlan mode l2 host on");
    run(&lab.host, "ip addr add 10.78.0.20/24 dev beside");
    run(&lab.host, "ip link set beside up");
    lab.add_slave(0, "mode l2 host on", &["10.78.0.10/24"]);
    let route = || run(&lab.host, "ip route show proto 157 10.78.0.10");
    soon("a route", || route().contains("10.78.0.10 "));
    assert!(!route().contains("src"), "{}", route());
    run(&lab.host, "ip link add br0 type bridge");
    run(&lab.host, "ip addr add 10.78.0.1/24 dev br0");
    soon("the bridge's", || route().contains("src 10.78.0.1 "));
}
