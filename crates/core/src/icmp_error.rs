//! What is a sender told whose packet finds no way out? The ICMP error that a router would send (RFC 792, RFC 1191,
//! RFC 4443), so that path MTU discovery works and a connection fails at once instead of in minutes.

use crate::abi::Router;
use crate::addr::{Addr, Mac};
use crate::frame::Frame;
use crate::verdict::Reason;
use crate::wire::{HEADER_LEN, ICMPV6, ethertype, fold, sum};

/// Length in bytes of what goes before the quoted packet in an error about IPv4: Ethernet, IPv4 and ICMP headers.
pub const ICMP_ERROR_V4_LEN: usize = HEADER_LEN + 20 + 8;
/// The same for IPv6.
pub const ICMP_ERROR_V6_LEN: usize = HEADER_LEN + 40 + 8;
/// How much of an IPv4 packet is quoted, in bytes: what RFC 792 asks for.
pub const QUOTE_4: usize = 28;
/// How much of an IPv6 packet is: enough to tell the sender's stack which connection it is.
pub const QUOTE_6: usize = 48;
const ICMP: u8 = 1;
const HOP_LIMIT: u8 = 64;
/// Internetwork control, as routers mark their errors (RFC 1812, 4.3.2.5).
const TOS: u8 = 0xc0;
/// Who complains when the host has no IPv4 address (RFC 7600).
const DUMMY: [u8; 4] = [192, 0, 0, 8];

/// Type, code and the MTU field of an error.
struct ErrorType(u8, u8, u32);

/// What goes before the quoted IPv4 packet, with the MTU of the way in bytes and the MAC that all of us share; `None` if
/// it must not be answered: for no reason that concerns the sender, or
/// because it is itself an error, a later fragment, or from nobody (RFC 1122, 3.2.2).
#[inline(always)]
pub fn icmp_error_v4(
    frame: &impl Frame,
    reason: Reason,
    mtu: u32,
    mac: Mac,
    router: &Router,
) -> Option<[u8; ICMP_ERROR_V4_LEN]> {
    const LEN: u8 = (28 + QUOTE_4) as u8;
    let ErrorType(kind, code, mtu) = error_type_v4(reason, mtu)?;
    let to = frame.read::<4>(HEADER_LEN + 12)?;
    if is_unanswerable_4(frame)? || to == [0; 4] {
        return None;
    }
    let from = if router.v4 == [0; 4] { DUMMY } else { router.v4 };
    let quote = words(frame, QUOTE_4)?;
    let message = !fold(pair(kind, code) + sum(&mtu.to_be_bytes()) + quote);
    let header = !fold(pair(0x45, TOS) + u32::from(LEN) + pair(HOP_LIMIT, ICMP) + sum(&from) + sum(&to));
    let mut head = [0; ICMP_ERROR_V4_LEN];
    ethernet(&mut head, mac, ethertype::IPV4);
    head[14..18].copy_from_slice(&[0x45, TOS, 0, LEN]);
    head[22..24].copy_from_slice(&[HOP_LIMIT, ICMP]);
    head[24..26].copy_from_slice(&header.to_be_bytes());
    head[26..30].copy_from_slice(&from);
    head[30..34].copy_from_slice(&to);
    head[34..36].copy_from_slice(&[kind, code]);
    head[36..38].copy_from_slice(&message.to_be_bytes());
    head[38..42].copy_from_slice(&mtu.to_be_bytes());
    Some(head)
}

/// What goes before the quoted IPv6 packet (RFC 4443, 2.4).
#[inline(always)]
pub fn icmp_error_v6(
    frame: &impl Frame,
    reason: Reason,
    mtu: u32,
    mac: Mac,
    router: &Router,
) -> Option<[u8; ICMP_ERROR_V6_LEN]> {
    const LEN: u8 = (8 + QUOTE_6) as u8;
    let ErrorType(error, code, mtu) = error_type_v6(reason, mtu)?;
    let ([first], [next]) = (frame.read::<1>(HEADER_LEN)?, frame.read::<1>(HEADER_LEN + 6)?);
    let ([kind], to) = (frame.read::<1>(HEADER_LEN + 40)?, frame.read::<16>(HEADER_LEN + 8)?);
    let is_error = next == ICMPV6 && kind < 128;
    if first >> 4 != 6 || is_error || Addr(to).is_unspecified() || router.v6.is_unspecified() {
        return None;
    }
    let addresses = sum(&router.v6.0) + sum(&to);
    let pseudo = addresses + u32::from(LEN) + u32::from(ICMPV6);
    let message = !fold(pseudo + pair(error, code) + sum(&mtu.to_be_bytes()) + words(frame, QUOTE_6)?);
    let mut head = [0; ICMP_ERROR_V6_LEN];
    ethernet(&mut head, mac, ethertype::IPV6);
    head[14] = 0x60;
    head[18..22].copy_from_slice(&[0, LEN, ICMPV6, HOP_LIMIT]);
    head[22..38].copy_from_slice(&router.v6.0);
    head[38..54].copy_from_slice(&to);
    head[54..56].copy_from_slice(&[error, code]);
    head[56..58].copy_from_slice(&message.to_be_bytes());
    head[58..62].copy_from_slice(&mtu.to_be_bytes());
    Some(head)
}

