//! Do slaves of a master in a VRF follow it there, with the host's routes to them?

use crate::lab::{MODES, expect_traffic, let_forward, pings, remove, routes_outside, run, soon, two_slaves};
use ipvl_testbed::{Lab, require_device, require_root};

fn vrf(lab: &Lab) {
    run(&lab.host, "ip link add red type vrf table 10");
    run(&lab.host, "ip link set red up");
}

/// Adds the address again that the kernel removes when the master enters or leaves a VRF.
fn addressed_again(lab: &Lab) {
    crate::lab::add_address(&lab.host, "fd00:0::1/64", "eth0");
}

#[track_caller]
fn expect_routes_in(lab: &Lab, table: &str) {
    for (family, prefix) in [("-4", "10.0.0.10 dev ipvlh0"), ("-6", "fd00::10 dev ipvlh0")] {
        let shown = |table: &str| run(&lab.host, &format!("ip {family} route show table {table} proto 157"));
        soon(&format!("{prefix} in table {table}"), || shown(table).contains(prefix));
        let other = if table == "main" { "10" } else { "main" };
        assert_eq!(crate::lab::exec(&lab.host, &format!("ip {family} route show table {other} proto 157")).stdout, "");
    }
}

#[test]
fn a_master_in_a_vrf_serves_every_mode() {
    require_root!();
    require_device!("vrf table 10");
    for mode in MODES {
        let lab = Lab::new(2);
        let_forward(&lab.host);
        vrf(&lab);
        run(&lab.host, "ip link set eth0 master red");
        addressed_again(&lab);
        routes_outside(&lab, 0, mode);
        two_slaves(&lab, "eth0", 0, &format!("mode {mode}"));
        expect_traffic(&lab, 0);
        if mode == "l3s" {
            expect_routes_in(&lab, "10");
            soon("the VRF reaches a slave", || {
                crate::lab::exec(&lab.host, "ip vrf exec red ping -n -q -c 1 -W 1 10.0.0.10").ok
                    || crate::lab::exec(&lab.host, "ping -n -q -c 1 -W 1 -I red 10.0.0.10").ok
            });
        }
        remove(&lab);
    }
}

#[test]
fn routes_follow_a_master_into_a_vrf_and_out_again() {
    require_root!();
    require_device!("vrf table 10");
    let lab = Lab::new(2);
    let_forward(&lab.host);
    vrf(&lab);
    routes_outside(&lab, 0, "l3s");
    two_slaves(&lab, "eth0", 0, "mode l3s");
    expect_traffic(&lab, 0);
    expect_routes_in(&lab, "main");
    run(&lab.host, "ip link set eth0 master red");
    addressed_again(&lab);
    expect_routes_in(&lab, "10");
    expect_traffic(&lab, 0);
    run(&lab.host, "ip link set eth0 nomaster");
    addressed_again(&lab);
    expect_routes_in(&lab, "main");
    expect_traffic(&lab, 0);
    run(&lab.host, "ip link set eth0 master red");
    expect_routes_in(&lab, "10");
    run(&lab.host, "ip link del red");
    addressed_again(&lab);
    expect_routes_in(&lab, "main");
    expect_traffic(&lab, 0);
    remove(&lab);
}

/// The VRF's routes count for l3 slaves, and the main table's do not.
#[test]
fn an_l3_slave_is_routed_by_its_masters_vrf() {
    require_root!();
    require_device!("vrf table 10");
    let lab = Lab::new(2);
    vrf(&lab);
    run(&lab.host, "ip link set eth0 master red");
    addressed_again(&lab);
    two_slaves(&lab, "eth0", 0, "mode l3");
    routes_outside(&lab, 0, "l3");
    run(&lab.ext, "ip addr add 198.51.100.9/32 dev lo");
    run(&lab.ext, "ip addr add 2001:db8::9/128 dev lo nodad");
    for (slave, to) in [(0, "198.51.100.9"), (1, "2001:db8::9")] {
        let family = if to.contains(':') { "-6" } else { "-4" };
        run(&lab.slaves[slave], &format!("ip {family} route add default dev ipvl{slave}"));
        run(&lab.host, &format!("ip {family} route add blackhole {to}"));
        let via = if to.contains(':') { "fd00::254" } else { "10.0.0.254" };
        run(&lab.host, &format!("ip {family} route add {to} via {via} vrf red"));
        pings(&lab.slaves[slave], to);
    }
    remove(&lab);
}

#[test]
fn a_vrf_itself_is_refused() {
    require_root!();
    require_device!("vrf table 10");
    let lab = Lab::new(0);
    vrf(&lab);
    let refused = lab.try_ipvl("link add link red name ipvl0 type ipvlan mode l3");
    assert!(!refused.ok && refused.stderr.contains("a VRF cannot be a master"), "{}", refused.stderr);
}
