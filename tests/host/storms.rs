//! What happens with too many broadcasts, or too many claims on one address?

use crate::lab::{drops, lab, run};
use ipvl_core::Reason;
use ipvl_testbed::packet::gratuitous_arp;
use ipvl_testbed::{Lab, MASTER_MAC, Netns, require_root, wait_until};
use std::thread;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);
/// More copies than a second's worth, to five siblings.
const STORM: u64 = 40_000;

#[test]
fn a_storm_reaches_the_wire_whole_and_siblings_up_to_its_share() {
    require_root!();
    let lab = lab(&["mode l2"; 6]);
    let (wire, sibling) = (received(&lab.ext, "eth0"), received(&lab.slaves[1], "ipvl1"));
    let frame = gratuitous_arp(MASTER_MAC, [10, 0, 0, 10].into());
    let port = lab.slaves[0].port("ipvl0");
    (0..STORM).for_each(|_| port.inject(&frame));
    assert!(wait_until(SOON, || received(&lab.ext, "eth0") >= wire + STORM), "the wire gets all of it");
    let (got, limited) = (received(&lab.slaves[1], "ipvl1") - sibling, drops(&lab, Reason::FloodLimit));
    assert!(limited > 0 && got < STORM, "siblings are spared: {got} of {STORM}, {limited} limited");
    assert!(got + limited >= STORM, "every frame is copied or counted: {got} and {limited} of {STORM}");
}

#[test]
fn of_many_who_claim_an_address_one_owns_it_until_it_goes() {
    require_root!();
    let lab = lab(&["mode l2"; 4]);
    thread::scope(|scope| {
        for (n, netns) in lab.slaves.iter().enumerate() {
            scope.spawn(move || run(netns, &format!("ip addr add 10.0.0.50/24 dev ipvl{n}")));
        }
    });
    assert!(wait_until(SOON, || claims(&lab) == (1, 3)), "one owner, three conflicts: {:?}", claims(&lab));
    for left in (0..4).rev() {
        let owner = owner(&lab);
        run(&lab.slaves[owner], &format!("ip addr del 10.0.0.50/24 dev ipvl{owner}"));
        let expected = if left == 0 { (0, 0) } else { (1, left - 1) };
        assert!(wait_until(SOON, || claims(&lab) == expected), "{expected:?}, not {:?}", claims(&lab));
    }
}

#[test]
fn the_last_l3s_slave_may_go_under_traffic() {
    require_root!();
    let lab = lab(&["mode l3s"]);
    run(&lab.ext, "ip route add 10.0.0.10/32 via 10.0.0.1");
    let mut flood = lab.ext.command(["ping", "-n", "-q", "-i", "0.001", "10.0.0.10"]);
    let mut flood = flood.stdout(std::process::Stdio::null()).spawn().expect("ping");
    assert!(wait_until(SOON, || received(&lab.slaves[0], "ipvl0") > 100), "traffic flows");
    lab.ipvl("link del ipvl0");
    assert!(lab.pings(&lab.ext, "10.0.0.1"), "the host is well");
    flood.kill().and_then(|()| flood.wait()).expect("end the ping");
}

/// How many own the address 10.0.0.50, and how many would like to.
fn claims(lab: &Lab) -> (usize, usize) {
    let shown = lab.ipvl("addr show");
    let lines: Vec<_> = shown.lines().filter(|line| line.starts_with("10.0.0.50")).collect();
    let conflicts = lines.iter().filter(|line| line.contains("conflict")).count();
    (lines.len() - conflicts, conflicts)
}

fn owner(lab: &Lab) -> usize {
    let shown = lab.ipvl("addr show");
    let mut lines = shown.lines().filter(|line| line.starts_with("10.0.0.50") && !line.contains("conflict"));
    let owner = lines.next().and_then(|line| line.split("ipvl").nth(1)?.chars().next()?.to_digit(10));
    owner.unwrap_or_else(|| panic!("no owner in {shown}")) as usize
}

fn received(netns: &Netns, device: &str) -> u64 {
    let count = run(netns, &format!("cat /sys/class/net/{device}/statistics/rx_packets"));
    count.trim().parse().expect("a number")
}
