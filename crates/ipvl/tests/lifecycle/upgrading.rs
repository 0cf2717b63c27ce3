//! Do the programs of another build take over while slaves are in use, without a lost packet and without a lost entry?
//!
//! `IPVL_FROM` names the command of an older version, which then makes the slaves (`make verify-upgrade`). Without it, this
//! build replaces its own programs.

use std::path::PathBuf;
use std::time::Duration;

use ipvl_testbed::{Lab, ipvl_path, require_device, require_root};

use crate::common::{Probe, programs, run, shell, soon};

#[test]
fn programs_are_replaced_under_traffic_by_tcx() {
    require_root!();
    upgrade_under_traffic("IPVL_HOOK=tcx IPVL_BACKEND=veth");
}

#[test]
fn programs_are_replaced_under_traffic_by_clsact() {
    require_root!();
    upgrade_under_traffic("IPVL_HOOK=clsact IPVL_BACKEND=veth");
}

#[test]
fn programs_are_replaced_under_traffic_with_netkit() {
    require_root!();
    require_device!("netkit");
    upgrade_under_traffic("IPVL_BACKEND=netkit");
}

#[test]
fn a_killed_upgrade_loses_nothing_and_can_be_repeated() {
    require_root!();
    let lab = two_slaves("IPVL_BACKEND=veth");
    let probes = probes(&lab);
    for tenths in 1..=16 {
        let killed = format!("timeout -s KILL 0.{:02} $IPVL upgrade again", tenths * 6);
        shell(&lab.host, &killed);
        probes.iter().for_each(|probe| probe.more(20));
    }
    let repeated = lab.ipvl("upgrade");
    assert!(repeated.starts_with("eth0: "), "{repeated}");
    probes.into_iter().for_each(|probe| probe.expect_no_loss("killed upgrades"));
    lab.ipvl("link set ipvl0 type ipvlan private");
    soon("the change is in the new tables", || !lab.pings(&lab.slaves[0], "10.0.0.11"));
    assert_eq!(lab.ipvl("upgrade"), "eth0: the programs are of this build already\n");
}

#[test]
fn a_link_without_slaves_is_not_upgraded() {
    require_root!();
    let lab = Lab::new(0);
    let refused = lab.try_ipvl("upgrade eth0");
    assert!(!refused.ok && refused.stderr.contains("master of no slave"), "{}", refused.stderr);
    assert_eq!(lab.ipvl("upgrade"), "");
}

fn upgrade_under_traffic(environment: &str) {
    let lab = two_slaves(environment);
    run_old(&lab, "", "addr add 192.0.2.0/28 dev ipvl1");
    let (before, owned) = (programs(&lab.host), owners(&run_old(&lab, "", "addr show")));
    let sent = packets(&run_old(&lab, "", "-j stats"));
    let probes = probes(&lab);
    probes.iter().for_each(|probe| probe.more(50));
    let said = lab.ipvl("upgrade again");
    probes.iter().for_each(|probe| probe.more(50));
    probes.into_iter().for_each(|probe| probe.expect_no_loss("an upgrade"));
    let after = programs(&lab.host);
    assert!(said.contains("programs replaced"), "{said}");
    assert!(!before.is_empty() && before.len() == after.len(), "{before:?} {after:?}");
    assert!(before.iter().all(|(_, _, id)| after.iter().all(|(_, _, new)| new != id)), "{before:?} {after:?}");
    assert_eq!(owners(&lab.ipvl("addr show")), owned);
    assert!(packets(&lab.ipvl("-j stats")) >= sent + 100, "no count is lost");
    assert_eq!(lab.ipvl("upgrade eth0"), "eth0: the programs are of this build already\n");
    lab.ipvl("link set ipvl0 type ipvlan private");
    soon("the change is in the new tables", || !lab.pings(&lab.slaves[0], "10.0.0.11"));
    lab.ipvl("link del ipvl0");
    lab.ipvl("link del ipvl1");
    assert!(programs(&lab.host).is_empty());
}

/// An l2 slave and an l3 slave, made by the older version.
fn two_slaves(environment: &str) -> Lab {
    let lab = Lab::new(2);
    for (n, mode) in ["l2", "l3"].into_iter().enumerate() {
        let netns = &lab.slaves[n];
        run_old(&lab, environment, &format!("link add link eth0 name ipvl{n} type ipvlan mode {mode}"));
        run(&lab.host, &format!("ip link set ipvl{n} netns {}", netns.name()));
        run(netns, &format!("ip addr add 10.0.0.1{n}/24 dev ipvl{n}"));
        run(netns, &format!("ip link set ipvl{n} up"));
        run(&lab.ext, &format!("ip route add 10.0.0.1{n}/32 via 10.0.0.1"));
        soon("outside", || lab.pings(netns, "10.0.0.254"));
    }
    soon("each other", || lab.pings(&lab.slaves[0], "10.0.0.11"));
    lab
}

fn run_old(lab: &Lab, environment: &str, words: &str) -> String {
    let from = std::env::var_os("IPVL_FROM").map_or_else(ipvl_path, PathBuf::from);
    let done = shell(&lab.host, &format!("{environment} {} {words}", from.display()));
    assert!(done.ok, "{words}: {}", done.stderr);
    done.stdout
}

/// Datagrams to the outside, from there, and between the slaves.
fn probes(lab: &Lab) -> Vec<Probe> {
    let pace = Duration::from_millis(2);
    let [l2, l3] = &lab.slaves[..] else { unreachable!("two were asked for") };
    vec![
        Probe::start_every(pace, l2, &lab.ext, "10.0.0.254:1000"),
        Probe::start_every(pace, l3, &lab.ext, "10.0.0.254:1001"),
        Probe::start_every(pace, &lab.ext, l2, "10.0.0.10:1002"),
        Probe::start_every(pace, &lab.ext, l3, "10.0.0.11:1003"),
        Probe::start_every(pace, l2, l3, "10.0.0.11:1004"),
        Probe::start_every(pace, l3, l2, "10.0.0.10:1005"),
    ]
}

/// What the programs have counted of both slaves.
fn packets(statistics: &str) -> u64 {
    let statistics: serde_json::Value = serde_json::from_str(statistics).expect("JSON");
    let of_slave = |line: &serde_json::Value| line["tx"]["packets"].as_u64().unwrap_or_default();
    statistics.as_array().expect("a list").iter().map(of_slave).sum()
}

/// Each address with its owner: the first words of a line.
fn owners(addresses: &str) -> Vec<String> {
    addresses.lines().map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" ")).collect()
}
