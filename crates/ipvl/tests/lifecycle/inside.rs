//! Do files give a slave's netns routes, rules and switches, take back what they gave, and leave alone what others did?

use ipvl_testbed::{Lab, require_root};

use crate::apply::{Etc, link};
use crate::common::{exec, run, soon};

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
const BASE: &str = "mode = \"l2\"\naddresses = [\"10.0.0.10/24\", \"fd00::10/64\"]\n";

/// What files made in the netns: by number, since no table of names has it.
fn made(lab: &Lab) -> String {
    let routes = |family| run(&lab.slaves[0], &format!("ip {family} route show table all proto 158"));
    let rules = |family| {
        let all = run(&lab.slaves[0], &format!("ip {family} -d rule show"));
        all.lines().filter(|line| line.contains("proto 158")).map(|line| format!("{line}\n")).collect::<String>()
    };
    routes("-4") + &routes("-6") + &rules("-4") + &rules("-6")
}

fn sysctl(lab: &Lab, name: &str) -> String {
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
fn what_cannot_be_changes_nothing() {
    require_root!();
    let lab = Lab::new(1);
    let file = Etc::new(&lab);
    for (text, why) in [
        (
            "routes = [{ to = \"10.9.0.0\", via = \"fd00::1\" }]",
            "routes: the route to 10.9.0.0 has addresses of both families",
        ),
        ("routes = [{ to = \"nowhere\" }]", "routes: \"nowhere\" is neither a prefix"),
        ("routes = [{ to = \"10.9.0.0/16\", type = \"blackhole\", via = \"10.0.0.1\" }]", "can have no gateway"),
        ("routes = [{ to = \"10.9.0.0/16\", gate = \"10.0.0.1\" }]", "unknown field `gate`"),
        ("up = false\nroutes = [{ to = \"10.9.0.0/16\" }]", "a slave that is down can have none"),
        ("rules = [{ priority = 1, table = 7, from = \"10.0.0.1\", to = \"fd00::1\" }]", "has both families"),
        ("rules = [{ priority = 0, table = 7 }]", "priority must be at least 1"),
        ("sysctls = { \"kernel.hostname\" = \"x\" }", "\"kernel.hostname\" is not a switch of a netns"),
        ("sysctls = { \"net.ipv4...rp_filter\" = 1 }", "is not a switch of a netns"),
        (
            "type = \"ipvtap\"\nsysctls = { \"net.ipv4.conf.IFNAME.rp_filter\" = 1 }",
            "sysctls: this key is only for type",
        ),
    ] {
        let table = link(&lab, 0, text);
        let table = if text.contains("ipvtap") { table.replace("netns", "#") } else { table };
        file.write("a.toml", &table);
        let said = file.refused("");
        assert!(said.contains(why), "of {text} it is said {said}");
        assert!(!exec(&lab.slaves[0], "ip link show ipvl0").ok, "{text}");
    }
    file.write("a.toml", "[[link]]\nmaster = \"eth0\"\nname = \"a\"\nrules = [{ priority = 9, table = 7 }]\n");
    assert!(file.refused("").contains("without the key netns this would be the host's own"));
}

#[test]
fn half_of_it_is_undone_with_a_new_slave_and_completed_with_an_old_one() {
    require_root!();
    let lab = Lab::new(1);
    let file = Etc::new(&lab);
    let unreachable =
        "rules = [{ priority = 100, table = 7 }]\nroutes = [{ to = \"default\", via = \"172.16.0.1\" }]\n";
    file.write("a.toml", &link(&lab, 0, &format!("{BASE}{unreachable}")));
    let said = file.refused("");
    assert!(said.contains("cannot add route 0.0.0.0/0 via 172.16.0.1 in the netns of ipvl0"), "{said}");
    assert!(!exec(&lab.slaves[0], "ip link show ipvl0").ok && made(&lab).is_empty(), "{}", made(&lab));
    file.write("a.toml", &link(&lab, 0, BASE));
    file.apply("");
    file.write("a.toml", &link(&lab, 0, &format!("{BASE}{unreachable}")));
    let said = file.refused("");
    assert!(said.contains("cannot add route 0.0.0.0/0 via 172.16.0.1 in the netns of ipvl0"), "{said}");
    assert_eq!(made(&lab), "", "all or nothing");
    run(&lab.slaves[0], "ip route add 172.16.0.1 dev ipvl0");
    assert!(file.apply("").contains("+     route 0.0.0.0/0 via 172.16.0.1"));
    assert!(file.apply("").starts_with("Nothing to do"));
    file.write("a.toml", &link(&lab, 0, &format!("{BASE}sysctls = {{ \"net.ipv4.no_such\" = 1 }}\n")));
    let said = file.refused("");
    assert!(said.contains("its netns has no switch net.ipv4.no_such"), "{said}");
}
