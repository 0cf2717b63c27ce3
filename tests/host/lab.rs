//! What do these tests have in common?

use ipvl_control::port;
use ipvl_core::{Reason, Slot};
use ipvl_testbed::packet::{Link, udp};
use ipvl_testbed::{Frame, Lab, MASTER_MAC, Netns, PacketSocket};
use std::net::IpAddr;

/// A network that is only reached through routers.
pub const FAR: &str = "198.51.100.9";
/// The same in IPv6.
pub const FAR_6: &str = "2001:db8::9";

/// A lab with slaves that have, from `ipvl0` on, these options and the addresses 10.0.0.10, fd00::10 and so on.
pub fn lab(options: &[&str]) -> Lab {
    let lab = Lab::new(options.len());
    for (n, options) in options.iter().enumerate() {
        lab.add_slave(n, options, &[&format!("10.0.0.{}/24", 10 + n), &format!("fd00::{:x}/64", 16 + n)]);
    }
    lab
}

/// Runs a command of several words in a namespace.
#[track_caller]
pub fn run(netns: &Netns, words: &str) -> String {
    netns.run(words.split_whitespace())
}

/// Gives a namespace one more table, chain, rule or counter of nftables.
#[track_caller]
pub fn nft(netns: &Netns, words: &str) {
    netns.run(["nft", "add", words]);
}

/// How many packets a named counter of table `inet t` (or of another) has seen.
#[track_caller]
pub fn counted(netns: &Netns, counter: &str) -> u64 {
    let shown = run(netns, &format!("nft list counter {counter}"));
    let count = shown.split_whitespace().skip_while(|word| *word != "packets").nth(1);
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no count in {shown}"))
}

/// A datagram of the slave with this address, as its own stack in l3 would send it.
pub fn datagram(from: &str, to: &str) -> Vec<u8> {
    udp(Link::new(MASTER_MAC, MASTER_MAC), (ip(from), 4000), (ip(to), 4001), b"of the slave")
}

/// Accepts that datagram, wherever it is.
pub fn is_datagram<'a>(from: &'a str, to: &'a str) -> impl Fn(&Frame) -> bool + 'a {
    move |frame| frame.goes(ip(from), ip(to)) && frame.contains(b"of the slave")
}

/// Sends the datagram out of the first slave, and fails unless it comes out of the wire, or unless it does not.
#[track_caller]
pub fn reaches(lab: &Lab, wire: &mut PacketSocket, to: &str, expected: bool) {
    let from = if to.contains(':') { "fd00::10" } else { "10.0.0.10" };
    lab.slaves[0].port("ipvl0").inject(&datagram(from, to));
    if expected {
        wire.expect(&format!("the datagram to {to}"), is_datagram(from, to));
    } else {
        wire.expect_none(&format!("the datagram to {to}"), &lab.rest(), is_datagram(from, to));
    }
}

/// How many frames of the first slave were dropped for this reason.
pub fn drops(lab: &Lab, reason: Reason) -> u64 {
    let counts = lab.host.within(|| {
        let netlink = ipvl_control::kernel::netlink::Netlink::open().expect("open netlink");
        let master = netlink.link_by_name("eth0", None).expect("look for the master").expect("a master");
        let port = port::Port::find(&netlink, master.ifindex).expect("find the port").expect("a port");
        port.maps.drops().expect("read the drops")
    });
    let of_slave = counts.get(&Slot(0)).into_iter().flatten();
    of_slave.filter(|(counted, _)| *counted == reason).map(|(_, count)| count).sum()
}

/// Leads the outside machine to l3 and l3s slaves, which answer no ARP, by way of the host.
pub fn lead_outside_to(lab: &Lab, slaves: &[&str]) {
    for slave in slaves {
        let host = if slave.contains(':') { "fd00::1" } else { "10.0.0.1" };
        run(&lab.ext, &format!("ip route add {slave} via {host}"));
    }
}

/// The address.
pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("\"{text}\" is no address"))
}
