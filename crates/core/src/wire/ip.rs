//! Which IP header follows a frame's Ethernet header?

use super::field::{ETH_HLEN, IPV4_HLEN};
use super::ipv4::Ipv4Header;
use super::ipv6::Ipv6Header;
use crate::addr::Addr;
use crate::frame::Frame;

/// The IP header of a frame that has been found to be sound IPv4 or IPv6.
#[derive(Clone, Copy)]
pub(crate) enum IpHeader<'a, F> {
    V4(Ipv4Header<'a, F>),
    V6(Ipv6Header<'a, F>),
}

impl<'a, F: Frame> IpHeader<'a, F> {
    /// By the version field; `None` if the frame is too short for an IPv4 header.
    #[inline(always)]
    pub fn of(frame: &'a F) -> Option<Self> {
        let [first] = frame.head::<{ ETH_HLEN + IPV4_HLEN }, 1>(ETH_HLEN)?;
        Some(if first >> 4 == 4 { Self::V4(Ipv4Header(frame)) } else { Self::V6(Ipv6Header(frame)) })
    }

    /// Destination address.
    #[inline(always)]
    pub fn dst(&self) -> Option<Addr> {
        match self {
            Self::V4(ip) => ip.dst().map(Addr::v4),
            Self::V6(ip) => ip.dst().map(Addr),
        }
    }
}
