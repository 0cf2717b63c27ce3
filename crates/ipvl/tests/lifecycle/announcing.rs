//! Are an l2 slave's addresses announced on the wire, without a request?

use std::time::Duration;

use ipvl_testbed::{Frame, Lab, MASTER_MAC, Mac, PacketSocket, require_root};

use crate::common::{run, soon};

const PATIENCE: Duration = Duration::from_secs(5);
const NEW_MAC: Mac = [2, 0, 0, 0, 0, 0x77];

#[test]
fn addresses_are_announced_when_they_come_to_an_l2_slave() {
    require_root!();
    let lab = Lab::new(2);
    let mut wire = lab.wire();
    lab.add_slave(0, "mode l2", &["10.0.0.10/24", "fd00::10/64"]);
    expect_both(&mut wire, MASTER_MAC, "added");
    run(&lab.slaves[0], &format!("ip link set ipvl0 netns {}", lab.slaves[1].name()));
    wire.clear();
    run(&lab.slaves[1], "ip addr add 10.0.0.10/24 dev ipvl0");
    run(&lab.slaves[1], "ip addr add fd00::10/64 dev ipvl0 nodad");
    run(&lab.slaves[1], "ip link set ipvl0 up");
    expect_both(&mut wire, MASTER_MAC, "moved");
    run(&lab.slaves[1], "ip link set ipvl0 down");
    // What goes down and up in one breath has nothing to announce.
    soon("the agent has seen it", || !run(&lab.host, "ip -o link show ipvlh0").contains(",UP"));
    wire.clear();
    run(&lab.slaves[1], "ip link set ipvl0 up");
    let up = wire.wait_for(PATIENCE, gratuitous_arp(MASTER_MAC));
    assert!(up.is_some(), "up");
    run(&lab.slaves[1], "ip addr replace fd00::10/64 dev ipvl0 nodad");
    wire.clear();
    run(&lab.host, "ip link set eth0 address 02:00:00:00:00:77");
    expect_both(&mut wire, NEW_MAC, "another MAC address");
}

/// An l3 slave needs no announcement, and an address in conflict must not be announced by the slave that does not own it.
#[test]
fn nothing_else_is_announced() {
    require_root!();
    let lab = Lab::new(2);
    lab.add_slave(0, "mode l2", &["10.0.0.11/24"]);
    let mut wire = lab.wire();
    lab.add_slave(1, "mode l3", &["10.0.0.10/24", "fd00::10/64"]);
    run(&lab.slaves[0], "ip addr add 10.0.0.10/24 dev ipvl0");
    run(&lab.slaves[0], "ip addr add fd00::10/64 dev ipvl0 nodad");
    run(&lab.slaves[0], "ip addr add 10.0.0.12/24 dev ipvl0");
    let last = |frame: &Frame| frame.asks_for([10, 0, 0, 12].into());
    wire.expect_none_before("an address of an l3 slave", last, |frame| {
        gratuitous_arp(MASTER_MAC)(frame) || advertisement(MASTER_MAC)(frame)
    });
    // A command that changes a slave, even to what it is already, returns when the agent has looked at it again.
    lab.ipvl("link set ipvl0 type ipvlan mode l2");
    lab.ipvl("link set ipvl1 type ipvlan mode l3");
    wire.expect_none("an address of an l3 slave", &lab.rest(), |frame| {
        gratuitous_arp(MASTER_MAC)(frame) || advertisement(MASTER_MAC)(frame)
    });
}

#[track_caller]
fn expect_both(wire: &mut PacketSocket, mac: Mac, when: &str) {
    assert!(wire.wait_for(PATIENCE, gratuitous_arp(mac)).is_some(), "{when}: no gratuitous ARP");
    assert!(wire.wait_for(PATIENCE, advertisement(mac)).is_some(), "{when}: no neighbour advertisement");
}

/// A gratuitous ARP request of 10.0.0.10, broadcast.
fn gratuitous_arp(mac: Mac) -> impl Fn(&Frame) -> bool {
    let address = [10, 0, 0, 10].into();
    move |frame| {
        let itself = frame.addresses().is_some_and(|(from, to)| from == to);
        frame.asks_for(address) && itself && frame.source() == mac && frame.destination() == [0xff; 6]
    }
}

/// An unsolicited advertisement of fd00::10 to all nodes, with its MAC address.
fn advertisement(mac: Mac) -> impl Fn(&Frame) -> bool {
    const KIND: u8 = 136;
    let address = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10];
    move |frame| {
        let message = frame.transport();
        let about = message.first() == Some(&KIND) && message.get(8..24) == Some(&address[..]);
        about && message.get(26..32) == Some(&mac[..]) && frame.destination() == [0x33, 0x33, 0, 0, 0, 1]
    }
}
