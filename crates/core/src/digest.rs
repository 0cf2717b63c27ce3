//! Is this one of our own broadcasts, sent back by the switch? The frame and its reflection have the same digest.
//!
//! It hashes bytes at fixed offsets, whatever they mean. It reads no header.

use crate::frame::Frame;

/// Length of an Ethernet and an IPv4 header. No frame that names its sender is shorter.
const IPV4_HEADERS: usize = 34;

/// Hashes the first bytes of a frame, as if it were padded to Ethernet's minimum of 60 bytes: a switch may pad it.
#[inline(always)]
pub fn digest(frame: &impl Frame) -> u64 {
    const PADDED: usize = 60;
    let mut hash = Hash(0xcbf2_9ce4_8422_2325);
    for at in [0, 8, 16, 24] {
        hash.add(frame.read::<8>(at));
    }
    hash.add(frame.read::<2>(32).map(|[a, b]| [a, b, 0, 0, 0, 0, 0, 0]));
    hash.add(frame.read::<8>(IPV4_HEADERS).or_else(|| Some(rest(frame))));
    if frame.len() > PADDED {
        hash.add(frame.read::<8>(42));
        hash.add(frame.read::<8>(50));
    }
    hash.0
}

/// The first bytes behind [`IPV4_HEADERS`], with zeros for those that are missing.
#[inline(always)]
fn rest(frame: &impl Frame) -> [u8; 8] {
    let mut bytes = [0; 8];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = frame.read::<1>(IPV4_HEADERS + at).map_or(0, |[byte]| byte);
    }
    bytes
}

/// A multiplicative hash that takes eight bytes at a time.
struct Hash(u64);

impl Hash {
    #[inline(always)]
    fn add(&mut self, bytes: Option<[u8; 8]>) {
        let word = u64::from_le_bytes(bytes.unwrap_or_default());
        self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
}
