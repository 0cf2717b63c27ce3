//! What becomes possible, and what does not, behind a switch that sends frames back (802.1Qbg)?

use crate::lab::{lab, run};
use ipvl_testbed::packet::dhcp_discover;
use ipvl_testbed::{Frame, Lab, MASTER_MAC, require_root};

#[test]
fn vepa_siblings_meet_by_the_switch_and_only_so() {
    require_root!();
    let lab = behind_a_switch(&["mode l2 vepa"; 2]);
    assert!(!lab.pings(&lab.slaves[0], "10.0.0.11"), "the switch does not reflect yet");
    reflect(&lab);
    for to in ["10.0.0.11", "fd00::11", "10.0.0.254", "fd00::254"] {
        assert!(lab.pings(&lab.slaves[0], to), "{to}");
    }
}

#[test]
fn private_siblings_do_not_meet_by_the_switch() {
    require_root!();
    let lab = behind_a_switch(&["mode l2 private", "mode l2 private", "mode l2 vepa"]);
    reflect(&lab);
    for to in ["10.0.0.11", "fd00::11", "10.0.0.12", "fd00::12"] {
        assert!(!lab.pings(&lab.slaves[0], to), "{to}");
    }
    assert!(lab.pings(&lab.slaves[0], "10.0.0.254"), "outside");
}

#[test]
fn host_and_slaves_meet_by_the_switch() {
    require_root!();
    for options in ["mode l2 vepa", "mode l2 vepa host on"] {
        let lab = behind_a_switch(&[options]);
        reflect(&lab);
        for (host, slave) in [("10.0.0.1", "10.0.0.10"), ("fd00::1", "fd00::10")] {
            assert!(lab.pings(&lab.slaves[0], host), "{options}: slave to {host}");
            assert!(lab.pings(&lab.host, slave), "{options}: host to {slave}");
        }
    }
}

#[test]
fn a_dhcp_discover_comes_back_to_siblings_and_not_to_its_sender() {
    require_root!();
    let lab = behind_a_switch(&["mode l2 vepa"; 3]);
    reflect(&lab);
    let mut ports: Vec<_> = (0..3).map(|n| lab.slaves[n].port(&format!("ipvl{n}"))).collect();
    ports[0].inject(&dhcp_discover(MASTER_MAC, 7, true, b"the first slave"));
    let ours = |frame: &Frame| frame.contains(b"the first slave");
    for port in &mut ports[1..] {
        port.expect("the discover", ours);
        port.expect_none("a second copy", &lab.rest(), ours);
    }
    ports[0].expect_none("its own discover", &lab.rest(), ours);
}

#[test]
fn a_reflected_probe_is_no_duplicate() {
    require_root!();
    let lab = behind_a_switch(&["mode l2 vepa"; 2]);
    reflect(&lab);
    run(&lab.slaves[0], "ip addr add fd00::77/64 dev ipvl0");
    let state = || run(&lab.slaves[0], "ip -6 addr show dev ipvl0");
    assert!(
        ipvl_testbed::wait_until(std::time::Duration::from_secs(5), || !state().contains("tentative")),
        "{}",
        state()
    );
    assert!(!state().contains("dadfailed"), "{}", state());
}

/// A lab in which the machine outside is a bridge, with its addresses on the bridge.
fn behind_a_switch(options: &[&str]) -> Lab {
    let lab = lab(options);
    for words in [
        "ip link add br0 address 02:00:00:00:00:fe type bridge mcast_snooping 0",
        "ip addr flush dev eth0",
        "ip link set eth0 master br0",
        "ip addr add 10.0.0.254/24 dev br0",
        "ip addr add fd00::254/64 dev br0 nodad",
        "ip link set br0 up",
    ] {
        run(&lab.ext, words);
    }
    lab
}

fn reflect(lab: &Lab) {
    run(&lab.ext, "ip link set eth0 type bridge_slave hairpin on");
    for netns in lab.slaves.iter().chain([&lab.host]) {
        run(netns, "ip neigh flush all");
    }
}
