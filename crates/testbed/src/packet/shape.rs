//! Which variants of a packet are there? Tagged, in fragments, behind extension headers, or cut short.

use super::checksum;

const LINK: usize = 14;
const FRAGMENT: u8 = 44;

/// The frame with a VLAN tag (802.1Q) of this control information.
#[must_use]
pub fn with_tag(frame: &[u8], control: u16) -> Vec<u8> {
    let tag = [[0x81, 0x00], control.to_be_bytes()].concat();
    [&frame[..12], &tag, &frame[12..]].concat()
}

/// The first `length` bytes of a frame.
#[must_use]
pub fn truncated(frame: &[u8], length: usize) -> Vec<u8> {
    frame[..length.min(frame.len())].to_vec()
}

/// The IPv6 packet with an extension header (0 hop by hop, 60 destination options, 43 routing) before its payload.
#[must_use]
pub fn with_extension(frame: &[u8], header: u8) -> Vec<u8> {
    let next = frame[LINK + 6];
    let padding = [next, 0, 1, 4, 0, 0, 0, 0];
    let routing_with_nothing_left = [next, 0, 0, 0, 0, 0, 0, 0];
    let extension = if header == 43 { routing_with_nothing_left } else { padding };
    behind(frame, header, &extension, &frame[LINK + 40..])
}

/// The packet in fragments of at most `size` bytes (a multiple of 8) of payload each.
#[must_use]
pub fn fragments(frame: &[u8], size: usize) -> Vec<Vec<u8>> {
    let header = if frame[LINK] >> 4 == 6 { 40 } else { 20 };
    let payload = &frame[LINK + header..];
    let count = payload.len().div_ceil(size);
    let piece = |(n, part): (usize, &[u8])| {
        let offset = (n * size / 8) as u16;
        let more = n + 1 < count;
        if header == 40 { fragment_v6(frame, offset, more, part) } else { fragment_v4(frame, offset, more, part) }
    };
    payload.chunks(size).enumerate().map(piece).collect()
}

fn fragment_v4(frame: &[u8], offset: u16, more: bool, part: &[u8]) -> Vec<u8> {
    let mut header = frame[LINK..LINK + 20].to_vec();
    header[2..4].copy_from_slice(&(20 + part.len() as u16).to_be_bytes());
    header[6..8].copy_from_slice(&(offset | u16::from(more) << 13).to_be_bytes());
    header[10..12].fill(0);
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum);
    [&frame[..LINK], &header, part].concat()
}

fn fragment_v6(frame: &[u8], offset: u16, more: bool, part: &[u8]) -> Vec<u8> {
    let [high, low] = (offset << 3 | u16::from(more)).to_be_bytes();
    let extension = [frame[LINK + 6], 0, high, low, 0, 0, 0x12, 0x34];
    behind(frame, FRAGMENT, &extension, part)
}

/// The IPv6 packet with `payload` behind one extension header.
fn behind(frame: &[u8], header: u8, extension: &[u8; 8], payload: &[u8]) -> Vec<u8> {
    let mut start = frame[..LINK + 40].to_vec();
    start[LINK + 4..LINK + 6].copy_from_slice(&(8 + payload.len() as u16).to_be_bytes());
    start[LINK + 6] = header;
    [&start, &extension[..], payload].concat()
}

#[cfg(test)]
mod tests {
    use super::super::{Link, udp};
    use super::*;

    #[test]
    fn fragments_cover_the_payload() {
        for (from, to) in [("10.0.0.1:1", "10.0.0.2:2"), ("[fd00::1]:1", "[fd00::2]:2")] {
            let (from, to): (std::net::SocketAddr, std::net::SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
            let frame = udp(Link::broadcast([2; 6]), from, to, &[7; 100]);
            let header = if from.is_ipv4() { 20 } else { 48 };
            let pieces = fragments(&frame, 64);
            assert_eq!(pieces.iter().map(|piece| piece.len() - LINK - header).sum::<usize>(), 108);
        }
    }
}
