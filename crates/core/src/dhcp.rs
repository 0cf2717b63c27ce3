//! Which slave has asked for this DHCP reply, and how does a server tell slaves apart that have one MAC address?
//!
//! A reply is found by its transaction id: an offer's destination is nobody's yet. A client that names itself by the MAC
//! address alone gets a client identifier made of MAC address and slot, in every request. One that names itself by its
//! machine (RFC 4361: IAID and DUID) may have the same name in another slave, and gets another IAID. In replies, the
//! identifier is what the client knows again (RFC 6842). Identifiers of any other kind are the client's own, and stay.

mod asked;
mod fields;

pub use asked::Asked;
pub use fields::{Field, Sum, lengthened};

use crate::abi::Slot;
use crate::addr::Mac;
use crate::frame::Frame;
use crate::owner::Owner;
use crate::slave::Slave;
use crate::tables::Tables;
use crate::verdict::{Action, Verdict};
use crate::wire::{
    DhcpMessage, DhcpOp, END_OPTION, Ethernet, OptionsEnd, Packet, Protocol, client_identifier, sum_of_change,
};

/// How many bytes of a frame one [`Edit`] replaces: the option, and the byte behind it.
pub const EDIT_LEN: usize = OPTION_LEN + 1;
const OPTION_LEN: usize = 9;
/// A hardware type, the first byte of a client identifier.
const ETHERNET: u8 = 1;
const NO_HARDWARE: u8 = 0;
/// The type of an identifier that consists of an IAID and a DUID (RFC 4361, 6.1).
const NODE: u8 = 255;
/// The type, an IAID, and a DUID of one byte behind its own type.
const MIN_NODE_LEN: u8 = 8;
/// A request that is larger does not grow.
const LARGE: usize = 1200;

/// What is to be done with a DHCP message before its verdict is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// A request: its transaction id is to be remembered, and it gets the slave's identifier.
    Identify,
    /// A reply to the slave in this slot: it gets the identifier that the client knows.
    Restore(Slot),
}

/// Bytes to be written into a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Where.
    pub at: usize,
    /// The new bytes.
    pub bytes: [u8; EDIT_LEN],
    /// What this adds to the UDP checksum, for `bpf_l4_csum_replace`.
    pub sum: u32,
}

/// A frame's lengths in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// Of the UDP datagram, header included.
    pub udp: u16,
    /// By how much the frame is to grow.
    pub missing: u16,
}

/// What is to be done with the frame, which the slave in slot `from` or the wire has sent; `None` if it is no DHCP message
/// from or to a slave that is helped.
#[inline(always)]
pub fn task(frame: &impl Frame, tables: &impl Tables, from: Slot, verdict: Verdict) -> Option<Task> {
    let op = DhcpMessage::of(frame)?.op()?;
    match (op, verdict.action()) {
        (_, Action::Drop(_)) => None,
        (DhcpOp::Request, _) => is_helped(tables.slave(from)).then_some(Task::Identify),
        (DhcpOp::Reply, Action::Deliver(to)) => is_helped(tables.slave(to)).then_some(Task::Restore(to)),
        (DhcpOp::Reply, _) => None,
    }
}

#[inline(always)]
fn is_helped(slave: Slave) -> bool {
    !slave.is_vacant() && slave.has_dhcp()
}

/// The transaction id of a DHCP message, in the byte order of the machine.
#[inline(always)]
pub fn xid(frame: &impl Frame) -> Option<u32> {
    DhcpMessage::of(frame)?.xid()
}

/// Where a DHCP message has its client identifier, or the end of its options.
#[inline(always)]
pub fn find_identifier(frame: &impl Frame) -> Option<OptionsEnd> {
    Some(DhcpMessage::of(frame)?.find_identifier())
}

/// By how much a request has to grow before it has room for [`identify`]; `None` if it has room already.
#[inline(always)]
pub fn growth(frame: &impl Frame, found: OptionsEnd) -> Option<Lengths> {
    let at = found.end()?;
    let udp = DhcpMessage::of(frame)?.udp_len()?;
    let missing = (at + EDIT_LEN).saturating_sub(frame.len());
    (missing > 0 && missing <= EDIT_LEN && at < LARGE).then_some(Lengths { udp, missing: missing as u16 })
}

/// The identifier of the slave in `slot` for a request that has none, or one that siblings may have; `None` if it stays as
/// it is.
#[inline(always)]
pub fn identify(frame: &impl Frame, mac: Mac, slot: Slot, found: OptionsEnd) -> Option<Edit> {
    let own = client_identifier(identifier(mac, slot));
    if let Some(at) = found.identifier() {
        return exchange(frame, at, client_identifier(of_mac(mac)), own, salt(mac, slot));
    }
    let at = found.end()?;
    let message = DhcpMessage::of(frame)?;
    let fits = at + EDIT_LEN <= frame.len() && message.udp_len().is_some();
    (fits && message.client()? == mac).then_some(())?;
    Some(Edit::new(at, frame.read_at(at)?, own, END_OPTION))
}

/// The client's own identifier for a reply that has the slave's; `None` if it stays as it is.
#[inline(always)]
pub fn restore(frame: &impl Frame, mac: Mac, slot: Slot, found: OptionsEnd) -> Option<Edit> {
    let (own, known) = (client_identifier(identifier(mac, slot)), client_identifier(of_mac(mac)));
    exchange(frame, found.identifier()?, own, known, salt(mac, slot))
}

