//! Are invalid requests refused, with a message that says what to do, and with nothing changed?

use ipvl_testbed::{Lab, Output, ipvl_path, require_root};

use crate::common::{exec, run, traces};
use crate::snapshot;

#[test]
fn a_slave_that_cannot_be_is_refused() {
    require_root!();
    let lab = Lab::new(1);
    run(&lab.host, "ip tuntap add tun0 mode tun");
    run(&lab.host, "ip link add taken type veth peer name other");
    let before = traces(&lab.host);
    let refused = |line: &str| told(&lab, lab.try_ipvl(line));
    let lines = [
        "link add link lo type ipvlan",
        "link add link nosuch type ipvlan",
        "link add type ipvlan",
        "link add link eth0 type ipvlan mode l4",
        "link add link eth0 type ipvlan mode l2 private vepa",
        "link add link tun0 name a type ipvlan mode l2",
        "link add link eth0 name a mtu 9000 type ipvlan",
        "link add link eth0 name a mtu 67 type ipvlan",
        "link add link eth0 name a address 02:00:00:00:00:77 type ipvlan",
        "link add link eth0 name taken type ipvlan",
        "link add link eth0 name a netns nosuch type ipvlan",
        "link add link eth0 name sixteencharacter type ipvlan",
        "link set nosuch type ipvlan mode l2",
        "link set eth0 type ipvlan mode l2",
        "link del nosuch",
        "link del eth0",
        "addr add 10.0.0.99 dev eth0",
    ];
    let text: String = lines.iter().map(|line| format!("ipvl {line}\n{}\n", refused(line))).collect();
    assert_eq!(traces(&lab.host), before);
    snapshot::check("refusals.txt", &text);
}

#[test]
fn a_slave_is_no_master_here_or_elsewhere() {
    require_root!();
    let lab = Lab::new(1);
    lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    lab.ipvl("link add link eth0 name ipvl1 type ipvlan mode l2");
    let before = traces(&lab.host);
    let mut text = String::new();
    for line in ["link add link ipvl1 type ipvlan", "link add link ipvlh0 type ipvlan"] {
        text += &format!("ipvl {line}\n{}\n", told(&lab, lab.try_ipvl(line)));
    }
    for line in [
        "link add link ipvl0 type ipvlan",
        "link set ipvl0 type ipvlan mode l3",
        "link set ipvl0 type ipvlan private",
        "link del ipvl0",
        "addr add 10.0.0.99 dev ipvl0",
    ] {
        let inside = exec(&lab.slaves[0], &format!("{} {line}", ipvl_path().display()));
        text += &format!("in the slave's netns: ipvl {line}\n{}\n", told(&lab, inside));
    }
    assert_eq!(traces(&lab.host), before);
    assert!(lab.pings(&lab.ext, "10.0.0.10"));
    snapshot::check("refusals-inside.txt", &text);
}

#[test]
fn a_refused_add_leaves_nothing() {
    require_root!();
    let lab = Lab::new(1);
    let netns = lab.slaves[0].name();
    run(&lab.slaves[0], "ip link add taken type veth peer name other");
    let before = [&lab.host, &lab.slaves[0]].map(traces);
    for line in [
        format!("link add link eth0 name taken netns {netns} type ipvlan mode l2"),
        format!("link add link eth0 name a mtu 9000 netns {netns} type ipvlan mode l2"),
        format!("link add link eth0 name taken netns {netns} type ipvlan mode l3s"),
    ] {
        assert!(!lab.try_ipvl(&line).ok, "{line}");
        assert_eq!([&lab.host, &lab.slaves[0]].map(traces), before, "{line}");
    }
}

#[test]
fn of_a_batch_of_adds_all_are_made_or_none() {
    require_root!();
    let lab = Lab::new(1);
    let before = traces(&lab.host);
    let lines = "link add link eth0 name a type ipvlan\\nlink add link eth0 name b type ipvlan\\n\
                 link add link eth0 name a type ipvlan\\n";
    let output = crate::common::shell(&lab.host, &format!("printf '{lines}' | $IPVL -batch -"));
    assert!(!output.ok);
    crate::common::expect_as_before(&lab.host, &before);
}

/// Its exit status and message, which must be there; names that differ between runs are made equal.
#[track_caller]
fn told(lab: &Lab, output: Output) -> String {
    assert!(!output.ok, "succeeded: {}", output.stdout);
    assert!(output.stdout.is_empty(), "{}", output.stdout);
    let text = output.stderr.replace(lab.host.name(), "HOST").replace(lab.slaves[0].name(), "NS0");
    format!("  {}: {}", output.code.unwrap_or(-1), text.trim_end().replace('\n', "\n  "))
}
