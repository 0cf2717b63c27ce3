//! What stands in a DHCP message's headers after a change? For a body without helpers that keep checksums right, which is the
//! kernel module.

use super::Edit;
use crate::frame::Frame;
use crate::wire::{IPV4_LEN_AT, IPV4_SUM_AT, UDP_LEN_AT, UDP_SUM_AT, fold, sum_of_change};

/// Two bytes of a header, to be written into a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Where.
    pub at: usize,
    /// The new bytes.
    pub bytes: [u8; 2],
}

/// What a frame has in the place of its UDP checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sum {
    /// The checksum; zero stands for none.
    Whole,
    /// The sum of the pseudo-header alone: a device adds the rest (`CHECKSUM_PARTIAL`).
    PseudoHeader,
}

/// The fields of the headers of a message that has grown by so many bytes of zero.
#[inline(always)]
pub fn lengthened(frame: &impl Frame, missing: u16, sum: Sum) -> Option<[Field; 4]> {
    let (total, total_change) = Field::longer(frame, IPV4_LEN_AT, missing)?;
    let (udp, change) = Field::longer(frame, UDP_LEN_AT, missing)?;
    let ipv4_sum = Field { at: IPV4_SUM_AT, bytes: changed(frame.read(IPV4_SUM_AT)?, total_change) };
    let old = frame.read(UDP_SUM_AT)?;
    let udp_sum = match sum {
        Sum::Whole => with_sum(old, 2 * change),
        Sum::PseudoHeader => complement(changed(complement(old), change)),
    };
    Some([total, ipv4_sum, udp, Field { at: UDP_SUM_AT, bytes: udp_sum }])
}

impl Edit {
    /// The UDP checksum after this edit; `None` if it stays as it is.
    #[inline(always)]
    pub fn udp_sum(&self, frame: &impl Frame, sum: Sum) -> Option<Field> {
        let bytes = with_sum(frame.read(UDP_SUM_AT)?, self.sum);
        (sum == Sum::Whole).then_some(Field { at: UDP_SUM_AT, bytes })
    }
}

impl Field {
    /// A length after growing, and what that changes in a sum.
    #[inline(always)]
    fn longer(frame: &impl Frame, at: usize, missing: u16) -> Option<(Self, u32)> {
        let old = frame.read::<2>(at)?;
        let bytes = u16::from_be_bytes(old).wrapping_add(missing).to_be_bytes();
        Some((Self { at, bytes }, sum_of_change(at, &old, &bytes)))
    }
}

/// A UDP checksum after a change to what it covers. None stays none, and none is ever zero (RFC 768).
#[inline(always)]
fn with_sum(old: [u8; 2], change: u32) -> [u8; 2] {
    match changed(old, change) {
        _ if old == [0; 2] => old,
        [0, 0] => [0xff; 2],
        new => new,
    }
}

/// A checksum after a change to what it covers (RFC 1624).
#[inline(always)]
fn changed(old: [u8; 2], change: u32) -> [u8; 2] {
    complement(fold(u32::from(u16::from_ne_bytes(complement(old))) + change).to_ne_bytes())
}

