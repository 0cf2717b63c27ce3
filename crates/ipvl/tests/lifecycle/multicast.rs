//! Does a slave get the multicast that it has joined, and no other, however it joined and however the agent learns of it?

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::process::{Child, Stdio};
use std::time::Duration;

use ipvl_testbed::packet::{Link, ethernet, udp};
use ipvl_testbed::{
    EXT_MAC, EXT_V4, EXT_V6, Frame, Lab, Mac, Netns, PacketSocket, ipvl_path, require_kernel, require_root,
};

use crate::common::{agents, kill_agent, run, soon, start_agent};

const GROUP_4: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const MAC_4: Mac = [0x01, 0x00, 0x5e, 0x01, 0x02, 0x03];
const GROUP_6: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 1, 3);
const MAC_6: Mac = [0x33, 0x33, 0, 1, 0, 3];
/// A group that has nothing to do with IP.
const LLDP: Mac = [0x01, 0x80, 0xc2, 0, 0, 0x0e];
const EXPERIMENT: u16 = 0x88b5;
const PORT: u16 = 5000;

#[test]
fn the_kernel_tells_who_joins() {
    require_root!();
    require_kernel!("6.14", "news of multicast groups");
    let crowd = Crowd::new(Some("kernel"));
    crowd.expect_join_and_leave("told by the kernel");
}

#[test]
fn reports_of_every_version_tell_who_joins() {
    require_root!();
    let crowd = Crowd::new(Some("reports"));
    for (igmp, mld) in [(3, 2), (2, 1)] {
        let netns = &crowd.lab.slaves[0];
        netns.sysctl("net/ipv4/conf/ipvl0/force_igmp_version", &igmp.to_string());
        netns.sysctl("net/ipv6/conf/ipvl0/force_mld_version", &mld.to_string());
        crowd.expect_join_and_leave(&format!("IGMPv{igmp} and MLDv{mld}"));
    }
}

#[test]
fn who_joins_in_silence_is_found() {
    require_root!();
    let crowd = Crowd::new(None);
    let netns = &crowd.lab.slaves[0];
    run(netns, "ip maddr add 01:00:5e:01:02:03 dev ipvl0");
    crowd.expect_heard("ip maddr add", MAC_4, [true, false]);
    run(netns, "ip maddr del 01:00:5e:01:02:03 dev ipvl0");
    crowd.expect_heard("ip maddr del", MAC_4, [false, false]);
    let port = netns.port("ipvl0");
    port.join(netns, "ipvl0", LLDP);
    crowd.expect_heard("a packet socket", LLDP, [true, false]);
    drop(port);
    crowd.expect_heard("it is closed", LLDP, [false, false]);
}

#[test]
fn who_asks_for_everything_gets_it() {
    require_root!();
    let crowd = Crowd::new(None);
    for switch in ["allmulticast", "promisc"] {
        run(&crowd.lab.slaves[1], &format!("ip link set ipvl1 {switch} on"));
        crowd.expect_heard(switch, MAC_6, [false, true]);
        let flags = run(&crowd.lab.host, "ip -d link show eth0");
        assert!(flags.contains("allmulti 0") || !flags.contains("allmulti"), "the master has no part in it: {flags}");
        run(&crowd.lab.slaves[1], &format!("ip link set ipvl1 {switch} off"));
        crowd.expect_heard(switch, MAC_6, [false, false]);
    }
    crowd.lab.ipvl("addr add 10.0.0.77 dev ipvl1");
    crowd.expect_heard("an address of somebody behind it", MAC_6, [false, true]);
}

#[test]
fn siblings_hear_each_other_as_they_hear_the_wire() {
    require_root!();
    let crowd = Crowd::new(None);
    let _joined = crowd.join_4(1);
    crowd.expect_heard("joined", MAC_4, [false, true]);
    let from = crowd.lab.slaves[0].port("ipvl0");
    let frame = to_group(ipvl_testbed::MASTER_MAC, MAC_4);
    let mut sibling = crowd.lab.slaves[1].port("ipvl1");
    from.inject(&frame);
    sibling.expect("a sibling's group", |seen| seen.bytes == frame);
    let explained = crowd.lab.ipvl(&format!("explain from ipvl0 hex {}", hex(&frame)));
    assert!(explained.contains("which slaves have joined 01:00:5e:01:02:03? ipvl1 (slot 1)"), "{explained}");
    let shown = crowd.lab.ipvl("-d link show ipvl1");
    assert!(shown.contains("ipvl groups") && shown.contains("01:00:5e:01:02:03"), "{shown}");
}

