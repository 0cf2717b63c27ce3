//! Do `ipvl flows` and `ipvl capture` tell what passes and what becomes of it, and does nothing stay of those that watch?

use std::fs;
use std::time::Duration;

use ipvl_testbed::{Lab, ipvl_path, require_root, wait_until};
use serde_json::Value;

use crate::common::{run, shell};
use crate::watcher::Watcher;

/// Longer than the programs wait for a watcher that was killed.
const LONG: Duration = Duration::from_secs(20);
/// What `timeout` ends with if the command did not end by itself.
const TIMED_OUT: i32 = 124;
/// As many as can watch a master at once (`WATCHERS` in `crates/core/src/maps/watch.rs`).
const PLACES: usize = 4;

/// Two slaves with an address each, in this mode.
fn lab(mode: &str) -> Lab {
    let lab = Lab::new(2);
    for (n, netns) in lab.slaves.iter().enumerate() {
        netns.sysctl("net/ipv6/conf/default/disable_ipv6", "1");
        lab.add_slave(n, mode, &[&format!("10.0.0.1{n}/24")]);
    }
    lab
}

/// Reads on until this is told.
#[track_caller]
fn told(watcher: &Watcher, wanted: &[(&str, &str)]) -> Value {
    loop {
        let told: Value = serde_json::from_str(&watcher.next_raw(1)[0]).expect("an object");
        if wanted.iter().all(|(key, value)| told[key] == *value) {
            return told;
        }
    }
}

#[test]
fn a_flow_is_told_when_it_begins_with_what_becomes_of_it() {
    require_root!();
    let lab = lab("mode l2 bridge");
    let watcher = Watcher::start(&lab, "-j flows to 10.0.0.11");
    run(&lab.slaves[0], "ping -q -c 1 10.0.0.11");
    let flow = told(&watcher, &[("event", "new"), ("protocol", "icmp")]);
    assert_eq!((&flow["from"], &flow["to"], &flow["verdict"]), (&"ipvl0".into(), &"ipvl1".into(), &"deliver".into()));
    lab.ipvl("link set ipvl1 type ipvlan private");
    shell(&lab.slaves[0], "ping -q -c 1 -W 0.1 10.0.0.11");
    let flow = told(&watcher, &[("event", "new"), ("verdict", "drop"), ("protocol", "icmp")]);
    assert_eq!((&flow["from"], &flow["reason"]), (&"ipvl0".into(), &"private".into()));
}

#[test]
fn all_packets_of_a_flow_are_counted() {
    require_root!();
    let lab = lab("mode l2 bridge");
    let watcher = Watcher::start(&lab, "-j flows dev ipvl0 from 10.0.0.10");
    run(&lab.slaves[0], "ping -q -f -c 1000 -s 100 10.0.0.11");
    let is_all = |flow: &Value| flow["packets"] == 1000 && flow["bytes"] == 1000 * (14 + 20 + 8 + 100);
    while !is_all(&told(&watcher, &[("protocol", "icmp")])) {}
}

#[test]
fn a_packet_that_the_routing_table_refuses_is_told_with_the_reason() {
    require_root!();
    let lab = lab("mode l3 bridge");
    run(&lab.slaves[0], "ip route add default dev ipvl0");
    let watcher = Watcher::start(&lab, "-j flows drops reason no-route");
    shell(&lab.slaves[0], "ping -q -c 1 -W 0.1 203.0.113.1");
    let flow = told(&watcher, &[("event", "new")]);
    assert_eq!((&flow["dst"], &flow["reason"]), (&"203.0.113.1".into(), &"no-route".into()));
}

#[test]
fn the_error_about_a_packet_is_the_same_while_packets_are_captured() {
    require_root!();
    let lab = lab("mode l3 bridge");
    run(&lab.slaves[0], "ip route add default dev ipvl0");
    let error = || {
        let told = shell(&lab.slaves[0], "ping -c 1 -W 1 203.0.113.1").stdout;
        told.lines().find(|line| line.starts_with("From ")).map(str::to_owned)
    };
    let without = error();
    assert!(without.as_ref().is_some_and(|line| line.contains("Unreachable")), "{without:?}");
    let file = format!("/tmp/{}.pcapng", lab.host.name());
    let watcher = Watcher::start(&lab, &format!("capture -w {file}"));
    assert_eq!(error(), without);
    drop(watcher);
    fs::remove_file(&file).expect("the file");
}

