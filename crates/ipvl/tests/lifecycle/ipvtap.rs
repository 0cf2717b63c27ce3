//! Is a tap device a slave like any other, and its guest reached like one?

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use ipvl_testbed::{Lab, Netns, ipvl_path, kernel_is_at_least, require_root, wait_until};
use serde_json::Value;

use crate::common::{SOON, exec, expect_as_before, kill_agent, link_value, pings_now, run, soon, traces};
use crate::guest::{Guest, reach_each_other};
use crate::tun_device::{self, TAP};
use crate::{common, snapshot};

const KILLS: u32 = 12;
const GUEST: &[&str] = &["10.0.0.70/24", "fd00::70/64"];

/// A lab with one slave in a netns, and a tap device that is up, with its guest's addresses declared.
fn lab(options: &str) -> Lab {
    let lab = Lab::new(1);
    let_forward(&lab);
    lab.add_slave(0, "mode l2", &["10.0.0.10/24", "fd00::10/64"]);
    add_tap(&lab, options);
    lab
}

/// Before Linux 6.17 the user must set this for host access in IPv6.
fn let_forward(lab: &Lab) {
    if !kernel_is_at_least("6.17") {
        lab.host.sysctl("net/ipv6/conf/all/forwarding", "1");
    }
}

fn add_tap(lab: &Lab, options: &str) {
    lab.ipvl(&format!("link add link eth0 name tap0 type ipvtap {options}"));
    lab.ipvl("addr add 10.0.0.70 dev tap0");
    lab.ipvl("addr add fd00::70 dev tap0");
    lab.ipvl("link set tap0 up");
}

/// How many of the tap device's frames were dropped for a reason.
fn dropped(lab: &Lab, reason: &str) -> u64 {
    let all: Value = serde_json::from_str(&lab.ipvl("-j stats tap0")).expect("JSON");
    all[0]["dropped"][reason].as_u64().unwrap_or_default()
}

#[test]
fn a_guest_reaches_slaves_the_outside_and_the_host() {
    require_root!();
    let lab = lab("mode l2 host on");
    let guest = Guest::boot(&lab, "tap0", GUEST);
    for (own, slave, outside, host) in
        [("10.0.0.70", "10.0.0.10", "10.0.0.254", "10.0.0.1"), ("fd00::70", "fd00::10", "fd00::254", "fd00::1")]
    {
        reach_each_other(&lab, (&guest.netns, own), (&lab.slaves[0], slave));
        reach_each_other(&lab, (&guest.netns, own), (&lab.ext, outside));
        reach_each_other(&lab, (&guest.netns, own), (&lab.host, host));
    }
    let neighbour = run(&lab.ext, "ip neigh show 10.0.0.70");
    assert!(neighbour.contains("02:00:00:00:00:01"), "{neighbour}");
}

#[test]
fn two_guests_reach_each_other() {
    require_root!();
    let lab = lab("mode l2");
    lab.ipvl("link add link eth0 name tap1 type ipvtap mode l2");
    lab.ipvl("addr add 10.0.0.71 dev tap1");
    lab.ipvl("link set tap1 up");
    let (one, other) = (Guest::boot(&lab, "tap0", GUEST), Guest::boot(&lab, "tap1", &["10.0.0.71/24"]));
    reach_each_other(&lab, (&one.netns, "10.0.0.70"), (&other.netns, "10.0.0.71"));
}

#[test]
fn a_guest_without_host_access_reaches_no_host_and_a_private_one_no_sibling() {
    require_root!();
    let lab = lab("mode l2 private");
    let guest = Guest::boot(&lab, "tap0", GUEST);
    reach_each_other(&lab, (&guest.netns, "10.0.0.70"), (&lab.ext, "10.0.0.254"));
    assert!(!pings_now(&guest.netns, "10.0.0.10") && !pings_now(&lab.slaves[0], "10.0.0.70"));
    assert!(dropped(&lab, "private") > 0, "{}", lab.ipvl("stats"));
    assert!(!pings_now(&guest.netns, "10.0.0.1") && !pings_now(&lab.host, "10.0.0.70"));
    lab.ipvl("link set tap0 type ipvtap bridge host on");
    reach_each_other(&lab, (&guest.netns, "10.0.0.70"), (&lab.slaves[0], "10.0.0.10"));
    reach_each_other(&lab, (&guest.netns, "10.0.0.70"), (&lab.host, "10.0.0.1"));
}

