//! Is a slave's rate limited in both directions, whatever happens to the slave, and only as asked?

use std::time::{Duration, Instant};

use ipvl_testbed::{Lab, Netns, require_root};

use crate::common::{agents, exec, host_ends, kill_agent, run, soon, start_agent, traces};

/// A tenth of a megabit a second, which 40 echo requests of 1,000 bytes exceed many times over.
const SLOW: &str = "100kbit burst 4000";
const BOTH: &str = "ipvl rate in 100kbit burst 4000b out 100kbit burst 4000b";

fn lab() -> Lab {
    let lab = Lab::new(2);
    lab.add_slave(0, "mode l2", &["10.0.0.10/24", "fd00::10/64"]);
    lab.add_slave(1, "mode l2", &["10.0.0.11/24", "fd00::11/64"]);
    lab
}

/// Whether 40 echo requests at once were too many: some were lost, or the sender had to wait for the queue.
fn is_limited(from: &Netns, to: &str) -> bool {
    let start = Instant::now();
    let said = exec(from, &format!("ping -n -q -c 40 -i 0.002 -s 1000 -W 1 {to}")).stdout;
    let count = said.split(" received").next().and_then(|start| start.rsplit(' ').next());
    let count: u32 = count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no count in {said}"));
    assert!(count > 0, "nothing passes from {} to {to}", from.label());
    count < 30 || start.elapsed() > Duration::from_millis(1500)
}

#[track_caller]
fn expect_limited(lab: &Lab, limited: bool) {
    for (from, to) in [
        (&lab.slaves[0], "10.0.0.254"),
        (&lab.slaves[0], "10.0.0.11"),
        (&lab.slaves[1], "fd00::10"),
        (&lab.ext, "10.0.0.10"),
    ] {
        assert_eq!(is_limited(from, to), limited, "from {} to {to}", from.label());
    }
}

#[track_caller]
fn expect_limited_to_receive(lab: &Lab, limited: bool) {
    for from in [&lab.slaves[1], &lab.ext] {
        assert_eq!(is_limited(from, "10.0.0.10"), limited, "from {}", from.label());
    }
}

#[test]
fn a_limit_holds_to_siblings_and_outside_until_it_is_off() {
    require_root!();
    let lab = lab();
    let before = host_ends(&lab.host);
    lab.ipvl(&format!("link set ipvl0 rate in {SLOW} out {SLOW}"));
    let shown = lab.ipvl("link show ipvl0");
    assert!(shown.contains(BOTH), "{shown}");
    let json = lab.ipvl("-j link show ipvl0");
    let rates = r#""rate":{"in":"100kbit burst 4000b","out":"100kbit burst 4000b"}"#;
    assert!(json.contains(rates), "{json}");
    expect_limited(&lab, true);
    assert!(lab.ipvl("stats ipvl0").contains("rate-limit"), "what it sent too much is counted");
    lab.ipvl("link set ipvl0 rate in off out off");
    expect_limited(&lab, false);
    assert!(!lab.ipvl("-d link show ipvl0").contains("rate"), "nothing of it is left");
    assert_eq!(host_ends(&lab.host), before);
}

#[test]
fn each_way_has_its_own_limit() {
    require_root!();
    let lab = lab();
    lab.ipvl(&format!("link set ipvl0 rate out {SLOW}"));
    assert!(lab.ipvl("link show ipvl0").contains("ipvl rate out 100kbit burst 4000b\n"));
    lab.ipvl("link set ipvl0 rate in 1gbit");
    let shown = lab.ipvl("link show ipvl0");
    assert!(shown.contains("ipvl rate in 1gbit out 100kbit burst 4000b\n"), "{shown}");
    lab.ipvl("link set ipvl0 rate out off");
    expect_limited(&lab, false);
    lab.ipvl(&format!("link set ipvl0 rate in {SLOW}"));
    expect_limited_to_receive(&lab, true);
    lab.ipvl("link set ipvl0 rate in 1gbit");
    expect_limited_to_receive(&lab, false);
    assert!(lab.ipvl("link show ipvl0").contains("ipvl rate in 1gbit\n"));
}

