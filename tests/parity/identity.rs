//! How is a frame recognised, whatever a driver, a router or a switch has changed in it?

use ipvl_testbed::packet;

const LINK: usize = 14;
const ARP: [u8; 2] = [0x08, 0x06];
const V4: [u8; 2] = [0x08, 0x00];
const V6: [u8; 2] = [0x86, 0xdd];
const TAG: [u8; 2] = [0x81, 0x00];

/// The bytes that do not change on the way: no MAC addresses, no tags, no hops, no checksum, no length, no padding.
///
/// Of a packet that is whole enough: its identification or flow label, its addresses, and how its payload begins.
pub fn identity(frame: &[u8]) -> Vec<u8> {
    let mut packet = frame.get(12..).unwrap_or_default();
    while packet.starts_with(&TAG) && packet.len() >= 4 {
        packet = &packet[4..];
    }
    let fields: &[std::ops::Range<usize>] = match packet.get(..2) {
        Some(kind) if kind == V4 && packet.len() + 12 >= LINK + 20 => &[0..2, 6..8, 11..12, 14..30],
        Some(kind) if kind == V6 && packet.len() + 12 >= LINK + 40 => &[0..6, 8..9, 10..54],
        _ => &[0..2, 2..usize::MAX],
    };
    let end = |range: &std::ops::Range<usize>| range.start.min(packet.len())..range.end.min(packet.len());
    let mut bytes: Vec<u8> = fields.iter().flat_map(|range| packet[end(range)].to_vec()).collect();
    bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
    bytes
}

/// Makes a frame unlike others with the same addresses, as far as there is room: in the identification, the flow label,
/// behind an ARP message, at the end of what is no IP. What was right about a checksum stays so.
pub fn mark(frame: &mut Vec<u8>, number: u16) {
    let kind: Option<[u8; 2]> = frame.get(12..14).and_then(|kind| kind.try_into().ok());
    let number = number.to_be_bytes();
    match kind {
        Some(V4) if frame.len() >= LINK + 20 => {
            let good = header_is_sound(frame);
            frame[18..20].copy_from_slice(&number);
            if good {
                frame[24..26].fill(0);
                let sum = header_sum(frame).unwrap_or_default();
                frame[24..26].copy_from_slice(&sum);
            }
        }
        Some(V6) if frame.len() >= LINK + 40 => frame[16..18].copy_from_slice(&number),
        Some(ARP) if frame.len() >= LINK + 28 => frame.extend([0xa5, number[0], number[1], 0x5a]),
        Some(_) if frame.len() >= LINK + 8 => {
            let end = frame.len() - 4;
            frame[end..].copy_from_slice(&[0xa5, number[0], number[1], 0x5a]);
        }
        _ => (),
    }
}

/// Whether the sum of the header is right; IPv6 has none.
pub fn header_is_sound(frame: &[u8]) -> bool {
    frame.get(12..14) != Some(&V4) || frame.len() > LINK && header_sum(frame) == Some([0, 0])
}

fn header_sum(frame: &[u8]) -> Option<[u8; 2]> {
    let length = usize::from(frame[LINK] & 15) * 4;
    (length >= 20).then(|| frame.get(LINK..LINK + length).map(packet::checksum)).flatten()
}
