//! What can root in a slave's netns do against ipvl, also while no agent runs?

use ipvl_testbed::{Lab, Netns, require_root};

use crate::common::{agents, exec, expect_as_before, kill_agent, programs, run, shell, soon, start_agent, traces};

#[test]
fn a_name_that_a_slave_copies_is_told_apart_by_the_host_end() {
    require_root!();
    let lab = Lab::new(2);
    lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    lab.add_slave(1, "mode l2", &["10.0.0.11/24"]);
    rename(&lab.slaves[1], "ipvl1", "ipvl0");
    let refused = lab.try_ipvl("link del ipvl0");
    assert!(!refused.ok && refused.stderr.contains("host end"), "{}", refused.stderr);
    let shown = lab.ipvl("link show ipvlh1");
    assert!(shown.contains("ipvl0@") && shown.contains("slot 1"), "{shown}");
    lab.ipvl("link set ipvlh1 type ipvlan mode l3");
    lab.ipvl("addr add 10.0.0.77 dev ipvlh1");
    assert!(lab.ipvl("addr show ipvlh1").contains("10.0.0.77"));
    lab.ipvl("stats ipvlh1");
    lab.ipvl("link del ipvlh1");
    assert!(exec(&lab.slaves[0], "ip link show ipvl0").ok && !exec(&lab.slaves[1], "ip link show ipvl0").ok);
}

#[test]
fn a_slave_that_takes_a_host_ends_name_hides_no_other() {
    require_root!();
    let lab = Lab::new(2);
    lab.add_slave(0, "mode l2", &[]);
    lab.add_slave(1, "mode l2", &[]);
    rename(&lab.slaves[1], "ipvl1", "ipvlh0");
    lab.ipvl("link del ipvlh0");
    assert!(exec(&lab.slaves[1], "ip link show ipvlh0").ok, "the host's own names come first");
    assert!(!exec(&lab.slaves[0], "ip link show ipvl0").ok);
}

#[test]
fn a_name_cannot_command_the_terminal_of_who_reads_it() {
    require_root!();
    let lab = Lab::new(1);
    lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    rename(&lab.slaves[0], "ipvl0", "a\u{1b}[2J");
    for question in ["link show", "addr show", "stats", "doctor"] {
        let answer = lab.try_ipvl(question).stdout;
        assert!(!answer.contains('\u{1b}'), "{question}: {answer:?}");
    }
    assert!(lab.ipvl("link show").contains(r"a\u{1b}[2J@"));
}

#[test]
fn a_slave_with_a_thousand_names_is_still_looked_after_and_hides_no_other() {
    require_root!();
    let lab = Lab::new(2);
    lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    lab.add_slave(1, "mode l2", &["10.0.0.11/24"]);
    shell(
        &lab.slaves[0],
        "for n in $(seq 600); do printf 'link property add dev ipvl0 altname %0127d\\n' $n; done | ip -force -batch -",
    );
    for question in ["link show", "addr show", "stats"] {
        let answer = lab.ipvl(question);
        assert!(answer.contains("ipvl0") && answer.contains("ipvl1"), "{question}: {answer}");
    }
    run(&lab.slaves[0], "ip addr add 10.0.0.20/24 dev ipvl0");
    soon("the agent sees it", || lab.pings(&lab.ext, "10.0.0.20"));
}

#[test]
fn slaves_whose_master_is_away_outlive_the_agent() {
    require_root!();
    let (lab, elsewhere) = (Lab::new(2), Netns::new("elsewhere"));
    for (n, mode) in ["mode l2", "mode l3"].iter().enumerate() {
        lab.add_slave(n, mode, &[&format!("10.0.0.1{n}/24")]);
    }
    run(&lab.host, &format!("ip link set eth0 netns {}", elsewhere.name()));
    soon("they are cut off", || lab.ipvl("link show").matches("master has left").count() == 2);
    kill_agent(&lab.host);
    let shown = lab.ipvl("link show");
    assert!(shown.matches("master has left").count() == 2 && shown.contains("ipvl1"), "{shown}");
    let mut agent = start_agent(&lab.host);
    soon("the new agent", || !agents(&lab.host).is_empty());
    run(&elsewhere, &format!("ip link set eth0 netns {}", lab.host.name()));
    run(&lab.host, "ip link set eth0 up");
    soon("they are back", || lab.pings(&lab.ext, "10.0.0.10"));
    soon("all of them", || !lab.ipvl("link show").contains("degraded"));
    lab.ipvl("link del ipvl0");
    lab.ipvl("link del ipvl1");
    assert!(agent.wait().expect("wait for the agent").success());
}

#[test]
fn a_slave_whose_master_is_away_can_be_deleted() {
    require_root!();
    let (lab, elsewhere) = (Lab::new(1), Netns::new("elsewhere"));
    lab.add_slave(0, "mode l2", &[]);
    run(&lab.host, &format!("ip link set eth0 netns {}", elsewhere.name()));
    soon("it is cut off", || lab.ipvl("link show").contains("master has left"));
    kill_agent(&lab.host);
    lab.ipvl("link del ipvl0");
    assert_eq!(lab.ipvl("link show"), "");
    assert!(!exec(&lab.slaves[0], "ip link show ipvl0").ok);
}

#[test]
fn to_look_changes_nothing_and_what_is_left_of_a_port_is_taken_up_again() {
    require_root!();
    let lab = Lab::new(1);
    let before = traces(&lab.host);
    lab.add_slave(0, "mode l3s", &["10.0.0.10/24"]);
    kill_agent(&lab.host);
    run(&lab.host, "ip link del ipvlh0");
    let left = programs(&lab.host);
    assert_eq!(left.len(), 1, "{left:?}");
    for question in ["link show", "addr show", "stats"] {
        lab.ipvl(question);
    }
    assert_eq!(programs(&lab.host), left);
    lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    assert!(lab.pings(&lab.ext, "10.0.0.10"));
    lab.ipvl("link del ipvl0");
    expect_as_before(&lab.host, &before);
}

#[test]
fn an_agent_takes_what_is_left_of_a_port_away() {
    require_root!();
    let lab = Lab::new(1);
    let before = traces(&lab.host);
    lab.add_slave(0, "mode l3s", &["10.0.0.10/24"]);
    kill_agent(&lab.host);
    run(&lab.host, "ip link del ipvlh0");
    lab.ipvl("agent");
    expect_as_before(&lab.host, &before);
}

fn rename(netns: &Netns, from: &str, to: &str) {
    run(netns, &format!("ip link set {from} down"));
    netns.run(["ip", "link", "set", from, "name", to]);
    netns.run(["ip", "link", "set", to, "up"]);
}
