//! Can a device without Ethernet headers be a master, and why not the loopback?

use crate::lab::{addressed, exec, expect_traffic, let_forward, remove, run, two_slaves};
use crate::wireguard::{KEYS, configure};
use ipvl_testbed::{EXT_V4, HOST_V4, Lab, Netns, ipvl_path, require_device, require_root};
use std::net::SocketAddrV4;

const PORT: u16 = 51820;

#[test]
fn a_wireguard_device_is_a_master_of_l3_and_l3s_slaves() {
    require_root!();
    require_device!("wireguard");
    for mode in ["l3", "l3s"] {
        let lab = Lab::new(2);
        let_forward(&lab.host);
        for netns in [&lab.host, &lab.ext] {
            run(netns, "ip link add wg0 type wireguard");
        }
        let at = |address| SocketAddrV4::new(address, PORT);
        configure(&lab.host, "wg0", PORT, KEYS[0], KEYS[1], at(EXT_V4));
        configure(&lab.ext, "wg0", PORT, KEYS[1], KEYS[0], at(HOST_V4));
        addressed(&lab, ("wg0", "wg0"), 6);
        two_slaves(&lab, "wg0", 6, &format!("mode {mode}"));
        expect_traffic(&lab, 6);
        remove(&lab);
    }
}

#[test]
fn what_needs_ethernet_is_refused_where_there_is_none() {
    require_root!();
    require_device!("wireguard");
    let host = Netns::new("host");
    run(&host, "ip link add wg0 type wireguard");
    let refused = add(&host, "wg0", "l2");
    assert!(!refused.ok && refused.stderr.contains("l2"), "{}", refused.stderr);
}

#[test]
fn loopback_is_refused_with_its_reason() {
    require_root!();
    let host = Netns::new("host");
    for mode in ["l2", "l3", "l3s"] {
        let refused = add(&host, "lo", mode);
        assert!(!refused.ok && refused.stderr.contains("loopback"), "{}", refused.stderr);
    }
    assert!(!run(&host, "ip -br link").contains("ipvl"));
}

fn add(host: &Netns, master: &str, mode: &str) -> ipvl_testbed::Output {
    exec(host, &format!("{} link add link {master} name ipvl0 type ipvlan mode {mode}", ipvl_path().display()))
}
