//! Do files give a slave's netns routes, rules and switches, take back what they gave, and leave alone what others did?

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use ipvl_testbed::{Lab, Netns, require_root};

use crate::apply::{Etc, link};
use crate::common::{run, shell, soon};

const ROUTES: &str = r#"
routes = [
  { to = "default", via = "10.0.0.254" },
  { to = "198.51.100.0/24", via = "10.0.0.253", metric = 50, src = "10.0.0.10", mtu = 1300 },
  { to = "203.0.113.0/24", via = "192.0.2.1", onlink = true, table = 7 },
  { to = "192.0.2.0/25" },
  { to = "192.0.2.128/25", type = "blackhole" },
  { to = "default", via = "fd00::254" },
  { to = "2001:db8:1::/48", via = "fd00::253", table = 7, metric = 9 },
  { to = "2001:db8:2::/48", type = "unreachable" },
]
rules = [
  { priority = 100, from = "10.0.0.10", table = 7 },
  { priority = 101, to = "2001:db8:1::/48", table = 7 },
  { priority = 102, fwmark = 3, fwmask = 15, iif = "lo", oif = "ipvl0", table = 8 },
]
sysctls = { "net.ipv4.conf.IFNAME.rp_filter" = 2, "net.ipv4.ip_local_port_range" = "40000 50000" }
"#;
pub const BASE: &str = "mode = \"l2\"\naddresses = [\"10.0.0.10/24\", \"fd00::10/64\"]\n";

/// What files made in the netns: by number, since no table of names has it. A carrier may come a moment later.
pub fn made(lab: &Lab) -> String {
    let routes = |family| run(&lab.slaves[0], &format!("ip {family} route show table all proto 158"));
    let rules = |family| {
        let all = run(&lab.slaves[0], &format!("ip {family} -d rule show"));
        all.lines().filter(|line| line.contains("proto 158")).map(|line| format!("{line}\n")).collect::<String>()
    };
    (routes("-4") + &routes("-6") + &rules("-4") + &rules("-6")).replace("linkdown ", "")
}

