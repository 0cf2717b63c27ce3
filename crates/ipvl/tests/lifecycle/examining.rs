//! Does `ipvl doctor` name every fault of a slave that can be seen on its host?

use ipvl_testbed::{Lab, Output, require_device, require_kernel, require_root};

use crate::common::{exec, kill_agent, run, shell, soon};

const OUTSIDE: &str = "10.0.0.254";

fn lab(modes: &[&str]) -> Lab {
    let lab = Lab::new(modes.len());
    for (n, mode) in modes.iter().enumerate() {
        lab.add_slave(n, &format!("mode {mode}"), &[&format!("10.0.0.1{n}/24")]);
    }
    lab
}

/// Fails unless the doctor says this, of the slave `ipvl0` and of all.
#[track_caller]
fn names(lab: &Lab, expected: &str) -> Output {
    let mut last = lab.try_ipvl("doctor ipvl0");
    soon(expected, || {
        last = lab.try_ipvl("doctor ipvl0");
        last.stdout.contains(expected) || {
            println!("{}", last.stdout);
            false
        }
    });
    let all = lab.try_ipvl("doctor");
    assert!(all.stdout.contains(expected), "{}", all.stdout);
    last
}

#[track_caller]
fn names_as_bad(lab: &Lab, expected: &str) {
    let told = names(lab, expected);
    assert!(!told.ok, "it ends with status 0: {}", told.stdout);
}

/// The same while the slave sends this without end.
#[track_caller]
fn names_while(lab: &Lab, sends: &str, expected: &str) {
    let text = format!("{sends} >/dev/null 2>&1 & echo $!");
    let pid = shell(&lab.slaves[0], &text).stdout;
    names(lab, expected);
    shell(&lab.slaves[0], &format!("kill {}", pid.trim()));
}

fn pinging(to: &str) -> String {
    format!("ping -n -q -i 0.02 {to}")
}

#[test]
fn a_healthy_slave_has_no_bad_finding() {
    require_root!();
    let lab = lab(&["l2"]);
    let told = lab.try_ipvl("doctor ipvl0");
    assert!(told.ok && !told.stdout.contains("bad "), "{}", told.stdout);
    assert!(!lab.try_ipvl("doctor nothing").ok);
}

#[test]
fn a_duplicate_address_is_named() {
    require_root!();
    let lab = lab(&["l2", "l2"]);
    run(&lab.slaves[0], "ip addr add 10.0.0.11/24 dev ipvl0");
    names_as_bad(&lab, "10.0.0.11 is on its device, but belongs to ipvl1");
}

#[test]
fn drops_that_grow_are_named_with_their_reasons() {
    require_root!();
    let lab = lab(&["l2", "l2"]);
    run(&lab.slaves[0], "ip neigh replace 10.0.0.1 lladdr 02:00:00:00:00:01 dev ipvl0");
    names_while(&lab, &pinging("10.0.0.1"), "dropped in 200 ms as no-host-access");
    run(&lab.slaves[0], "ip route add 198.51.100.0/24 via 10.0.0.11");
    names_while(&lab, &pinging("198.51.100.7"), "dropped in 200 ms as undeclared");
    lab.set_slave(1, "type ipvlan private");
    run(&lab.slaves[0], "ip neigh replace 10.0.0.11 lladdr 02:00:00:00:00:01 dev ipvl0");
    names_while(&lab, &pinging("10.0.0.11"), "dropped in 200 ms as private");
    lab.set_slave(0, "type ipvlan guard strict");
    run(&lab.slaves[0], "ip addr add 203.0.113.9/32 dev lo");
    run(&lab.slaves[0], &format!("ip neigh replace {OUTSIDE} lladdr 02:00:00:00:00:99 dev ipvl0"));
    names_while(&lab, &pinging(&format!("-I 203.0.113.9 {OUTSIDE}")), "dropped in 200 ms as not-owned");
}

#[test]
fn tagged_frames_are_named() {
    require_root!();
    require_device!("vlan id 5");
    let lab = lab(&["l2"]);
    run(&lab.slaves[0], "ip link add link ipvl0 name v5 type vlan id 5");
    run(&lab.slaves[0], "ip addr add 10.5.0.1/24 dev v5");
    run(&lab.slaves[0], "ip link set v5 up");
    run(&lab.slaves[0], "ip neigh replace 10.5.0.2 lladdr 02:00:00:00:00:99 dev v5");
    names_while(&lab, &pinging("10.5.0.2"), "dropped in 200 ms as tagged");
}

#[test]
fn a_locked_mtu_is_named_while_packets_exceed_it() {
    require_root!();
    let lab = lab(&["l3"]);
    run(&lab.slaves[0], "ip route add default dev ipvl0");
    run(&lab.host, &format!("ip route add 198.51.100.7 via {OUTSIDE} mtu lock 600"));
    // A stack that does not learn the path's MTU from the ICMP error goes on as before.
    for words in
        ["table ip t", "chain ip t i { type filter hook input priority 0 ; }", "rule ip t i ip protocol icmp drop"]
    {
        lab.slaves[0].run(["nft", "add", words]);
    }
    names_while(&lab, &pinging("-M do -s 1000 198.51.100.7"), "dropped in 200 ms as too-big");
}

