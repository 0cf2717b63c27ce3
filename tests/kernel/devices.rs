//! On which devices do the programs run in these tests? A master and host ends of veth pairs, in a netns of their own.

use ipvl_core::{IfIndex, Slot};
use ipvl_testbed::{EXT_V4, HOST_V4, MASTER_MAC, Netns};
use ipvl_tests::names::SLAVES;

/// The master's name. It has no IPv6: what it would say by itself would be counted with the copies, and IPv6 routes are
/// not looked up before a program has ended.
pub const MASTER: &str = "uplink";

/// A master, a host end for every slave that a scenario can have, and routes.
pub struct Devices {
    netns: Netns,
    master: IfIndex,
    host_ends: Vec<IfIndex>,
}

impl Devices {
    /// Makes them.
    pub fn new() -> Self {
        let netns = Netns::new("tried");
        netns.sysctl("net/ipv6/conf/default/disable_ipv6", "1");
        let mac = MASTER_MAC.map(|byte| format!("{byte:02x}")).join(":");
        let master = make(&netns, MASTER, &mac);
        for command in [format!("addr add {HOST_V4}/24 dev uplink"), format!("route add default via {EXT_V4}")] {
            netns.run(std::iter::once("ip").chain(command.split(' ')));
        }
        let host_ends = SLAVES.map(|name| make(&netns, name, &mac)).to_vec();
        for name in SLAVES.into_iter().chain([MASTER]) {
            netns.sysctl(&format!("net/ipv4/conf/{name}/forwarding"), "1");
        }
        Self { netns, master, host_ends }
    }

    /// The master's ifindex.
    pub fn master(&self) -> IfIndex {
        self.master
    }

    /// The ifindex of the host end of the slave in `slot`.
    pub fn host_end(&self, slot: Slot) -> IfIndex {
        self.host_ends[slot.0 as usize]
    }

    /// Adds routes, in the words of `ip route add`.
    pub fn routes(&self, routes: &[&str]) {
        for route in routes {
            self.netns.run("ip route add".split(' ').chain(route.split(' ')));
        }
    }

    /// Runs `work` where these devices are.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.netns.within(work)
    }
}

/// How many frames a device has sent.
pub fn sent(device: &str) -> u64 {
    let table = std::fs::read_to_string("/proc/thread-self/net/dev").expect("read the devices' counters");
    let line = table.lines().find_map(|line| line.trim_start().strip_prefix(&format!("{device}:")));
    line.and_then(|line| line.split_whitespace().nth(9)?.parse().ok()).expect("a device's counters")
}

fn make(netns: &Netns, name: &str, mac: &str) -> IfIndex {
    let peer = format!("{name}-far");
    netns.run(["ip", "link", "add", "name", name, "address", mac, "type", "veth", "peer", "name", &peer]);
    for device in [name, &peer] {
        netns.run(["ip", "link", "set", "dev", device, "up"]);
    }
    let index = netns.run(["cat", &format!("/sys/class/net/{name}/ifindex")]);
    IfIndex(index.trim().parse().expect("an ifindex"))
}
