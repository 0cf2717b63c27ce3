//! Does a station still have an address? The question that is put to it alone, and what answers it.

use crate::addr::{Addr, Mac};
use crate::frame::Frame;
use crate::reply::{ADVERTISEMENT_HEAD, ADVERTISEMENT_LEN};
use crate::wire::{
    ARP_LEN, ArpFields, ArpOperation, ETH_HLEN, Ethernet, ICMPV6, Ipv6Fields, NDISC_LEN, NeighbourMessage, Packet,
    Protocol, SolicitationFields, ethertype,
};

/// The question whether the station with the MAC address `mac`, which the asker has as well, has `addr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The address.
    pub addr: Addr,
    /// The IPv6 link-local address to answer to. In IPv4 the asker has none: so no neighbour table changes (RFC 5227, 1.1).
    pub asker: Addr,
    /// The MAC address.
    pub mac: Mac,
}

impl Question {
    /// The frame with the ARP probe; `None` for an IPv6 address.
    pub fn probe(&self) -> Option<[u8; ARP_LEN]> {
        let (operation, target_mac) = (ArpOperation::Request, Mac::default());
        let (sender_mac, sender, target) = (self.mac, [0; 4], self.addr.as_v4()?);
        Some(ArpFields { operation, sender_mac, sender, target_mac, target }.frame(self.mac, self.mac))
    }

    /// The frame with the solicitation to the address itself (RFC 4861, 7.2.2).
    pub fn solicitation(&self) -> [u8; ADVERTISEMENT_LEN] {
        let mut frame = [0; ADVERTISEMENT_LEN];
        let (head, message) = frame.split_at_mut(ADVERTISEMENT_HEAD);
        let (ethernet, packet) = head.split_at_mut(ETH_HLEN);
        Ethernet { dst: self.mac, src: self.mac, ethertype: ethertype::IPV6 }.write(ethernet);
        let (src, dst) = (self.asker, self.addr);
        let (payload_len, next_header, hop_limit) = (NDISC_LEN as u16, ICMPV6, u8::MAX);
        Ipv6Fields { payload_len, next_header, hop_limit, src, dst }.write(packet);
        let fields = SolicitationFields { target: self.addr, src, src_mac: self.mac, dst };
        message.copy_from_slice(&fields.message());
        frame
    }
}

/// The address that the sender of this frame says it has: the sender's in ARP, the target of a neighbour advertisement.
pub fn address_of_sender(frame: &impl Frame) -> Option<Addr> {
    let packet = Packet::parse(frame, Ethernet::parse(frame)?.ethertype).ok()?;
    match (packet.protocol, packet.message) {
        (Protocol::Arp, _) => Some(packet.src),
        (Protocol::V6, NeighbourMessage::Advertisement) => Some(packet.target),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Reply;
    use crate::wire::{fold, sum};

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const V4: Addr = Addr::v4([10, 0, 0, 99]);
    const V6: Addr = Addr([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x99]);
    const ASKER: Addr = Addr([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 1]);

    #[test]
    fn the_reply_to_a_question_answers_it_and_the_question_does_not() {
        let probe = Question { addr: V4, asker: ASKER, mac: MAC }.probe().expect("IPv4");
        let reply = Reply::to(&&probe[..], MAC).expect("a request");
        assert_eq!((reply.target, reply.asker), (V4, Addr::UNSPECIFIED_4));
        assert_eq!(address_of_sender(&&reply.arp().expect("IPv4")[..]), Some(V4));
        assert_eq!(address_of_sender(&&probe[..]), Some(Addr::UNSPECIFIED_4));

        let question = Question { addr: V6, asker: ASKER, mac: MAC };
        assert_eq!(question.probe(), None);
        let solicitation = question.solicitation();
        let reply = Reply::to(&&solicitation[..], MAC).expect("a solicitation");
        assert_eq!((reply.target, reply.asker), (V6, ASKER));
        assert_eq!(address_of_sender(&&reply.advertisement()[..]), Some(V6));
        assert_eq!(address_of_sender(&&solicitation[..]), None);
    }

    #[test]
    fn a_solicitation_has_a_right_checksum() {
        let frame = Question { addr: V6, asker: ASKER, mac: MAC }.solicitation();
        let message = &frame[ADVERTISEMENT_HEAD..];
        let pseudo = crate::wire::sum_of_pseudo_header(ASKER, V6, NDISC_LEN as u16, ICMPV6);
        assert_eq!(fold(pseudo + sum(message)), 0xffff);
    }
}
