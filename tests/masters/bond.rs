//! Do slaves of a bond stay reachable after its failover, without sending anything themselves?

use crate::lab::{SOON, add_address, add_slave, exec, ipvl, pings, run, soon};
use ipvl_testbed::{Frame, Netns, require_device, require_root};
use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

const GROUP_4: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const GROUP_6: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 0x123);
/// Between two datagrams.
const PACE: Duration = Duration::from_millis(2);

#[test]
fn slaves_of_an_active_backup_bond_survive_its_failover() {
    require_root!();
    require_device!("bond");
    for policy in ["none", "active", "follow"] {
        let net = Bonded::new(&format!("active-backup fail_over_mac {policy}"));
        net.populate("mode l2");
        net.expect_survival(policy);
    }
}

#[test]
fn slaves_of_a_balance_tlb_bond_survive_its_failover() {
    require_root!();
    require_device!("bond");
    let net = Bonded::new("balance-tlb");
    net.populate("mode l2");
    net.expect_survival("tlb");
}

#[test]
fn slaves_of_a_balance_alb_bond_survive_its_failover() {
    require_root!();
    require_device!("bond");
    let net = Bonded::new("balance-alb");
    net.populate("mode l2");
    net.expect_survival("alb");
}

/// The bond tells each client the MAC address of one of its links, in the slaves' name, too. An ARP request by a slave gives
/// all of them the first link's, and the bond tells each its own again after two seconds (`RLB_UPDATE_DELAY`).
#[test]
fn every_client_of_a_balance_alb_bond_reaches_its_slaves() {
    require_root!();
    require_device!("bond");
    let net = Bonded::new("balance-alb");
    net.populate("mode l2");
    let clients: Vec<Netns> = (1..5).map(|n| net.another_client(n)).collect();
    let all_ping = || {
        for client in &clients {
            pings(client, "10.0.0.10");
            pings(client, "fd00::11");
        }
    };
    soon("clients by both links", || {
        all_ping();
        clients.iter().map(|client| mac_of(client, "10.0.0.10")).collect::<BTreeSet<_>>().len() > 1
    });
    all_ping();
}

fn mac_of(client: &Netns, address: &str) -> String {
    let entry = run(client, &format!("ip neigh show {address}"));
    entry.split_whitespace().skip_while(|word| *word != "lladdr").nth(1).unwrap_or_default().to_owned()
}

/// A switch with snooping does not know the groups on the new port.
#[test]
fn slaves_report_their_groups_again_after_a_failover() {
    require_root!();
    require_device!("bond");
    let net = Bonded::new("active-backup");
    net.populate("mode l2");
    net.fail_over("p0");
    let (mut before, mut after) = (net.switch.port("p0"), net.switch.port("p1"));
    let member = net.slaves[0].within(|| (UdpSocket::bind("0.0.0.0:0"), UdpSocket::bind("[::]:0")));
    let member = (member.0.expect("a socket"), member.1.expect("a socket"));
    net.slaves[0].within(|| {
        member.0.join_multicast_v4(&GROUP_4, &Ipv4Addr::new(10, 0, 0, 10)).expect("join");
        member.1.join_multicast_v6(&GROUP_6, 0).expect("join");
    });
    // The slave's own stack reports it twice.
    for _ in 0..2 {
        before.wait_for(SOON, names(&GROUP_4.octets())).expect("an IGMP report");
        before.wait_for(SOON, names(&GROUP_6.octets())).expect("an MLD report");
    }
    after.clear();
    net.fail_over("p1");
    after.wait_for(SOON, names(&GROUP_4.octets())).expect("an IGMP report by the other link");
    after.wait_for(SOON, names(&GROUP_6.octets())).expect("an MLD report by the other link");
}

fn names(group: &[u8]) -> impl Fn(&Frame) -> bool {
    move |frame| frame.contains(group)
}