#[inline(always)]
fn error_type_v4(reason: Reason, mtu: u32) -> Option<ErrorType> {
    match reason {
        Reason::TooBig => Some(ErrorType(3, 4, mtu)),
        Reason::NoRoute => Some(ErrorType(3, 0, 0)),
        Reason::Unreachable => Some(ErrorType(3, 1, 0)),
        Reason::Prohibit => Some(ErrorType(3, 13, 0)),
        _ => None,
    }
}

/// As the kernel's own routers say it: an unreachable route is no route.
#[inline(always)]
fn error_type_v6(reason: Reason, mtu: u32) -> Option<ErrorType> {
    match reason {
        Reason::TooBig => Some(ErrorType(2, 0, mtu)),
        Reason::NoRoute | Reason::Unreachable => Some(ErrorType(1, 0, 0)),
        Reason::Prohibit => Some(ErrorType(1, 1, 0)),
        _ => None,
    }
}

/// Whether it is an error itself, or a later fragment, or no IPv4 packet at all.
#[inline(always)]
fn is_unanswerable_4(frame: &impl Frame) -> Option<bool> {
    let [first] = frame.read::<1>(HEADER_LEN)?;
    let fragment = u16::from_be_bytes(frame.read::<2>(HEADER_LEN + 6)?) & 0x1fff;
    let ([protocol], [kind]) = (frame.read::<1>(HEADER_LEN + 9)?, frame.read::<1>(HEADER_LEN + 20)?);
    let is_error = protocol == ICMP && matches!(kind, 3 | 4 | 5 | 11 | 12);
    Some(first >> 4 != 4 || fragment != 0 || is_error)
}

/// The sum of the packet's first `len` bytes, 4 at a time: a copy of them would take too much of the kernel's stack.
#[inline(always)]
fn words(frame: &impl Frame, len: usize) -> Option<u32> {
    let mut total = 0;
    for word in 0..len / 4 {
        total += sum(&frame.read::<4>(HEADER_LEN + word * 4)?);
    }
    Some(total)
}

#[inline(always)]
fn pair(high: u8, low: u8) -> u32 {
    u32::from(u16::from_be_bytes([high, low]))
}

#[inline(always)]
fn ethernet(head: &mut [u8], mac: Mac, ethertype: u16) {
    head[..6].copy_from_slice(&mac.0);
    head[6..12].copy_from_slice(&mac.0);
    head[12..14].copy_from_slice(&ethertype.to_be_bytes());
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    struct Bytes(Vec<u8>);

    impl Frame for Bytes {
        fn len(&self) -> usize {
            self.0.len()
        }
        fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
            self.0.get(offset..offset + N)?.try_into().ok()
        }
        fn read_at<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
            self.read(offset)
        }
        fn vlan(&self) -> Option<u16> {
            None
        }
        fn is_gso(&self) -> bool {
            false
        }
        fn is_to_us(&self) -> bool {
            false
        }

        fn is_loopback(&self) -> bool {
            false
        }
    }

    const ROUTER: Router = Router { v4: [10, 0, 0, 1], v6: Addr([0xfd; 16]) };

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn packet_4(protocol: u8, kind: u8) -> Bytes {
        let mut frame = std::vec![0; 60];
        frame[14] = 0x45;
        frame[23] = protocol;
        frame[26..30].copy_from_slice(&[10, 0, 0, 10]);
        frame[34] = kind;
        Bytes(frame)
    }

    #[test]
    fn too_big_names_the_mtu_and_sums_are_right() {
        let packet = packet_4(17, 0);
        let error = icmp_error_v4(&packet, Reason::TooBig, 1400, MAC, &ROUTER).unwrap();
        assert_eq!((error[34], error[35], &error[40..42]), (3, 4, &1400_u16.to_be_bytes()[..]));
        assert_eq!((&error[26..30], &error[30..34]), (&[10, 0, 0, 1][..], &[10, 0, 0, 10][..]));
        assert_eq!((fold(sum(&error[14..34])), fold(sum(&error[34..42]) + sum(&packet.0[14..42]))), (0xffff, 0xffff));
    }

    #[test]
    fn ipv6_too_big_has_its_pseudo_header_in_the_sum() {
        let mut frame = std::vec![0; 110];
        frame[14] = 0x60;
        frame[20] = 17;
        frame[22..38].fill(0xfd);
        let error = icmp_error_v6(&Bytes(frame.clone()), Reason::TooBig, 1400, MAC, &ROUTER).unwrap();
        assert_eq!((error[54], &error[58..62]), (2, &1400_u32.to_be_bytes()[..]));
        assert_eq!(fold(sum(&error[22..62]) + sum(&frame[14..62]) + 56 + 58), 0xffff);
    }

    #[test]
    fn nobody_is_told_of_errors_fragments_or_what_is_not_his_matter() {
        let told = |frame: &Bytes, reason| icmp_error_v4(frame, reason, 1400, MAC, &ROUTER).is_some();
        assert!(told(&packet_4(1, 8), Reason::NoRoute) && !told(&packet_4(1, 3), Reason::NoRoute));
        assert!(!told(&packet_4(17, 0), Reason::Blackhole) && !told(&packet_4(17, 0), Reason::Private));
        let mut fragment = packet_4(17, 0);
        fragment.0[21] = 1;
        assert!(!told(&fragment, Reason::NoRoute));
    }
}
