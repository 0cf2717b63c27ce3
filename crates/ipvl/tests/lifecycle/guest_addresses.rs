//! Which addresses work behind a tap device, and when? Declared ones, while a process has the device open.

use ipvl_testbed::{Lab, require_root};
use serde_json::Value;

use crate::common::{pings_now, run, soon};
use crate::guest::Guest;

const GUEST: &str = "10.0.0.70/24";

/// A lab with a tap device that is up, and has this address declared.
fn lab() -> Lab {
    let lab = Lab::new(0);
    lab.ipvl("link add link eth0 name tap0 type ipvtap mode l2");
    lab.ipvl("addr add 10.0.0.70 dev tap0");
    lab.ipvl("link set tap0 up");
    lab
}

/// How many frames were dropped for a reason, by the master or by any slave.
fn dropped(lab: &Lab, reason: &str) -> u64 {
    let all: Vec<Value> = serde_json::from_str(&lab.ipvl("-j stats")).expect("JSON");
    all.iter().filter_map(|line| line["dropped"][reason].as_u64()).sum()
}

/// The link-local address that the table has for a tap device.
fn link_local(lab: &Lab, tap: &str) -> String {
    let table = lab.ipvl(&format!("addr show {tap}"));
    let words = table.lines().filter_map(|line| line.split(['/', ' ']).next());
    words.filter(|word| word.starts_with("fe80:")).map(str::to_owned).next().expect("a link-local address")
}

#[test]
fn an_address_that_is_not_declared_gets_nothing_from_the_wire() {
    require_root!();
    let lab = lab();
    let guest = Guest::boot(&lab, "tap0", &[GUEST, "10.0.0.71/24"]);
    soon("the declared one", || lab.pings(&lab.ext, "10.0.0.70"));
    assert!(!pings_now(&lab.ext, "10.0.0.71") && !pings_now(&guest.netns, "-I 10.0.0.71 10.0.0.254"));
    lab.ipvl("addr add 10.0.0.71 dev tap0");
    soon("declared", || lab.pings(&lab.ext, "10.0.0.71"));
    lab.ipvl("addr add 10.0.0.128/25 dev tap0");
    run(&guest.netns, "ip addr add 10.0.0.200/24 dev eth0");
    soon("a prefix", || lab.pings(&lab.ext, "10.0.0.200"));
    lab.ipvl("addr del 10.0.0.71 dev tap0");
    run(&lab.ext, "ip neigh flush all");
    assert!(!pings_now(&lab.ext, "10.0.0.71"));
}

#[test]
fn a_guest_has_a_link_local_address_of_its_own() {
    require_root!();
    let lab = lab();
    lab.ipvl("link add link eth0 name tap1 type ipvtap mode l2");
    let own = link_local(&lab, "tap0");
    assert_ne!(own, link_local(&lab, "tap1"));
    let guest = Guest::boot(&lab, "tap0", &[GUEST]);
    run(&lab.ext, "ip addr add fe80::fe/64 dev eth0 nodad");
    // What the kernel makes of the MAC address is the host's as well.
    run(&guest.netns, "ip addr add fe80::ff:fe00:1/64 dev eth0 nodad");
    assert!(!pings_now(&guest.netns, "-I fe80::ff:fe00:1%eth0 fe80::fe%eth0"));
    assert!(dropped(&lab, "spoofed-host") > 0, "{}", lab.ipvl("stats"));
    run(&guest.netns, "ip addr del fe80::ff:fe00:1/64 dev eth0");
    run(&guest.netns, &format!("ip addr add {own}/64 dev eth0 nodad"));
    soon("with the one it was given", || lab.pings(&guest.netns, "fe80::fe%eth0"));
    run(&guest.netns, &format!("ip addr del {own}/64 dev eth0"));
    run(&guest.netns, "ip addr add fe80::7:7/64 dev eth0 nodad");
    lab.ipvl("addr add fe80::7:7 dev tap0");
    soon("with one that is declared", || lab.pings(&guest.netns, "fe80::fe%eth0"));
}

#[test]
fn an_address_on_the_device_itself_is_taken_as_the_guests() {
    require_root!();
    let lab = lab();
    run(&lab.host, "ip addr add 10.0.0.72/24 dev tap0");
    soon("in the table", || lab.ipvl("addr show tap0").contains("10.0.0.72 dev tap0 master eth0 device"));
    let _guest = Guest::boot(&lab, "tap0", &[GUEST, "10.0.0.72/24"]);
    soon("the guest answers", || lab.pings(&lab.ext, "10.0.0.72"));
    // The host has it as well, and so takes it for its own.
    assert!(run(&lab.host, "ip route get 10.0.0.72").starts_with("local "));
}

#[test]
fn what_comes_while_nobody_has_it_open_is_dropped_and_counted() {
    require_root!();
    let lab = lab();
    let closed = |what: &str| {
        let before = dropped(&lab, "slave-down");
        run(&lab.ext, "ip neigh replace 10.0.0.70 lladdr 02:00:00:00:00:01 dev eth0 nud permanent");
        assert!(!pings_now(&lab.ext, "10.0.0.70"), "{what}");
        assert!(dropped(&lab, "slave-down") > before, "{what}: {}", lab.ipvl("stats"));
    };
    closed("before a monitor has opened it");
    let mut guest = Guest::boot(&lab, "tap0", &[GUEST]);
    soon("open", || lab.pings(&lab.ext, "10.0.0.70"));
    run(&lab.host, "ip link set tap0 down");
    closed("while it is down");
    run(&lab.host, "ip link set tap0 up");
    soon("up again", || lab.pings(&lab.ext, "10.0.0.70"));
    guest.kill();
    soon("no carrier", || lab.ipvl("link show tap0").contains("NO-CARRIER"));
    closed("after the monitor's end");
}
