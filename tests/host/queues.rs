//! Do packets for a slave pass the queueing discipline of its host end, which plugins add to limit a bandwidth?

use crate::lab::{lab, lead_outside_to, run};
use ipvl_control::kernel::netlink::Netlink;
use ipvl_testbed::{Lab, require_root, wait_until};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);
const PINGS: u64 = 3;
/// How much each ping makes longer than what the slave gets besides.
const BYTES: u64 = 1000;

#[test]
fn what_a_slave_gets_passes_the_queue_of_its_host_end() {
    require_root!();
    for mode in ["l2", "l3"] {
        let lab = lab(&[mode, mode].map(|mode| format!("mode {mode}")).each_ref().map(String::as_str));
        lead_outside_to(&lab, &["10.0.0.10", "fd00::10"]);
        let host_end = host_end(&lab);
        ping_past(&lab, &host_end, mode);
        run(&lab.host, &format!("tc qdisc add dev {host_end} root tbf rate 1gbit burst 100kb latency 25ms"));
        wait_for_queue(&lab, true);
        for sender in [&lab.slaves[1], &lab.ext] {
            for to in ["10.0.0.10", "fd00::10"] {
                let before = queued(&lab, &host_end);
                run(sender, &format!("ping -n -q -c {PINGS} -i 0.01 -s {BYTES} {to}"));
                let passed = queued(&lab, &host_end) - before;
                assert!(passed >= PINGS * BYTES, "{mode}: {passed} bytes from {} to {to}", sender.label());
            }
        }
        run(&lab.host, &format!("tc qdisc del dev {host_end} root"));
        wait_for_queue(&lab, false);
        ping_past(&lab, &host_end, mode);
    }
}

#[test]
fn commands_leave_a_slave_its_queue() {
    require_root!();
    let lab = lab(&["mode l2"]);
    let host_end = host_end(&lab);
    run(&lab.host, &format!("tc qdisc replace dev {host_end} root pfifo"));
    wait_for_queue(&lab, true);
    // A command writes the slave's entry, and must leave alone what is the agent's.
    lab.set_slave(0, "type ipvlan private");
    assert!(shows_queue(&lab));
    run(&lab.host, &format!("tc qdisc replace dev {host_end} root noqueue"));
    wait_for_queue(&lab, false);
}

/// Without a queue there, the first slave is reached past its host end.
#[track_caller]
fn ping_past(lab: &Lab, host_end: &str, mode: &str) {
    for sender in [&lab.slaves[1], &lab.ext] {
        let before = sent(lab, host_end);
        run(sender, &format!("ping -n -q -c {PINGS} -i 0.01 -s {BYTES} 10.0.0.10"));
        let passed = sent(lab, host_end) - before;
        assert!(passed < PINGS * BYTES, "{mode}: {passed} bytes from {} by way of the host end", sender.label());
    }
}

fn host_end(lab: &Lab) -> String {
    let shown = lab.ipvl("link show ipvl0");
    let name = shown.split_whitespace().skip_while(|word| *word != "host-end").nth(1);
    name.unwrap_or_else(|| panic!("no host end in {shown}")).to_owned()
}

#[track_caller]
fn wait_for_queue(lab: &Lab, there: bool) {
    assert!(wait_until(PATIENCE, || shows_queue(lab) == there), "not so: queue {there}");
}

fn shows_queue(lab: &Lab) -> bool {
    lab.ipvl("-d link show ipvl0").contains("    ipvl queue ")
}

/// How many bytes the queue has passed on.
#[track_caller]
fn queued(lab: &Lab, host_end: &str) -> u64 {
    let shown = run(&lab.host, &format!("tc -s qdisc show dev {host_end} root"));
    let count = shown.split_whitespace().skip_while(|word| *word != "Sent").nth(1);
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no count in {shown}"))
}

/// How many bytes the device has sent.
fn sent(lab: &Lab, host_end: &str) -> u64 {
    let netlink = lab.host.within(Netlink::open).expect("open netlink");
    netlink.link_by_name(host_end, None).expect("look for the host end").expect("a host end").tx_bytes
}
