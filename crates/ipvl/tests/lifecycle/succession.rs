//! Which slave gets an address of an owner that is down or silent, and which does not?

use std::net::{Ipv4Addr, Ipv6Addr};

use ipvl_testbed::packet::{Link, gratuitous_arp, neighbour_advert};
use ipvl_testbed::{Frame, Lab, MASTER_MAC, Netns, require_root};

use crate::common::{agent, kill_agent, run, signal, soon, start_agent};
use crate::watcher::Watcher;
use rustix::process::Signal;

const V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 99);
const V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x99);
/// What a control takes over meanwhile.
const OTHER_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 98);
/// Options with which a slave takes nothing over from a sibling with flag bridge.
const RESTRICTED: [&str; 4] = ["private", "vepa", "bridge guard strict", "bridge guard router"];

/// As a VIP moves from a router to its backup.
#[test]
fn an_owner_that_is_down_yields_and_does_not_take_back() {
    require_root!();
    let lab = Lab::new(2);
    lab.add_slave(0, "mode l2 bridge", &["10.0.0.10/24", "10.0.0.99/32"]);
    lab.add_slave(1, "mode l2 bridge", &["10.0.0.11/24"]);
    take(&lab, 1, "10.0.0.99/32");
    soon("a conflict", || owns(&lab, 0, "10.0.0.99") && contests(&lab, 1, "10.0.0.99", 0));
    // Without a carrier of the master, both are down in the table, and neither takes from the other.
    run(&lab.ext, "ip link set eth0 down");
    soon("no carrier", || !run(&lab.slaves[0], "ip link show ipvl0").contains("LOWER_UP"));
    run(&lab.ext, "ip link set eth0 up");
    soon("a carrier", || run(&lab.slaves[1], "ip link show ipvl1").contains("LOWER_UP"));
    assert!(owns(&lab, 0, "10.0.0.99") && contests(&lab, 1, "10.0.0.99", 0));
    let watcher = Watcher::start(&lab, "monitor address");
    run(&lab.slaves[0], "ip link set ipvl0 down");
    soon("the live one has it", || owns(&lab, 1, "10.0.0.99"));
    soon("and is reached", || lab.pings(&lab.ext, "10.0.0.99"));
    expect_move(&watcher, "10.0.0.99 dev ipvl1 master eth0 moved from ipvl0 (down)");
    run(&lab.slaves[0], "ip link set ipvl0 up");
    soon("up again", || run(&lab.slaves[0], "ip link show ipvl0").contains("LOWER_UP"));
    soon("not taken back", || owns(&lab, 1, "10.0.0.99") && contests(&lab, 0, "10.0.0.99", 1));
    lab.ipvl("addr replace 10.0.0.99 dev ipvl0");
    assert!(owns(&lab, 0, "10.0.0.99") && contests(&lab, 1, "10.0.0.99", 0), "{}", lab.ipvl("addr show"));
    expect_move(&watcher, "10.0.0.99 dev ipvl0 master eth0 moved from ipvl1 (replaced)");
    run(&lab.slaves[0], "ip addr del 10.0.0.99/32 dev ipvl0");
    soon("the other has it again", || owns(&lab, 1, "10.0.0.99"));
    run(&lab.host, "ip addr add 10.0.0.99/32 dev eth0");
    expect_move(&watcher, "10.0.0.99 host master eth0 moved from ipvl1 (host)");
}

#[test]
fn an_owner_that_is_up_yields_only_when_it_is_silent_and_the_other_announces() {
    require_root!();
    let lab = Lab::new(2);
    let [v4, v6] = [V4.to_string(), V6.to_string()];
    lab.add_slave(0, "mode l2 bridge", &["10.0.0.10/24", &format!("{v4}/32"), &format!("{v6}/128")]);
    lab.add_slave(1, "mode l2 bridge", &["10.0.0.11/24", "fd00::11/64"]);
    let mut owner = lab.slaves[0].port("ipvl0");
    take(&lab, 1, &format!("{v4}/32"));
    take(&lab, 1, &format!("{v6}/128"));
    soon("conflicts", || contests(&lab, 1, &v4, 0) && contests(&lab, 1, &v6, 0));
    // The agent has read the drops by the time it answers.
    lab.ipvl("link set ipvl1 type ipvlan bridge");
    owner.expect_none("a question without an announcement", &lab.rest(), |frame| asks_v4(frame) || asks_v6(frame));

    announce_v4(&lab.slaves[1], 1, V4);
    owner.expect("the question for IPv4", asks_v4);
    owner.expect("the question for IPv6", asks_v6);
    assert!(owns(&lab, 0, &v4) && owns(&lab, 0, &v6), "it answers");

    let watcher = Watcher::start(&lab, "monitor address");
    silence(&lab.slaves[0]);
    soon("both have gone", || {
        announce_v6(&lab.slaves[1], 1, V6);
        owns(&lab, 1, &v4) && owns(&lab, 1, &v6)
    });
    let told: Vec<String> = watcher.next(6);
    for addr in [&v4, &v6] {
        let line = format!("{addr} dev ipvl1 master eth0 moved from ipvl0 (silent)");
        assert!(told.contains(&line), "{told:?}");
    }
    assert!(lab.pings(&lab.ext, &v4) && lab.pings(&lab.ext, &v6));
    // The new owner answers.
    let mut owner = lab.slaves[1].port("ipvl1");
    announce_v4(&lab.slaves[0], 0, V4);
    owner.expect("a question to the new owner", asks_v4);
    assert!(owns(&lab, 1, &v4) && owns(&lab, 1, &v6));
}