#[test]
fn what_a_guest_may_not_send_is_dropped() {
    require_root!();
    let lab = lab("mode l2 guard strict");
    let guest = Guest::boot(&lab, "tap0", &["10.0.0.70/24", "10.0.0.10/32", "10.0.0.1/32", "10.0.0.99/32"]);
    reach_each_other(&lab, (&guest.netns, "10.0.0.70"), (&lab.ext, "10.0.0.254"));
    for (source, reason) in [("10.0.0.10", "spoofed-slave"), ("10.0.0.1", "spoofed-host"), ("10.0.0.99", "not-owned")] {
        assert!(!pings_now(&guest.netns, &format!("-I {source} 10.0.0.254")), "{source}");
        assert!(dropped(&lab, reason) > 0, "{reason}: {}", lab.ipvl("stats"));
    }
    run(&guest.netns, "ip link set eth0 address 02:00:00:00:00:02");
    assert!(!pings_now(&guest.netns, "10.0.0.254"));
    assert!(dropped(&lab, "foreign-mac") > 0, "{}", lab.ipvl("stats"));
}

#[test]
fn large_packets_and_unfinished_checksums_arrive_whole() {
    require_root!();
    let lab = lab("mode l2 host on");
    let guest = Guest::boot_with_offloads(&lab, "tap0", GUEST);
    for (netns, address) in
        [(&lab.slaves[0], "10.0.0.10"), (&lab.slaves[0], "fd00::10"), (&lab.ext, "10.0.0.254"), (&lab.host, "10.0.0.1")]
    {
        let own = if address.contains(':') { "fd00::70" } else { "10.0.0.70" };
        soon("the guest is there", || lab.pings(netns, own));
        transfer(&guest.netns, netns, address);
        transfer(netns, &guest.netns, own);
    }
    let seen = guest.seen();
    let (partial, large) = (seen.partial.load(Ordering::Relaxed), seen.large.load(Ordering::Relaxed));
    assert!(partial > 20 && large > 20, "{partial} frames without a checksum, {large} large ones");
    drop(guest);
    let guest = Guest::boot(&lab, "tap0", GUEST);
    soon("a guest that wants whole frames is there", || lab.pings(&lab.slaves[0], "10.0.0.70"));
    transfer(&lab.slaves[0], &guest.netns, "10.0.0.70");
    transfer(&guest.netns, &lab.slaves[0], "10.0.0.10");
}

/// Sends some megabytes and looks at what arrives.
#[track_caller]
fn transfer(from: &Netns, to: &Netns, address: &str) {
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let listener = to.within(|| TcpListener::bind((address, 0))).expect("listen");
    let target = listener.local_addr().expect("an address");
    let mut stream = from.within(|| TcpStream::connect_timeout(&target, SOON)).expect("connect");
    let (mut receiving, _) = listener.accept().expect("the connection");
    receiving.set_read_timeout(Some(SOON)).expect("set a timeout");
    stream.set_write_timeout(Some(SOON)).expect("set a timeout");
    let arrived = thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let mut arrived = Vec::new();
            receiving.read_to_end(&mut arrived).expect("receive");
            arrived
        });
        stream.write_all(&sent).expect("send");
        drop(stream);
        receiver.join().expect("the receiver")
    });
    assert!(arrived == sent, "{} of {} bytes to {address} arrived, or others", arrived.len(), sent.len());
}

#[test]
fn traffic_outlives_the_agent_and_the_device_its_monitor() {
    require_root!();
    let lab = lab("mode l2 host on");
    let mut guest = Guest::boot(&lab, "tap0", GUEST);
    reach_each_other(&lab, (&guest.netns, "10.0.0.70"), (&lab.host, "10.0.0.1"));
    kill_agent(&lab.host);
    for target in ["10.0.0.10", "10.0.0.254", "10.0.0.1"] {
        assert!(lab.pings(&guest.netns, target), "without an agent: {target}");
    }
    lab.ipvl("link set tap0 up");
    guest.kill();
    soon("no carrier", || lab.ipvl("link show tap0").contains("NO-CARRIER"));
    soon("no route", || run(&lab.host, "ip route show proto 157").is_empty());
    guest.start(&lab, "tap0");
    run(&guest.netns, "ip addr add 10.0.0.70/24 dev eth0");
    for (netns, address) in [(&lab.slaves[0], "10.0.0.10"), (&lab.ext, "10.0.0.254"), (&lab.host, "10.0.0.1")] {
        reach_each_other(&lab, (&guest.netns, "10.0.0.70"), (netns, address));
    }
    run(&lab.host, "ip link set tap0 down");
    assert!(!pings_now(&lab.ext, "10.0.0.70"));
    run(&lab.host, "ip link set tap0 up");
    reach_each_other(&lab, (&guest.netns, "10.0.0.70"), (&lab.host, "10.0.0.1"));
}