/// The tests above could not fail if the bond itself told the network enough.
#[test]
fn without_the_agent_a_failover_would_cut_slaves_off() {
    require_root!();
    require_device!("bond");
    let net = Bonded::new("active-backup");
    for netns in &net.slaves {
        netns.sysctl("net/ipv6/conf/default/disable_ipv6", "1");
    }
    for (n, address) in ["10.0.0.10/24", "10.0.0.11/24"].into_iter().enumerate() {
        add_slave(&net.host, "bond0", n, &net.slaves[n], "mode l2", &[address]);
    }
    let mut stream = Stream::new(&net.client, &net.slaves[0], "10.0.0.10:7");
    net.fail_over("p0");
    assert!(stream.arrives_within(SOON), "before");
    net.end_agent();
    net.fail_over("p1");
    assert!(!stream.arrives_within(Duration::from_millis(500)), "the switch found the slave by itself");
    ipvl(&net.host, "link set ipvl1 up");
    assert!(stream.arrives_within(SOON), "an agent that starts announces all");
}

#[test]
fn slaves_in_every_mode_reach_everybody_through_a_bond() {
    require_root!();
    require_device!("bond");
    for mode in ["l2", "l3"] {
        let net = Bonded::new("802.3ad");
        net.populate(&format!("mode {mode}"));
        if mode == "l3" {
            add_address(&net.host, "10.0.0.1/24", "bond0");
            run(&net.client, "ip route add 10.0.0.10/32 via 10.0.0.1");
            run(&net.client, "ip route add 10.0.0.11/32 via 10.0.0.1");
        }
        pings(&net.client, "10.0.0.10");
        pings(&net.slaves[0], "10.0.0.254");
        pings(&net.slaves[0], "10.0.0.11");
    }
}

/// `host` bond0 = p0 + p1 -> `switch` br0 <- eth0 `client`. The bond has no address, and so never speaks for itself.
struct Bonded {
    slaves: [Netns; 2],
    host: Netns,
    client: Netns,
    switch: Netns,
}

impl Bonded {
    fn new(mode: &str) -> Self {
        let [client, switch, host] = ["client", "switch", "host"].map(Netns::new);
        run(&switch, "ip link add br0 type bridge mcast_snooping 0");
        run(&switch, "ip link set br0 up");
        run(&host, &format!("ip link add bond0 type bond miimon 100 mode {mode}"));
        host.sysctl("net/ipv6/conf/bond0/disable_ipv6", "1");
        for link in ["p0", "p1"] {
            run(&host, &format!("ip link add {link} type veth peer name {link} netns {}", switch.name()));
            run(&host, &format!("ip link set {link} master bond0"));
        }
        run(&client, &format!("ip link add eth0 type veth peer name client netns {}", switch.name()));
        for port in ["p0", "p1", "client"] {
            run(&switch, &format!("ip link set {port} master br0 up"));
        }
        run(&host, "ip link set bond0 up");
        run(&client, "ip link set eth0 up");
        add_address(&client, "10.0.0.254/24", "eth0");
        add_address(&client, "fd00::254/64", "eth0");
        let slaves = ["ns0", "ns1"].map(Netns::new);
        for netns in &slaves {
            netns.sysctl("net/ipv6/conf/default/router_solicitations", "0");
        }
        Self { slaves, host, client, switch }
    }

    fn populate(&self, options: &str) {
        for (n, netns) in self.slaves.iter().enumerate() {
            let addresses = [format!("10.0.0.1{n}/24"), format!("fd00::1{n}/64")];
            add_slave(&self.host, "bond0", n, netns, options, &addresses.each_ref().map(String::as_str));
        }
    }

    fn another_client(&self, n: u8) -> Netns {
        let client = Netns::new(&format!("client{n}"));
        run(&client, &format!("ip link add eth0 type veth peer name client{n} netns {}", self.switch.name()));
        run(&self.switch, &format!("ip link set client{n} master br0 up"));
        run(&client, "ip link set eth0 up");
        add_address(&client, &format!("10.0.0.10{n}/24"), "eth0");
        add_address(&client, &format!("fd00::10{n}/64"), "eth0");
        client
    }

