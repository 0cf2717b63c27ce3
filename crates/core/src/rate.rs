//! May a slave with a limited rate send this frame now? A token bucket that may be overdrawn by one frame.
//!
//! A frame is let through as long as the bucket is not empty, and then pays for all its bytes. So a large GSO packet passes
//! whatever the burst is, and the rate holds in the mean.

use crate::abi::Slot;
use crate::tables::Tables;
use crate::verdict::{Reason, Verdict};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// The headers of each further segment of a GSO packet, which the packet has once: Ethernet, IPv4, and TCP with timestamps.
const HEADERS: u32 = 66;

/// The limit of what a slave sends, and its token bucket: the value of the map `RATES`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct RateEntry {
    /// In bytes a second.
    pub rate: u64,
    /// How many bytes may be sent at once after a pause.
    pub burst: u64,
    /// The time in nanoseconds of `CLOCK_MONOTONIC` when the bucket will be full again. The programs write it.
    pub full_at: u64,
}

impl RateEntry {
    /// When the bucket is full again before a frame that is sent at the time `now` pays; `None` if the bucket is empty.
    #[inline(always)]
    pub fn admits(&self, now: u64) -> Option<u64> {
        let from = self.full_at.max(now);
        (from - now < self.nanos(self.burst).max(1)).then_some(from)
    }

    /// How long the bucket takes to get this many bytes, in nanoseconds.
    #[inline(always)]
    pub fn nanos(&self, bytes: u64) -> u64 {
        bytes.wrapping_mul(NANOS_PER_SECOND).checked_div(self.rate).unwrap_or(0)
    }
}

/// The bytes that a frame has on the wire, if it stands for so many segments.
#[inline(always)]
pub fn wire_bytes(len: u32, segments: u32) -> u32 {
    len.wrapping_add(segments.saturating_sub(1).wrapping_mul(HEADERS))
}

/// The last step of a decision on a frame from the slave in `slot`, which has this many bytes on the wire: the verdict,
/// unless the slave's rate is limited and used up. What is dropped anyway costs nothing.
#[inline(always)]
pub fn within_rate(tables: &impl Tables, slot: Slot, bytes: u32, verdict: Verdict) -> Verdict {
    let passes = verdict.is_drop() || !tables.slave(slot).is_limited() || tables.take_bytes(slot, bytes);
    if passes { verdict } else { Reason::RateLimit.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 1 MB a second.
    fn sent(burst: u64, frame: u32, millis: u64) -> u64 {
        let mut entry = RateEntry { rate: 1_000_000, burst, full_at: 0 };
        let mut sent = 0;
        for now in (0..millis * 1_000_000).step_by(10_000) {
            if let Some(from) = entry.admits(now) {
                entry.full_at = from + entry.nanos(frame.into());
                sent += u64::from(frame);
            }
        }
        sent
    }

    #[test]
    fn the_rate_holds_in_the_mean_for_frames_of_any_length() {
        for frame in [60, 1514, 65_000] {
            let bytes = sent(10_000, frame, 10_000);
            assert!((10_000_000..=10_010_000 + u64::from(frame)).contains(&bytes), "{bytes} in frames of {frame}");
        }
    }

    #[test]
    fn after_a_pause_the_burst_passes_at_once() {
        let bytes = sent(50_000, 1000, 1);
        assert!((50_000..=52_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_burst_of_nothing_still_lets_frames_pass_one_by_one() {
        assert_eq!(sent(0, 1000, 10), 10_000);
    }

    #[test]
    fn each_segment_has_headers() {
        assert_eq!((wire_bytes(1514, 0), wire_bytes(1514, 1), wire_bytes(2962, 2)), (1514, 1514, 3028));
    }
}
