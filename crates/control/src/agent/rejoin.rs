//! How does the wire hear again which groups slaves have joined, when it leads to another switch?
//!
//! Only a slave's own stack can say so, and it does when it is asked: by a general query, as a router would send it, that
//! goes into the slave and nowhere else.

use crate::agent::plan;
use crate::kernel::sys::FrameSocket;
use ipvl_core::{Addr, Mac};

const IGMP: [u8; 36] = [
    // IPv4 to 224.0.0.1 from nobody (RFC 4541, 2.1.1), with a router alert, for this link only.
    0x46, 0xc0, 0, 36, 0, 0, 0x40, 0, 1, 2, 0x04, 0x13, 0, 0, 0, 0, 224, 0, 0, 1, 0x94, 4, 0, 0,
    // Version 3 (RFC 3376, 4.1): all groups, answers within 0.1 s; robustness and interval are the defaults.
    0x11, 1, 0xec, 0x81, 0, 0, 0, 0, 2, 125, 0, 0,
];
const IPV6_LEN: usize = 40;
/// Version 2 (RFC 3810, 5.1), the same question; the checksum is missing.
const MLD: [u8; 28] = [130, 0, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0];
/// Hop-by-hop options: a router alert for MLD.
const ALERT: [u8; 8] = [58, 0, 5, 2, 0, 0, 1, 0];
const ALL_NODES: Addr = Addr([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

/// Has the slave behind a host end report its groups.
pub fn ask(wire: &FrameSocket, host_end: u32, mac: Mac) -> crate::error::Result<()> {
    wire.send(host_end, &igmp_query(mac))?;
    wire.send(host_end, &mld_query(mac))
}

fn igmp_query(mac: Mac) -> Vec<u8> {
    [&[1, 0, 0x5e, 0, 0, 1][..], &mac.0, &[0x08, 0], &IGMP].concat()
}

fn mld_query(mac: Mac) -> Vec<u8> {
    let mut header = [0; IPV6_LEN];
    (header[0], header[5], header[7]) = (0x60, (ALERT.len() + MLD.len()) as u8, 1);
    header[8..24].copy_from_slice(&plan::eui64(mac).0);
    header[24..].copy_from_slice(&ALL_NODES.0);
    let mut question = MLD;
    let sum = checksum(&[&header[8..], &[0, 0, 0, MLD.len() as u8, 0, 0, 0, 58], &MLD].concat());
    question[2..4].copy_from_slice(&sum.to_be_bytes());
    [&[0x33, 0x33, 0, 0, 0, 1][..], &mac.0, &[0x86, 0xdd], &header, &ALERT, &question].concat()
}

/// The Internet checksum (RFC 1071) of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    !((sum & 0xffff) + (sum >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    #[test]
    fn the_igmp_query_has_right_checksums() {
        assert_eq!((checksum(&IGMP[..24]), checksum(&IGMP[24..])), (0, 0));
        assert_eq!(igmp_query(MAC).len(), 14 + 36);
    }

    #[test]
    fn the_mld_query_comes_from_a_link_local_address_and_has_a_right_checksum() {
        let frame = mld_query(MAC);
        assert_eq!(frame.len(), 14 + IPV6_LEN + ALERT.len() + MLD.len());
        let (source, question) = (&frame[22..38], &frame[14 + IPV6_LEN + ALERT.len()..]);
        assert_eq!(source[..2], [0xfe, 0x80]);
        let pseudo = [source, &frame[38..54], &[0, 0, 0, 28, 0, 0, 0, 58], question].concat();
        assert_eq!(checksum(&pseudo), 0);
    }
}