#[test]
fn a_master_that_is_down_and_missing_routes_are_named() {
    require_root!();
    let lab = lab(&["l2"]);
    names(&lab, "has no IPv4 default route");
    run(&lab.slaves[0], "ip route add default via 10.0.0.99");
    exec(&lab.slaves[0], "ping -n -q -c 1 -W 4 198.51.100.7");
    names_as_bad(&lab, "its router 10.0.0.99 does not answer");
    run(&lab.host, "ip link set eth0 down");
    names_as_bad(&lab, "eth0 is down");
}

#[test]
fn a_host_that_lost_its_default_route_is_named() {
    require_root!();
    let lab = Lab::new(1);
    lab.add_slave(0, "mode l3", &["10.0.0.10/24", "fd00::10/64"]);
    names(&lab, "the host's table, which has no IPv6 default route");
}

#[test]
fn host_access_without_forwarding_and_forward_rules_that_drop_are_named() {
    require_root!();
    let lab = lab(&["l3s"]);
    lab.host.run(["nft", "add", "table", "inet", "t"]);
    lab.host.run(["nft", "add", "chain", "inet", "t", "f", "{ type filter hook forward priority 0 ; policy drop ; }"]);
    names(&lab, "chain f of table inet t has policy drop");
    for value in ["1", "0"] {
        lab.host.sysctl("net/ipv4/conf/all/forwarding", value);
    }
    names_as_bad(&lab, "does not forward what");
}

#[test]
fn a_netns_that_forwards_undeclared_is_named() {
    require_root!();
    let lab = lab(&["l2"]);
    run(&lab.slaves[0], "ip link add d0 type veth peer name d1");
    run(&lab.slaves[0], "ip link set d0 up");
    lab.slaves[0].sysctl("net/ipv4/ip_forward", "1");
    names(&lab, "forwards, and nothing is declared for it");
    lab.ipvl("addr add 198.51.100.0/24 dev ipvl0");
    assert!(!lab.try_ipvl("doctor").stdout.contains("nothing is declared"));
}

#[test]
fn a_killed_agent_is_named() {
    require_root!();
    let lab = lab(&["l2"]);
    kill_agent(&lab.host);
    names_as_bad(&lab, "does not run: changes by other tools are not noticed");
}

#[test]
fn where_slaves_cannot_be_seen_the_doctor_says_so() {
    require_root!();
    let lab = lab(&["l2"]);
    let inside = shell(&lab.slaves[0], "$IPVL doctor");
    assert!(!inside.ok && inside.stdout.contains("ipvl0: it is a slave of eth0"), "{}", inside.stdout);
    for question in ["link", "link show ipvl0", "addr", "stats"] {
        let inside = shell(&lab.slaves[0], &format!("$IPVL {question}"));
        assert!(
            inside.stderr.contains("it is a slave of eth0, which is in another network"),
            "{question}: {}",
            inside.stderr
        );
        assert_eq!(inside.code, Some(2), "{question}");
    }
}

#[test]
fn an_ordinary_user_gets_an_error_and_no_empty_answer() {
    require_root!();
    let lab = lab(&["l2"]);
    for user in ["setpriv --reuid 65534 --clear-groups", "unshare --user --map-root-user --net"] {
        for command in [
            "link",
            "addr",
            "stats",
            "doctor",
            "monitor",
            "explain from ipvl0 to 10.0.0.1",
            "apply --dry-run /dev/null",
            "link add link eth0 type ipvlan",
            "link set ipvl0 type ipvlan private",
            "link del ipvl0",
        ] {
            let refused = shell(&lab.host, &format!("timeout 5 {user} $IPVL {command}"));
            assert!(refused.stderr.contains("needs root"), "{user}: {command}: {}", refused.stderr);
            assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{user}: {command}");
        }
        assert!(shell(&lab.host, &format!("{user} $IPVL help")).ok, "help needs no rights");
    }
}

#[test]
fn the_doctor_sees_what_is_not_forwarded_in_ipv6() {
    require_root!();
    require_kernel!("6.17", "force_forwarding");
    let lab = lab(&["l3s"]);
    run(&lab.slaves[0], "ip addr add fd00::77/64 dev ipvl0 nodad");
    soon("the address is known", || lab.ipvl("addr show").contains("fd00::77"));
    assert!(!lab.try_ipvl("doctor").stdout.contains("in IPv6"));
    lab.host.sysctl("net/ipv6/conf/eth0/force_forwarding", "0");
    let found = lab.try_ipvl("doctor").stdout;
    assert!(found.contains("does not forward what eth0 receives in IPv6"), "{found}");
    assert!(found.contains("sysctl net.ipv6.conf.eth0.force_forwarding=1"), "{found}");
}