#[test]
fn ipv6_alone_is_enough() {
    require_root!();
    let lab = Lab::new(2);
    let v6 = V6.to_string();
    (0..2).for_each(|n| lab.slaves[n].sysctl("net/ipv6/conf/default/keep_addr_on_down", "1"));
    lab.add_slave(0, "mode l2 bridge", &["fd00::10/64", &format!("{v6}/128")]);
    lab.add_slave(1, "mode l2 bridge", &["fd00::11/64"]);
    take(&lab, 1, &format!("{v6}/128"));
    soon("a conflict", || contests(&lab, 1, &v6, 0));
    silence(&lab.slaves[0]);
    soon("the silent one yields", || {
        announce_v6(&lab.slaves[1], 1, V6);
        owns(&lab, 1, &v6)
    });
    run(&lab.slaves[1], "ip link set ipvl1 down");
    soon("the one that is down yields, too", || owns(&lab, 0, &v6));
}

/// The question may not have arrived anywhere.
#[test]
fn a_slave_that_is_silent_itself_takes_nothing_from_one_that_is() {
    require_root!();
    let lab = Lab::new(3);
    lab.add_slave(0, "mode l2 bridge", &["10.0.0.10/24", "10.0.0.99/32", "10.0.0.98/32"]);
    (1..3).for_each(|n| drop(lab.add_slave(n, "mode l2 bridge", &[&format!("10.0.0.1{n}/24")])));
    take(&lab, 1, "10.0.0.99/32");
    take(&lab, 2, "10.0.0.98/32");
    soon("conflicts", || contests(&lab, 1, "10.0.0.99", 0) && contests(&lab, 2, "10.0.0.98", 0));
    (0..2).for_each(|n| silence(&lab.slaves[n]));
    announce_v4(&lab.slaves[1], 1, V4);
    expect_control(&lab, 2);
    assert!(owns(&lab, 0, "10.0.0.99"));
}

#[test]
fn a_third_slave_may_succeed_the_second() {
    require_root!();
    let lab = Lab::new(3);
    lab.add_slave(0, "mode l2 bridge", &["10.0.0.10/24", "10.0.0.99/32"]);
    for n in 1..3 {
        lab.add_slave(n, "mode l2 bridge", &[&format!("10.0.0.1{n}/24")]);
        take(&lab, n, "10.0.0.99/32");
        soon("a conflict", || contests(&lab, n, "10.0.0.99", 0));
    }
    lab.ipvl("addr replace 10.0.0.99 dev ipvl1");
    soon("both are in conflict with the new owner", || [0, 2].iter().all(|n| contests(&lab, *n, "10.0.0.99", 1)));
    (0..2).for_each(|n| silence(&lab.slaves[n]));
    announce_v4(&lab.slaves[0], 0, V4);
    soon("the one that answers has it", || {
        announce_v4(&lab.slaves[2], 2, V4);
        owns(&lab, 2, "10.0.0.99")
    });
}

/// Even from an owner that is silent.
#[test]
fn a_restricted_sibling_takes_nothing_from_an_owner_that_is_up() {
    require_root!();
    let lab = restricted();
    silence(&lab.slaves[0]);
    for n in 1..=RESTRICTED.len() {
        announce_v4(&lab.slaves[n], n, V4);
        announce_v6(&lab.slaves[n], n, V6);
        // Answered when the agent has looked at the slave and then at what it contests.
        lab.ipvl(&format!("link set ipvl{n} type ipvlan {}", RESTRICTED[n - 1]));
    }
    expect_control(&lab, RESTRICTED.len() + 1);
    assert!(owns(&lab, 0, &V4.to_string()) && owns(&lab, 0, &V6.to_string()), "{}", lab.ipvl("addr show"));
}

/// Or it would only have to wait until the owner is set down and up again.
#[test]
fn a_restricted_sibling_takes_nothing_from_an_owner_that_is_down() {
    require_root!();
    let lab = restricted();
    run(&lab.slaves[0], "ip link set ipvl0 down");
    soon("the control has it", || owns(&lab, RESTRICTED.len() + 1, &OTHER_V4.to_string()));
    let keeps = || owns(&lab, 0, &V4.to_string()) && owns(&lab, 0, &V6.to_string());
    for (n, options) in RESTRICTED.iter().enumerate() {
        lab.ipvl(&format!("link set ipvl{} type ipvlan {options}", n + 1));
        assert!(keeps(), "{options}: {}", lab.ipvl("addr show"));
    }
    kill_agent(&lab.host);
    let mut agent = start_agent(&lab.host);
    lab.ipvl("link set ipvl1 type ipvlan private");
    assert!(keeps(), "{}", lab.ipvl("addr show"));
    lab.ipvl("link set ipvl1 type ipvlan bridge");
    soon("it may, once it is allowed to", || owns(&lab, 1, &V4.to_string()) && owns(&lab, 1, &V6.to_string()));
    kill_agent(&lab.host);
    agent.wait().expect("wait for the agent");
}

