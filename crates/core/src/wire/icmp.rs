//! How is the header of an ICMP or ICMPv6 message written (RFC 792, RFC 4443)?

use super::checksum::{fold, sum};
use super::field::icmp as field;

/// The header of a message that is to be written.
pub(crate) struct IcmpFields {
    /// Type.
    pub kind: u8,
    pub code: u8,
    /// The word with a meaning that depends on the type: an error's MTU, an advertisement's flags.
    pub rest: [u8; 4],
}

impl IcmpFields {
    /// Writes the header to the start of `message`. Its checksum covers, besides the header, what has the sum
    /// `sum_of_others`: the data behind it and, for ICMPv6, the pseudo-header.
    #[inline(always)]
    pub fn write(&self, message: &mut [u8], sum_of_others: u32) {
        let checksum = !fold(sum(&[self.kind, self.code]) + sum(&self.rest) + sum_of_others);
        message[field::TYPE] = self.kind;
        message[field::CODE] = self.code;
        message[field::CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
        message[field::REST].copy_from_slice(&self.rest);
    }
}
