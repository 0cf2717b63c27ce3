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

/// The router sees both slaves on its link and tells the first to send to the second directly.
#[test]
fn a_router_outside_redirects_no_slave_past_the_switch() {
    require_root!();
    for (options, redirected) in [("mode l2 vepa", false), ("mode l2 private", false), ("mode l2", true)] {
        let lab = behind_a_switch(&[options; 2]);
        reflect(&lab);
        route_by_outside(&lab);
        for (to, gateway) in [("10.0.0.11", "10.0.0.254"), ("fd00::11", "fe80::fe")] {
            let mut master = lab.host.port("eth0");
            lab.pings(&lab.slaves[0], to);
            master.expect("a redirect of the router", is_redirect);
            lab.rest().wait();
            let route = || run(&lab.slaves[0], &format!("ip route get {to}"));
            if redirected {
                let learnt = || !route().contains(&format!("via {gateway}"));
                assert!(ipvl_testbed::wait_until(std::time::Duration::from_secs(5), learnt), "{options}: {}", route());
            } else {
                assert!(route().contains(&format!("via {gateway}")), "{options}: {}", route());
                assert!(!route().contains("redirected"), "{options}: {}", route());
            }
        }
        assert_eq!(lab.ipvl("stats").contains("sibling-redirect"), !redirected, "{options}");
    }
}

/// The outside machine forwards and redirects, and the first slave sends to the second by way of it.
fn route_by_outside(lab: &Lab) {
    for key in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
        lab.ext.sysctl(key, "1");
    }
    for device in ["all", "br0"] {
        lab.ext.sysctl(&format!("net/ipv4/conf/{device}/send_redirects"), "1");
    }
    // A stack takes a redirect for IPv4 only to a neighbour that it knows.
    lab.pings(&lab.slaves[0], "10.0.0.11");
    // For IPv6 it must come from the gateway's own address, which is the first link-local one.
    run(&lab.ext, "ip -6 addr flush dev br0 scope link");
    run(&lab.ext, "ip addr add fe80::fe/64 dev br0 nodad");
    run(&lab.slaves[0], "ip route add 10.0.0.11 via 10.0.0.254");
    run(&lab.slaves[0], "ip route add fd00::11 via fe80::fe dev ipvl0");
}

fn is_redirect(frame: &Frame) -> bool {
    let kind = frame.transport().first().copied();
    matches!((frame.protocol(), kind), (Some(1), Some(5)) | (Some(58), Some(137)))
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
