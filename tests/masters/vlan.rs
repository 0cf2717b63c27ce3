//! Can a VLAN device be a master, or share one?

use crate::lab::{
    MODES, addressed, expect_traffic, let_forward, pings, pings_not, remove, routes_outside, run, two_slaves,
};
use ipvl_testbed::{Lab, require_device, require_root};

/// A VLAN device on both ends of a wire.
fn tagged(lab: &Lab, link: &str, id: u16) {
    for netns in [&lab.host, &lab.ext] {
        run(netns, &format!("ip link add link {link} name {link}.{id} type vlan id {id}"));
    }
}

#[test]
fn a_vlan_device_is_a_master() {
    require_root!();
    require_device!("vlan id 5");
    for mode in MODES {
        let lab = Lab::new(2);
        let_forward(&lab.host);
        tagged(&lab, "eth0", 5);
        addressed(&lab, ("eth0.5", "eth0.5"), 5);
        routes_outside(&lab, 5, mode);
        two_slaves(&lab, "eth0.5", 5, &format!("mode {mode}"));
        expect_traffic(&lab, 5);
        let tagged = |frame: &ipvl_testbed::Frame| frame.vlan.is_some_and(|tag| tag & 0xfff == 5);
        let mut wire = lab.wire();
        pings(&lab.slaves[0], "10.5.0.254");
        wire.expect("a frame in VLAN 5", tagged);
        remove(&lab);
    }
}

#[test]
fn so_is_a_vlan_within_a_vlan() {
    require_root!();
    require_device!("vlan id 5");
    let lab = Lab::new(2);
    for netns in [&lab.host, &lab.ext] {
        run(netns, "ip link add link eth0 name eth0.7 type vlan proto 802.1ad id 7");
        run(netns, "ip link set eth0.7 up");
    }
    tagged(&lab, "eth0.7", 5);
    addressed(&lab, ("eth0.7.5", "eth0.7.5"), 5);
    two_slaves(&lab, "eth0.7.5", 5, "mode l2");
    expect_traffic(&lab, 5);
    remove(&lab);
}

/// What is tagged is the VLAN device's, even if its address is a slave's.
#[test]
fn a_vlan_device_beside_slaves_keeps_its_frames() {
    require_root!();
    require_device!("vlan id 5");
    let lab = Lab::new(2);
    tagged(&lab, "eth0", 5);
    addressed(&lab, ("eth0.5", "eth0.5"), 5);
    two_slaves(&lab, "eth0", 0, "mode l2");
    expect_traffic(&lab, 0);
    pings(&lab.ext, "10.5.0.1");
    pings(&lab.host, "fd00:5::254");
    run(&lab.ext, "ip addr add 10.0.0.253/24 dev eth0.5");
    run(&lab.ext, "ip route add 10.0.0.11/32 dev eth0.5");
    run(&lab.ext, "ip neigh add 10.0.0.11 lladdr 02:00:00:00:00:01 dev eth0.5");
    pings(&lab.ext, "10.0.0.10");
    pings_not(&lab.ext, "10.0.0.11");
    remove(&lab);
}

#[test]
fn two_vlans_may_have_a_slave_each_with_the_same_address() {
    require_root!();
    require_device!("vlan id 5");
    let lab = Lab::new(2);
    for (n, id) in [(0, 5), (1, 6)] {
        tagged(&lab, "eth0", id);
        run(&lab.host, &format!("ip link set eth0.{id} up"));
        crate::lab::add_slave(&lab.host, &format!("eth0.{id}"), n, &lab.slaves[n], "mode l2", &["10.5.0.10/24"]);
    }
    for id in [5, 6] {
        run(&lab.ext, &format!("ip addr add 10.5.0.254/24 dev eth0.{id}"));
        run(&lab.ext, &format!("ip link set eth0.{id} up"));
        let ping = format!("ping -n -q -c 1 -W 1 -I eth0.{id} 10.5.0.10");
        crate::lab::soon(&format!("in VLAN {id}"), || crate::lab::exec(&lab.ext, &ping).ok);
        run(&lab.ext, &format!("ip addr del 10.5.0.254/24 dev eth0.{id}"));
    }
    remove(&lab);
}
