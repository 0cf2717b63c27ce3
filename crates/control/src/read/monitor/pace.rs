//! When is it time to look at the tables, of which nobody tells?

use std::time::{Duration, Instant};

/// Looks with growing pauses after something happened: the agent takes a moment to follow.
const LOOKS: u32 = 11;
/// And now and then, for what was changed by somebody who did not live to tell.
const IDLE: Duration = Duration::from_secs(2);
/// How much longer than a look takes is the time until the next.
const REST: u32 = 4;
/// Whoever is this late does not wait for events to end.
const LATE: Duration = Duration::from_millis(100);

/// When to look next.
pub struct Pace {
    due: Instant,
    /// No sooner than that, whatever happens.
    earliest: Instant,
    looks: u32,
}

impl Pace {
    /// At once.
    pub fn new(now: Instant) -> Self {
        Self { due: now, earliest: now, looks: 0 }
    }

    /// Something happened.
    pub fn hurry(&mut self, now: Instant) {
        self.looks = 0;
        // What is overdue stays so, however much happens.
        self.due = self.due.min(now.max(self.earliest));
    }

    /// Somebody looked, from `start` on.
    pub fn looked(&mut self, start: Instant, now: Instant) {
        let pause = if self.looks < LOOKS { Duration::from_millis(1 << self.looks) } else { IDLE };
        self.looks += 1;
        self.earliest = now + now.duration_since(start) * REST;
        self.due = self.earliest.max(now + pause);
    }

    /// How long to wait; zero when it is time.
    pub fn left(&self, now: Instant) -> Duration {
        self.due.saturating_duration_since(now)
    }

    /// Whether it is high time.
    pub fn is_late(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.due) > LATE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_something_happens() {
        let start = Instant::now();
        let (mut pace, mut now, mut pauses) = (Pace::new(start), start, Vec::new());
        for _ in 0..LOOKS + 1 {
            assert!(pace.left(now).is_zero());
            pace.looked(now, now);
            pauses.push(pace.left(now).as_millis());
            now += pace.left(now);
        }
        assert_eq!((pauses[0], pauses[1], pauses[10], pauses[11]), (1, 2, 1024, 2000));
        pace.looked(now, now);
        pace.hurry(now);
        assert!(pace.left(now).is_zero() && !pace.is_late(now) && pace.is_late(now + 2 * LATE));
    }

    #[test]
    fn who_looks_for_long_rests_for_long() {
        let start = Instant::now();
        let (mut pace, now) = (Pace::new(start), start + Duration::from_millis(50));
        pace.looked(start, now);
        pace.hurry(now);
        assert_eq!(pace.left(now), Duration::from_millis(200));
    }
}