#[test]
fn a_slave_that_moves_takes_no_groups_along() {
    require_root!();
    let crowd = Crowd::new(None);
    let _joined = crowd.join_4(0);
    crowd.expect_heard("joined", MAC_4, [true, false]);
    let (lab, elsewhere) = (&crowd.lab, &crowd.lab.slaves[2]);
    run(&lab.slaves[0], &format!("ip link set ipvl0 netns {}", elsewhere.name()));
    run(elsewhere, "ip addr add 10.0.0.10/24 dev ipvl0");
    run(elsewhere, "ip link set ipvl0 up");
    soon("the slave is read again", || !groups(lab, "ipvl0").contains("all"));
    assert!(!groups(lab, "ipvl0").contains("01:00:5e:01:02:03"), "{}", groups(lab, "ipvl0"));
    let _again = join_4(elsewhere, Ipv4Addr::new(10, 0, 0, 10));
    soon("it joins there", || groups(lab, "ipvl0").contains("01:00:5e:01:02:03"));
}

#[test]
fn no_membership_is_lost_with_the_agent() {
    require_root!();
    let crowd = Crowd::new(None);
    let _first = crowd.join_4(0);
    crowd.expect_heard("joined", MAC_4, [true, false]);
    kill_agent(&crowd.lab.host);
    crowd.expect_heard("without an agent", MAC_4, [true, false]);
    let _second = crowd.join_6(1);
    let mut agent = start_agent(&crowd.lab.host);
    crowd.expect_heard("joined while there was none", MAC_6, [false, true]);
    crowd.expect_heard("joined before", MAC_4, [true, false]);
    crowd.lab.ipvl("link del ipvl0");
    crowd.lab.ipvl("link del ipvl1");
    assert!(agent.wait().expect("wait for the agent").success());
}

#[test]
fn the_master_receives_what_its_slaves_have_joined_and_what_others_want() {
    require_root!();
    let lab = Lab::new(2);
    run(&lab.host, "ip maddr add 01:00:5e:07:07:07 dev eth0");
    let before = run(&lab.host, "ip maddr show dev eth0");
    let crowd = Crowd::of(lab, None);
    let receives = |mac: &str| run(&crowd.lab.host, "ip maddr show dev eth0").contains(mac);
    let (one, other) = (crowd.join_4(0), crowd.join_4(1));
    soon("the master receives the group", || receives("01:00:5e:01:02:03"));
    assert!(receives("33:33:ff:00:00:10"), "what asks for a slave's IPv6 address comes to a group of its own");
    drop(one);
    crowd.expect_heard("one has left", MAC_4, [false, true]);
    assert!(receives("01:00:5e:01:02:03"));
    run(&crowd.lab.host, "ip maddr del 01:00:5e:01:02:03 dev eth0");
    soon("it is put back", || receives("01:00:5e:01:02:03"));
    drop(other);
    soon("the last has left", || !receives("01:00:5e:01:02:03"));
    run(&crowd.lab.slaves[0], "ip maddr add 01:00:5e:07:07:07 dev ipvl0");
    crowd.expect_heard("joined by both", [1, 0, 0x5e, 7, 7, 7], [true, false]);
    kill_agent(&crowd.lab.host);
    let _late = crowd.join_4(0);
    crowd.lab.ipvl("link del ipvl0");
    crowd.lab.ipvl("link del ipvl1");
    soon("the master is as before", || run(&crowd.lab.host, "ip maddr show dev eth0") == before);
}

/// Two l2 slaves, with groups that the agent knows.
struct Crowd {
    lab: Lab,
    _agent: Option<Reaped>,
}

