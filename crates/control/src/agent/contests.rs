//! When does the agent look whether a slave announces an address that another owns, and when is the owner left alone?

use super::inquiry::Inquiry;
use ipvl_core::IfIndex;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// After an address came to a slave that another owns, the agent looks whether the slave announces it: at once, then after
/// pauses that grow from the first to the last, and from then on when it is awake anyway.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// An owner that has answered is left alone for so long, at first and at last.
const FIRST_REST: Duration = Duration::from_secs(2);
const LAST_REST: Duration = Duration::from_secs(10);
/// How many owners are asked at once.
const MOST: usize = 8;

/// A slave that has addresses of another, and that other; by their host ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The slave that does not own them.
    pub claimant: IfIndex,
    /// The slave that does.
    pub owner: IfIndex,
}

/// What is contested.
#[derive(Default)]
pub struct Contests(BTreeMap<Pair, Contest>);

struct Contest {
    /// When the agent looks next, and how long after that again.
    look: Instant,
    pause: Duration,
    /// Until when the owner is not asked again, and for how long it is left alone after that.
    rest: Instant,
    next_rest: Duration,
    /// How many packets from addresses of others the claimant had sent when the owner was last asked.
    spoofed: u64,
    inquiry: Option<Inquiry>,
}

impl Contests {
    /// Notes that the claimant has an address on its device that the owner has.
    pub fn note(&mut self, pair: Pair, now: Instant) {
        self.0.entry(pair).or_insert_with(|| Contest::new(now)).hurry(now);
    }

    /// What to poll.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.values().filter_map(|contest| contest.inquiry.as_ref()).map(AsFd::as_fd)
    }

    /// How long until the agent must look; the looks after the last pause do not wake it.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        let eager = self.0.values().filter(|contest| contest.inquiry.is_none() && contest.pause < LAST_PAUSE);
        eager.map(|contest| contest.look.saturating_duration_since(now)).min()
    }

    /// Those that it is time to look at, the longest waiting first.
    pub fn take_due(&mut self, now: Instant) -> Vec<Pair> {
        let due = self.0.iter_mut().filter(|(_, contest)| contest.inquiry.is_none() && contest.look <= now);
        let mut due: Vec<(Instant, Pair)> = due.map(|(pair, contest)| (contest.take_look(now), *pair)).collect();
        due.sort();
        due.into_iter().map(|(_, pair)| pair).collect()
    }

    /// Those of which there is a result.
    pub fn take_done(&mut self) -> Vec<(Pair, Inquiry)> {
        let done = |contest: &mut Contest| contest.inquiry.take_if(|inquiry| inquiry.is_done());
        self.0.iter_mut().filter_map(|(pair, contest)| done(contest).map(|inquiry| (*pair, inquiry))).collect()
    }

    /// Whether one more owner may be asked, for this claimant.
    pub fn has_room(&self, claimant: IfIndex) -> bool {
        let asked = || self.0.iter().filter(|(_, contest)| contest.inquiry.is_some());
        asked().count() < MOST && asked().all(|(pair, _)| pair.claimant != claimant)
    }

    /// The owner is being asked.
    pub fn begin(&mut self, pair: Pair, inquiry: Inquiry) {
        self.0.entry(pair).and_modify(|contest| contest.inquiry = Some(inquiry));
    }

    /// The owner was asked, and is left alone. `spoofed`: how many packets from addresses of others the claimant has sent.
    pub fn settle(&mut self, pair: Pair, spoofed: u64, now: Instant) {
        self.0.entry(pair).and_modify(|contest| contest.settle(spoofed, now));
    }

    /// How many packets from addresses of others the claimant had sent when the owner was last asked.
    pub fn spoofed(&self, pair: Pair) -> u64 {
        self.0.get(&pair).map_or(0, |contest| contest.spoofed)
    }

    /// Nothing is contested any more.
    pub fn remove(&mut self, pair: Pair) {
        self.0.remove(&pair);
    }
}

impl Contest {
    fn new(now: Instant) -> Self {
        Self { look: now, pause: FIRST_PAUSE, rest: now, next_rest: FIRST_REST, spoofed: 0, inquiry: None }
    }

    /// There is something new: looks at once, or when an owner that has answered has had its shortest rest.
    fn hurry(&mut self, now: Instant) {
        self.rest = self.rest.min(now + FIRST_REST);
        (self.look, self.pause, self.next_rest) = (now.max(self.rest), FIRST_PAUSE, FIRST_REST);
    }

    /// When the look that is due was due. Plans the next, after a longer pause.
    fn take_look(&mut self, now: Instant) -> Instant {
        let due = std::mem::replace(&mut self.look, now + self.pause);
        self.pause = (self.pause * 2).min(LAST_PAUSE);
        due
    }

    /// The owner was asked. It is left alone, the next time for longer.
    fn settle(&mut self, spoofed: u64, now: Instant) {
        self.rest = now + self.next_rest;
        (self.look, self.pause, self.spoofed) = (self.rest, LAST_PAUSE, spoofed);
        self.next_rest = (self.next_rest * 2).min(LAST_REST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIR: Pair = Pair { claimant: IfIndex(7), owner: IfIndex(8) };

    /// How long the agent sleeps until it looks, at most so many times.
    fn waits(contests: &mut Contests, now: &mut Instant, most: usize) -> Vec<u128> {
        let mut waits = Vec::new();
        while let Some(left) = contests.left(*now).filter(|_| waits.len() < most) {
            waits.push(left.as_millis());
            *now += left;
            assert_eq!(contests.take_due(*now), [PAIR]);
        }
        waits
    }

    #[test]
    fn the_agent_looks_soon_then_seldom_and_then_only_when_it_is_awake() {
        let (mut contests, mut now) = (Contests::default(), Instant::now());
        contests.note(PAIR, now);
        assert_eq!(waits(&mut contests, &mut now, 20), [0, 50, 100, 200, 400, 800]);
        assert!(contests.take_due(now + Duration::from_millis(1599)).is_empty());
        assert_eq!(contests.take_due(now + Duration::from_millis(1600)), [PAIR]);
    }

    #[test]
    fn an_owner_that_answers_is_left_alone_for_longer_each_time_unless_there_is_something_new() {
        let (mut contests, now) = (Contests::default(), Instant::now());
        let settle = |contests: &mut Contests| contests.settle(PAIR, 1, now);
        let rest = |contests: &Contests| contests.0[&PAIR].look.duration_since(now).as_secs();
        contests.note(PAIR, now);
        let rests: Vec<_> = (0..4).map(|_| (settle(&mut contests), rest(&contests)).1).collect();
        assert_eq!((rests, contests.left(now)), (vec![2, 4, 8, 10], None));
        contests.note(PAIR, now);
        assert_eq!((rest(&contests), contests.left(now)), (2, Some(FIRST_REST)));
    }
}
