//! What is refused of the routes, rules and switches in files, and what is left after a failure halfway?

use ipvl_testbed::{Lab, require_root};

use crate::apply::{Etc, link};
use crate::common::{exec, run};
use crate::inside::{BASE, made, sysctl};

#[test]
fn what_cannot_be_changes_nothing() {
    require_root!();
    let lab = Lab::new(1);
    let file = Etc::new(&lab);
    for (text, why) in [
        (
            "routes = [{ to = \"10.9.0.0\", via = \"fd00::1\" }]",
            "routes: the route 10.9.0.0/32 via fd00::1 has addresses of both families",
        ),
        ("routes = [{ to = \"nowhere\" }]", "\"nowhere\" is neither an address nor a prefix"),
        ("routes = [{ to = \"10.9.0.0/16\", type = \"blackhole\", via = \"10.0.0.1\" }]", "can have no gateway"),
        ("routes = [{ to = \"10.9.0.0/16\", gate = \"10.0.0.1\" }]", "unknown field `gate`"),
        ("up = false\nroutes = [{ to = \"10.9.0.0/16\" }]", "a slave that is down can have none"),
        ("rules = [{ priority = 1, table = 7, from = \"10.0.0.1\", to = \"fd00::1\" }]", "has both families"),
        ("rules = [{ priority = 0, table = 7 }]", "has no priority: they count from 1"),
        ("sysctls = { \"kernel.hostname\" = \"x\" }", "\"kernel.hostname\" is not a switch of a netns"),
        ("sysctls = { \"net.ipv4...rp_filter\" = 1 }", "is not a switch of a netns"),
        ("sysctls = { \"net.ipv4.ip_forward\" = true }", "neither a number nor a text"),
        ("sysctls = { \"net.ipv4.conf.IFNAME.rp_filter\" = 1, \"net.ipv4.conf.ipvl0.rp_filter\" = 2 }", "twice"),
        ("routes = [{ to = \"10.9.0.0/16\", mtu = 65535 }]", "has an mtu that is not from 68 to 65520"),
        (
            "routes = [{ to = \"default\", via = \"10.0.0.1\" }, { to = \"default\", via = \"10.0.0.2\" }]",
            "there can be only one of the routes 0.0.0.0/0 via 10.0.0.1 and 0.0.0.0/0 via 10.0.0.2",
        ),
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
fn tables_of_one_netns_cannot_contradict_each_other() {
    require_root!();
    let lab = Lab::new(1);
    let file = Etc::new(&lab);
    let both = |first: &str, second: &str| {
        file.write("a.toml", &(link(&lab, 0, first) + &link(&lab, 0, second).replace("ipvl0", "other")));
        file.refused("")
    };
    let default = "routes = [{ to = \"default\", via = \"10.0.0.254\" }]";
    let said = both(default, default);
    assert!(said.contains("another slave's route has the place of 0.0.0.0/0 via 10.0.0.254"), "{said}");
    let switch = |n| format!("sysctls = {{ \"net.ipv4.ip_forward\" = {n} }}");
    let said = both(&switch(1), &switch(0));
    assert!(said.contains("another table sets net.ipv4.ip_forward to 1: ") && said.contains("\"ipvl0\""), "{said}");
    let lone = link(&lab, 0, &switch(1)).replace("netns = ", "# ");
    file.write("a.toml", &lone.replace("\"ipvl0\"", "\"ipv4\""));
    assert!(file.refused("").contains("without the key netns this would be the host's own"));
    assert!(!lab.ipvl("link show").contains("ipvl0"));
}

#[test]
fn a_route_of_others_in_the_same_place_stays_and_is_named() {
    require_root!();
    let lab = Lab::new(1);
    let file = Etc::new(&lab);
    file.write("a.toml", &link(&lab, 0, BASE));
    file.apply("");
    run(&lab.slaves[0], "ip route add default via 10.0.0.9");
    let routes = "routes = [{ to = \"192.0.2.0/24\" }, { to = \"default\", via = \"10.0.0.254\" }]\n";
    file.write("a.toml", &link(&lab, 0, &format!("{BASE}{routes}")));
    let said = file.refused("");
    assert!(said.contains("cannot add route 0.0.0.0/0 via 10.0.0.254 in the netns of ipvl0: File exists"), "{said}");
    assert!(said.contains("did not come from a file"), "{said}");
    assert_eq!(made(&lab), "");
    assert!(run(&lab.slaves[0], "ip route").contains("default via 10.0.0.9"));
}

#[test]
fn half_of_it_is_undone_with_a_new_slave_and_completed_with_an_old_one() {
    require_root!();
    let lab = Lab::new(1);
    let file = Etc::new(&lab);
    let unreachable =
        "rules = [{ priority = 100, table = 7 }]\nroutes = [{ to = \"default\", via = \"172.16.0.1\" }]\n";
    let range = sysctl(&lab, "net.ipv4.ip_local_port_range");
    let ports = "sysctls = { \"net.ipv4.ip_local_port_range\" = \"40000 50000\" }\n";
    file.write("a.toml", &link(&lab, 0, &format!("{BASE}{ports}{unreachable}")));
    let said = file.refused("");
    assert_eq!(sysctl(&lab, "net.ipv4.ip_local_port_range"), range, "of a netns that was there before");
    assert!(said.contains("cannot add route 0.0.0.0/0 via 172.16.0.1 in the netns of ipvl0"), "{said}");
    assert!(!exec(&lab.slaves[0], "ip link show ipvl0").ok && made(&lab).is_empty(), "{}", made(&lab));
    file.write("a.toml", &link(&lab, 0, BASE));
    file.apply("");
    file.write("a.toml", &link(&lab, 0, &format!("{BASE}{unreachable}")));
    let said = file.refused("");
    assert!(said.contains("cannot add route 0.0.0.0/0 via 172.16.0.1 in the netns of ipvl0"), "{said}");
    assert_eq!(made(&lab), "", "all or nothing");
    let good = "routes = [{ to = \"default\", via = \"10.0.0.254\" }]\n";
    file.write("a.toml", &link(&lab, 0, &format!("{BASE}{good}")));
    file.apply("");
    file.write("a.toml", &link(&lab, 0, &format!("{BASE}{ports}{unreachable}")));
    file.refused("");
    assert_eq!(made(&lab), "default via 10.0.0.254 dev ipvl0 \n", "the route that would have been replaced is back");
    assert_eq!(sysctl(&lab, "net.ipv4.ip_local_port_range"), range, "and the switch");
    file.write("a.toml", &link(&lab, 0, &format!("{BASE}{unreachable}")));
    run(&lab.slaves[0], "ip route add 172.16.0.1 dev ipvl0");
    assert!(file.apply("").contains("+     route 0.0.0.0/0 via 172.16.0.1"));
    assert!(file.apply("").starts_with("Nothing to do"));
    file.write("a.toml", &link(&lab, 0, &format!("{BASE}sysctls = {{ \"net.ipv4.no_such\" = 1 }}\n")));
    let said = file.refused("");
    assert!(said.contains("its netns has no switch net.ipv4.no_such"), "{said}");
}
