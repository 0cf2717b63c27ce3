//! Which slaves reach each other, in every mode and with every flag, and why not?

use ipvl_testbed::{HOST_V4, HOST_V6, Lab, require_root};
use serde_json::Value;

use crate::common::{pings_now, run, soon};

const MODES: [&str; 3] = ["l2", "l3", "l3s"];

/// Two slaves in one mode, with flags of their own.
fn lab(mode: &str, options: [&str; 2]) -> Lab {
    let lab = Lab::new(2);
    for (n, option) in options.into_iter().enumerate() {
        lab.add_slave(n, &format!("mode {mode} {option}"), &[&format!("10.0.0.1{n}/24"), &format!("fd00::1{n}/64")]);
        if mode != "l2" {
            run(&lab.ext, &format!("ip route add 10.0.0.1{n}/32 via 10.0.0.1"));
            run(&lab.ext, &format!("ip -6 route add fd00::1{n}/128 via fd00::1"));
        }
    }
    soon("the slaves reach the outside", || (0..2).all(|n| lab.pings(&lab.slaves[n], "10.0.0.254")));
    lab
}

/// How many of a slave's frames were dropped for a reason.
fn dropped(lab: &Lab, name: &str, reason: &str) -> u64 {
    let all: Value = serde_json::from_str(&lab.ipvl("-j stats")).expect("JSON");
    let line = all.as_array().into_iter().flatten().find(|line| line["ifname"] == name).expect("a line");
    line["dropped"][reason].as_u64().unwrap_or_default()
}

#[test]
fn bridge_siblings_and_the_outside_reach_each_other() {
    require_root!();
    for mode in MODES {
        let lab = lab(mode, ["bridge", "bridge"]);
        for (from, to) in [(0, 1), (1, 0)] {
            assert!(lab.pings(&lab.slaves[from], &format!("10.0.0.1{to}")), "{mode}");
            assert!(lab.pings(&lab.slaves[from], &format!("fd00::1{to}")), "{mode}");
        }
        expect_outside(&lab, mode);
    }
}

#[test]
fn a_private_slave_reaches_the_outside_only() {
    require_root!();
    for mode in MODES {
        for flags in [["private", "private"], ["private", "bridge"]] {
            let lab = lab(mode, flags);
            for (from, to) in [(0, 1), (1, 0)] {
                for address in [format!("10.0.0.1{to}"), format!("fd00::1{to}")] {
                    let name = format!("ipvl{from}");
                    let before = dropped(&lab, &name, "private");
                    assert!(!pings_now(&lab.slaves[from], &address), "{mode} {flags:?} {address}");
                    assert!(
                        dropped(&lab, &name, "private") > before,
                        "{mode} {flags:?} {address}: {}",
                        lab.ipvl("stats")
                    );
                }
            }
            expect_outside(&lab, mode);
        }
    }
}

#[test]
fn what_a_vepa_slave_says_to_a_sibling_goes_to_the_switch() {
    require_root!();
    for mode in MODES {
        let lab = lab(mode, ["vepa", "bridge"]);
        let mut wire = lab.wire();
        assert!(!pings_now(&lab.slaves[0], "10.0.0.11"), "{mode}: this switch sends nothing back");
        wire.expect(&format!("{mode}: the ping or its question"), |frame| {
            let target = std::net::Ipv4Addr::new(10, 0, 0, 11);
            frame.asks_for(target) || frame.goes(std::net::Ipv4Addr::new(10, 0, 0, 10), target)
        });
        expect_outside(&lab, mode);
    }
}

#[test]
fn with_host_access_host_and_slave_reach_each_other() {
    require_root!();
    for mode in MODES {
        let option = if mode == "l3s" { "bridge" } else { "bridge host on" };
        let lab = lab(mode, [option, "private"]);
        for address in [HOST_V4.to_string(), HOST_V6.to_string()] {
            soon(&format!("{mode}: {address} from the slave"), || lab.pings(&lab.slaves[0], &address));
        }
        for address in ["10.0.0.10", "fd00::10"] {
            soon(&format!("{mode}: {address} from the host"), || lab.pings(&lab.host, address));
        }
        expect_outside(&lab, mode);
    }
}

#[test]
fn without_host_access_host_and_slave_do_not_reach_each_other() {
    require_root!();
    for mode in ["l2", "l3"] {
        let lab = lab(mode, ["bridge", "bridge"]);
        let neighbour = "lladdr 02:00:00:00:00:01 dev ipvl0";
        run(&lab.slaves[0], &format!("ip neigh replace {HOST_V4} {neighbour}"));
        run(&lab.slaves[0], &format!("ip neigh replace {HOST_V6} {neighbour}"));
        for address in [HOST_V4.to_string(), HOST_V6.to_string()] {
            let before = dropped(&lab, "ipvl0", "no-host-access");
            assert!(!pings_now(&lab.slaves[0], &address), "{mode} {address}");
            assert!(dropped(&lab, "ipvl0", "no-host-access") > before, "{mode} {address}: {}", lab.ipvl("stats"));
        }
        for address in ["10.0.0.10", "fd00::10"] {
            assert!(!pings_now(&lab.host, address), "{mode} {address}");
        }
    }
}

#[track_caller]
fn expect_outside(lab: &Lab, mode: &str) {
    for n in 0..2 {
        for address in ["10.0.0.254", "fd00::254"] {
            soon(&format!("{mode}: ipvl{n} to {address}"), || lab.pings(&lab.slaves[n], address));
        }
        for address in [format!("10.0.0.1{n}"), format!("fd00::1{n}")] {
            soon(&format!("{mode}: from outside to {address}"), || lab.pings(&lab.ext, &address));
        }
    }
}