/// An agent that was started by hand.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Crowd {
    fn new(way: Option<&str>) -> Self {
        Self::of(Lab::new(3), way)
    }

    /// Here, with an agent that learns in one way alone, or in all that there are.
    fn of(lab: Lab, way: Option<&str>) -> Self {
        lab.add_slave(0, "mode l2 bridge", &["10.0.0.10/24", "fd00::10/64"]);
        lab.add_slave(1, "mode l2 bridge", &["10.0.0.11/24", "fd00::11/64"]);
        let agent = way.map(|way| {
            kill_agent(&lab.host);
            let choice = format!("IPVL_GROUPS={way}");
            let ipvl = ipvl_path().display().to_string();
            let mut command = lab.host.command(["env", &choice, &ipvl, "agent"]);
            let agent = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("start the agent");
            soon("an agent", || !agents(&lab.host).is_empty());
            Reaped(agent)
        });
        for name in ["ipvl0", "ipvl1"] {
            soon("its groups are known", || groups(&lab, name).contains("33:33:ff:00:00:1"));
        }
        Self { lab, _agent: agent }
    }

    fn join_4(&self, place: usize) -> UdpSocket {
        join_4(&self.lab.slaves[place], Ipv4Addr::new(10, 0, 0, 10 + place as u8))
    }

    fn join_6(&self, place: usize) -> UdpSocket {
        let netns = &self.lab.slaves[place];
        let index = run(netns, &format!("cat /sys/class/net/ipvl{place}/ifindex"));
        netns.within(|| {
            let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORT)).expect("bind");
            socket.join_multicast_v6(&GROUP_6, index.trim().parse().expect("an ifindex")).expect("join");
            socket
        })
    }

    fn expect_join_and_leave(&self, how: &str) {
        self.expect_heard(how, MAC_4, [false, false]);
        let joined = (self.join_4(0), self.join_6(1));
        self.expect_heard(&format!("{how}, joined"), MAC_4, [true, false]);
        self.expect_heard(&format!("{how}, joined"), MAC_6, [false, true]);
        drop(joined);
        self.expect_heard(&format!("{how}, left"), MAC_4, [false, false]);
        self.expect_heard(&format!("{how}, left"), MAC_6, [false, false]);
    }

    /// Fails unless a frame to the group is soon heard by these slaves, and by no other.
    #[track_caller]
    fn expect_heard(&self, what: &str, group: Mac, by: [bool; 2]) {
        let wire = self.lab.wire();
        let mut ports = [0, 1].map(|place| self.lab.slaves[place].port(&format!("ipvl{place}")));
        let mut heard = [!by[0], !by[1]];
        let same = ipvl_testbed::wait_until(Duration::from_secs(8), || {
            let frame = to_group(EXT_MAC, group);
            let marker = ethernet(Link::broadcast(EXT_MAC), EXPERIMENT, b"behind it");
            wire.inject(&frame);
            wire.inject(&marker);
            heard = ports.each_mut().map(|port| hears(port, &frame, &marker));
            heard == by
        });
        assert!(same, "{what}: {group:02x?} heard by {heard:?}, not {by:?}: {}", self.lab.ipvl("-d link show"));
    }
}

/// Whether the frame comes before the marker, which comes in any case.
fn hears(port: &mut PacketSocket, frame: &[u8], marker: &[u8]) -> bool {
    let same = |seen: &Frame| seen.bytes == frame;
    port.expect("a broadcast", |seen| seen.bytes == marker);
    port.count(same) > 0
}

fn to_group(from: Mac, group: Mac) -> Vec<u8> {
    let link = Link::new(from, group);
    let datagram = |from: IpAddr, to: IpAddr| udp(link, (from, PORT), (to, PORT), b"to a group");
    match group[0] {
        0x33 => datagram(EXT_V6.into(), GROUP_6.into()),
        _ if group[1] == 0 => datagram(EXT_V4.into(), GROUP_4.into()),
        _ => ethernet(link, EXPERIMENT, b"to a group"),
    }
}

fn join_4(netns: &Netns, address: Ipv4Addr) -> UdpSocket {
    netns.within(|| {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).expect("bind");
        socket.join_multicast_v4(&GROUP_4, &address).expect("join");
        socket
    })
}

/// What `ipvl` says of a slave's groups.
fn groups(lab: &Lab, name: &str) -> String {
    let shown = lab.ipvl(&format!("-d link show {name}"));
    shown.lines().find_map(|line| line.trim().strip_prefix("ipvl groups ")).unwrap_or_default().to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