    /// Changes to another link without loss of carrier, so that the switch does not notice.
    fn fail_over(&self, to: &str) {
        run(&self.host, &format!("ip link set bond0 type bond active_slave {to}"));
        let bond = run(&self.host, "cat /proc/net/bonding/bond0");
        assert!(bond.contains(&format!("Currently Active Slave: {to}")), "{bond}");
    }

    #[track_caller]
    fn expect_survival(&self, what: &str) {
        for to in ["p1", "p0"] {
            for target in ["10.0.0.10:7", "[fd00::10]:8"] {
                let mut stream = Stream::new(&self.client, &self.slaves[0], target);
                assert!(stream.arrives_within(SOON), "{what}: {target} before");
                let from = if to == "p1" { "p0" } else { "p1" };
                self.fail_over(from);
                assert!(stream.arrives_within(SOON), "{what}: {target} by {from}");
                self.fail_over(to);
                let start = Instant::now();
                assert!(stream.arrives_within(SOON), "{what}: {target} after the failover to {to}");
                println!("{what}: {target} arrives {:?} after the failover to {to}", start.elapsed());
            }
        }
        self.expect_pings();
        run(&self.host, "ip link set p0 down");
        soon("the other link", || run(&self.host, "cat /proc/net/bonding/bond0").contains("Active Slave: p1"));
        self.expect_pings();
    }

    #[track_caller]
    fn expect_pings(&self) {
        for (slave, sibling, client) in
            [("10.0.0.10", "10.0.0.11", "10.0.0.254"), ("fd00::10", "fd00::11", "fd00::254")]
        {
            pings(&self.client, slave);
            pings(&self.slaves[0], sibling);
            pings(&self.slaves[1], client);
        }
    }

    /// Kills a process.
    #[track_caller]
    fn end_agent(&self) {
        let agents = || {
            let pids = exec(&self.host, &format!("ip netns pids {}", self.host.name())).stdout;
            let is_agent = |pid: &&str| {
                fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words.ends_with(b"ipvl\0agent\0"))
            };
            pids.split_whitespace().filter(is_agent).map(str::to_owned).collect::<Vec<_>>()
        };
        let [agent] = &agents()[..] else { panic!("not one agent: {:?}", agents()) };
        run(&self.host, &format!("kill -9 {agent}"));
        soon("no agent", || agents().is_empty());
    }
}

/// Datagrams without answers.
struct Stream {
    sending: UdpSocket,
    receiving: UdpSocket,
    target: SocketAddr,
    number: u64,
}

impl Stream {
    fn new(from: &Netns, to: &Netns, target: &str) -> Self {
        let target: SocketAddr = target.parse().expect("address and port");
        let receiving = to.within(|| UdpSocket::bind(target)).expect("bind the receiver");
        let any = if target.is_ipv4() { "0.0.0.0" } else { "::" };
        let sending = from.within(|| UdpSocket::bind((any, 0))).expect("bind the sender");
        receiving.set_read_timeout(Some(PACE)).expect("set a timeout");
        Self { sending, receiving, target, number: 0 }
    }

    /// Whether one that is sent from now on arrives in time.
    fn arrives_within(&mut self, time: Duration) -> bool {
        let (start, first) = (Instant::now(), self.number);
        while start.elapsed() < time {
            // While the bond has no active link, the kernel may say so.
            let _ = self.sending.send_to(&self.number.to_be_bytes(), self.target);
            self.number += 1;
            let mut number = [0; 8];
            while self.receiving.recv(&mut number).is_ok() {
                if u64::from_be_bytes(number) >= first {
                    return true;
                }
            }
        }
        false
    }
}
