//! Does traffic go on while a slave is changed, and do only the slave's own properties change?

use ipvl_testbed::{Lab, require_root};

use crate::common::{Probe, pings_now, run};

/// How many datagrams, one each millisecond, may fall into the gap in which the slave's stack and the table disagree about
/// which of them resolves neighbours.
const GAP: usize = 5;

/// Three l2 slaves, with routes and neighbours that make every mode work without asking anybody. The first one's siblings
/// have host access: in l3s it meets them in the host's stack.
fn lab() -> Lab {
    let lab = Lab::new(3);
    for n in 0..3 {
        let options = if n == 0 { "mode l2 bridge" } else { "mode l2 bridge host on" };
        lab.add_slave(n, options, &[&format!("10.0.0.1{n}/24"), &format!("fd00::1{n}/64")]);
        run(&lab.ext, &format!("ip route add 10.0.0.1{n}/32 via 10.0.0.1"));
        run(&lab.ext, &format!("ip -6 route add fd00::1{n}/128 via fd00::1"));
    }
    lab
}

/// Between siblings, and both ways between the first slave and the outside.
fn probes(lab: &Lab, port: u16) -> Vec<(&'static str, Probe)> {
    let [first, second, _] = &lab.slaves[..] else { unreachable!("three were asked for") };
    let address = |address: &str, offset: u16| format!("{address}:{}", port + 100 * offset);
    let probes = vec![
        ("to a sibling", Probe::start(first, second, &address("10.0.0.11", 0))),
        ("from a sibling", Probe::start(second, first, &address("10.0.0.10", 1))),
        ("to the wire", Probe::start(first, &lab.ext, &address("10.0.0.254", 2))),
        ("from the wire", Probe::start(&lab.ext, first, &address("10.0.0.10", 3))),
        ("from the wire, IPv6", Probe::start(&lab.ext, first, &address("[fd00::10]", 4))),
    ];
    probes.iter().for_each(|(_, probe)| probe.more(30));
    probes
}

#[test]
fn a_new_mode_works_at_once() {
    require_root!();
    let lab = lab();
    let bystander = Probe::start(&lab.slaves[2], &lab.slaves[1], "10.0.0.11:99");
    for (round, mode) in ["l3", "l3s", "l2", "l3s", "l3", "l2"].into_iter().enumerate() {
        let probes = probes(&lab, 1000 + round as u16);
        lab.ipvl(&format!("link set ipvl0 type ipvlan mode {mode}"));
        probes.iter().for_each(|(_, probe)| probe.more(50));
        for (what, probe) in probes {
            let loss = probe.finish();
            eprintln!("{mode}, {what}: {} of {} lost: {:?} {:?}", loss.lost.len(), loss.sent, loss.lost, loss.errors);
            assert!(loss.lost.len() <= GAP, "{mode}, {what}: {loss:?}");
        }
        let shown = lab.ipvl("link show");
        assert!(shown.contains(&format!("mode {mode} bridge")), "{shown}");
        assert_eq!(shown.matches("mode l2 bridge").count(), if mode == "l2" { 3 } else { 2 }, "{shown}");
    }
    bystander.expect_no_loss("between others");
}

#[test]
fn flags_guard_and_host_access_change_without_a_lost_packet() {
    require_root!();
    let lab = lab();
    for mode in ["l2", "l3"] {
        lab.ipvl(&format!("link set ipvl0 type ipvlan mode {mode}"));
        let [first, second, third] = &lab.slaves[..] else { unreachable!("three were asked for") };
        let allowed = [
            Probe::start(first, &lab.ext, "10.0.0.254:7"),
            Probe::start(&lab.ext, first, "10.0.0.10:7"),
            Probe::start(third, second, "10.0.0.11:7"),
        ];
        for change in ["private", "bridge", "vepa", "bridge", "host on", "host off", "guard strict", "guard owned"] {
            allowed.iter().for_each(|probe| probe.more(20));
            lab.ipvl(&format!("link set ipvl0 type ipvlan {change}"));
        }
        allowed.iter().for_each(|probe| probe.more(20));
        for (probe, what) in allowed.into_iter().zip(["to the wire", "from the wire", "between others"]) {
            probe.expect_no_loss(&format!("{mode}, {what}"));
        }
    }
}

#[test]
fn a_flag_holds_from_the_next_packet_on() {
    require_root!();
    let lab = lab();
    for mode in ["l2", "l3", "l3s"] {
        lab.ipvl(&format!("link set ipvl0 type ipvlan mode {mode}"));
        know_each_other(&lab);
        for (flag, works) in [("private", false), ("bridge", true), ("vepa", false), ("bridge", true)] {
            lab.ipvl(&format!("link set ipvl0 type ipvlan {flag}"));
            assert_eq!(pings_now(&lab.slaves[0], "10.0.0.11"), works, "{mode} {flag}, from the changed one");
            assert_eq!(pings_now(&lab.slaves[1], "10.0.0.10"), works, "{mode} {flag}, to the changed one");
            assert!(lab.pings(&lab.slaves[2], "10.0.0.11"), "{mode} {flag}, between others");
        }
    }
}

/// Makes neighbour entries permanent, so that no stack waits for an answer to an earlier request.
fn know_each_other(lab: &Lab) {
    for (from, to) in [(0, 1), (1, 0), (2, 1)] {
        let neighbour = format!("ip neigh replace 10.0.0.1{to} lladdr 02:00:00:00:00:01 dev ipvl{from}");
        run(&lab.slaves[from], &neighbour);
    }
}
