//! Is a slave usable the moment it should be, and never before?

use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use ipvl_testbed::{Lab, Netns, ipvl_path, require_root};

use crate::common::{agents, exec, expect_as_before, expect_closed, host_ends, run, soon, traces};

const KILLS: u32 = 30;

#[test]
fn a_killed_add_leaves_a_complete_slave_or_nothing() {
    require_root!();
    let lab = Lab::new(1);
    kill_adds(&lab);
}

#[test]
fn a_killed_add_beside_a_living_agent_leaves_a_complete_slave_or_nothing() {
    require_root!();
    let lab = Lab::new(1);
    lab.ipvl("link add link eth0 name first type ipvlan mode l2");
    let agent = agents(&lab.host);
    kill_adds(&lab);
    assert_eq!(agents(&lab.host), agent);
}

/// Kills `ipvl link add` at moments spread over the time that it takes.
fn kill_adds(lab: &Lab) {
    let before = traces(&lab.host);
    let whole = (0..3).map(|_| time_of_an_add(lab)).max().expect("three");
    let mut half_made = 0;
    for round in 0..KILLS {
        killed_after(lab, whole * 2 * round / KILLS);
        half_made += u32::from(exists(&lab.host));
        try_to_get_out(lab);
        // The next command, whatever it does, cleans up first.
        lab.ipvl("link add link eth0 name other type ipvlan mode l3");
        expect_closed(lab);
        expect_order(lab, round);
        lab.ipvl("link del other");
        if exists(&lab.host) {
            lab.ipvl("link del ipvl0");
        }
        expect_as_before(&lab.host, &before);
    }
    assert!(half_made > 0, "all of {KILLS} were killed too early to matter");
}

fn time_of_an_add(lab: &Lab) -> Duration {
    let start = Instant::now();
    assert!(start_add(lab).wait().expect("wait for it").success());
    let time = start.elapsed();
    lab.ipvl("link del ipvl0");
    time
}

fn killed_after(lab: &Lab, delay: Duration) {
    let mut add = start_add(lab);
    thread::sleep(delay);
    add.kill().expect("kill it");
    add.wait().expect("wait for it");
}

fn start_add(lab: &Lab) -> Child {
    let words = "link add link eth0 name ipvl0 type ipvlan mode l3s".split(' ');
    lab.host.within(|| Command::new(ipvl_path()).args(words).spawn().expect("start ipvl"))
}

fn exists(host: &Netns) -> bool {
    exec(host, "ip link show ipvl0").ok
}

/// In every state, a slave without a program reaches no other station.
fn try_to_get_out(lab: &Lab) {
    expect_closed(lab);
    if exec(&lab.host, "ip link set ipvl0 up").ok {
        expect_closed(lab);
        run(&lab.host, "ip link set ipvl0 down");
    }
}

/// A host end, its slave, and a line of `link show` each, or none of them.
#[track_caller]
fn expect_order(lab: &Lab, round: u32) {
    let shown = || lab.ipvl("link show").contains(" ipvl0@");
    soon(&format!("round {round}: complete or nothing"), || exists(&lab.host) == shown());
    soon(&format!("round {round}: a host end for each slave, and no more"), || {
        host_ends(&lab.host).len() == lab.ipvl("link show").lines().filter(|line| line.contains("@eth0")).count()
    });
}
