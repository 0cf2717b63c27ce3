//! How often is one slave read again, so that a slave that changes all the time costs little?
//!
//! A slave may be read again so many times at once, and so often from then on. What it has by then is always seen in the
//! end: a slave that must wait stays dirty, and is read when its time has come.

use ipvl_core::IfIndex;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How many times one slave is read again without a pause.
const BURST: u32 = 200;
/// How much time passes from then on before it is read again.
const INTERVAL: Duration = Duration::from_millis(50);

/// What each slave has used. The time at which a slave would have used nothing (a "theoretical arrival time", as in ATM's
/// generic cell rate algorithm): the further it is ahead, the more the slave has been read again.
#[derive(Default)]
pub struct Pace(BTreeMap<IfIndex, Instant>);

impl Pace {
    /// Whether the slave may be read again now.
    pub fn allows(&self, host_end: IfIndex, now: Instant) -> bool {
        self.left(host_end, now).is_zero()
    }

    /// How long it has to wait for that.
    pub fn left(&self, host_end: IfIndex, now: Instant) -> Duration {
        let ahead = self.0.get(&host_end).map_or(Duration::ZERO, |clear| clear.saturating_duration_since(now));
        ahead.saturating_sub(INTERVAL * (BURST - 1))
    }

    /// The slave is read again.
    pub fn charge(&mut self, host_end: IfIndex, now: Instant) {
        let clear = self.0.entry(host_end).or_insert(now);
        *clear = (*clear).max(now) + INTERVAL;
    }

    /// Forgets those that have used nothing for long enough.
    pub fn tidy(&mut self, now: Instant) {
        self.0.retain(|_, clear| *clear > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: IfIndex = IfIndex(7);

    #[test]
    fn a_slave_that_changes_all_the_time_is_read_seldom_and_others_at_once() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        for _ in 0..BURST {
            assert!(pace.allows(BUSY, start));
            pace.charge(BUSY, start);
        }
        assert_eq!(pace.left(BUSY, start), INTERVAL);
        assert!(pace.allows(IfIndex(8), start) && pace.allows(BUSY, start + INTERVAL));
    }

    #[test]
    fn rest_gives_the_burst_back() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        (0..BURST).for_each(|_| pace.charge(BUSY, start));
        let later = start + INTERVAL * BURST;
        pace.tidy(later);
        assert!(pace.0.is_empty() && pace.allows(BUSY, later));
    }
}