/// Although the agent never saw it down.
#[test]
fn a_slave_that_was_down_for_a_moment_is_announced_again() {
    require_root!();
    let lab = Lab::new(1);
    lab.add_slave(0, "mode l2 bridge", &["10.0.0.10/24"]);
    let mut wire = lab.wire();
    let announced =
        |frame: &Frame| frame.asks_for([10, 0, 0, 10].into()) && frame.addresses().is_some_and(|(from, to)| from == to);
    lab.ipvl("link set ipvl0 type ipvlan mode l2");
    wire.clear();
    let agent = agent(&lab.host);
    signal(agent, Signal::STOP);
    run(&lab.slaves[0], "ip link set ipvl0 down");
    run(&lab.slaves[0], "ip link set ipvl0 up");
    signal(agent, Signal::CONT);
    wire.expect("an announcement", announced);
}

/// An owner with flag bridge, one restricted sibling of each kind that has its addresses as well, and a control that may take
/// over another address.
fn restricted() -> Lab {
    let (last, v4, v6) = (RESTRICTED.len() + 1, V4.to_string(), V6.to_string());
    let lab = Lab::new(last + 1);
    lab.slaves[0].sysctl("net/ipv6/conf/default/keep_addr_on_down", "1");
    lab.add_slave(
        0,
        "mode l2 bridge",
        &["10.0.0.10/24", &format!("{v4}/32"), &format!("{OTHER_V4}/32"), &format!("{v6}/128")],
    );
    for (n, options) in (1..).zip(RESTRICTED) {
        lab.add_slave(n, &format!("mode l2 {options}"), &[&format!("10.0.0.1{n}/24")]);
        take(&lab, n, &format!("{v4}/32"));
        take(&lab, n, &format!("{v6}/128"));
        soon("conflicts", || contests(&lab, n, &v4, 0) && contests(&lab, n, &v6, 0));
    }
    lab.add_slave(last, "mode l2 bridge", &[&format!("10.0.0.1{last}/24")]);
    take(&lab, last, &format!("{OTHER_V4}/32"));
    soon("a conflict", || contests(&lab, last, &OTHER_V4.to_string(), 0));
    lab
}

/// The control takes over its address from the silent owner: by then others would have done so, too.
#[track_caller]
fn expect_control(lab: &Lab, n: usize) {
    soon("the control has it", || {
        announce_v4(&lab.slaves[n], n, OTHER_V4);
        owns(lab, n, &OTHER_V4.to_string())
    });
}

fn owns(lab: &Lab, n: usize, addr: &str) -> bool {
    lab.ipvl("addr show").contains(&format!("{addr} dev ipvl{n} master eth0 device"))
}

fn contests(lab: &Lab, n: usize, addr: &str, owner: usize) -> bool {
    lab.ipvl("addr show").contains(&format!("{addr} dev ipvl{n} master eth0 conflict with ipvl{owner}"))
}

/// Without detection of duplicates, which would find the owner.
fn take(lab: &Lab, n: usize, addr: &str) {
    run(&lab.slaves[n], &format!("ip addr add {addr} dev ipvl{n} nodad"));
}

fn asks_v4(frame: &Frame) -> bool {
    frame.asks_for(V4)
}

fn asks_v6(frame: &Frame) -> bool {
    const SOLICITATION: u8 = 135;
    let message = frame.transport();
    message.first() == Some(&SOLICITATION) && message.get(8..24) == Some(&V6.octets()[..])
}

fn announce_v4(netns: &Netns, n: usize, addr: Ipv4Addr) {
    netns.port(&format!("ipvl{n}")).inject(&gratuitous_arp(MASTER_MAC, addr));
}

fn announce_v6(netns: &Netns, n: usize, addr: Ipv6Addr) {
    const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let link = Link::multicast(MASTER_MAC, ALL_NODES);
    netns.port(&format!("ipvl{n}")).inject(&neighbour_advert(link, addr, ALL_NODES));
}

/// From now on it answers nobody, as a machine that hangs.
fn silence(netns: &Netns) {
    netns.sysctl("net/ipv4/conf/all/arp_ignore", "8");
    netns.run(["nft", "add", "table", "inet", "hung"]);
    netns.run(["nft", "add", "chain", "inet", "hung", "o", "{ type filter hook output priority 0 ; policy drop ; }"]);
}

/// The next move is this one.
#[track_caller]
fn expect_move(watcher: &Watcher, line: &str) {
    let told = std::iter::repeat_with(|| watcher.next(1).remove(0)).find(|told| told.contains(" moved from "));
    assert_eq!(told.as_deref(), Some(line));
}
