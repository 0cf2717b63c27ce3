//! How is a packet written to a file that Wireshark opens? As pcapng (draft-ietf-opsawg-pcapng), little-endian blocks.

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const VERSION: [u16; 2] = [1, 0];
const UNKNOWN_LENGTH: u64 = u64::MAX;
const ETHERNET: u16 = 1;
/// Options: the end, a comment; an interface's name and the resolution of its times.
const END: u16 = 0;
const COMMENT: u16 = 1;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
/// A packet's flags: which way it went, seen from the interface.
const EPB_FLAGS: u16 = 2;
const NANOSECONDS: u8 = 9;

/// Which way a packet went, seen from the slave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Way {
    /// To the slave.
    In = 1,
    /// From the slave.
    Out = 2,
}

/// A packet to write.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Which of the interfaces, counted from 0 in the order in which they were written.
    pub interface: u32,
    /// Nanoseconds since 1970.
    pub at: u64,
    /// Its length in bytes.
    pub len: u32,
    /// Its first bytes.
    pub bytes: &'a [u8],
    /// The way it went.
    pub way: Way,
    /// What Wireshark shows as the packet's comment.
    pub comment: &'a str,
}

/// With which each file begins.
pub fn section_header() -> Vec<u8> {
    let mut body = BYTE_ORDER.to_le_bytes().to_vec();
    body.extend(VERSION.iter().flat_map(|part| part.to_le_bytes()));
    body.extend(UNKNOWN_LENGTH.to_le_bytes());
    block(SECTION_HEADER, &body)
}

/// An interface with Ethernet frames, of which at most `snap` bytes are written.
pub fn interface(name: &str, snap: u32) -> Vec<u8> {
    let mut body = ETHERNET.to_le_bytes().to_vec();
    body.extend([0, 0]);
    body.extend(snap.to_le_bytes());
    option(&mut body, IF_NAME, name.as_bytes());
    option(&mut body, IF_TSRESOL, &[NANOSECONDS]);
    option(&mut body, END, &[]);
    block(INTERFACE, &body)
}

/// A packet.
pub fn packet(packet: &Packet<'_>) -> Vec<u8> {
    let (high, low) = ((packet.at >> 32) as u32, packet.at as u32);
    let words = [packet.interface, high, low, packet.bytes.len() as u32, packet.len];
    let mut body: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    body.extend(packet.bytes);
    pad(&mut body);
    option(&mut body, EPB_FLAGS, &(packet.way as u32).to_le_bytes());
    option(&mut body, COMMENT, packet.comment.as_bytes());
    option(&mut body, END, &[]);
    block(ENHANCED_PACKET, &body)
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(u16::MAX.into())];
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    body.extend(value);
    pad(body);
}

/// To a multiple of four bytes.
fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

/// Type, length, body, length.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32 + 12).to_le_bytes();
    [&kind.to_le_bytes()[..], &len, body, &len].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_says_its_length_twice_and_ends_on_four_bytes() {
        let bytes = [0xff; 15];
        let comment = "drop private";
        let written = packet(&Packet { interface: 1, at: 1 << 33, len: 60, bytes: &bytes, way: Way::Out, comment });
        let (first, last) = (&written[4..8], &written[written.len() - 4..]);
        assert_eq!((first, last), (&(written.len() as u32).to_le_bytes()[..], first));
        assert_eq!(written.len() % 4, 0);
        assert_eq!(written[12..16], 2_u32.to_le_bytes(), "the upper half of the time");
        assert_eq!(written[28..43], bytes);
    }
}
