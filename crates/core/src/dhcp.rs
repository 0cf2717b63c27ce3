//! Which slave has asked for this DHCP reply, and how does a server tell slaves apart that have one MAC address?
//!
//! A reply is found by its transaction id: an offer's destination is nobody's yet. A client that names itself by the MAC
//! address alone gets a client identifier made of MAC address and slot, in every request; in replies to it, the identifier
//! is what the client knows again (RFC 6842). Identifiers of any other kind are the client's own, and stay.

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

/// The identifier of the slave in `slot` for a request that has none, or only the MAC address; `None` if it stays as it is.
#[inline(always)]
pub fn identify(frame: &impl Frame, mac: Mac, slot: Slot, found: OptionsEnd) -> Option<Edit> {
    let own = client_identifier(identifier(mac, slot));
    if let Some(at) = found.identifier() {
        return replace(frame, at, client_identifier(of_mac(mac)), own);
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
    replace(frame, found.identifier()?, client_identifier(identifier(mac, slot)), client_identifier(of_mac(mac)))
}

/// The slave that a DHCP reply to nobody's address is for, if it is up. If slaves have used the same transaction id, a
/// broadcast is for all of them, and another reply for the first.
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
    let slave = tables.slave(asker.slot);
    (is_helped(slave) && slave.up()).then_some((asker.slot, slave))
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

/// `new` for `old`, if that is there.
#[inline(always)]
fn replace(frame: &impl Frame, at: usize, old: [u8; OPTION_LEN], new: [u8; OPTION_LEN]) -> Option<Edit> {
    let found = frame.read_at::<EDIT_LEN>(at)?;
    let same = found.iter().zip(&old).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0;
    same.then(|| Edit::new(at, found, new, found[OPTION_LEN]))
}

impl Edit {
    #[inline(always)]
    fn new(at: usize, old: [u8; EDIT_LEN], option: [u8; OPTION_LEN], behind: u8) -> Self {
        let [a, b, c, d, e, f, g, h, i] = option;
        let bytes = [a, b, c, d, e, f, g, h, i, behind];
        Self { at, bytes, sum: sum_of_change(at, &old, &bytes) }
    }
}
