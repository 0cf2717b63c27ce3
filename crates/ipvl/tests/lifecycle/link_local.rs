//! Has every slave one link-local address of its own, for its whole life? All slaves share the MAC that the kernel makes
//! these of.

use ipvl_testbed::{Lab, Netns, require_root};
use serde_json::Value;

use crate::common::{exec, run, soon};

const MODES: [&str; 2] = ["l2", "l3"];
const ROUNDS: usize = 4;

#[test]
fn siblings_have_unlike_link_locals() {
    require_root!();
    for mode in MODES {
        let lab = Lab::new(3);
        for n in 0..3 {
            lab.add_slave(n, &format!("mode {mode}"), &[]);
        }
        let addresses: Vec<_> = (0..3).map(|n| settled(&lab.slaves[n], &format!("ipvl{n}"))).collect();
        assert!(addresses[0] != addresses[1] && addresses[1] != addresses[2], "{mode}: {addresses:?}");
    }
}

#[test]
fn a_link_local_stays_when_the_slave_moves_and_comes_up_in_one_breath() {
    require_root!();
    for mode in MODES {
        let lab = Lab::new(2);
        let [first, second] = &lab.slaves[..] else { unreachable!("two were asked for") };
        lab.ipvl(&format!("link add link eth0 name ipvl0 type ipvlan mode {mode}"));
        move_up(&lab.host, first);
        let address = settled(first, "ipvl0");
        for _ in 0..ROUNDS {
            move_up(first, second);
            assert_eq!(settled(second, "ipvl0"), address, "{mode}, after a move while up");
            run(second, "ip link set ipvl0 down");
            run(second, "ip link set ipvl0 up");
            assert_eq!(settled(second, "ipvl0"), address, "{mode}, down and up");
            move_up(second, first);
            assert_eq!(settled(first, "ipvl0"), address, "{mode}, back again");
        }
    }
}

#[test]
fn two_slaves_in_one_netns_have_unlike_link_locals() {
    require_root!();
    for mode in MODES {
        let lab = Lab::new(1);
        let netns = &lab.slaves[0];
        for name in ["ipvl0", "ipvl1"] {
            lab.ipvl(&format!("link add link eth0 name {name} netns {} type ipvlan mode {mode}", netns.name()));
        }
        for name in ["ipvl0", "ipvl1"] {
            run(netns, &format!("ip link set {name} up"));
        }
        assert_ne!(settled(netns, "ipvl0"), settled(netns, "ipvl1"), "{mode}");
    }
}

/// The agent gets events of its own changes, too: an address that it cannot assign must not make it try for ever.
#[test]
fn where_there_is_no_ipv6_the_agent_rests_and_gives_one_when_there_is() {
    require_root!();
    let lab = Lab::new(1);
    let netns = &lab.slaves[0];
    netns.sysctl("net/ipv6/conf/default/disable_ipv6", "1");
    lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    let news = || exec(netns, "timeout 1 ip monitor link").stdout;
    soon("no news", || news().is_empty());
    netns.sysctl("net/ipv6/conf/ipvl0/disable_ipv6", "0");
    settled(netns, "ipvl0");
}

#[test]
fn a_slave_beside_its_master_has_a_link_local_of_its_own() {
    require_root!();
    let lab = Lab::new(0);
    lab.ipvl("link add link eth0 name ipvl0 type ipvlan mode l2");
    run(&lab.host, "ip link set ipvl0 up");
    assert_ne!(settled(&lab.host, "ipvl0"), settled(&lab.host, "eth0"));
}

#[test]
fn link_locals_of_l2_slaves_can_be_pinged() {
    require_root!();
    let lab = Lab::new(2);
    lab.add_slave(0, "mode l2", &[]);
    lab.add_slave(1, "mode l2", &[]);
    let second = settled(&lab.slaves[1], "ipvl1");
    settled(&lab.slaves[0], "ipvl0");
    soon("a sibling's link-local answers", || lab.pings(&lab.slaves[0], &format!("{second}%ipvl0")));
    soon("and to the outside", || lab.pings(&lab.ext, &format!("{second}%eth0")));
}

fn move_up(from: &Netns, to: &Netns) {
    let (from, to) = (from.name(), to.name());
    let both = format!("ip -n {from} link set ipvl0 netns {to}; ip -n {to} link set ipvl0 up");
    let output = std::process::Command::new("sh").args(["-c", &both]).output().expect("run sh");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The only link-local of a device, once nothing about it will change any more.
#[track_caller]
fn settled(netns: &Netns, device: &str) -> String {
    let mut seen = Vec::new();
    let mut is_settled = || {
        seen = link_locals(netns, device);
        let carrier = exec(netns, &format!("ip link show {device}")).stdout.contains("LOWER_UP");
        carrier && !seen.is_empty() && !seen.iter().any(|address| address["tentative"] == true)
    };
    let in_time = ipvl_testbed::wait_until(crate::common::SOON, &mut is_settled);
    assert!(in_time, "{device} in {}: {seen:?}", netns.label());
    let [only] = &seen[..] else { panic!("{device} in {}: {seen:?}", netns.label()) };
    assert_eq!(only["dadfailed"], Value::Null, "{only}");
    only["local"].as_str().expect("an address").to_owned()
}

fn link_locals(netns: &Netns, device: &str) -> Vec<Value> {
    let output = exec(netns, &format!("ip -j -6 addr show dev {device} scope link")).stdout;
    let links: Value = serde_json::from_str(&output).unwrap_or_default();
    let all = links.as_array().into_iter().flatten().filter_map(|link| link["addr_info"].as_array());
    all.flatten().filter(|address| address["local"].is_string()).cloned().collect()
}
