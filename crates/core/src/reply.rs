//! What do we answer to whoever asks for an address that cannot answer itself?
//!
//! The host end carries no ARP and a slave in l3 neither, so a question from an l2 slave for the host's address, or for
//! that of a sibling in l3, is answered on the spot: the address is at the MAC that all of us share. So is one from the wire
//! for a slave in l3 or l3s with `neigh proxy`.

use crate::addr::{Addr, Mac};
use crate::frame::Frame;
use crate::wire::{ADVERTISEMENT, HEADER_LEN, ICMPV6, ethertype, fold, sum};

/// An answer: `target` is at `mac`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The address that was asked for.
    pub target: Addr,
    /// Who asked; unspecified when an address is being probed.
    pub asker: Addr,
    /// Where the asker is: at the same MAC address as the target, if it is one of us.
    pub asker_mac: Mac,
    /// Where the target is.
    pub mac: Mac,
}

/// Length of an ARP reply in bytes, without padding.
pub const ARP_LEN: usize = HEADER_LEN + 28;
/// Length of a neighbour advertisement in bytes.
pub const ADVERTISEMENT_LEN: usize = ADVERTISEMENT_HEAD + 32;
/// Length of its Ethernet and IPv6 headers.
pub const ADVERTISEMENT_HEAD: usize = HEADER_LEN + 40;

impl Reply {
    /// The answer to a frame that has been found to ask. Read again from where questions are, since to hand it over would
    /// take too much of the kernel's stack; one behind extension headers is not answered.
    #[inline(always)]
    pub fn to(frame: &impl Frame, mac: Mac) -> Option<Self> {
        let (target, asker) = match u16::from_be_bytes(frame.read::<2>(HEADER_LEN - 2)?) {
            ethertype::ARP => {
                (Addr::v4(frame.read::<4>(HEADER_LEN + 24)?), Addr::v4(frame.read::<4>(HEADER_LEN + 14)?))
            }
            ethertype::IPV6 if frame.read::<1>(HEADER_LEN + 6)? == [ICMPV6] => {
                (Addr(frame.read::<16>(HEADER_LEN + 48)?), Addr(frame.read::<16>(HEADER_LEN + 8)?))
            }
            _ => return None,
        };
        Some(Self { target, asker, asker_mac: Mac(frame.read::<6>(6)?), mac })
    }

    /// The ARP reply; `None` if the question was about IPv6.
    #[inline(always)]
    pub fn arp(&self) -> Option<[u8; ARP_LEN]> {
        let (target, asker) = (self.target.as_v4()?, self.asker.as_v4()?);
        let mut frame = [0; ARP_LEN];
        self.ethernet(&mut frame, self.asker_mac, ethertype::ARP);
        frame[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 2]);
        frame[22..28].copy_from_slice(&self.mac.0);
        frame[28..32].copy_from_slice(&target);
        frame[32..38].copy_from_slice(&self.asker_mac.0);
        frame[38..42].copy_from_slice(&asker);
        Some(frame)
    }

    /// The neighbour advertisement (RFC 4861, 4.4): solicited, or to all nodes when the asker has no address yet.
    pub fn advertisement(&self) -> [u8; ADVERTISEMENT_LEN] {
        let mut frame = [0; ADVERTISEMENT_LEN];
        frame[..ADVERTISEMENT_HEAD].copy_from_slice(&self.advertisement_head());
        frame[ADVERTISEMENT_HEAD..].copy_from_slice(&self.advertisement_message());
        frame
    }

    /// Its Ethernet and IPv6 headers.
    #[inline(always)]
    pub fn advertisement_head(&self) -> [u8; ADVERTISEMENT_HEAD] {
        let mut head = [0; ADVERTISEMENT_HEAD];
        let to = if self.is_probe() { Mac([0x33, 0x33, 0, 0, 0, 1]) } else { self.asker_mac };
        self.ethernet(&mut head, to, ethertype::IPV6);
        head[14..22].copy_from_slice(&[0x60, 0, 0, 0, 0, 32, ICMPV6, 255]);
        head[22..38].copy_from_slice(&self.target.0);
        head[38..54].copy_from_slice(&self.heard_by().0);
        head
    }

    /// Its ICMPv6 message, with the option that says where the target is.
    #[inline(always)]
    pub fn advertisement_message(&self) -> [u8; ADVERTISEMENT_LEN - ADVERTISEMENT_HEAD] {
        const SOLICITED_OVERRIDE: u8 = 0x60;
        const OVERRIDE: u8 = 0x20;
        let flags = if self.is_probe() { OVERRIDE } else { SOLICITED_OVERRIDE };
        let pseudo = sum(&self.target.0) + sum(&self.heard_by().0) + 32 + u32::from(ICMPV6);
        let said = sum(&[ADVERTISEMENT, 0, flags, 0, 2, 1]) + sum(&self.target.0) + sum(&self.mac.0);
        let [high, low] = (!fold(pseudo + said)).to_be_bytes();
        let mut message = [0; ADVERTISEMENT_LEN - ADVERTISEMENT_HEAD];
        message[..8].copy_from_slice(&[ADVERTISEMENT, 0, high, low, flags, 0, 0, 0]);
        message[8..24].copy_from_slice(&self.target.0);
        message[24..26].copy_from_slice(&[2, 1]);
        message[26..32].copy_from_slice(&self.mac.0);
        message
    }

    /// Whether the asker has no address yet, but probes the one it wants.
    #[inline(always)]
    fn is_probe(&self) -> bool {
        self.asker == Addr::UNSPECIFIED_6
    }

    #[inline(always)]
    fn heard_by(&self) -> Addr {
        const ALL_NODES: Addr = Addr([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        if self.is_probe() { ALL_NODES } else { self.asker }
    }

    #[inline(always)]
    fn ethernet(&self, frame: &mut [u8], to: Mac, ethertype: u16) {
        frame[..6].copy_from_slice(&to.0);
        frame[6..12].copy_from_slice(&self.mac.0);
        frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
    }
}
