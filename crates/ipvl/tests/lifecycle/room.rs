//! Which addresses find room in the table, and is it said which do not?

use ipvl_testbed::{Lab, require_root};

use crate::common::{exec, kill_agent, run, shell, soon};

#[test]
fn a_netns_has_no_more_addresses_than_it_may_and_others_find_room() {
    require_root!();
    let lab = Lab::new(2);
    lab.add_slave(0, "mode l2 bridge", &[]);
    lab.add_slave(1, "mode l2 bridge", &["10.0.0.11/24"]);
    kill_agent(&lab.host);
    let start = "IPVL_ADDRESS_QUOTA=8 $IPVL agent </dev/null >/dev/null 2>&1 &";
    assert!(shell(&lab.host, start).ok);
    soon("an agent", || lab.ipvl("doctor").contains("runs as process"));
    let fill = "for n in {1..12}; do echo addr add 10.50.0.$n/32 dev ipvl0; done | ip -batch -";
    assert!(shell(&lab.slaves[0], fill).ok);
    let lines = |word: &str| {
        let shown = lab.ipvl("addr show");
        shown.lines().filter(|line| line.contains("dev ipvl0") && line.ends_with(word)).count()
    };
    // One of the eight is its link-local address.
    soon("eight addresses", || (lines(" device"), lines(" refused")) == (8, 5));
    let found = exec(&lab.host, &format!("{} doctor", ipvl_testbed::ipvl_path().display()));
    assert!(!found.ok && found.stdout.contains("5 of its addresses"), "{}{}", found.stdout, found.stderr);
    // Another netns is not concerned.
    run(&lab.slaves[1], "ip addr add 10.0.0.12/24 dev ipvl1");
    soon("room for others", || lab.ipvl("addr show").contains("10.0.0.12 dev ipvl1 master eth0 device"));
    let clear = "for n in {1..6}; do echo addr del 10.50.0.$n/32 dev ipvl0; done | ip -batch -";
    assert!(shell(&lab.slaves[0], clear).ok);
    soon("room again", || (lines(" device"), lines(" refused")) == (7, 0));
}

/// An address on which duplicate detection failed is another machine's: a slave that has it keeps nobody from that machine.
#[test]
fn an_address_that_is_not_valid_keeps_nobody_from_its_owner() {
    require_root!();
    let lab = Lab::new(2);
    lab.add_slave(0, "mode l2 bridge", &[]);
    lab.add_slave(1, "mode l2 bridge", &["fd00::11/64"]);
    run(&lab.ext, "ip addr replace fd00::254/64 dev eth0 nodad");
    run(&lab.slaves[0], "ip addr add fd00::254/64 dev ipvl0");
    soon("a duplicate", || run(&lab.slaves[0], "ip -6 addr show dev ipvl0").contains("dadfailed"));
    assert!(!lab.ipvl("addr show").contains("fd00::254"));
    run(&lab.slaves[1], "ip -6 neigh flush all");
    run(&lab.slaves[1], "ping -nqc 1 -W 2 fd00::254");
    // Valid, it owns: without a machine outside that has it.
    run(&lab.ext, "ip addr del fd00::254/64 dev eth0");
    run(&lab.slaves[0], "ip addr del fd00::254/64 dev ipvl0");
    run(&lab.slaves[0], "ip addr add fd00::254/64 dev ipvl0");
    soon("a valid address", || lab.ipvl("addr show").contains("fd00::254 dev ipvl0 master eth0 device"));
}
