//! Who sends an Ethernet frame to whom, and what is in it (IEEE 802.3)?

use crate::addr::Mac;
use crate::frame::Frame;

/// Length of the header in bytes, without a tag.
pub const HEADER_LEN: usize = 14;

/// The EtherTypes that a decision knows (IEEE 802 numbers).
#[allow(missing_docs, reason = "each is the registered name")]
pub mod ethertype {
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const VLAN: u16 = 0x8100;
    pub const IPV6: u16 = 0x86dd;
    pub const QINQ: u16 = 0x88a8;
    pub const MAC_CONTROL: u16 = 0x8808;
}

/// The Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    /// Destination address.
    pub dst: Mac,
    /// Source address.
    pub src: Mac,
    /// What follows.
    pub ethertype: u16,
}

impl Ethernet {
    /// Reads the header; `None` if the frame is shorter.
    #[inline(always)]
    pub fn parse(frame: &impl Frame) -> Option<Self> {
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = frame.read::<HEADER_LEN>(0)?;
        Some(Self {
            dst: Mac([d0, d1, d2, d3, d4, d5]),
            src: Mac([s0, s1, s2, s3, s4, s5]),
            ethertype: u16::from_be_bytes([t0, t1]),
        })
    }

    /// Whether a VLAN tag follows the addresses.
    #[inline(always)]
    pub fn is_tagged(&self) -> bool {
        matches!(self.ethertype, ethertype::VLAN | ethertype::QINQ)
    }
}