/// The slave that a DHCP reply to nobody's address is for, if it is up: the one that has asked. If slaves have used the same
/// transaction id, a broadcast is for all of them, and another reply for the first. If the address that is offered belongs
/// to a slave already, the reply is for that one, so that no server gives two slaves one lease.
#[inline(always)]
pub(crate) fn asker(
    frame: &impl Frame,
    eth: &Ethernet,
    packet: &Packet,
    tables: &impl Tables,
) -> Option<(Slot, Slave)> {
    if !matches!(packet.protocol, Protocol::V4) || !tables.port_ref()?.has(crate::abi::PortEntry::DHCP) {
        return None;
    }
    let message = DhcpMessage::of(frame)?;
    if message.op()? != DhcpOp::Reply {
        return None;
    }
    let asker = tables.asker_of(message.xid()?)?;
    if eth.dst.is_group() && !asker.alone || !matches!(tables.owner(packet.dst), Owner::Nobody) {
        return None;
    }
    let slot = match tables.owner(message.yours()?) {
        Owner::Slave(owner) => owner,
        Owner::Host | Owner::Nobody => asker.slot,
    };
    let slave = tables.slave(slot);
    (is_helped(slave) && slave.up()).then_some((slot, slave))
}

/// What a client says that knows no other name than its MAC address.
#[inline(always)]
fn of_mac(mac: Mac) -> [u8; 7] {
    let [a, b, c, d, e, f] = mac.0;
    [ETHERNET, a, b, c, d, e, f]
}

/// What ipvl says instead: no hardware address, but six bytes of a hash that mixes MAC address and slot (the finalizer of
/// splitmix64). A server stores it with the lease, so it must not change from version to version.
#[inline(always)]
fn identifier(mac: Mac, slot: Slot) -> [u8; 7] {
    let [a, b, c, d, e, f] = mac.0;
    let [high, low] = (slot.0 as u16).to_be_bytes();
    let mut hash = u64::from_be_bytes([high, low, a, b, c, d, e, f]);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let [a, b, c, d, e, f, _, _] = (hash ^ (hash >> 31)).to_be_bytes();
    [NO_HARDWARE, a, b, c, d, e, f]
}

/// What the IAID of each slave's client is combined with: another number for each slot (the finalizer of MurmurHash3 is a
/// bijection), which looks random, because operators number interfaces 1, 2, 3. As stable as `identifier`.
#[inline(always)]
fn salt(mac: Mac, slot: Slot) -> [u8; 4] {
    let [a, b, c, d, e, f] = mac.0;
    let master = mix(u32::from_be_bytes([c, d, e, f]) ^ u32::from_be_bytes([a, b, 0, 0]));
    mix(master ^ slot.0).to_be_bytes()
}

#[inline(always)]
fn mix(mut hash: u32) -> u32 {
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

/// `new` for `old`, if that is there; another IAID if there is an identifier with one. Done twice, it changes nothing.
#[inline(always)]
fn exchange(
    frame: &impl Frame,
    at: usize,
    old: [u8; OPTION_LEN],
    new: [u8; OPTION_LEN],
    salt: [u8; 4],
) -> Option<Edit> {
    let found = frame.read_at::<EDIT_LEN>(at)?;
    if found.iter().zip(&old).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0 {
        return Some(Edit::new(at, found, new, found[OPTION_LEN]));
    }
    let [code, len, kind, a, b, c, d, e, f, behind] = found;
    let [w, x, y, z] = salt;
    let salted = [code, len, kind, a ^ w, b ^ x, c ^ y, d ^ z, e, f];
    (kind == NODE && len >= MIN_NODE_LEN).then(|| Edit::new(at, found, salted, behind))
}

impl Edit {
    #[inline(always)]
    fn new(at: usize, old: [u8; EDIT_LEN], option: [u8; OPTION_LEN], behind: u8) -> Self {
        let [a, b, c, d, e, f, g, h, i] = option;
        let bytes = [a, b, c, d, e, f, g, h, i, behind];
        Self { at, bytes, sum: sum_of_change(at, &old, &bytes) }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    #[test]
    fn no_two_slaves_have_the_same_identity() {
        let slots = || (0..crate::abi::MAX_SLAVES).map(Slot);
        assert_eq!(slots().map(|slot| salt(MAC, slot)).collect::<BTreeSet<_>>().len(), slots().count());
        assert_eq!(slots().map(|slot| identifier(MAC, slot)).collect::<BTreeSet<_>>().len(), slots().count());
    }

    /// Servers store these with the leases.
    #[test]
    fn an_identity_is_the_same_in_every_version() {
        assert_eq!(identifier(MAC, Slot(1)), [0, 121, 53, 240, 91, 7, 200]);
        assert_eq!(salt(MAC, Slot(1)), [201, 40, 64, 141]);
    }

    /// Ports of one card have consecutive addresses, and operators number interfaces 1, 2, 3.
    #[test]
    fn neighbouring_masters_and_interfaces_do_not_meet() {
        let masters = (0..8).map(|n| Mac([2, 0, 0, 0, 0, n]));
        let salts = masters.flat_map(|mac| (0..64).map(move |slot| u32::from_be_bytes(salt(mac, Slot(slot)))));
        let iaids: Vec<_> = salts.flat_map(|salt| (0..16).map(move |iaid| iaid ^ salt)).collect();
        assert_eq!(iaids.iter().collect::<BTreeSet<_>>().len(), iaids.len());
    }
}
