//! Does the agent do all of its work with the capabilities that its unit leaves it, and is each of them needed?

use std::time::Duration;

use ipvl_testbed::{Lab, MASTER_MAC, require_root, wait_until};

use crate::common::{agents, exec, run};
use crate::service::Service;

const UNIT: &str = include_str!("../../../../deploy/systemd/ipvl-agent.service");
/// An agent needs a fraction of this for anything here.
const WHAT_MUST_COME: Duration = Duration::from_secs(5);
const WHAT_MAY_COME: Duration = Duration::from_secs(1);

#[test]
fn the_units_capabilities_are_enough() {
    require_root!();
    assert_eq!(what_fails(&unit(), WHAT_MUST_COME), [] as [&str; 0]);
}

#[test]
fn without_any_one_of_them_something_fails() {
    require_root!();
    for dropped in unit() {
        let left: Vec<String> = unit().into_iter().filter(|capability| *capability != dropped).collect();
        let failing = what_fails(&left, WHAT_MAY_COME);
        let expected: &[&str] = match dropped.as_str() {
            "net_admin" => &["followed", "carrier", "inside", "announced"],
            "sys_admin" | "net_broadcast" => &["ready"],
            "net_raw" => &["announced"],
            other => panic!("say here what {other} is for"),
        };
        assert_eq!(failing, expected, "without {dropped}");
    }
}

/// As `setpriv` has them, without `CAP_`.
fn unit() -> Vec<String> {
    let line = UNIT.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).expect("a set");
    line.split_whitespace().map(|name| name.trim_start_matches("CAP_").to_lowercase()).collect()
}

/// What an agent that was left these capabilities does not do for a slave that moves, comes up and gets an address.
fn what_fails(capabilities: &[String], patience: Duration) -> Vec<&'static str> {
    let lab = Lab::new(1);
    lab.ipvl("link add link eth0 name ipvl0 type ipvlan mode l2");
    let set: String = capabilities.iter().map(|name| format!(",+{name}")).collect();
    let Some(_service) = Service::start_by(&lab, &["setpriv", "--bounding-set", &format!("-all{set}")]) else {
        return vec!["ready"];
    };
    let served = agents(&lab.host);
    let mut wire = lab.wire();
    run(&lab.host, &format!("ip link set ipvl0 netns {}", lab.slaves[0].name()));
    run(&lab.slaves[0], "ip link set ipvl0 up");
    run(&lab.slaves[0], "ip addr add 10.0.0.10/24 dev ipvl0");
    let table_has = |text: &str| lab.ipvl("addr show").contains(text);
    let inside = |text: &str| exec(&lab.slaves[0], "ip addr show dev ipvl0").stdout.contains(text);
    let done = [
        ("followed", wait_until(patience, || table_has("10.0.0.10"))),
        ("carrier", wait_until(patience, || inside("LOWER_UP"))),
        ("inside", wait_until(patience, || inside("fe80::200:0:100:"))),
        (
            "announced",
            wire.wait_for(patience, |frame| frame.asks_for([10, 0, 0, 10].into()) && frame.source() == MASTER_MAC)
                .is_some(),
        ),
    ];
    assert_eq!(agents(&lab.host), served, "the agent stays, and no other helps it");
    done.into_iter().filter(|(_, done)| !done).map(|(what, _)| what).collect()
}
