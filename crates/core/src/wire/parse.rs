//! Which protocol does a frame carry, and what does that say?

use super::ethernet::ethertype;
use super::field::ETH_HLEN;
use super::packet::Packet;
use super::{arp, ipv4, ipv6};
use crate::frame::Frame;
use crate::verdict::Reason;

impl Packet {
    /// Reads what follows the Ethernet header. Errors: [`Reason::Truncated`] and [`Reason::Malformed`].
    #[inline(always)]
    pub fn parse(frame: &impl Frame, ethertype: u16) -> Result<Self, Reason> {
        match ethertype {
            ethertype::IPV4 => ipv4::parse(frame, ETH_HLEN),
            ethertype::IPV6 => ipv6::parse(frame, ETH_HLEN),
            ethertype::ARP => arp::parse(frame),
            _ => Ok(Self::OTHER),
        }
    }

    /// Reads a frame that starts with its IP header; the version field says which. Errors as in [`Packet::parse`].
    #[inline(always)]
    pub fn parse_ip(frame: &impl Frame) -> Result<Self, Reason> {
        let [first, ..] = frame.read::<4>(0).ok_or(Reason::Truncated)?;
        match first >> 4 {
            4 => ipv4::parse(frame, 0),
            6 => ipv6::parse(frame, 0),
            _ => Ok(Self::OTHER),
        }
    }
}