pub fn sysctl(lab: &Lab, name: &str) -> String {
    let value = run(&lab.slaves[0], &format!("sysctl -n {name}"));
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_file_gives_routes_rules_and_switches_and_a_second_time_nothing_is_done() {
    require_root!();
    let lab = Lab::new(1);
    let file = Etc::new(&lab);
    file.write("a.toml", &link(&lab, 0, &format!("{BASE}{ROUTES}")));
    let shown = file.apply("--dry-run");
    for line in [
        "+     route 0.0.0.0/0 via 10.0.0.254",
        "+     route 198.51.100.0/24 via 10.0.0.253 src 10.0.0.10 metric 50 mtu 1300",
        "+     route blackhole 192.0.2.128/25",
        "+     rule 100: from 10.0.0.10/32 lookup 7",
        "+     rule 102: from all fwmark 0x3/0xf iif lo oif ipvl0 lookup 8",
        "+     sysctl net.ipv4.conf.ipvl0.rp_filter 2",
    ] {
        assert!(shown.contains(line), "{line} in\n{shown}");
    }
    file.apply("");
    let there = made(&lab);
    for part in [
        "default via 10.0.0.254 dev ipvl0",
        "198.51.100.0/24 via 10.0.0.253 dev ipvl0",
        "203.0.113.0/24 via 192.0.2.1 dev ipvl0 table 7",
        "blackhole 192.0.2.128/25",
        "2001:db8:1::/48 via fd00::253 dev ipvl0 table 7",
        "unreachable 2001:db8:2::/48",
        "from 10.0.0.10 lookup 7",
        "to 2001:db8:1::/48 lookup 7",
        "fwmark 0x3/0xf",
    ] {
        assert!(there.contains(part), "{part} in\n{there}");
    }
    assert_eq!(
        (sysctl(&lab, "net.ipv4.conf.ipvl0.rp_filter"), sysctl(&lab, "net.ipv4.ip_local_port_range")),
        ("2".into(), "40000 50000".into())
    );
    assert!(lab.pings(&lab.slaves[0], "10.0.0.254"));
    let again = file.apply("");
    assert!(again.starts_with("Nothing to do"), "{again}");
    assert_eq!(made(&lab), there);
}

#[test]
fn what_leaves_the_file_leaves_the_netns_and_what_others_made_stays() {
    require_root!();
    let lab = Lab::new(1);
    let file = Etc::new(&lab);
    file.write("a.toml", &link(&lab, 0, &format!("{BASE}{ROUTES}")));
    file.apply("");
    run(&lab.slaves[0], "ip route add 100.64.0.0/10 via 10.0.0.9");
    run(&lab.slaves[0], "ip rule add priority 99 from 10.0.0.99 table 9");
    run(&lab.slaves[0], "ip route del 198.51.100.0/24");
    run(&lab.slaves[0], "sysctl -qw net.ipv4.conf.ipvl0.rp_filter=1");
    let shown = file.apply("");
    assert!(shown.contains("+     route 198.51.100.0/24") && shown.contains("rp_filter 1 -> 2"), "{shown}");
    assert!(!shown.contains("100.64") && !shown.contains("99"), "{shown}");
    file.write("a.toml", &link(&lab, 0, &format!("{BASE}routes = [{{ to = \"default\", via = \"10.0.0.253\" }}]\n")));
    let shown = file.apply("");
    for line in [
        "-     route 0.0.0.0/0 via 10.0.0.254",
        "+     route 0.0.0.0/0 via 10.0.0.253",
        "-     route blackhole 192.0.2.128/25",
        "-     rule 101: from all (IPv6) to 2001:db8:1::/48 lookup 7",
    ] {
        assert!(shown.contains(line), "{line} in\n{shown}");
    }
    let there = made(&lab);
    assert!(there.starts_with("default via 10.0.0.253") && there.lines().count() == 1, "{there}");
    assert!(run(&lab.slaves[0], "ip route").contains("100.64.0.0/10"), "another's");
    assert!(run(&lab.slaves[0], "ip rule").contains("from 10.0.0.99"), "another's");
    assert!(file.apply("").starts_with("Nothing to do"));
    file.write("a.toml", &link(&lab, 0, BASE));
    file.apply("");
    assert_eq!(made(&lab), "");
    assert!(file.apply("").starts_with("Nothing to do"));
}

#[test]
fn slaves_of_one_netns_do_not_take_each_others_rules() {
    require_root!();
    let lab = Lab::new(1);
    let file = Etc::new(&lab);
    let rule = |n: u32| format!("rules = [{{ priority = 10{n}, from = \"10.0.{n}.0/24\", table = 7 }}]\n");
    let other = link(&lab, 0, &rule(2)).replace("ipvl0", "other");
    file.write("a.toml", &(link(&lab, 0, &rule(1)) + &other));
    file.apply("");
    assert!(file.apply("").starts_with("Nothing to do"), "{}", file.apply(""));
    assert_eq!(made(&lab).lines().count(), 2);
    file.write("a.toml", &link(&lab, 0, &rule(1)));
    let shown = file.apply("--prune");
    assert!(shown.contains("- other of eth0"), "{shown}");
    let left = made(&lab);
    assert!(left.contains("10.0.1.0/24") && left.lines().count() == 1, "{left}");
    assert!(file.apply("--prune").starts_with("Nothing to do"), "{}", file.apply("--prune"));
}

#[test]
fn routes_return_with_the_slave() {
    require_root!();
    let lab = Lab::new(1);
    let file = Etc::new(&lab);
    file.write("a.toml", &link(&lab, 0, &format!("{BASE}{ROUTES}")));
    file.apply("");
    let there = made(&lab);
    run(&lab.slaves[0], "ip link set ipvl0 down");
    file.apply("");
    assert_eq!(made(&lab), there, "after it was down");
    run(&lab.slaves[0], "ip link set ipvl0 netns 1 name stray");
    soon("it is here", || lab.ipvl("link show").contains("stray"));
    file.apply("");
    assert_eq!(made(&lab), there, "after it was elsewhere");
    assert!(file.apply("").starts_with("Nothing to do"));
}

#[test]
fn only_what_differs_is_touched() {
    require_root!();
    let lab = Lab::new(1);
    let file = Etc::new(&lab);
    file.write("a.toml", &link(&lab, 0, &format!("{BASE}{ROUTES}")));
    file.apply("");
    let news = News::of(&lab.slaves[0]);
    let text =
        ROUTES.replace("via = \"10.0.0.254\"", "via = \"10.0.0.252\"").replace("priority = 101", "priority = 103");
    file.write("a.toml", &link(&lab, 0, &format!("{BASE}{text}")));
    let shown = file.apply("");
    assert_eq!(shown.lines().filter(|line| line.starts_with(['+', '-'])).count(), 4, "{shown}");
    let told = news.told();
    let told: Vec<String> = told.lines().map(|line| line.trim().replace('\t', " ")).collect();
    assert_eq!(
        told,
        [
            "Deleted 101: from all to 2001:db8:1::/48 lookup 7 proto 158",
            "Deleted default via 10.0.0.254 dev ipvl0 proto 158",
            "default via 10.0.0.252 dev ipvl0 proto 158",
            "103: from all to 2001:db8:1::/48 lookup 7 proto 158",
        ]
    );
}

#[test]
fn an_address_that_goes_takes_no_routes_along() {
    require_root!();
    let lab = Lab::new(1);
    let file = Etc::new(&lab);
    let routes = "routes = [{ to = \"default\", via = \"10.0.0.254\" }, { to = \"default\", via = \"fd00::254\" }]\n";
    file.write("a.toml", &link(&lab, 0, &format!("{BASE}{routes}")));
    file.apply("");
    let there = made(&lab);
    file.write("a.toml", &link(&lab, 0, &format!("{BASE}{routes}").replace("10.0.0.10", "10.0.0.11")));
    let shown = file.apply("");
    assert!(shown.contains("+     address 10.0.0.11/24") && !shown.contains("route"), "{shown}");
    assert_eq!(made(&lab), there, "although the kernel drops all IPv4 routes with the last IPv4 address");
    assert!(file.apply("").starts_with("Nothing to do"));
}

#[test]
fn what_a_deleted_slave_left_in_its_netns_is_removed_or_kept_as_the_files_say() {
    require_root!();
    let lab = Lab::new(1);
    let file = Etc::new(&lab);
    file.write("a.toml", &link(&lab, 0, &format!("{BASE}{ROUTES}")));
    file.apply("");
    let there = made(&lab);
    lab.ipvl("link del ipvl0");
    let left = made(&lab);
    assert!(left.contains("blackhole") && left.contains("lookup 7"), "the kernel keeps what is of no device: {left}");
    file.apply("");
    assert_eq!(made(&lab), there);
    assert!(file.apply("").starts_with("Nothing to do"));
    lab.ipvl("link del ipvl0");
    file.write("a.toml", &link(&lab, 0, BASE));
    let shown = file.apply("--dry-run");
    let name = lab.slaves[0].name();
    assert!(shown.contains(&format!("~ netns {name}\n-     route blackhole 192.0.2.128/25\n")), "{shown}");
    assert!(made(&lab).contains("blackhole"), "a dry run");
    file.apply("");
    assert_eq!(made(&lab), "");
    assert!(file.apply("").starts_with("Nothing to do"));
}

#[test]
fn a_netns_that_was_made_again_gets_all_of_it_again() {
    require_root!();
    let lab = Lab::new(1);
    let file = Etc::new(&lab);
    let name = lab.slaves[0].name();
    file.write("a.toml", &format!("[[netns]]\nname = \"{name}\"\n{}", link(&lab, 0, &format!("{BASE}{ROUTES}"))));
    file.apply("");
    let there = made(&lab);
    run(&lab.host, &format!("ip netns del {name}"));
    soon("the slave is gone", || !lab.ipvl("link show").contains("ipvl0"));
    let shown = file.apply("");
    assert!(shown.contains("+ netns") && shown.contains("+     route blackhole"), "{shown}");
    assert_eq!(made(&lab), there);
    assert_eq!(sysctl(&lab, "net.ipv4.ip_local_port_range"), "40000 50000");
    assert!(file.apply("").starts_with("Nothing to do"));
}

#[test]
fn a_switch_that_leaves_the_files_keeps_its_value() {
    require_root!();
    let lab = Lab::new(1);
    let file = Etc::new(&lab);
    let switch = "sysctls = { \"net.ipv4.conf.IFNAME.rp_filter\" = 2 }\n";
    file.write("a.toml", &link(&lab, 0, &format!("{BASE}{switch}")));
    file.apply("");
    file.write("a.toml", &link(&lab, 0, BASE));
    assert!(file.apply("").starts_with("Nothing to do"));
    assert_eq!(sysctl(&lab, "net.ipv4.conf.ipvl0.rp_filter"), "2");
}

#[test]
fn the_units_capabilities_are_enough_for_all_of_it() {
    require_root!();
    let lab = Lab::new(1);
    let file = Etc::new(&lab);
    file.write("a.toml", &link(&lab, 0, BASE));
    // It starts an agent, which needs more than the unit of apply.
    file.apply("");
    file.write("a.toml", &link(&lab, 0, &format!("{BASE}{ROUTES}")));
    let unit = include_str!("../../../../deploy/systemd/ipvl-apply.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).expect("a set");
    let set: String = line.split_whitespace().map(|name| name.replace("CAP_", ",+").to_lowercase()).collect();
    let text = format!("setpriv --bounding-set=-all{set} $IPVL apply {}", file.dir().display());
    let output = shell(&lab.host, &text);
    assert!(output.ok, "{}", output.stderr);
    assert!(file.apply("").starts_with("Nothing to do"));
}

/// What `ip monitor` tells of routes and rules.
struct News {
    monitor: Child,
    path: PathBuf,
    before: usize,
}

impl News {
    /// From now on.
    fn of(netns: &Netns) -> Self {
        let path = PathBuf::from(format!("/tmp/{}.news", netns.name()));
        let file = fs::File::create(&path).expect("make a file");
        let mut command = netns.command(["ip", "monitor", "route", "rule"]);
        let monitor = command.stdin(Stdio::null()).stdout(file).spawn().expect("start ip");
        let mut news = Self { monitor, path, before: 0 };
        soon("the monitor tells", || {
            run(netns, "ip rule add priority 7777 table 7");
            run(netns, "ip rule del priority 7777");
            news.text().contains("Deleted 7777")
        });
        run(netns, "ip rule add priority 7778 table 7");
        soon("all was told", || news.text().contains("7778"));
        news.before = news.text().len();
        news
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).expect("read the file")
    }

    /// All that was told since.
    fn told(mut self) -> String {
        let (mut last, mut now) = (String::new(), self.text());
        soon("nothing more is told", || {
            std::thread::sleep(std::time::Duration::from_millis(200));
            last = std::mem::replace(&mut now, self.text());
            last == now && now.len() > self.before
        });
        self.monitor.kill().expect("end ip");
        self.monitor.wait().expect("wait for ip");
        let _ = fs::remove_file(&self.path);
        now.split_off(self.before)
    }
}