#[inline(always)]
fn complement([a, b]: [u8; 2]) -> [u8; 2] {
    [!a, !b]
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::Slot;
    use crate::addr::Mac;
    use crate::dhcp::{find_identifier, growth, identify, restore};
    use crate::wire::{ETH_HLEN, sum};
    use std::vec;
    use std::vec::Vec;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const SLOT: Slot = Slot(3);
    const BOOTP: usize = 42;
    const OPTIONS: usize = BOOTP + 240;
    /// What a client says that knows its MAC address alone.
    const OF_MAC: [u8; 9] = [61, 7, 1, 2, 0, 0, 0, 0, 1];
    const UDP: u8 = 17;

    /// A request with these options, which ends with them or with padding, and its UDP checksum: right, none, or begun.
    fn request(options: &[u8], padding: usize, sum_is: Option<Sum>) -> Vec<u8> {
        let mut frame = vec![0; OPTIONS];
        frame.extend(options.iter().chain(&[255]));
        frame.resize(frame.len() + padding, 0);
        let len = (frame.len() - ETH_HLEN) as u16;
        frame[12..14].copy_from_slice(&[8, 0]);
        frame[14..16].copy_from_slice(&[0x45, 0]);
        frame[16..18].copy_from_slice(&len.to_be_bytes());
        frame[22..24].copy_from_slice(&[64, UDP]);
        frame[30..34].copy_from_slice(&[255; 4]);
        frame[34..40].copy_from_slice(&[0, 68, 0, 67, 0, 0]);
        frame[38..40].copy_from_slice(&(len - 20).to_be_bytes());
        frame[BOOTP..BOOTP + 4].copy_from_slice(&[1, 1, 6, 0]);
        frame[BOOTP + 28..BOOTP + 34].copy_from_slice(&MAC.0);
        frame[BOOTP + 236..OPTIONS].copy_from_slice(&[99, 130, 83, 99]);
        let head = !fold(sum(&frame[14..34]));
        frame[24..26].copy_from_slice(&head.to_be_bytes());
        let udp = match sum_is {
            None => 0,
            Some(Sum::Whole) => !fold(udp_sum(&frame)),
            Some(Sum::PseudoHeader) => fold(pseudo(&frame)),
        };
        frame[40..42].copy_from_slice(&udp.to_be_bytes());
        frame
    }

    fn pseudo(frame: &[u8]) -> u32 {
        sum(&frame[26..34]) + sum(&frame[38..40]) + u32::from(UDP)
    }

    fn udp_sum(frame: &[u8]) -> u32 {
        let mut message = frame[34..].to_vec();
        message.resize(message.len().next_multiple_of(2), 0);
        pseudo(frame) + sum(&message)
    }

    /// What the module makes of a request of the slave.
    fn rewritten(mut frame: Vec<u8>, sum: Sum) -> Vec<u8> {
        let found = find_identifier(&&frame[..]).expect("options");
        if let Some(lengths) = growth(&&frame[..], found) {
            frame.resize(frame.len() + usize::from(lengths.missing), 0);
            let fields = lengthened(&&frame[..], lengths.missing, sum).expect("headers");
            write(&mut frame, &fields);
        }
        let edit = identify(&&frame[..], MAC, SLOT, found).expect("an identifier");
        edited(frame, &edit, sum)
    }

    fn edited(mut frame: Vec<u8>, edit: &Edit, sum: Sum) -> Vec<u8> {
        let field = edit.udp_sum(&&frame[..], sum);
        frame[edit.at..][..edit.bytes.len()].copy_from_slice(&edit.bytes);
        write(&mut frame, field.as_slice());
        frame
    }

    fn write(frame: &mut [u8], fields: &[Field]) {
        fields.iter().for_each(|field| frame[field.at..][..2].copy_from_slice(&field.bytes));
    }

    fn is_sound(frame: &[u8], sum_is: Option<Sum>) -> bool {
        let len = frame.len() - ETH_HLEN;
        let lengths = [&frame[16..18], &frame[38..40]].map(|len| usize::from(u16::from_be_bytes([len[0], len[1]])));
        let udp = match sum_is {
            None => frame[40..42] == [0, 0],
            Some(Sum::Whole) => fold(udp_sum(frame)) == 0xffff && frame[40..42] != [0, 0],
            Some(Sum::PseudoHeader) => fold(pseudo(frame)).to_be_bytes() == frame[40..42],
        };
        lengths == [len, len - 20] && fold(sum(&frame[14..34])) == 0xffff && udp
    }

    #[test]
    fn lengths_and_checksums_are_right_after_each_change() {
        let name = |len: usize| [&[53, 1, 1, 12, len as u8][..], &vec![b'n'; len]].concat();
        let known = |len| [&name(len)[..], &OF_MAC].concat();
        for len in 1..40 {
            for (options, padding) in [(name(len), 0), (name(len), len % 9), (name(len), 60), (known(len), 0)] {
                for sum_is in [None, Some(Sum::Whole), Some(Sum::PseudoHeader)] {
                    let frame = request(&options, padding, sum_is);
                    assert!(is_sound(&frame, sum_is), "the test's own");
                    let found = rewritten(frame, sum_is.unwrap_or(Sum::Whole));
                    assert!(is_sound(&found, sum_is), "{len} {padding} {sum_is:?}");
                    let whole = [&options[..], &[61, 7, 0]].concat();
                    assert!(found[OPTIONS..].starts_with(if options.len() > len + 5 {
                        &options[..len + 5]
                    } else {
                        &whole
                    }));
                }
            }
        }
    }

    #[test]
    fn a_reply_has_what_the_client_knows_and_a_right_checksum() {
        for sum_is in [None, Some(Sum::Whole), Some(Sum::PseudoHeader)] {
            let sent = request(&OF_MAC, 0, sum_is);
            let sum = sum_is.unwrap_or(Sum::Whole);
            let seen = rewritten(sent.clone(), sum);
            assert_ne!(seen, sent);
            let found = find_identifier(&&seen[..]).expect("options");
            let edit = restore(&&seen[..], MAC, SLOT, found).expect("the slave's identifier");
            assert_eq!(edited(seen, &edit, sum), sent);
        }
    }

    /// RFC 768: transmitted as all ones, as zero means that there is none.
    #[test]
    fn a_checksum_is_never_zero() {
        assert_eq!(with_sum([0, 1], u32::from(u16::from_ne_bytes([0, 1]))), [0xff, 0xff]);
        assert_eq!(with_sum([0, 0], 1), [0, 0]);
    }
}
