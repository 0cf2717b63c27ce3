//! Do l3s slaves that allow it meet past the host's hooks, while those see all else?

use ipvl_testbed::{Lab, require_root};

use crate::common::{Probe, exec, pings_now, run, soon};

const SIBLING: &str = "10.0.0.11";
const SIBLING_6: &str = "fd00::11";
const OUTSIDE: &str = "10.0.0.254";

/// Two l3s slaves that the outside finds, and counters in the host's FORWARD: between the two, and of all else.
fn lab(options: &str) -> Lab {
    let lab = Lab::new(2);
    // Without it the host's stack would route IPv6 to no l3s slave before Linux 6.17.
    lab.host.sysctl("net/ipv6/conf/all/forwarding", "1");
    for n in 0..2 {
        let options = format!("mode l3s neigh proxy {options}");
        lab.add_slave(n, &options, &[&format!("10.0.0.1{n}/24"), &format!("fd00::1{n}/64")]);
    }
    for words in [
        "table inet t",
        "counter inet t siblings",
        "counter inet t outside",
        "chain inet t f { type filter hook forward priority 0 ; }",
        "rule inet t f iifname ipvlh* oifname ipvlh* counter name siblings",
        "rule inet t f oifname eth0 counter name outside",
    ] {
        lab.host.run(["nft", "add", words]);
    }
    lab
}

/// How many packets FORWARD has seen of these.
#[track_caller]
fn forwarded(lab: &Lab, which: &str) -> u64 {
    let shown = run(&lab.host, &format!("nft list counter inet t {which}"));
    let count = shown.split_whitespace().skip_while(|word| *word != "packets").nth(1);
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no count in {shown}"))
}

/// What FORWARD sees of a few pings to the sibling.
#[track_caller]
fn seen_between_siblings(lab: &Lab) -> u64 {
    let before = forwarded(lab, "siblings");
    soon("the sibling is reached", || lab.pings(&lab.slaves[0], SIBLING) && lab.pings(&lab.slaves[0], SIBLING_6));
    forwarded(lab, "siblings") - before
}

/// Whether a packet with one hop left arrives.
fn arrives_with_one_hop(lab: &Lab) -> bool {
    exec(&lab.slaves[0], &format!("ping -n -q -c 1 -W 1 -t 1 {SIBLING}")).ok
}

#[test]
fn forward_sees_no_siblings_that_meet_directly_and_all_else() {
    require_root!();
    let lab = lab("siblings direct");
    assert_eq!(seen_between_siblings(&lab), 0);
    assert!(arrives_with_one_hop(&lab), "no hop is counted");
    assert!(lab.ipvl(&format!("explain from ipvl0 to {SIBLING}")).contains("siblings direct"));
    soon("the outside is reached", || lab.pings(&lab.slaves[0], OUTSIDE));
    assert!(forwarded(&lab, "outside") > 0, "what goes outside passes the host's stack");
    lab.ipvl("link set ipvl1 type ipvlan private");
    assert!(!pings_now(&lab.slaves[0], SIBLING) && lab.pings(&lab.slaves[0], OUTSIDE), "private holds");
}

#[test]
fn one_that_does_not_allow_it_is_met_in_the_hosts_stack_as_soon_as_it_says_so() {
    require_root!();
    let lab = lab("siblings host");
    lab.ipvl("link set ipvl0 type ipvlan siblings direct");
    assert!(lab.ipvl("link show ipvl0").contains("siblings direct"));
    for _ in 0..2 {
        assert!(seen_between_siblings(&lab) > 0, "the other does not");
        assert!(!arrives_with_one_hop(&lab), "the host is a hop");
        lab.ipvl("link set ipvl1 type ipvlan siblings direct");
        assert_eq!(seen_between_siblings(&lab), 0);
        lab.ipvl("link set ipvl1 type ipvlan siblings host");
    }
}

#[test]
fn nothing_is_lost_between_siblings_whichever_way_they_are_told_to_meet() {
    require_root!();
    let lab = lab("siblings direct");
    let [first, second] = &lab.slaves[..] else { unreachable!("two were asked for") };
    let probe = Probe::start(first, second, "10.0.0.11:99");
    for way in ["host", "direct", "host", "direct"] {
        probe.more(30);
        lab.ipvl(&format!("link set ipvl0 type ipvlan siblings {way}"));
    }
    probe.more(30);
    probe.expect_no_loss("between siblings");
    assert!(forwarded(&lab, "siblings") > 0, "some went by the host's stack");
}

#[test]
fn other_modes_keep_the_option_until_the_slave_is_in_l3s() {
    require_root!();
    let lab = lab("siblings direct");
    lab.ipvl("link set ipvl1 type ipvlan mode l3 siblings host");
    assert_eq!(seen_between_siblings(&lab), 0, "a slave in l3 always allows it");
    lab.ipvl("link set ipvl0 type ipvlan mode l3");
    assert!(lab.ipvl("link show ipvl0").contains("siblings direct"));
    lab.ipvl("link set ipvl1 type ipvlan mode l3s");
    assert!(!pings_now(&lab.slaves[0], SIBLING), "one in l3s does not, and the other has no host access");
}
