//! Does a frame say that its sender joins or leaves multicast groups?

use super::ethernet::{Ethernet, ethertype};
use super::field::{ETH_HLEN, IPV6_HLEN};
use super::ipv4::Ipv4Header;
use super::ipv6::Ipv6Header;
use super::protocol::{HOP_BY_HOP, ICMPV6, IGMP};
use crate::frame::Frame;

/// Whether the frame is IGMP of any version, or a report or Done message of MLD (RFC 2710, RFC 3810).
#[inline(always)]
pub fn is_membership_report(frame: &impl Frame) -> bool {
    match Ethernet::parse(frame).map(|eth| eth.ethertype) {
        Some(ethertype::IPV4) => Ipv4Header(frame).protocol() == Some(IGMP),
        Some(ethertype::IPV6) => Ipv6Header(frame).next_header() == Some(HOP_BY_HOP) && is_mld_report(frame),
        _ => false,
    }
}

/// Whether an MLD report or Done message follows a hop-by-hop header of eight bytes, as every MLD message does: the
/// header has nothing but the router alert option (RFC 3810, 5).
#[inline(always)]
fn is_mld_report(frame: &impl Frame) -> bool {
    const HOP_BY_HOP_LEN: usize = 8;
    const REPORT: u8 = 131;
    const DONE: u8 = 132;
    const REPORT_V2: u8 = 143;
    let after = frame.read::<1>(ETH_HLEN + IPV6_HLEN);
    let kind = frame.read::<1>(ETH_HLEN + IPV6_HLEN + HOP_BY_HOP_LEN);
    after == Some([ICMPV6]) && matches!(kind, Some([REPORT | DONE | REPORT_V2]))
}
