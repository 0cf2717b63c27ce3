//! What is the reply to an ARP request or neighbour solicitation that is answered here?
//!
//! Host ends and slaves in l3 do no ARP. So a request from an l2 slave for the host's address, or for that of a sibling in
//! l3, is answered by the hook: the address is at the MAC address that the host and all slaves share. The same is done for
//! requests from the wire for a slave in l3 or l3s with `neigh proxy`.

use crate::addr::{Addr, Mac};
use crate::frame::Frame;
use crate::wire::{
    ARP_LEN, AdvertisementFields, ArpFields, ArpOperation, ETH_HLEN, Ethernet, ICMPV6, IPV6_HLEN, Ipv6Fields,
    Ipv6Header, NDISC_LEN, arp_sender, arp_target, ethertype, ndisc_target,
};

/// A reply: `target` is at `mac`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The address that was asked for, which is the sender of the reply.
    pub target: Addr,
    /// The address of the node that asked; unspecified when it probes an address before use.
    pub asker: Addr,
    /// The MAC address of the node that asked. A slave has the same one as the target.
    pub asker_mac: Mac,
    /// The target's MAC address.
    pub mac: Mac,
}

/// Marks a MAC address that is administered locally (IEEE 802, 8.4).
const LOCAL_BIT: u8 = 0x02;
/// A bit in which the MAC address in the reply to a probe differs from the master's.
const OTHER_BIT: u8 = 0x40;

/// Length of a neighbour advertisement's Ethernet and IPv6 headers in bytes.
pub const ADVERTISEMENT_HEAD: usize = ETH_HLEN + IPV6_HLEN;
/// Length of a frame with a neighbour advertisement in bytes.
pub const ADVERTISEMENT_LEN: usize = ADVERTISEMENT_HEAD + NDISC_LEN;

impl Reply {
    /// The reply to a frame that has been found to be a request or solicitation. It is read from the frame again: a parsed
    /// packet would take too much of an eBPF program's stack. `None` for a solicitation behind extension headers.
    #[inline(always)]
    pub fn to(frame: &impl Frame, mac: Mac) -> Option<Self> {
        let eth = Ethernet::parse(frame)?;
        let (target, asker) = match eth.ethertype {
            ethertype::ARP => (arp_target(frame)?, arp_sender(frame)?),
            ethertype::IPV6 if Ipv6Header(frame).next_header()? == ICMPV6 => {
                (ndisc_target(frame)?, Addr(Ipv6Header(frame).src()?))
            }
            _ => return None,
        };
        Some(Self { target, asker, asker_mac: eth.src, mac })
    }

    /// The frame with the ARP reply; `None` for an IPv6 address.
    #[inline(always)]
    pub fn arp(&self) -> Option<[u8; ARP_LEN]> {
        let (sender, target) = (self.target.as_v4()?, self.asker.as_v4()?);
        let (sender_mac, target_mac) = (self.arp_sender_mac(), self.asker_mac);
        let reply = ArpFields { operation: ArpOperation::Reply, sender_mac, sender, target_mac, target };
        Some(reply.frame(self.mac, self.asker_mac))
    }

    /// The owner's MAC address in an ARP reply. A slave that probes has the same one, and probing programs take a reply
    /// with their own MAC address for their own (`arping -D`, systemd-networkd): it is given another, which nobody has.
    #[inline(always)]
    fn arp_sender_mac(&self) -> Mac {
        let Mac([first, rest @ ..]) = self.mac;
        let [a, b, c, d, e] = rest;
        let is_own_probe = self.asker == Addr::UNSPECIFIED_4 && self.asker_mac == self.mac;
        if is_own_probe { Mac([(first | LOCAL_BIT) ^ OTHER_BIT, a, b, c, d, e]) } else { self.mac }
    }

    /// The frame with the neighbour advertisement (RFC 4861, 4.4): solicited, or to all nodes if the asker has no address yet.
    pub fn advertisement(&self) -> [u8; ADVERTISEMENT_LEN] {
        let mut frame = [0; ADVERTISEMENT_LEN];
        frame[..ADVERTISEMENT_HEAD].copy_from_slice(&self.advertisement_head());
        frame[ADVERTISEMENT_HEAD..].copy_from_slice(&self.advertisement_message());
        frame
    }

    /// Its Ethernet and IPv6 headers.
    #[inline(always)]
    pub fn advertisement_head(&self) -> [u8; ADVERTISEMENT_HEAD] {
        let dst = if self.is_probe() { Mac([0x33, 0x33, 0, 0, 0, 1]) } else { self.asker_mac };
        let mut head = [0; ADVERTISEMENT_HEAD];
        let (ethernet, packet) = head.split_at_mut(ETH_HLEN);
        Ethernet { dst, src: self.mac, ethertype: ethertype::IPV6 }.write(ethernet);
        let (src, dst) = (self.target, self.destination());
        let (payload_len, next_header, hop_limit) = (NDISC_LEN as u16, ICMPV6, u8::MAX);
        Ipv6Fields { payload_len, next_header, hop_limit, src, dst }.write(packet);
        head
    }

    /// Its ICMPv6 message, with the option that has the target's MAC address.
    #[inline(always)]
    pub fn advertisement_message(&self) -> [u8; NDISC_LEN] {
        let (dst, solicited) = (self.destination(), !self.is_probe());
        AdvertisementFields { target: self.target, target_mac: self.mac, dst, solicited }.message()
    }

    /// Whether the asker has no address yet and probes the target.
    #[inline(always)]
    fn is_probe(&self) -> bool {
        self.asker == Addr::UNSPECIFIED_6
    }

    #[inline(always)]
    fn destination(&self) -> Addr {
        const ALL_NODES: Addr = Addr([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        if self.is_probe() { ALL_NODES } else { self.asker }
    }
}
