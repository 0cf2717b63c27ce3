//! What becomes of a frame that the host sends out of the master, its own or one that it forwards?
//!
//! Asked by the kernel module alone. With eBPF the host has routes to its slaves' host ends, so such frames do not leave by
//! the master.

use crate::abi::{PortEntry, Slot};
use crate::addr::Addr;
use crate::dhcp;
use crate::frame::Frame;
use crate::options::Mode;
use crate::owner::Owner;
use crate::slave::Slave;
use crate::tables::Tables;
use crate::verdict::{Action, Verdict};
use crate::wire::{Ethernet, Packet};

/// Decides on a frame of the host: unicast to a slave with host access goes to that slave, as does a reply to its DHCP client,
/// and a question for its MAC address is answered. All else goes out, as without slaves.
pub fn output(frame: &impl Frame, tables: &impl Tables) -> Verdict {
    let to_slave = to_slave(frame, tables).or_else(|| match tables.port_ref()?.has(PortEntry::DHCP) {
        true => dhcp_reply(frame, tables),
        false => None,
    });
    to_slave.unwrap_or(Action::Wire.into())
}

fn to_slave(frame: &impl Frame, tables: &impl Tables) -> Option<Verdict> {
    let eth = Ethernet::parse(frame)?;
    if frame.vlan().is_some() || eth.is_tagged() {
        return None;
    }
    let packet = Packet::parse(frame, eth.ethertype).ok()?;
    if is_of_slave(&packet, tables) {
        return None;
    }
    if packet.is_solicitation() {
        return reachable(packet.target, tables).map(|_| Action::Answer.into());
    }
    let (slot, slave) = reachable(packet.dst, tables)?;
    let takes = !eth.dst.is_group() && (packet.is_ip() || slave.mode() == Mode::L2);
    takes.then(|| Action::Deliver(slot).into())
}

/// A DHCP server's reply, by broadcast or to the shared MAC address, to the slave with host access that has asked for it.
#[cold]
#[inline(never)]
fn dhcp_reply(frame: &impl Frame, tables: &impl Tables) -> Option<Verdict> {
    let eth = Ethernet::parse(frame)?;
    let packet = Packet::parse(frame, eth.ethertype).ok()?;
    let is_for_us = eth.dst.is_group() || eth.dst == tables.port().mac;
    if !is_for_us || is_of_slave(&packet, tables) {
        return None;
    }
    let (slot, slave) = dhcp::asker(frame, &eth, &packet, tables)?;
    slave.host().then(|| Action::Deliver(slot).into())
}

/// Whether a slave has sent it: then it was decided on there, and must reach the wire though a sibling has its destination.
fn is_of_slave(packet: &Packet, tables: &impl Tables) -> bool {
    matches!(tables.owner(packet.src), Owner::Slave(_))
}

