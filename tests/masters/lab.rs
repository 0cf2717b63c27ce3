//! What do these tests have in common?

use ipvl_testbed::{Lab, Netns, Output, ipvl_path, wait_until};
use std::time::Duration;

/// For what must happen soon, also on an emulated machine; only a failing test waits this long.
pub const SOON: Duration = Duration::from_secs(20);
/// Where slaves are in every test: the first two addresses of each network.
pub const MODES: [&str; 3] = ["l2", "l3", "l3s"];

/// Runs a line in a netns and fails the test unless it succeeds.
#[track_caller]
pub fn run(netns: &Netns, line: &str) -> String {
    netns.run(line.split_whitespace())
}

/// Runs a line in a netns.
#[track_caller]
pub fn exec(netns: &Netns, line: &str) -> Output {
    netns.exec(line.split_whitespace())
}

/// Runs `ipvl` in a netns and fails the test unless it succeeds.
#[track_caller]
pub fn ipvl(netns: &Netns, words: &str) -> String {
    run(netns, &format!("{} {words}", ipvl_path().display()))
}

/// Fails unless `condition` comes true soon.
#[track_caller]
pub fn soon(what: &str, condition: impl FnMut() -> bool) {
    assert!(wait_until(SOON, condition), "{what}: not within {SOON:?}");
}

/// Fails unless a ping is answered soon.
#[track_caller]
pub fn pings(from: &Netns, to: &str) {
    soon(&format!("a ping from {} to {to}", from.label()), || exec(from, &format!("ping -n -q -c 1 -W 1 {to}")).ok);
}

/// Fails if a ping is answered. What would answer it has answered others: say so before.
#[track_caller]
pub fn pings_not(from: &Netns, to: &str) {
    let answered = exec(from, &format!("ping -n -q -c 2 -i 0.2 -W 1 {to}")).ok;
    assert!(!answered, "{} reaches {to}", from.label());
}

/// Adds the slave `ipvl<n>` of a master to a netns, with addresses, and waits until it can be used.
#[track_caller]
pub fn add_slave(host: &Netns, master: &str, n: usize, netns: &Netns, options: &str, addresses: &[&str]) {
    ipvl(host, &format!("link add link {master} name ipvl{n} netns {} type ipvlan {options}", netns.name()));
    for address in addresses {
        add_address(netns, address, &format!("ipvl{n}"));
    }
    run(netns, &format!("ip link set ipvl{n} up"));
    has_carrier(netns, &format!("ipvl{n}"));
}

/// Adds an address that can be used at once.
#[track_caller]
pub fn add_address(netns: &Netns, address: &str, device: &str) {
    let nodad = if address.contains(':') { "nodad" } else { "" };
    run(netns, &format!("ip addr add {address} dev {device} {nodad}"));
}

/// Fails unless the device has a carrier soon.
#[track_caller]
pub fn has_carrier(netns: &Netns, device: &str) {
    soon(&format!("a carrier of {device}"), || {
        exec(netns, &format!("ip link show {device}")).stdout.contains("LOWER_UP")
    });
}

/// Two slaves of `master` in a lab, in the network 10.`net`.0.0/24 and fd00:`net`::/64, at 10 and 11.
#[track_caller]
pub fn two_slaves(lab: &Lab, master: &str, net: u8, options: &str) {
    for n in 0..2 {
        let addresses = [format!("10.{net}.0.1{n}/24"), format!("fd00:{net}::1{n}/64")];
        add_slave(&lab.host, master, n, &lab.slaves[n], options, &addresses.each_ref().map(String::as_str));
    }
}

/// The host's device and the outside's in that network get the addresses 1 and 254, and l3 slaves are known outside.
#[track_caller]
pub fn addressed(lab: &Lab, (host, ext): (&str, &str), net: u8) {
    for (netns, device, last) in [(&lab.host, host, "1"), (&lab.ext, ext, "254")] {
        add_address(netns, &format!("10.{net}.0.{last}/24"), device);
        add_address(netns, &format!("fd00:{net}::{last}/64"), device);
        run(netns, &format!("ip link set {device} up"));
    }
}

/// The way to the slaves that no neighbour question finds.
#[track_caller]
pub fn routes_outside(lab: &Lab, net: u8, mode: &str) {
    for n in 0..2 {
        if mode != "l2" {
            run(&lab.ext, &format!("ip route replace 10.{net}.0.1{n}/32 via 10.{net}.0.1"));
            run(&lab.ext, &format!("ip -6 route replace fd00:{net}::1{n}/128 via fd00:{net}::1"));
        }
    }
}

/// Fails unless slaves and outside, and the slaves among themselves, reach each other by both families.
#[track_caller]
pub fn expect_traffic(lab: &Lab, net: u8) {
    for n in 0..2 {
        for (slave, ext, sibling) in [
            (format!("10.{net}.0.1{n}"), format!("10.{net}.0.254"), format!("10.{net}.0.1{}", 1 - n)),
            (format!("fd00:{net}::1{n}"), format!("fd00:{net}::254"), format!("fd00:{net}::1{}", 1 - n)),
        ] {
            pings(&lab.ext, &slave);
            pings(&lab.slaves[n], &ext);
            pings(&lab.slaves[n], &sibling);
        }
    }
}

/// Removes both slaves, and fails unless nothing stays.
#[track_caller]
pub fn remove(lab: &Lab) {
    for n in 0..2 {
        ipvl(&lab.host, &format!("link del ipvl{n}"));
    }
    for family in ["-4", "-6"] {
        let left = run(&lab.host, &format!("ip {family} route show table all proto 157"));
        assert!(left.is_empty(), "routes are left: {left}");
    }
    assert!(!run(&lab.host, "ip -br link").contains("ipvlh"));
}

/// Whether IPv6 can be forwarded for slaves without the host becoming a router; else makes it one, as the user would.
pub fn let_forward(host: &Netns) {
    if !std::path::Path::new("/proc/sys/net/ipv6/conf/all/force_forwarding").exists() {
        host.sysctl("net/ipv6/conf/all/forwarding", "1");
    }
}
