//! Which DHCP request does a server's answer belong to (RFC 2131)? Both carry the transaction id of the client.

use super::field::{ETH_HLEN, IPV4_HLEN, UDP_HLEN};
use super::ipv4::Ipv4Header;
use super::protocol::UDP;
use crate::frame::Frame;

/// Source and destination port, as they are in a packet.
const TO_SERVER: [u8; 4] = [0, 68, 0, 67];
const TO_CLIENT: [u8; 4] = [0, 67, 0, 68];
/// Behind an IPv4 header without options, as all servers and clients send it.
const PORTS: usize = ETH_HLEN + IPV4_HLEN;
const REQUEST: u8 = 1;
const REPLY: u8 = 2;
/// The first half of a key; the second is the transaction id.
const KEY: u64 = 0x6468_6370 << 32;

/// The key under which the sender of this request is recorded; `None` for any other frame.
#[inline(always)]
pub fn dhcp_request(frame: &impl Frame) -> Option<u64> {
    key(frame, TO_SERVER, REQUEST)
}

/// The key of the request that this frame answers; `None` for any other frame.
#[inline(always)]
pub fn dhcp_reply(frame: &impl Frame) -> Option<u64> {
    key(frame, TO_CLIENT, REPLY)
}

/// Whether it can be an answer: a quick look, which says no to nearly all other packets.
#[inline(always)]
pub(crate) fn may_be_dhcp_reply(frame: &impl Frame) -> bool {
    frame.read::<4>(PORTS) == Some(TO_CLIENT)
}

#[inline(always)]
fn key(frame: &impl Frame, ports: [u8; 4], operation: u8) -> Option<u64> {
    const OPERATION: usize = PORTS + UDP_HLEN;
    const TRANSACTION: usize = OPERATION + 4;
    let ip = Ipv4Header(frame);
    if !ip.is_v4_without_options()? || ip.protocol()? != UDP || ip.is_later_fragment()? {
        return None;
    }
    if frame.read::<4>(PORTS)? != ports || frame.read::<1>(OPERATION)? != [operation] {
        return None;
    }
    Some(KEY | u64::from(u32::from_be_bytes(frame.read::<4>(TRANSACTION)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As far as it is looked at.
    fn frame(ports: [u16; 2], operation: u8) -> [u8; 60] {
        let mut frame = [0; 60];
        (frame[14], frame[23]) = (0x45, UDP);
        frame[34..36].copy_from_slice(&ports[0].to_be_bytes());
        frame[36..38].copy_from_slice(&ports[1].to_be_bytes());
        frame[42] = operation;
        frame[46..50].copy_from_slice(&[0x12, 0x34, 0x56, 0x78]);
        frame
    }

    #[test]
    fn a_request_and_its_answer_have_the_same_key() {
        let (request, reply) = (frame([68, 67], 1), frame([67, 68], 2));
        let key = dhcp_request(&&request[..]);
        assert_eq!(key, Some(0x6468_6370_1234_5678));
        assert_eq!(dhcp_reply(&&reply[..]), key);
        assert!(may_be_dhcp_reply(&&reply[..]) && !may_be_dhcp_reply(&&request[..]));
        assert_eq!((dhcp_reply(&&request[..]), dhcp_request(&&reply[..])), (None, None));
    }

    #[test]
    fn what_is_not_dhcp_has_no_key() {
        let good = frame([68, 67], 1);
        for (at, byte) in [(14, 0x46), (14, 0x60), (20, 0x01), (23, 6), (35, 67), (37, 53), (42, 2)] {
            let mut other = good;
            other[at] = byte;
            assert_eq!(dhcp_request(&&other[..]), None, "byte {at} is {byte}");
        }
        assert_eq!(dhcp_request(&&good[..49]), None);
    }
}
