//! Is a guest reached that is connected with a slave by filters of tc, as Kata Containers do it?

use ipvl_testbed::{Lab, require_device, require_root};

use crate::common::run;
use crate::guest::{Guest, reach_each_other};

const GUEST: &[&str] = &["10.0.0.10/24", "fd00::10/64"];

/// What Kata does in a pod's netns, where the slave has the guest's addresses.
const CONNECT: &[&str] = &[
    "ip tuntap add dev tap0_kata mode tap",
    "ip link set tap0_kata up",
    "tc qdisc add dev tap0_kata ingress",
    "tc qdisc add dev ipvl0 ingress",
    "tc filter add dev ipvl0 parent ffff: protocol all u32 match u8 0 0 action mirred egress redirect dev tap0_kata",
    "tc filter add dev tap0_kata parent ffff: protocol all u32 match u8 0 0 action mirred egress redirect dev ipvl0",
];

#[test]
fn a_guest_behind_a_slave_of_veth_is_reached() {
    require_root!();
    expect_to_reach("veth");
}

#[test]
fn a_guest_behind_a_slave_of_netkit_is_reached() {
    require_root!();
    require_device!("netkit");
    expect_to_reach("netkit");
}

#[track_caller]
fn expect_to_reach(backend: &str) {
    let lab = Lab::new(2);
    lab.add_slave(0, &format!("mode l2 backend {backend}"), GUEST);
    lab.add_slave(1, &format!("mode l2 backend {backend}"), &["10.0.0.11/24", "fd00::11/64"]);
    for line in CONNECT {
        run(&lab.slaves[0], line);
    }
    let guest = Guest::boot_at(&lab.slaves[0], "tap0_kata", GUEST);
    for (own, sibling, outside) in [("10.0.0.10", "10.0.0.11", "10.0.0.254"), ("fd00::10", "fd00::11", "fd00::254")] {
        reach_each_other(&lab, (&guest.netns, own), (&lab.slaves[1], sibling));
        reach_each_other(&lab, (&guest.netns, own), (&lab.ext, outside));
    }
}
