//! What can root in a slave's netns take from others by adding addresses, and does a probe find one that is in use?

use ipvl_control::{Attachment, LinkSpec, NetnsRef, PolicyKeys, attach};
use ipvl_core::{Addr, Guard, Mode, Options};
use ipvl_testbed::packet::{BROADCAST, Link, udp};
use ipvl_testbed::{EXT_MAC, Frame, Lab, require_root};
use std::net::IpAddr;

use crate::common::{exec, kill_agent, pings_now, run, soon};

#[test]
fn who_takes_a_broadcast_address_gains_nothing() {
    require_root!();
    let lab = Lab::new(2);
    lab.add_slave(0, "mode l2", &["10.9.0.10/24"]);
    lab.add_slave(1, "mode l2 private", &["10.9.0.12/24", "10.9.0.255/32", "10.9.0.0/32"]);
    soon("the thief's own address", || lab.ipvl("addr show").contains("10.9.0.12"));
    let shown = lab.ipvl("addr show");
    assert!(!shown.contains("10.9.0.255") && !shown.contains("10.9.0.0"), "{shown}");
    expect_broadcast(&lab);
    // The operator may declare it, and even so nobody else loses it.
    lab.ipvl("addr add 10.9.0.255/32 dev ipvl1");
    expect_broadcast(&lab);
}

/// Each of the two slaves gets a broadcast from outside.
fn expect_broadcast(lab: &Lab) {
    let mut ports: Vec<_> = (0..2).map(|n| lab.slaves[n].port(&format!("ipvl{n}"))).collect();
    let (from, to) = ([10, 9, 0, 254].into(), [10, 9, 0, 255].into());
    let link = Link::new(EXT_MAC, BROADCAST);
    lab.wire().inject(&udp(link, (IpAddr::V4(from), 4000), (IpAddr::V4(to), 4001), b"for all"));
    for port in &mut ports {
        port.expect("the broadcast", |frame: &Frame| frame.contains(b"for all"));
    }
}

#[test]
fn with_guard_declared_only_the_operator_gives_addresses() {
    require_root!();
    let lab = Lab::new(1);
    lab.add_slave(0, "mode l2 guard declared", &["10.0.0.10/24", "fd00::10/64"]);
    let reached = |addr: &str| pings_now(&lab.ext, addr);
    assert!(!lab.ipvl("addr show").contains("10.0.0.10"), "what root adds is not the slave's");
    assert!(!reached("10.0.0.10") && !reached("fd00::10"));
    for addr in ["10.0.0.10/32", "fd00::10/128"] {
        lab.ipvl(&format!("addr add {addr} dev ipvl0"));
    }
    assert!(lab.pings(&lab.ext, "10.0.0.10") && lab.pings(&lab.ext, "fd00::10"), "what the operator declares is");
    run(&lab.slaves[0], "ip addr add 10.0.0.66/24 dev ipvl0");
    run(&lab.slaves[0], "ip addr add 10.0.0.67/32 dev ipvl0");
    let refused = exec(&lab.slaves[0], "ping -c 1 -W 1 -I 10.0.0.67 10.0.0.254");
    assert!(!refused.ok && !reached("10.0.0.66"), "{}", refused.stdout);
    assert!(lab.ipvl("stats").contains("not-declared"), "{}", lab.ipvl("stats"));
    // Another agent reads the same from the tables.
    kill_agent(&lab.host);
    lab.ipvl("link set ipvl0 type ipvlan guard declared");
    assert!(lab.pings(&lab.ext, "10.0.0.10") && !reached("10.0.0.66"));
    lab.ipvl("link set ipvl0 type ipvlan guard strict");
    soon("the rest with another guard", || reached("10.0.0.66") && reached("10.0.0.10"));
    lab.ipvl("addr del 10.0.0.10/32 dev ipvl0");
    soon("what is on the device as well stays", || reached("10.0.0.10"));
    lab.ipvl("link set ipvl0 type ipvlan guard declared");
    assert!(!reached("10.0.0.10") && !reached("10.0.0.66"), "and goes with the guard");
}

#[test]
fn what_an_engine_gives_a_slave_is_declared() {
    require_root!();
    let lab = Lab::new(2);
    lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    let spec = LinkSpec {
        name: Some("eth0".to_owned()),
        options: Options { mode: Mode::L2, guard: Guard::Declared, ..Options::DEFAULT },
        netns: Some(NetnsRef::Name(lab.slaves[1].name().to_owned())),
        ..LinkSpec::of("eth0")
    };
    let addresses = vec![(addr("10.0.0.77"), 24), (addr("fd00::77"), 64)];
    let owner = "cni net 0123 eth0".to_owned();
    let wanted = Attachment { spec, owner, policy: PolicyKeys::default(), addresses, assign: true, routes: Vec::new() };
    lab.host.within(|| attach(&wanted)).expect("a slave");
    assert!(lab.pings(&lab.ext, "10.0.0.77") && lab.pings(&lab.ext, "fd00::77"));
    run(&lab.slaves[1], "ip addr add 10.0.0.78/24 dev eth0");
    assert!(!pings_now(&lab.ext, "10.0.0.78"));
}

#[test]
fn whoever_probes_an_address_in_use_is_told() {
    require_root!();
    let lab = Lab::new(2);
    lab.add_slave(0, "mode l2", &["10.0.0.10/24", "fd00::10/64"]);
    lab.add_slave(1, "mode l2 private", &["10.0.0.11/24", "fd00::11/64"]);
    soon("both are known", || lab.ipvl("addr show").contains("fd00::10") && lab.ipvl("addr show").contains("fd00::11"));
    for taken in ["fd00::1", "fd00::11"] {
        run(&lab.slaves[0], &format!("ip addr add {taken}/64 dev ipvl0"));
        let shown = || run(&lab.slaves[0], &format!("ip -6 addr show dev ipvl0 to {taken}"));
        soon(&format!("{taken} is known for a duplicate"), || shown().contains("dadfailed"));
    }
    for taken in ["10.0.0.1", "10.0.0.11", "10.0.0.254"] {
        let probe = exec(&lab.slaves[0], &format!("arping -D -q -c 3 -w 3 -I ipvl0 {taken}"));
        assert!(!probe.ok, "{taken} is in use");
    }
    assert!(exec(&lab.slaves[0], "arping -D -q -c 1 -w 1 -I ipvl0 10.0.0.99").ok, "nobody has 10.0.0.99");
}

fn addr(text: &str) -> Addr {
    text.parse::<IpAddr>().expect("an address").into()
}
