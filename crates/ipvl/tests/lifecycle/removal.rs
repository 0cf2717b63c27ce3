//! Is nothing left after the last slave is removed, in whichever way?

use std::time::Duration;

use ipvl_testbed::{Lab, Netns, require_root, wait_until};

use crate::common::{agents, expect_as_before, is_loaded, link_value, links, programs, run, soon, traces};

/// A lab with one slave of each mode, and what its host was like before.
struct Populated {
    lab: Lab,
    before: String,
    programs: Vec<u32>,
}

impl Populated {
    fn new() -> Self {
        let lab = Lab::new(3);
        let before = traces(&lab.host);
        for (n, mode) in ["l2", "l3", "l3s"].into_iter().enumerate() {
            let (v4, v6) = (format!("10.0.0.1{n}/24"), format!("fd00::1{n}/64"));
            lab.add_slave(n, &format!("mode {mode}"), &[&v4, &v6]);
        }
        let programs = programs(&lab.host).into_iter().map(|(_, _, id)| id).collect::<Vec<_>>();
        assert_eq!(programs.len(), 4, "one for the master, one for each slave");
        soon("the host has routes to the l3s slave", || {
            run(&lab.host, "ip route show proto 157").contains("10.0.0.12")
        });
        Self { lab, before, programs }
    }

    #[track_caller]
    fn expect_nothing_left(&self) {
        expect_as_before(&self.lab.host, &self.before);
        for id in &self.programs {
            soon("the programs are unloaded", || !is_loaded(*id));
        }
        for netns in &self.lab.slaves {
            assert_eq!(links(netns).into_iter().collect::<Vec<_>>(), ["lo"]);
        }
    }
}

#[test]
fn ipvl_link_del_leaves_nothing() {
    require_root!();
    let populated = Populated::new();
    for n in 0..3 {
        populated.lab.ipvl(&format!("link del ipvl{n}"));
    }
    assert_eq!(traces(&populated.lab.host), populated.before, "all is gone when the last `link del` returns");
    populated.expect_nothing_left();
}

#[test]
fn stock_ip_link_del_leaves_nothing() {
    require_root!();
    let populated = Populated::new();
    for (n, netns) in populated.lab.slaves.iter().enumerate() {
        run(netns, &format!("ip link del ipvl{n}"));
    }
    populated.expect_nothing_left();
}

#[test]
fn the_end_of_the_slaves_netns_leaves_nothing() {
    require_root!();
    let mut populated = Populated::new();
    populated.lab.slaves.clear();
    populated.expect_nothing_left();
}

#[test]
fn host_ends_deleted_by_hand_leave_nothing() {
    require_root!();
    let populated = Populated::new();
    for name in crate::common::host_ends(&populated.lab.host) {
        run(&populated.lab.host, &format!("ip link del {name}"));
    }
    populated.expect_nothing_left();
}

#[test]
fn the_end_of_the_hosts_netns_leaves_nothing() {
    require_root!();
    let Populated { lab, programs, .. } = Populated::new();
    let Lab { slaves, host, ext, .. } = lab;
    let agent = agents(&host)[0];
    run(&ext, &format!("ip netns del {}", host.name()));
    let gone = wait_until(Duration::from_secs(10), || !std::path::Path::new(&format!("/proc/{agent}")).exists());
    assert!(gone, "the agent keeps the netns alive");
    for id in programs {
        soon("the programs are unloaded", || !is_loaded(id));
    }
    let only_loopback = |netns: &Netns| links(netns).into_iter().eq(["lo".to_owned()]);
    soon("the slaves are gone", || slaves.iter().all(only_loopback));
}

#[test]
fn what_the_administrator_switched_on_stays_on() {
    require_root!();
    let lab = Lab::new(1);
    lab.host.sysctl("net/ipv4/conf/eth0/forwarding", "1");
    lab.host.sysctl("net/ipv6/conf/all/forwarding", "1");
    let before = traces(&lab.host);
    lab.add_slave(0, "mode l3s", &["10.0.0.10/24"]);
    lab.ipvl("link del ipvl0");
    assert_eq!(traces(&lab.host), before);
}

#[test]
fn many_are_deleted_together_or_not_at_all() {
    require_root!();
    const SLAVES: usize = 60;
    let lab = Lab::new(2);
    let before = traces(&lab.host);
    let batch = |line: &dyn Fn(usize) -> String| {
        let lines: String = (0..SLAVES).map(|n| format!("echo '{}';", line(n))).collect();
        crate::common::shell(&lab.host, &format!("{{ {lines} }} | $IPVL -batch -"))
    };
    let add = |n: usize| {
        let netns = lab.slaves[n % 2].name();
        format!("link add link eth0 name s{n} netns {netns} type ipvlan mode l2")
    };
    assert!(batch(&add).ok);
    let wrong = batch(&|n| format!("link del {}", if n == 7 { "nobody".to_owned() } else { format!("s{n}") }));
    assert!(!wrong.ok && wrong.stderr.contains("nobody"), "{}", wrong.stderr);
    assert_eq!(crate::common::host_ends(&lab.host).len(), SLAVES, "bad input changes nothing");
    let start = std::time::Instant::now();
    let deleted = batch(&|n| format!("link del s{n}"));
    assert!(deleted.ok, "{}", deleted.stderr);
    eprintln!("{SLAVES} slaves deleted in {:?}", start.elapsed());
    assert_eq!(traces(&lab.host), before, "all is gone when the command returns");
}

/// A slave that was made in its netns often has the ifindex there that the master has here: the first after that of lo.
#[test]
fn a_netns_that_is_deleted_with_its_slave_leaves_the_master_as_it_is() {
    require_root!();
    let lab = Lab::new(1);
    lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    let index = |netns: &Netns, name: &str| link_value(netns, name, "ifindex");
    let master = || run(&lab.host, "ip -o link show eth0") + &run(&lab.host, "ip -o addr show eth0");
    let before = master();
    for round in 0..20 {
        let netns = Netns::new("short");
        lab.ipvl(&format!("link add link eth0 name short netns {} type ipvlan mode l3", netns.name()));
        assert_eq!(index(&netns, "short"), index(&lab.host, "eth0"), "else this proves nothing");
        run(&netns, "ip link set short up");
        run(&netns, "ip addr add 10.0.0.20/24 dev short");
        drop(netns);
        soon("the slave is gone", || !lab.ipvl("link show").contains("short"));
        assert_eq!(master(), before, "round {round}");
    }
}
