//! Does a DHCP server's unicast answer reach the slave that asked, though all slaves share one MAC address?

use crate::lab::lab;
use ipvl_testbed::packet::{Link, dhcp_discover, udp};
use ipvl_testbed::{EXT_MAC, Frame, MASTER_MAC, PacketSocket, require_root};
use std::net::SocketAddr;

const OFFERED: [u8; 4] = [10, 0, 0, 150];

#[test]
fn an_offer_reaches_the_slave_that_asked_and_no_other() {
    require_root!();
    let lab = lab(&["mode l2"; 2]);
    let mut clients: Vec<_> = (0..2).map(|n| lab.slaves[n].port(&format!("ipvl{n}"))).collect();
    let mut server = lab.ext.port("eth0");
    for (n, transaction) in [(0, 0x1111_0001), (1, 0x1111_0002)] {
        clients[n].inject(&dhcp_discover(MASTER_MAC, transaction, false, b"stock client"));
        server.expect("the discover", |frame: &Frame| frame.contains(&transaction.to_be_bytes()));
        clients.iter_mut().for_each(PacketSocket::clear);
        let offered = offer(transaction);
        server.inject(&offered);
        let is_offer = move |frame: &Frame| frame.contains(&transaction.to_be_bytes()) && frame.contains(b"offer");
        clients[n].expect("the offer", is_offer);
        clients[1 - n].expect_none("another slave's offer", &lab.rest(), is_offer);
    }
}

#[test]
fn a_sibling_that_copies_the_transaction_gets_no_answer() {
    require_root!();
    let lab = lab(&["mode l2"; 2]);
    let mut clients: Vec<_> = (0..2).map(|n| lab.slaves[n].port(&format!("ipvl{n}"))).collect();
    let mut server = lab.ext.port("eth0");
    for client in &clients {
        client.inject(&dhcp_discover(MASTER_MAC, 7, false, b"stock client"));
        server.expect("the discover", |frame: &Frame| frame.contains(b"stock client"));
    }
    server.inject(&offer(7));
    let is_offer = |frame: &Frame| frame.contains(b"offer");
    clients[0].expect("the offer", is_offer);
    clients[1].expect_none("another slave's offer", &lab.rest(), is_offer);
}

#[test]
fn an_answer_to_the_host_or_to_nobodys_request_is_the_hosts() {
    require_root!();
    let lab = lab(&["mode l2"]);
    let (mut client, server) = (lab.slaves[0].port("ipvl0"), lab.ext.port("eth0"));
    let mut host = PacketSocket::open_stack(&lab.host, 0x0800);
    server.inject(&offer(9));
    let is_offer = |frame: &Frame| frame.contains(b"offer");
    host.expect("the offer", is_offer);
    client.expect_none("an offer that it has not asked for", &lab.rest(), is_offer);
}

/// As far as it is looked at.
fn offer(transaction: u32) -> Vec<u8> {
    let mut body = vec![2, 1, 6, 0];
    body.extend(transaction.to_be_bytes());
    body.extend(b"offer");
    body.resize(300, 0);
    let (from, to) = (SocketAddr::from(([10, 0, 0, 254], 67)), SocketAddr::from((OFFERED, 68)));
    udp(Link::new(EXT_MAC, MASTER_MAC), from, to, &body)
}