#[test]
fn a_tap_device_follows_its_master() {
    require_root!();
    let lab = lab("mode l2");
    let guest = Guest::boot(&lab, "tap0", GUEST);
    run(&lab.host, "ip link set eth0 mtu 1400 address 02:00:00:00:00:09");
    soon("its MTU", || link_value(&lab.host, "tap0", "mtu") == 1400);
    soon("its address", || link_value(&lab.host, "tap0", "address") == "02:00:00:00:00:09");
    run(&guest.netns, "ip link set eth0 address 02:00:00:00:00:09");
    reach_each_other(&lab, (&guest.netns, "10.0.0.70"), (&lab.ext, "10.0.0.254"));
    run(&lab.host, "ip link set tap0 mtu 9000 address 02:00:00:00:00:02 arp on");
    soon("its MTU again", || link_value(&lab.host, "tap0", "mtu") == 1400);
    soon("its address again", || link_value(&lab.host, "tap0", "address") == "02:00:00:00:00:09");
    soon("no ARP of its own", || link_value(&lab.host, "tap0", "flags").to_string().contains("NOARP"));
    run(&lab.host, "ip link del eth0");
    soon("gone with its master", || !exec(&lab.host, "ip link show tap0").ok);
}

#[test]
fn a_tap_device_that_leaves_its_master_is_brought_back() {
    require_root!();
    let lab = lab("mode l2 host on");
    let guest = Guest::boot(&lab, "tap0", GUEST);
    reach_each_other(&lab, (&guest.netns, "10.0.0.70"), (&lab.ext, "10.0.0.254"));
    run(&lab.host, &format!("ip link set tap0 netns {}", lab.slaves[0].name()));
    soon("it is back", || lab.ipvl("link show").contains(": tap0@eth0: "));
    assert!(!exec(&lab.slaves[0], "ip link show tap0").ok);
    soon("it is silent", || link_value(&lab.host, "tap0", "inet6_addr_gen_mode") == "none");
    run(&lab.host, "ip link set tap0 up");
    expect_closed_tap(&lab);
    reach_each_other(&lab, (&guest.netns, "10.0.0.70"), (&lab.ext, "10.0.0.254"));
    reach_each_other(&lab, (&guest.netns, "fd00::70"), (&lab.host, "fd00::1"));
}

#[test]
fn in_l3_a_guest_needs_no_more_than_a_static_neighbour() {
    require_root!();
    let lab = lab("mode l3");
    run(&lab.ext, "ip route add 10.0.0.70/32 via 10.0.0.1");
    let guest = Guest::boot(&lab, "tap0", GUEST);
    assert!(!pings_now(&guest.netns, "10.0.0.254"));
    assert!(dropped(&lab, "not-ip") > 0, "{}", lab.ipvl("stats"));
    for address in ["10.0.0.254", "10.0.0.10"] {
        run(&guest.netns, &format!("ip neigh replace {address} lladdr 02:00:00:00:00:01 dev eth0 nud permanent"));
        soon(address, || lab.pings(&guest.netns, address));
    }
}

#[test]
fn only_who_is_named_opens_it() {
    require_root!();
    let lab = Lab::new(0);
    let open_as = |user, group, name| lab.host.within(|| tun_device::open_as(user, group, name, TAP));
    for (name, options) in [("tap0", ""), ("tap1", "user 1001"), ("tap2", "group 1002"), ("tap3", "user games")] {
        lab.ipvl(&format!("link add link eth0 name {name} type ipvtap mode l2 {options}"));
    }
    let opened = |user, group| ["tap0", "tap1", "tap2", "tap3"].map(|name| open_as(user, group, name).is_ok());
    assert_eq!(opened(1000, 1000), [false; 4]);
    assert_eq!(opened(1001, 1000), [false, true, false, false]);
    assert_eq!(opened(1000, 1002), [false, false, true, false]);
    assert_eq!(opened(5, 60), [false, false, false, true]);
    assert_eq!(opened(0, 0), [true; 4]);
}

#[test]
fn a_machine_with_several_queues_opens_it_several_times() {
    require_root!();
    let lab = Lab::new(0);
    lab.ipvl("link add link eth0 name tap0 type ipvtap mode l2 multi_queue");
    let open = || lab.host.within(|| tun_device::open("tap0", TAP | libc::IFF_MULTI_QUEUE)).expect("open a queue");
    let _queues = [open(), open()];
    assert!(run(&lab.host, "ip -d link show tap0").contains("multi_queue numqueues 2"));
}

#[test]
fn it_is_shown_as_an_ipvtap() {
    require_root!();
    let lab = lab("mode l3s");
    let shown: Value = serde_json::from_str(&lab.ipvl("-d -j link show type ipvtap")).expect("JSON");
    let expected = serde_json::json!({ "info_kind": "ipvtap", "info_data": { "mode": "l3s", "bridge": true } });
    assert_eq!((&shown[0]["linkinfo"], &shown[0]["link"]), (&expected, &Value::from("eth0")));
    assert_eq!(shown.as_array().map(Vec::len), Some(1));
    assert!(!lab.ipvl("link show type ipvlan").contains("tap0"));
    assert!(lab.ipvl("addr show tap0").contains("10.0.0.70 dev tap0 master eth0 declared"));
    assert!(lab.ipvl("explain from tap0 to 10.0.0.10 src 10.0.0.70").contains("tap0"));
    let named = lab.ipvl("link add link eth0 type ipvtap") + &lab.ipvl("link show ipvtap0");
    assert!(named.contains(": ipvtap0@eth0: "), "{named}");
}