#[test]
fn a_limit_outlives_the_agent_moves_and_all_that_a_container_can_do() {
    require_root!();
    let lab = lab();
    lab.ipvl(&format!("link set ipvl0 rate in {SLOW} out {SLOW}"));
    kill_agent(&lab.host);
    expect_limited(&lab, true);
    let mut agent = start_agent(&lab.host);
    soon("an agent runs", || agents(&lab.host).len() == 1);
    expect_limited(&lab, true);
    exec(&lab.slaves[0], "tc qdisc del dev ipvl0 root");
    exec(&lab.slaves[0], "tc qdisc replace dev ipvl0 root pfifo");
    expect_limited(&lab, true);
    run(&lab.slaves[0], &format!("ip link set ipvl0 netns {}", lab.slaves[1].name()));
    run(&lab.slaves[1], &format!("ip link set ipvl0 netns {}", lab.slaves[0].name()));
    run(&lab.slaves[0], "ip addr add 10.0.0.10/24 dev ipvl0");
    run(&lab.slaves[0], "ip addr add fd00::10/64 dev ipvl0 nodad");
    run(&lab.slaves[0], "ip link set ipvl0 up");
    soon("it is back", || lab.pings(&lab.ext, "10.0.0.10"));
    expect_limited(&lab, true);
    assert!(lab.ipvl("link show ipvl0").contains(BOTH));
    lab.ipvl("link set ipvl0 type ipvlan mode l3");
    assert!(lab.ipvl("link show ipvl0").contains(BOTH), "another mode changes no limit");
    lab.ipvl("upgrade again");
    assert!(lab.ipvl("link show ipvl0").contains(BOTH), "nor do other programs");
    kill_agent(&lab.host);
    agent.wait().expect("wait for the agent");
}

#[test]
fn a_new_slave_has_its_limits_from_the_start_and_leaves_none_behind() {
    require_root!();
    let lab = Lab::new(1);
    lab.ipvl("link add link eth0 name a rate in 10mbit out 20mbit type ipvlan mode l2");
    lab.ipvl("link add link eth0 name keep type ipvlan mode l2");
    assert!(lab.ipvl("link show a").contains("ipvl rate in 10mbit out 20mbit\n"));
    lab.ipvl("link del a");
    for n in 0..70 {
        lab.ipvl(&format!("link add link eth0 name b{n} type ipvlan mode l2 backend veth"));
        assert!(!lab.ipvl(&format!("link show b{n}")).contains("rate"), "slot {n}");
        lab.ipvl(&format!("link del b{n}"));
    }
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    require_root!();
    let lab = lab();
    lab.ipvl("link set ipvl0 rate in 10mbit");
    let before = traces(&lab.host) + &lab.ipvl("-d link show");
    for (words, why) in [
        ("rate in fast", "rate must be in tc's units"),
        ("rate", "Command line is not complete"),
        ("rate in 1mbit in 2mbit", "duplicate"),
        ("rate in 1mbit burst 100 out 1mbit", "cannot limit"),
        ("rate in 2mbit out 2mbit name x/y", "not a valid ifname"),
    ] {
        let refused = lab.try_ipvl(&format!("link set ipvl0 {words}"));
        assert!(!refused.ok && refused.stderr.contains(why), "{words}: {}", refused.stderr);
        assert_eq!(traces(&lab.host) + &lab.ipvl("-d link show"), before, "{words}");
    }
    let host_end = lab.ipvl("link show ipvl1");
    let host_end = host_end.split_whitespace().skip_while(|word| *word != "host-end").nth(1).expect("a host end");
    run(&lab.host, &format!("tc qdisc replace dev {host_end} root pfifo"));
    let refused = lab.try_ipvl("link set ipvl1 rate in 1mbit out 1mbit");
    assert!(!refused.ok && refused.stderr.contains("a queue of another kind, pfifo"), "{}", refused.stderr);
    assert!(!lab.ipvl("link show ipvl1").contains("rate"), "neither way");
    let half = lab.try_ipvl("link set ipvl0 rate in off out 1mbit netns no-such-netns");
    assert!(!half.ok, "{}", half.stdout);
    assert!(lab.ipvl("link show ipvl0").contains("ipvl rate in 10mbit\n"), "as it was");
}

#[test]
fn half_of_a_change_is_undone() {
    require_root!();
    let lab = lab();
    run(&lab.slaves[0], "ip link add name taken type veth peer name other");
    lab.ipvl("link set ipvl0 rate in 10mbit");
    let half = lab.try_ipvl("link set ipvl0 rate in off out 1mbit name taken");
    assert!(!half.ok && half.stderr.contains("ipvl0"), "{}", half.stderr);
    let shown = lab.ipvl("link show ipvl0");
    assert!(shown.contains("ipvl rate in 10mbit\n"), "{shown}");
    expect_limited(&lab, false);
}
