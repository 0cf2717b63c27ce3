//! When does the monitor read the maps, of which no event reports a change?

use std::time::{Duration, Instant};

/// After an event the maps are read so many times, with growing pauses: the agent takes a moment to change them.
const READS: u32 = 11;
/// Without events they are read this often, for what a command changed that was killed before it reported that.
const IDLE: Duration = Duration::from_secs(2);
/// The pause is so many times as long as reading took.
const REST: u32 = 4;
/// When reading is overdue by this much, it no longer waits until no event is queued.
const LATE: Duration = Duration::from_millis(100);

/// When to read next.
pub struct Pace {
    due: Instant,
    /// Not before this, whatever happens.
    earliest: Instant,
    reads: u32,
}

impl Pace {
    /// To read at once.
    pub fn new(now: Instant) -> Self {
        Self { due: now, earliest: now, reads: 0 }
    }

    /// Notes an event.
    pub fn hurry(&mut self, now: Instant) {
        self.reads = 0;
        // An earlier due time stays, however many events come.
        self.due = self.due.min(now.max(self.earliest));
    }

    /// Notes that the maps were read from `start` to `now`.
    pub fn has_read(&mut self, start: Instant, now: Instant) {
        let pause = if self.reads < READS { Duration::from_millis(1 << self.reads) } else { IDLE };
        self.reads += 1;
        self.earliest = now + now.duration_since(start) * REST;
        self.due = self.earliest.max(now + pause);
    }

    /// How long to wait; zero when reading is due.
    pub fn left(&self, now: Instant) -> Duration {
        self.due.saturating_duration_since(now)
    }

    /// Whether reading is long overdue.
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
        for _ in 0..READS + 1 {
            assert!(pace.left(now).is_zero());
            pace.has_read(now, now);
            pauses.push(pace.left(now).as_millis());
            now += pace.left(now);
        }
        assert_eq!((pauses[0], pauses[1], pauses[10], pauses[11]), (1, 2, 1024, 2000));
        pace.has_read(now, now);
        pace.hurry(now);
        assert!(pace.left(now).is_zero() && !pace.is_late(now) && pace.is_late(now + 2 * LATE));
    }

    #[test]
    fn a_read_that_takes_long_is_followed_by_a_long_pause() {
        let start = Instant::now();
        let (mut pace, now) = (Pace::new(start), start + Duration::from_millis(50));
        pace.has_read(start, now);
        pace.hurry(now);
        assert_eq!(pace.left(now), Duration::from_millis(200));
    }
}
