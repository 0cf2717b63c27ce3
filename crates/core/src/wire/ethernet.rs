//! What does an Ethernet header say, and how is one written (IEEE 802.3)?

use super::field::{ETH_HLEN, IPV4_HLEN, ethernet as field};
use crate::addr::Mac;
use crate::frame::Frame;

/// Length in bytes of the two addresses, with which a frame begins.
pub const ADDRESSES_LEN: usize = field::SRC.end;
/// Where a frame has its destination address.
pub const ETH_DST: usize = field::DST.start;

/// Where it has the EtherType.
pub(crate) const ETHERTYPE_AT: usize = field::ETHERTYPE.start;

/// The EtherTypes that a decision knows (IEEE 802 numbers).
#[allow(missing_docs, reason = "each is the registered name")]
pub mod ethertype {
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const VLAN: u16 = 0x8100;
    pub const IPV6: u16 = 0x86dd;
    pub const QINQ: u16 = 0x88a8;
    pub const MAC_CONTROL: u16 = 0x8808;
    pub const BACKBONE: u16 = 0x88e7;
    /// Stacked tags as switches had them before 802.1ad; not registered.
    pub const OLD_QINQ: [u16; 3] = [0x9100, 0x9200, 0x9300];
}

/// The Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    /// Destination address.
    pub dst: Mac,
    /// Source address.
    pub src: Mac,
    /// The protocol that follows.
    pub ethertype: u16,
}

impl Ethernet {
    /// Reads the header; `None` if the frame is shorter.
    #[inline(always)]
    pub fn parse(frame: &impl Frame) -> Option<Self> {
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = frame.read::<ETH_HLEN>(0)?;
        Some(Self {
            dst: Mac([d0, d1, d2, d3, d4, d5]),
            src: Mac([s0, s1, s2, s3, s4, s5]),
            ethertype: u16::from_be_bytes([t0, t1]),
        })
    }

    /// As [`Ethernet::parse`]; `None` also if the frame is too short for an IPv4 header behind it. The frame's length is
    /// compared in the same way as by [`super::Ipv4Header`], so the eBPF program compares it once for both headers.
    #[inline(always)]
    pub(crate) fn parse_plain(frame: &impl Frame) -> Option<Self> {
        const MIN: usize = ETH_HLEN + IPV4_HLEN;
        Some(Self {
            dst: Mac(frame.head::<MIN, 6>(field::DST.start)?),
            src: Mac(frame.head::<MIN, 6>(field::SRC.start)?),
            ethertype: u16::from_be_bytes(frame.head::<MIN, 2>(field::ETHERTYPE.start)?),
        })
    }

    /// The two addresses as they begin a header.
    #[inline(always)]
    pub fn addresses(dst: Mac, src: Mac) -> [u8; ADDRESSES_LEN] {
        let mut addresses = [0; ADDRESSES_LEN];
        addresses[field::DST].copy_from_slice(&dst.0);
        addresses[field::SRC].copy_from_slice(&src.0);
        addresses
    }

    /// Writes the header to the start of `frame`.
    #[inline(always)]
    pub(crate) fn write(&self, frame: &mut [u8]) {
        frame[field::DST].copy_from_slice(&self.dst.0);
        frame[field::SRC].copy_from_slice(&self.src.0);
        frame[field::ETHERTYPE].copy_from_slice(&self.ethertype.to_be_bytes());
    }

    /// Whether a tag follows the addresses: of a VLAN (802.1Q), of a provider's network (802.1ad, and what was there before
    /// it) or of a backbone (802.1ah).
    #[inline(always)]
    pub fn is_tagged(&self) -> bool {
        const TAGS: [u16; 3] = [ethertype::VLAN, ethertype::QINQ, ethertype::BACKBONE];
        TAGS.contains(&self.ethertype) || ethertype::OLD_QINQ.contains(&self.ethertype)
    }
}