#[test]
fn nothing_is_left_of_it() {
    require_root!();
    let lab = Lab::new(0);
    let_forward(&lab);
    let before = traces(&lab.host);
    for delete in ["ip link del tap0", "ipvl"] {
        add_tap(&lab, "mode l2 host on");
        let guest = Guest::boot(&lab, "tap0", GUEST);
        reach_each_other(&lab, (&guest.netns, "10.0.0.70"), (&lab.host, "10.0.0.1"));
        match delete {
            "ipvl" => _ = lab.ipvl("link del tap0"),
            stock => _ = run(&lab.host, stock),
        }
        expect_as_before(&lab.host, &before);
    }
}

#[test]
fn a_tap_device_that_cannot_be_is_refused() {
    require_root!();
    let lab = Lab::new(1);
    run(&lab.host, "ip tuntap add tun0 mode tun");
    run(&lab.host, "ip tuntap add taken mode tap");
    let before = traces(&lab.host);
    let netns = lab.slaves[0].name();
    let lines = [
        "link add link lo type ipvtap",
        "link add link tun0 type ipvtap mode l3",
        "link add link eth0 name taken type ipvtap",
        "link add link eth0 name eth0 type ipvtap",
        &format!("link add link eth0 name a netns {netns} type ipvtap"),
        "link add link eth0 name a type ipvtap user nobody-of-that-name",
        "link add link eth0 name a mtu 9000 type ipvtap",
        "link add link eth0 name a type ipvtap vepa private",
        "link add link eth0 name a type ipvlan user 0",
    ];
    let mut text: String = lines.iter().map(|line| told(&lab, line)).collect();
    assert_eq!(traces(&lab.host), before);
    lab.ipvl("link add link eth0 name tap0 type ipvtap mode l2");
    text += &told(&lab, "link add link tap0 type ipvlan");
    text += &told(&lab, &format!("link set tap0 netns {netns}"));
    text += &told(&lab, "link set tap0 mtu 9000");
    text += &told(&lab, "addr add 10.0.0.1 dev tap0");
    snapshot::check("refusals-ipvtap.txt", &text.replace(netns, "NS0"));
}

#[track_caller]
fn told(lab: &Lab, line: &str) -> String {
    let output = lab.try_ipvl(line);
    assert!(!output.ok && output.stdout.is_empty(), "{line}: {}", output.stdout);
    format!("ipvl {line}\n  {}: {}\n", output.code.unwrap_or(-1), output.stderr.trim_end().replace('\n', "\n  "))
}

#[test]
fn a_killed_add_leaves_a_complete_device_or_nothing() {
    require_root!();
    let lab = Lab::new(0);
    let before = traces(&lab.host);
    let whole = killed_after(&lab, SOON);
    lab.ipvl("link del tap0");
    let mut complete = 0;
    for round in 0..KILLS {
        killed_after(&lab, whole * 2 * round / KILLS);
        complete += u32::from(expect_closed_tap(&lab));
        // The next command cleans up first.
        lab.ipvl("link add link eth0 name other type ipvlan mode l3");
        let exists = || exec(&lab.host, "ip link show tap0").ok;
        soon("complete or nothing", || exists() == lab.ipvl("link show").contains(": tap0@"));
        if expect_closed_tap(&lab) {
            lab.ipvl("link del tap0");
        }
        lab.ipvl("link del other");
        expect_as_before(&lab.host, &before);
    }
    assert!(complete > 0, "all of {KILLS} were killed too early to matter");
}

/// Adds a tap device, but not for longer than this; how long it took.
fn killed_after(lab: &Lab, limit: Duration) -> Duration {
    let (start, words) = (Instant::now(), "link add link eth0 name tap0 type ipvtap mode l2".split(' '));
    let mut add = lab.host.within(|| Command::new(ipvl_path()).args(words).spawn().expect("start ipvl"));
    if !wait_until(limit, || add.try_wait().expect("look at it").is_some()) {
        add.kill().and_then(|()| add.wait()).expect("kill it");
    }
    start.elapsed()
}

/// Whether there is one; where it can be set up, it has its program.
#[track_caller]
fn expect_closed_tap(lab: &Lab) -> bool {
    let up = exec(&lab.host, "ip link set tap0 up").ok;
    let programs = common::programs(&lab.host);
    assert!(!up || programs.iter().any(|(device, name, _)| device == "tap0" && name == "slave_xmit"), "{programs:?}");
    up
}
