//! Can a macvlan be a master, or share one?

use crate::lab::{MODES, addressed, expect_traffic, let_forward, pings, remove, routes_outside, run, two_slaves};
use ipvl_testbed::{Lab, Netns, require_device, require_root};

#[test]
fn a_macvlan_is_a_master() {
    require_root!();
    require_device!("macvlan");
    for mode in MODES {
        let lab = Lab::new(2);
        let_forward(&lab.host);
        run(&lab.host, "ip link add link eth0 name mv0 type macvlan mode bridge");
        run(&lab.host, "ip link set mv0 allmulticast on");
        // Else eth0 answers for mv0's address as well.
        lab.host.sysctl("net/ipv4/conf/all/arp_ignore", "1");
        addressed(&lab, ("mv0", "eth0"), 4);
        routes_outside(&lab, 4, mode);
        two_slaves(&lab, "mv0", 4, &format!("mode {mode}"));
        expect_traffic(&lab, 4);
        remove(&lab);
    }
}

/// The kernel's driver refuses this, whichever came first.
#[test]
fn a_macvlan_and_slaves_share_a_master() {
    require_root!();
    require_device!("macvlan");
    for slaves_first in [true, false] {
        let lab = Lab::new(2);
        let beside = Netns::new("beside");
        if slaves_first {
            two_slaves(&lab, "eth0", 0, "mode l2");
        }
        run(&lab.host, &format!("ip link add link eth0 name mv0 netns {} type macvlan mode bridge", beside.name()));
        run(&beside, "ip addr add 10.0.0.9/24 dev mv0");
        run(&beside, "ip link set mv0 up");
        if !slaves_first {
            two_slaves(&lab, "eth0", 0, "mode l2");
        }
        expect_traffic(&lab, 0);
        pings(&lab.ext, "10.0.0.9");
        pings(&beside, "10.0.0.254");
        remove(&lab);
        pings(&beside, "10.0.0.254");
    }
}