/// The slave with host access that has the address. Another station may have the address of one that is down.
fn reachable(addr: Addr, tables: &impl Tables) -> Option<(Slot, Slave)> {
    let Owner::Slave(slot) = tables.owner(addr) else { return None };
    let slave = tables.slave(slot);
    (slave.host() && slave.up()).then_some((slot, slave))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::IfIndex;
    use crate::addr::Mac;
    use crate::group::{Group, Members};
    use crate::options::{Dhcp, HostAccess, Options};
    use crate::slave::State;
    use crate::tables::Asker;
    use crate::wire::{ArpFields, ArpOperation, ETH_HLEN, Ipv6Fields, SolicitationFields, ethertype};

    const SHARED: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const ROUTER: Mac = Mac([2, 0, 0, 0, 0, 9]);
    const GROUP: Mac = Mac([0xff; 6]);
    const HOST: [u8; 4] = [10, 0, 0, 1];
    const SLAVE: [u8; 4] = [10, 0, 0, 10];
    const SIBLING: [u8; 4] = [10, 0, 0, 11];
    const FAR: [u8; 4] = [10, 0, 0, 99];

    const XID: u32 = 7;

    /// One slave, which has [`SLAVE`] and waits for a DHCP reply, and another, which has [`SIBLING`] and no access.
    struct Two(Slave);

    impl Tables for Two {
        fn port(&self) -> PortEntry {
            PORT
        }
        fn port_ref(&self) -> Option<&PortEntry> {
            Some(&PORT)
        }
        fn slave(&self, slot: Slot) -> Slave {
            if slot == Slot(1) { self.0 } else { slave(Mode::L2, HostAccess::Off, true) }
        }
        fn owner(&self, addr: Addr) -> Owner {
            match addr {
                _ if addr == Addr::v4(HOST) => Owner::Host,
                _ if addr == Addr::v4(SLAVE) || addr == v6(10) => Owner::Slave(Slot(1)),
                _ if addr == Addr::v4(SIBLING) => Owner::Slave(Slot(2)),
                _ => Owner::Nobody,
            }
        }
        fn members(&self, _: Group) -> Option<&Members> {
            None
        }
        fn is_joining(&self) -> bool {
            false
        }
        fn sender_of(&self, _: u64) -> Option<Slot> {
            None
        }
        fn asker_of(&self, xid: u32) -> Option<Asker> {
            (xid == XID).then_some(Asker { slot: Slot(1), alone: true })
        }
    }

    const PORT: PortEntry = PortEntry {
        abi: 0,
        master: IfIndex(2),
        mtu: 1500,
        slots: 3,
        flags: PortEntry::DHCP,
        cursor: 0,
        slave_xmit: 0,
        mac: SHARED,
        reserved: [0; 2],
    };

    fn slave(mode: Mode, host: HostAccess, up: bool) -> Slave {
        Slave::new(IfIndex(9), Options { mode, host, ..Options::DEFAULT }, State { up, ..State::default() })
    }

    fn v6(last: u8) -> Addr {
        Addr([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last])
    }

    fn decide(frame: &[u8], slave: Slave) -> Action {
        output(&frame, &Two(slave)).action()
    }

    fn packet(dst: Mac, from: [u8; 4], to: [u8; 4]) -> [u8; ETH_HLEN + 20] {
        let mut frame = [0; ETH_HLEN + 20];
        let (head, ip) = frame.split_at_mut(ETH_HLEN);
        Ethernet { dst, src: SHARED, ethertype: ethertype::IPV4 }.write(head);
        ip[..4].copy_from_slice(&[0x45, 0, 0, 20]);
        ip[12..16].copy_from_slice(&from);
        ip[16..].copy_from_slice(&to);
        frame
    }

    fn arp(operation: ArpOperation, dst: Mac, target: [u8; 4]) -> [u8; 42] {
        let fields = ArpFields { operation, sender_mac: SHARED, sender: HOST, target_mac: Mac::default(), target };
        fields.frame(SHARED, dst)
    }

    fn solicitation(target: Addr) -> [u8; 86] {
        let mut frame = [0; 86];
        let group = Mac([0x33, 0x33, 0xff, 0, 0, target.0[15]]);
        Ethernet { dst: group, src: SHARED, ethertype: ethertype::IPV6 }.write(&mut frame[..ETH_HLEN]);
        let (src, dst) = (v6(1), target);
        Ipv6Fields { payload_len: 32, next_header: 58, hop_limit: 255, src, dst }.write(&mut frame[ETH_HLEN..54]);
        frame[54..].copy_from_slice(&SolicitationFields { target, src, src_mac: SHARED, dst }.message());
        frame
    }

    #[test]
    fn a_slave_with_host_access_gets_what_the_host_sends_it_at_any_mac_address() {
        for mode in [Mode::L2, Mode::L3, Mode::L3s] {
            let open = slave(mode, HostAccess::On, true);
            for dst in [SHARED, ROUTER] {
                assert_eq!(decide(&packet(dst, HOST, SLAVE), open), Action::Deliver(Slot(1)), "{mode:?}");
                assert_eq!(decide(&packet(dst, FAR, SLAVE), open), Action::Deliver(Slot(1)), "forwarded, {mode:?}");
            }
            assert_eq!(decide(&packet(GROUP, HOST, SLAVE), open), Action::Wire, "{mode:?}");
            assert_eq!(decide(&packet(ROUTER, HOST, FAR), open), Action::Wire, "{mode:?}");
        }
    }

    #[test]
    fn the_hosts_questions_for_its_address_are_answered() {
        let open = slave(Mode::L3, HostAccess::On, true);
        for dst in [GROUP, SHARED] {
            assert_eq!(decide(&arp(ArpOperation::Request, dst, SLAVE), open), Action::Answer);
        }
        assert_eq!(decide(&solicitation(v6(10)), open), Action::Answer);
        assert_eq!(decide(&arp(ArpOperation::Request, GROUP, FAR), open), Action::Wire);
        assert_eq!(decide(&arp(ArpOperation::Request, GROUP, SIBLING), open), Action::Wire);
        assert_eq!(decide(&solicitation(v6(99)), open), Action::Wire);
    }

    /// A DHCP server's offer of an address that nobody has yet.
    fn offer(dst: Mac, xid: u32) -> [u8; 282] {
        let mut frame = [0; 282];
        frame[..34].copy_from_slice(&packet(dst, HOST, FAR));
        frame[23] = 17;
        frame[34..38].copy_from_slice(&[0, 67, 0, 68]);
        frame[42] = 2;
        frame[46..50].copy_from_slice(&xid.to_ne_bytes());
        frame[58..62].copy_from_slice(&FAR);
        frame
    }

    #[test]
    fn a_slave_with_host_access_gets_the_reply_that_its_dhcp_client_waits_for() {
        let open = slave(Mode::L2, HostAccess::On, true);
        for dst in [SHARED, GROUP] {
            assert_eq!(decide(&offer(dst, XID), open), Action::Deliver(Slot(1)));
            assert_eq!(decide(&offer(dst, XID + 1), open), Action::Wire);
            let shut = Slave::new(IfIndex(9), Options { dhcp: Dhcp::Off, ..open.options() }, open.state());
            let others = [slave(Mode::L2, HostAccess::Off, true), slave(Mode::L2, HostAccess::On, false), shut];
            others.into_iter().for_each(|slave| assert_eq!(decide(&offer(dst, XID), slave), Action::Wire));
        }
        assert_eq!(decide(&offer(ROUTER, XID), open), Action::Wire);
    }

    #[test]
    fn only_an_l2_slave_gets_arp() {
        let reply = arp(ArpOperation::Reply, SHARED, SLAVE);
        assert_eq!(decide(&reply, slave(Mode::L2, HostAccess::On, true)), Action::Deliver(Slot(1)));
        assert_eq!(decide(&reply, slave(Mode::L3, HostAccess::On, true)), Action::Wire);
    }

    #[test]
    fn without_host_access_or_down_it_gets_nothing() {
        let shut = [slave(Mode::L2, HostAccess::Off, true), slave(Mode::L3, HostAccess::Off, true)];
        for slave in shut.into_iter().chain([slave(Mode::L3, HostAccess::On, false), Slave::VACANT]) {
            assert_eq!(decide(&packet(SHARED, HOST, SLAVE), slave), Action::Wire);
            assert_eq!(decide(&arp(ArpOperation::Request, GROUP, SLAVE), slave), Action::Wire);
        }
    }

    #[test]
    fn what_a_sibling_sends_by_the_wire_stays_on_its_way() {
        let open = slave(Mode::L2, HostAccess::On, true);
        assert_eq!(decide(&packet(SHARED, SIBLING, SLAVE), open), Action::Wire);
    }

    #[test]
    fn tagged_and_broken_frames_go_out() {
        let open = slave(Mode::L2, HostAccess::On, true);
        let whole = packet(SHARED, HOST, SLAVE);
        for len in 0..whole.len() {
            assert_eq!(decide(&whole[..len], open), Action::Wire, "{len} bytes");
        }
        let mut tagged = packet(SHARED, HOST, SLAVE);
        tagged[12..14].copy_from_slice(&[0x81, 0]);
        assert_eq!(decide(&tagged, open), Action::Wire);
    }
}
