//! Which number stands for which protocol, extension header (IANA, Assigned Internet Protocol Numbers) or UDP port?

pub(crate) const HOP_BY_HOP: u8 = 0;
pub(crate) const ICMP: u8 = 1;
pub(crate) const IGMP: u8 = 2;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const DCCP: u8 = 33;
pub(crate) const ROUTING: u8 = 43;
pub(crate) const FRAGMENT: u8 = 44;
pub(crate) const AUTHENTICATION: u8 = 51;
pub(crate) const ICMPV6: u8 = 58;
/// Nothing follows that could be read.
pub(crate) const NONE: u8 = 59;
pub(crate) const DESTINATION_OPTIONS: u8 = 60;
pub(crate) const SCTP: u8 = 132;
pub(crate) const UDP_LITE: u8 = 136;

/// The UDP ports of DHCP (RFC 2131, 4.1) and DHCPv6 (RFC 8415, 7.2).
pub(crate) const DHCP_SERVER: u16 = 67;
pub(crate) const DHCP_CLIENT: u16 = 68;
pub(crate) const DHCPV6_CLIENT: u16 = 546;
