//! What does a frame say, and how are the frames written that we send ourselves? Offsets in headers are known here only.
//!
//! [`Packet::parse`] gives what a decision needs; `Ipv4Header` and its siblings give single fields of a header that has
//! been found sound; `Ipv4Fields` and its siblings write headers.

mod arp;
mod checksum;
mod dhcp;
mod ethernet;
mod field;
mod headers;
mod icmp;
mod ip;
mod ipv4;
mod ipv6;
mod membership;
mod ndisc;
mod packet;
mod parse;
mod protocol;
mod query;
mod upper;

pub use arp::{ARP_LEN, ArpFields, ArpOperation};
pub use dhcp::{IPV4_LEN_AT, IPV4_SUM_AT, OptionsEnd, UDP_LEN_AT, UDP_SUM_AT};
pub use ethernet::{ADDRESSES_LEN, ETH_DST, Ethernet, ethertype};
pub use field::ETH_HLEN;
pub use membership::is_membership_report;
pub use packet::{NeighbourMessage, Packet, Protocol};
pub use query::{IGMP_QUERY_LEN, MLD_QUERY_LEN, igmp_query, mld_query};

pub(crate) use arp::{sender as arp_sender, target as arp_target};
#[cfg(test)]
pub(crate) use checksum::sum;
pub(crate) use checksum::{fold, sum_of_packet, sum_of_pseudo_header};
pub(crate) use dhcp::{DhcpMessage, DhcpOp, END_OPTION, client_identifier, is_dhcp, sum_of_change};
pub(crate) use ethernet::ETHERTYPE_AT;
pub(crate) use field::{ICMP_HLEN, IPV4_HLEN, IPV6_HLEN, NDISC_LEN};
pub(crate) use headers::Headers;
pub(crate) use icmp::IcmpFields;
pub(crate) use ip::IpHeader;
pub(crate) use ipv4::{Ipv4Fields, Ipv4Header, checksum_holds};
pub(crate) use ipv6::{Ipv6Fields, Ipv6Header};
pub(crate) use ndisc::{AdvertisementFields, SolicitationFields, target as ndisc_target};
pub(crate) use protocol::{ICMP, ICMPV6, TCP, UDP};
pub(crate) use upper::{is_of_router, is_plain_icmp_v4, is_plainly_of_host, needs_no_source, redirected};
