//! Can a bridge be a master, or a port of one?

use crate::lab::{
    MODES, addressed, expect_traffic, let_forward, pings, pings_not, remove, routes_outside, run, two_slaves,
};
use ipvl_testbed::{Lab, Netns, require_device, require_root};

/// A bridge over eth0 and a veth to another netns, which is 10.0.0.9.
fn bridged(lab: &Lab) -> Netns {
    let beside = Netns::new("beside");
    run(&lab.host, "ip link add br0 address 02:00:00:00:00:01 type bridge mcast_snooping 0");
    run(&lab.host, &format!("ip link add port type veth peer name eth0 netns {}", beside.name()));
    run(&lab.host, "ip link set port master br0 up");
    run(&lab.host, "ip addr flush dev eth0");
    run(&lab.host, "ip link set eth0 master br0");
    run(&beside, "ip addr add 10.3.0.9/24 dev eth0");
    run(&beside, "ip link set eth0 up");
    beside
}

#[test]
fn a_bridge_is_a_master() {
    require_root!();
    require_device!("bridge");
    for mode in MODES {
        let lab = Lab::new(2);
        let_forward(&lab.host);
        let beside = bridged(&lab);
        addressed(&lab, ("br0", "eth0"), 3);
        routes_outside(&lab, 3, mode);
        two_slaves(&lab, "br0", 3, &format!("mode {mode}"));
        expect_traffic(&lab, 3);
        if mode == "l2" {
            pings(&beside, "10.3.0.10");
            pings(&lab.slaves[1], "10.3.0.9");
        }
        pings(&beside, "10.3.0.254");
        remove(&lab);
    }
}

/// The program runs before the bridge: frames for a slave go to the slave, all others to the bridge.
#[test]
fn a_bridge_port_is_a_master_too() {
    require_root!();
    require_device!("bridge");
    let lab = Lab::new(2);
    let beside = bridged(&lab);
    addressed(&lab, ("br0", "eth0"), 3);
    two_slaves(&lab, "eth0", 3, "mode l2");
    expect_traffic(&lab, 3);
    pings(&beside, "10.3.0.254");
    pings(&lab.ext, "10.3.0.9");
    // What the bridge sends out of that port is not looked at.
    pings_not(&beside, "10.3.0.10");
    remove(&lab);
}

#[test]
fn a_master_may_become_a_bridge_port_and_cease_to_be_one() {
    require_root!();
    require_device!("bridge");
    let lab = Lab::new(2);
    two_slaves(&lab, "eth0", 0, "mode l2");
    expect_traffic(&lab, 0);
    let beside = bridged(&lab);
    addressed(&lab, ("br0", "eth0"), 3);
    expect_traffic(&lab, 0);
    pings(&beside, "10.3.0.254");
    run(&lab.host, "ip link set eth0 nomaster");
    expect_traffic(&lab, 0);
    remove(&lab);
}
