//! Does a new master get the programs that an agent that stays has loaded before, and is nothing left of them if either is
//! killed?

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use ipvl_testbed::{Lab, ipvl_path, require_root, wait_until};

use crate::common::{expect_as_before, is_loaded, kill, programs, soon, traces};
use crate::service::Service;

/// The agent loads a pair when it has been idle, with the least priority, and the machine may be busy.
const LATER: Duration = Duration::from_secs(60);

#[test]
fn a_new_master_gets_them_and_others_are_loaded() {
    require_root!();
    let lab = Lab::new(1);
    let agent = Service::start(&lab);
    let before = traces(&lab.host);
    let pair = spare(&lab, &agent);
    lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    assert_eq!(attached(&lab), pair, "the master's program and the host end's");
    assert!(lab.pings(&lab.ext, "10.0.0.10"));
    let next = spare(&lab, &agent);
    assert!(next.is_disjoint(&pair), "each pair is given away once");
    lab.ipvl("link del ipvl0");
    expect_as_before(&lab.host, &before);
    soon("the pair goes with its slave", || pair.iter().all(|id| !is_loaded(*id)));
    drop(agent);
    soon("the spare pair goes with the agent", || next.iter().all(|id| !is_loaded(*id)));
}

#[test]
fn an_agent_killed_while_it_gives_them_away_leaves_nothing() {
    require_root!();
    let lab = Lab::new(1);
    let before = traces(&lab.host);
    for delay in [0, 4, 8, 12, 20] {
        let agent = Service::start(&lab);
        let pair = spare(&lab, &agent);
        thread::scope(|scope| {
            let command = scope.spawn(|| lab.try_ipvl("link add link eth0 name ipvl0 type ipvlan mode l2"));
            thread::sleep(Duration::from_millis(delay));
            drop(agent);
            let done = command.join().expect("no panic");
            assert!(done.ok, "killed after {delay} ms: {}", done.stderr);
        });
        assert_eq!(attached(&lab).len(), 2, "killed after {delay} ms");
        lab.ipvl("link del ipvl0");
        expect_as_before(&lab.host, &before);
        soon("nothing of the pair is left", || pair.iter().all(|id| !is_loaded(*id)));
    }
}

#[test]
fn a_command_killed_while_it_takes_them_leaves_nothing() {
    require_root!();
    let lab = Lab::new(1);
    let agent = Service::start(&lab);
    let before = traces(&lab.host);
    for delay in [4, 8, 12, 20] {
        let pair = spare(&lab, &agent);
        let mut command = lab.host.command([ipvl_path().as_os_str()].into_iter().chain(ADD.map(AsRef::as_ref)));
        let mut command = command.stdin(Stdio::null()).spawn().expect("start the command");
        thread::sleep(Duration::from_millis(delay));
        kill(command.id());
        command.wait().expect("wait for the command");
        // The next command, which may need the pair itself, tidies up.
        lab.try_ipvl("link del ipvl0");
        lab.ipvl("link add link eth0 name ipvl1 type ipvlan mode l2");
        lab.ipvl("link del ipvl1");
        expect_as_before(&lab.host, &before);
        soon("nothing of the pair is left", || pair.iter().all(|id| !is_loaded(*id)));
    }
}

const ADD: [&str; 10] = ["link", "add", "link", "eth0", "name", "ipvl0", "type", "ipvlan", "mode", "l2"];

/// The programs on the devices of the host's netns.
fn attached(lab: &Lab) -> BTreeSet<u32> {
    programs(&lab.host).into_iter().map(|(_, _, id)| id).collect()
}

/// The pair that the agent has loaded, once no port has it. While it loads them, it has a second descriptor of each.
#[track_caller]
fn spare(lab: &Lab, agent: &Service) -> BTreeSet<u32> {
    let mut found = Vec::new();
    let pair = |found: &[u32]| found.iter().copied().collect::<BTreeSet<u32>>();
    let loaded = wait_until(LATER, || {
        found = unused(lab, agent);
        (found.len(), pair(&found).len()) == (2, 2)
    });
    assert!(loaded, "no spare pair: {found:?}");
    pair(&found)
}

/// The programs for a master and its host ends that the agent has open, and that are not attached, by descriptor.
fn unused(lab: &Lab, agent: &Service) -> Vec<u32> {
    let folder = format!("/proc/{}/fdinfo", agent.pid());
    let files = fs::read_dir(folder).expect("read the agent's descriptors").flatten();
    let ids = files.filter_map(|file| classifier(&fs::read_to_string(file.path()).ok()?));
    let attached = attached(lab);
    ids.filter(|id| !attached.contains(id)).collect()
}

/// The id of a program for a TC hook, of which this describes a descriptor.
fn classifier(info: &str) -> Option<u32> {
    const SCHED_CLS: &str = "3";
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    (field("prog_type")? == SCHED_CLS).then_some(())?;
    field("prog_id")?.parse().ok()
}