#[test]
fn a_capture_is_read_by_others_and_says_why_packets_were_dropped() {
    require_root!();
    let lab = lab("mode l2 private");
    let file = format!("/tmp/{}.pcapng", lab.host.name());
    let mut watcher = Watcher::start(&lab, &format!("capture reason private -c 1 -w {file}"));
    // The neighbour is known, so that nothing but the echo request is sent.
    run(&lab.slaves[0], "ip neigh replace 10.0.0.11 lladdr 02:00:00:00:00:01 dev ipvl0");
    let mac = lab.ipvl("-j link show ipvl0");
    let mac: Value = serde_json::from_str(&mac).expect("JSON");
    run(
        &lab.slaves[0],
        &format!("ip neigh replace 10.0.0.11 lladdr {} dev ipvl0", mac[0]["address"].as_str().expect("a MAC")),
    );
    shell(&lab.slaves[0], "ping -q -c 1 -W 0.1 10.0.0.11");
    assert!(wait_until(LONG, || watcher.has_ended()), "one packet was enough");
    let read = shell(&lab.host, &format!("tcpdump -nn -r {file}")).stdout;
    let bytes = fs::read(&file).expect("the file");
    fs::remove_file(&file).expect("the file");
    assert!(read.contains("10.0.0.10 > 10.0.0.11: ICMP echo request"), "{read}");
    let comment = b"ipvl0 > - icmp 10.0.0.10 > 10.0.0.11 drop private";
    assert!(bytes.windows(comment.len()).any(|window| window == comment), "no comment in {file}");
}

#[test]
fn files_are_no_larger_and_no_more_than_was_asked() {
    require_root!();
    let lab = lab("mode l2 bridge");
    let dir = format!("/tmp/{}.d", lab.host.name());
    fs::create_dir(&dir).expect("a directory");
    let mut watcher = Watcher::start(&lab, &format!("capture dev ipvl0 -c 4000 -C 1 -W 2 -w {dir}/c"));
    // On a busy machine some are lost.
    let sent = || shell(&lab.slaves[0], "ping -q -f -c 1000 -s 1400 10.0.0.11").ok;
    assert!(wait_until(LONG, || watcher.has_ended() || !sent()), "enough packets were captured");
    let sizes: Vec<(String, u64)> = fs::read_dir(&dir)
        .expect("the directory")
        .map(|entry| entry.expect("an entry"))
        .map(|entry| (entry.file_name().into_string().expect("UTF-8"), entry.metadata().expect("a size").len()))
        .collect();
    fs::remove_dir_all(&dir).expect("the directory");
    let mut names: Vec<&str> = sizes.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["c0", "c1"]);
    assert!(sizes.iter().all(|(_, size)| *size < 1_010_000), "{sizes:?}");
}

#[test]
fn watchers_that_are_killed_leave_their_places() {
    require_root!();
    let lab = lab("mode l2 bridge");
    let watchers: Vec<Watcher> = (0..PLACES).map(|_| Watcher::start(&lab, "flows")).collect();
    let refused = lab.try_ipvl("flows");
    assert!(refused.stderr.contains("cannot watch eth0: Device or resource busy: 4 processes watch it"), "{refused:?}");
    drop(watchers);
    let again = || shell(&lab.host, &format!("timeout 0.2 {} flows", ipvl_path().display())).code == Some(TIMED_OUT);
    assert!(wait_until(LONG, again), "the places are free again");
}

#[test]
fn who_watches_sees_packets_after_an_upgrade() {
    require_root!();
    let lab = lab("mode l2 bridge");
    let watcher = Watcher::start(&lab, "-j flows");
    lab.ipvl("upgrade again");
    // The new programs are told of the watcher within a second.
    run(&lab.slaves[0], "ping -q -c 15 -i 0.1 10.0.0.11");
    told(&watcher, &[("event", "new"), ("protocol", "icmp"), ("verdict", "deliver")]);
}

#[test]
fn what_cannot_be_watched_is_refused() {
    require_root!();
    let lab = lab("mode l2 bridge");
    let refused = |words: &str| lab.try_ipvl(words).stderr;
    assert!(refused("flows dev nobody").contains("nobody"), "{}", refused("flows dev nobody"));
    assert!(refused("flows reason rain").contains("argument \"rain\" is wrong: reason must be"));
    assert!(refused("capture -W 2 -w /tmp/x").contains("\"-W\" wants \"-C\""));
    assert!(refused("capture -w /nowhere/x").contains("cannot write \"/nowhere/x\": No such file or directory"));
}
