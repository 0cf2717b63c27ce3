//! Is this one of our own broadcasts, back from the switch? A number that a frame and its reflection share.
//!
//! It hashes bytes at fixed offsets, whatever they mean: no header is read here.

use crate::frame::Frame;

/// Ethernet's and IPv4's headers: nothing that names its sender is shorter.
const IPV4_HEADERS: usize = 34;

/// Sums up the first bytes of a frame, and nothing that padding to the minimum length (60 bytes) would change.
#[inline(always)]
pub fn digest(frame: &impl Frame) -> u64 {
    const PADDED: usize = 60;
    let mut sum = Sum(0xcbf2_9ce4_8422_2325);
    for at in [0, 8, 16, 24] {
        sum.add(frame.read::<8>(at));
    }
    sum.add(frame.read::<2>(32).map(|[a, b]| [a, b, 0, 0, 0, 0, 0, 0]));
    sum.add(frame.read::<8>(IPV4_HEADERS).or_else(|| Some(rest(frame))));
    if frame.len() > PADDED {
        sum.add(frame.read::<8>(42));
        sum.add(frame.read::<8>(50));
    }
    sum.0
}

/// What there is behind the shortest headers that name a sender, followed by zeros as padding is.
#[inline(always)]
fn rest(frame: &impl Frame) -> [u8; 8] {
    let mut bytes = [0; 8];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = frame.read::<1>(IPV4_HEADERS + place).map_or(0, |[byte]| byte);
    }
    bytes
}

struct Sum(u64);

impl Sum {
    #[inline(always)]
    fn add(&mut self, bytes: Option<[u8; 8]>) {
        let word = u64::from_le_bytes(bytes.unwrap_or_default());
        self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
}
