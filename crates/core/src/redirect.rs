//! Is a frame from the wire an ICMP redirect that names a sibling of its receiver, and must it be dropped?

use crate::abi::PortEntry;
use crate::arrival::{concerns_slaves, is_for_us};
use crate::frame::Frame;
use crate::options::Flag;
use crate::owner::Owner;
use crate::tables::Tables;
use crate::verdict::{Action, Reason, Verdict};
use crate::wire::{Ethernet, Packet, redirected};

/// The second step of [`crate::ingress()`]: the verdict of [`crate::receive`], unless the frame is a redirect that names a
/// sibling, for a slave that reaches siblings only by the outside (vepa) or not at all (private). A router outside sends it
/// because all slaves seem to be its neighbours. It is a step of its own because an eBPF program needs it once.
#[inline(always)]
pub fn refuse_redirect(frame: &impl Frame, tables: &impl Tables, verdict: Verdict) -> Verdict {
    let passes = !matches!(verdict.action(), Action::Drop(_));
    if passes && names_sibling(frame, tables).unwrap_or(false) { Reason::SiblingRedirect.into() } else { verdict }
}

#[inline(always)]
fn names_sibling(frame: &impl Frame, tables: &impl Tables) -> Option<bool> {
    let packet = packet_for_us(frame, tables)?;
    let (via, to) = redirected(frame, &packet)?;
    let Owner::Slave(receiver) = tables.owner(packet.dst) else { return None };
    let is_sibling = |addr| matches!(tables.owner(addr), Owner::Slave(owner) if owner != receiver);
    Some(tables.slave(receiver).flag() != Flag::Bridge && (is_sibling(via) || is_sibling(to)))
}

/// What the frame carries, if slaves can receive it.
#[inline(always)]
fn packet_for_us(frame: &impl Frame, tables: &impl Tables) -> Option<Packet> {
    let port = tables.port();
    if !concerns_slaves(frame, &port) {
        return None;
    }
    if port.has(PortEntry::IP_ONLY) {
        return Packet::parse_ip(frame).ok();
    }
    let eth = Ethernet::parse(frame)?;
    if is_for_us(frame, &eth, &port) { Packet::parse(frame, eth.ethertype).ok() } else { None }
}
