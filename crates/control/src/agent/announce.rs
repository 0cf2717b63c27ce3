//! Which machines must be told that an address is here now? Those that have it in a neighbour table with another MAC
//! address: that of another machine, or one that the master had before.
//!
//! The kernel's own driver leaves this to `arp_notify` and `ndisc_notify` in each slave.

use super::plan::SlavePlan;
use super::state::Agent;
use crate::error::Result;
use ipvl_core::wire::{ArpFields, ArpOperation};
use ipvl_core::{Addr, IfIndex, Mac, Reply};
use std::collections::BTreeSet;

impl Agent {
    /// Announces the slave's addresses on the wire, each once for each MAC address.
    pub fn announce(&mut self, host_end: IfIndex, master: IfIndex, mac: Mac, plan: &SlavePlan) -> Result<()> {
        let (Some(slave), Some(wire)) = (self.registry.slave(host_end), &self.wire) else { return Ok(()) };
        let own = |addr: &&Addr| !slave.refused.contains(addr);
        let mut present: BTreeSet<(Mac, Addr)> = plan.announce.iter().filter(own).map(|addr| (mac, *addr)).collect();
        let fresh: Vec<Addr> = present.difference(&slave.announced).map(|(_, addr)| *addr).collect();
        let mut result = Ok(());
        for addr in fresh {
            if let Err(error) = wire.send(master, &announcement(addr, mac)) {
                present.remove(&(mac, addr));
                result = Err(error);
            }
        }
        self.registry.set_announced(host_end, present);
        result
    }
}

/// A gratuitous ARP request (RFC 5227, 3) or an unsolicited neighbour advertisement (RFC 4861, 7.2.6).
pub fn announcement(addr: Addr, mac: Mac) -> Vec<u8> {
    match addr.as_v4() {
        Some(ip) => gratuitous_request(ip, mac).frame(mac, Mac::BROADCAST).to_vec(),
        None => Reply { target: addr, asker: Addr::UNSPECIFIED_6, asker_mac: mac, mac }.advertisement().to_vec(),
    }
}

/// Asks for an address that is its own, which tells all machines where it is.
fn gratuitous_request(ip: [u8; 4], mac: Mac) -> ArpFields {
    let target_mac = Mac::default();
    ArpFields { operation: ArpOperation::Request, sender_mac: mac, sender: ip, target_mac, target: ip }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    #[test]
    fn an_ipv4_address_is_announced_by_asking_for_it() {
        let frame = announcement(Addr::v4([10, 0, 0, 10]), MAC);
        assert_eq!(frame[..6], [0xff; 6]);
        assert_eq!(frame[20..22], [0, 1]);
        assert_eq!((&frame[28..32], &frame[38..42]), (&[10, 0, 0, 10][..], &[10, 0, 0, 10][..]));
    }

    #[test]
    fn an_ipv6_address_is_announced_to_all_nodes() {
        let addr = Addr([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10]);
        let frame = announcement(addr, MAC);
        assert_eq!((frame[0], frame[54], &frame[62..78]), (0x33, 136, &addr.0[..]));
    }
}
