//! What does a neighbour discovery message ask or say, and how is an advertisement written (RFC 4861)?

use super::checksum::{sum, sum_of_pseudo_header};
use super::field::{ETH_HLEN, IPV6_HLEN, NDISC_LEN, icmp, ndisc as field};
use super::icmp::IcmpFields;
use super::packet::{NeighbourMessage, Packet};
use super::protocol::ICMPV6;
use crate::addr::{Addr, Mac};
use crate::frame::Frame;
use crate::verdict::Reason;

const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// A neighbour advertisement that is to be written, from the target itself.
pub(crate) struct AdvertisementFields {
    pub target: Addr,
    pub target_mac: Mac,
    /// The packet's destination.
    pub dst: Addr,
    /// Whether it answers a solicitation (flag S), and not a probe of an address or nothing at all.
    pub solicited: bool,
}

impl AdvertisementFields {
    /// The ICMPv6 message, with the option that names the target's MAC address. It overrides what the receiver has cached
    /// (flag O).
    #[inline(always)]
    pub fn message(&self) -> [u8; NDISC_LEN] {
        const OVERRIDE: u8 = 0x20;
        const SOLICITED: u8 = 0x40;
        /// Type: target link-layer address. Length: 1, in units of 8 bytes.
        const OPTION: [u8; 2] = [2, 1];
        let Self { target, target_mac, dst, solicited } = *self;
        let flags = if solicited { SOLICITED | OVERRIDE } else { OVERRIDE };
        let header = IcmpFields { kind: ADVERTISEMENT, code: 0, rest: [flags, 0, 0, 0] };
        message(header, target, (OPTION, target_mac), sum_of_pseudo_header(target, dst, NDISC_LEN as u16, ICMPV6))
    }
}

/// A neighbour solicitation that is to be written.
pub(crate) struct SolicitationFields {
    pub target: Addr,
    pub src: Addr,
    pub src_mac: Mac,
    /// The packet's destination.
    pub dst: Addr,
}

impl SolicitationFields {
    /// The ICMPv6 message, with the option that names the sender's MAC address.
    pub fn message(&self) -> [u8; NDISC_LEN] {
        /// Type: source link-layer address. Length: 1, in units of 8 bytes.
        const OPTION: [u8; 2] = [1, 1];
        let Self { target, src, src_mac, dst } = *self;
        let header = IcmpFields { kind: SOLICITATION, code: 0, rest: [0; 4] };
        message(header, target, (OPTION, src_mac), sum_of_pseudo_header(src, dst, NDISC_LEN as u16, ICMPV6))
    }
}

#[inline(always)]
fn message(header: IcmpFields, target: Addr, (option, mac): ([u8; 2], Mac), pseudo: u32) -> [u8; NDISC_LEN] {
    let body = sum(&target.0) + sum(&option) + sum(&mac.0);
    let mut message = [0; NDISC_LEN];
    header.write(&mut message, pseudo + body);
    message[field::TARGET].copy_from_slice(&target.0);
    message[field::OPTION].copy_from_slice(&option);
    message[field::OPTION_MAC].copy_from_slice(&mac.0);
    message
}

/// Adds to `packet` what its ICMPv6 message at `offset` asks or advertises.
#[inline(always)]
pub(super) fn parse(frame: &impl Frame, offset: usize, packet: Packet) -> Result<Packet, Reason> {
    let [kind] = frame.read_at::<1>(offset + icmp::TYPE).ok_or(Reason::Truncated)?;
    let message = match kind {
        SOLICITATION => NeighbourMessage::Solicitation,
        ADVERTISEMENT => NeighbourMessage::Advertisement,
        _ => return Ok(packet),
    };
    let target = Addr(frame.read_at::<16>(offset + field::TARGET.start).ok_or(Reason::Truncated)?);
    Ok(Packet { message, target, ..packet })
}

/// The target of a solicitation that follows the IPv6 header at once.
#[inline(always)]
pub(crate) fn target(frame: &impl Frame) -> Option<Addr> {
    frame.read::<16>(ETH_HLEN + IPV6_HLEN + field::TARGET.start).map(Addr)
}
