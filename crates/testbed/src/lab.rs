//! Which network do tests run in? A host with a master `eth0`, a machine outside at the other end of its wire, and
//! namespaces for the slaves.

use std::ffi::OsStr;
use std::time::Duration;

use crate::addresses::{EXT_MAC, EXT_V4, EXT_V6, HOST_V4, HOST_V6, MASTER_MAC};
use crate::driver::Driver;
use crate::netns::{Netns, Output};
use crate::packet::Mac;
use crate::packet_socket::PacketSocket;
use crate::rest::Rest;
use crate::wait::wait_until;

/// How long a device may take until it has a carrier, or IPv6.
const PATIENCE: Duration = Duration::from_secs(5);

/// The standard topology: `ext` eth0 <- veth -> eth0 `host`, and namespaces for slaves.
#[derive(Debug)]
pub struct Lab {
    /// The namespaces that slaves move to. Dropped first, as `slaves` before `host` before `ext`.
    pub slaves: Vec<Netns>,
    /// The master's namespace.
    pub host: Netns,
    /// The machine at the other end of the wire.
    pub ext: Netns,
    /// The driver that makes the slaves.
    pub driver: Driver,
}

impl Lab {
    /// Builds the topology with `slaves` empty namespaces for slaves, which the driver that was chosen will make.
    #[must_use]
    pub fn new(slaves: usize) -> Self {
        Self::of(Driver::chosen(), slaves)
    }

    /// The same for this driver.
    #[must_use]
    pub fn of(driver: Driver, slaves: usize) -> Self {
        let (ext, host) = (Netns::new("ext"), Netns::new("host"));
        for netns in [&ext, &host] {
            netns.sysctl("net/ipv6/conf/default/accept_dad", "0");
        }
        wire(&host, &ext);
        let slaves = (0..slaves).map(|n| Netns::new(&format!("ns{n}"))).collect();
        Self { slaves, host, ext, driver }
    }

    /// Runs the driver's command, `ipvl` or `ip`, in the host's namespace and fails the test unless it succeeds; its standard output.
    #[track_caller]
    pub fn ipvl(&self, words: &str) -> String {
        self.host.run(self.driver.command(words))
    }

    /// Runs the driver's command in the host's namespace and returns how it went.
    #[track_caller]
    pub fn try_ipvl(&self, words: &str) -> Output {
        self.host.exec(self.driver.command(words))
    }

    /// Adds the slave `ipvl<n>` of eth0 (`options`: "mode l2 bridge"), moves it to namespace `n`, gives it addresses
    /// ("10.0.0.10/24"), and waits until it can be used. Its name.
    #[track_caller]
    pub fn add_slave(&self, n: usize, options: &str, addresses: &[&str]) -> String {
        let (netns, name) = (&self.slaves[n], format!("ipvl{n}"));
        self.ipvl(&format!("link add link eth0 name {name} type ipvlan {options}"));
        self.host.run(["ip", "link", "set", &name, "netns", netns.name()]);
        for address in addresses {
            netns.run(address_add(address, &name));
        }
        netns.run(["ip", "link", "set", &name, "up"]);
        let ready = wait_until(PATIENCE, || netns.exec(["ip", "link", "show", &name]).stdout.contains("LOWER_UP"));
        assert!(ready, "{name} has no carrier after {PATIENCE:?}: its host end was never raised");
        name
    }

    /// Changes the slave in namespace `n`: "up type ipvlan mode l3 private". `ip` must be where the slave is.
    #[track_caller]
    pub fn set_slave(&self, n: usize, words: &str) {
        let netns = if self.driver.is_by_ip() { &self.slaves[n] } else { &self.host };
        netns.run(self.driver.command(&format!("link set ipvl{n} {words}")));
    }

    /// A packet socket at the far end of the master's wire.
    #[must_use]
    pub fn wire(&self) -> PacketSocket {
        self.ext.port("eth0")
    }

    /// Tells a test when all that it sent has come to rest.
    #[must_use]
    pub fn rest(&self) -> Rest {
        Rest::new(&self.ext)
    }

    /// True if a ping from one namespace to an address is answered.
    #[track_caller]
    pub fn pings(&self, from: &Netns, to: &str) -> bool {
        from.exec(["ping", "-n", "-q", "-c", "1", "-W", "1", to]).ok
    }
}

fn address_add<'a>(address: &'a str, device: &'a str) -> Vec<&'a str> {
    let mut command = vec!["ip", "addr", "add", address, "dev", device];
    if address.contains(':') {
        command.push("nodad");
    }
    command
}

fn wire(host: &Netns, ext: &Netns) {
    run_words(
        host,
        &format!("ip link add eth0 address {} type veth peer name eth0 netns {}", text(MASTER_MAC), ext.name()),
    );
    run_words(ext, &format!("ip link set eth0 address {}", text(EXT_MAC)));
    let addressed = [(host, HOST_V4, HOST_V6), (ext, EXT_V4, EXT_V6)];
    for (netns, v4, v6) in addressed {
        run_words(netns, &format!("ip addr add {v4}/24 dev eth0"));
        run_words(netns, &format!("ip addr add {v6}/64 dev eth0 nodad"));
        run_words(netns, "ip link set eth0 up");
    }
    for netns in [host, ext] {
        assert!(wait_until(PATIENCE, || has_link_local(netns)), "IPv6 does not come up in {}", netns.label());
    }
}

/// The kernel makes one when the device is ready for IPv6, which under load may be long after it is up.
fn has_link_local(netns: &Netns) -> bool {
    netns.exec(["ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link"]).stdout.contains("fe80")
}

fn run_words(netns: &Netns, words: &str) {
    netns.run(words.split_whitespace().map(OsStr::new));
}

fn text(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
