//! What has failed, and when is it tried again?
//!
//! Whatever the agent could not do is kept until it holds: after a tenth of a second, then after twice as long, and so on.

use ipvl_core::IfIndex;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// What can fail and is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// To sync the slave behind this host end.
    Slave(IfIndex),
    /// To find room for its addresses.
    Room(IfIndex),
    /// To write the groups that it has joined.
    Groups(IfIndex),
    /// To have the slaves of this master follow it.
    Master(IfIndex),
    /// To have this master receive the groups of its slaves.
    MasterGroups(IfIndex),
    /// To see joins that were counted.
    Joins,
    /// To write the host's addresses.
    HostAddresses,
    /// To add devices to the flowtable.
    Flowtable,
    /// To look whether links that arrived are departed masters.
    Arrivals,
}

/// What failed and has not succeeded since.
#[derive(Default)]
pub struct Retries(BTreeMap<Task, Retry>);

struct Retry {
    /// When it is tried again; none while it is being tried.
    due: Option<Instant>,
    delay: Duration,
    /// The error.
    text: String,
}

impl Retries {
    /// It failed. Returns whether that is news: the first time, or another error than the last time.
    pub fn failed(&mut self, task: Task, text: String, now: Instant) -> bool {
        let known = self.0.get(&task);
        let delay = known.map_or(FIRST, |retry| (retry.delay * 2).min(LONGEST));
        let news = known.is_none_or(|retry| retry.text != text);
        self.0.insert(task, Retry { due: Some(now + delay), delay, text });
        news
    }

    /// It succeeded, or there is nothing to do any more.
    pub fn done(&mut self, task: Task) {
        self.0.remove(&task);
    }

    /// There is nothing left to do for the slave behind this host end.
    pub fn forget(&mut self, host_end: IfIndex) {
        self.done(Task::Slave(host_end));
        self.done(Task::Room(host_end));
        self.done(Task::Groups(host_end));
    }

    /// What must be tried now.
    pub fn take_due(&mut self, now: Instant) -> Vec<Task> {
        let due = self.0.iter_mut().filter(|(_, retry)| retry.due.is_some_and(|due| due <= now));
        due.map(|(task, retry)| (*task, retry.due = None).0).collect()
    }

    /// It would fail again: it is tried after the same time once more.
    pub fn put_off(&mut self, task: Task, now: Instant) {
        if let Some(retry) = self.0.get_mut(&task) {
            retry.due = Some(now + retry.delay);
        }
    }

    /// How long until something must be tried.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        self.0.values().filter_map(|retry| retry.due).min().map(|due| due.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: Task = Task::Slave(IfIndex(7));

    #[test]
    fn what_fails_is_tried_again_less_and_less_often_until_it_holds() {
        let (mut retries, mut now) = (Retries::default(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..9 {
            retries.failed(TASK, "full".to_owned(), now);
            assert!(retries.take_due(now).is_empty());
            waits.push(retries.left(now).expect("a time").as_millis());
            now += retries.left(now).expect("a time");
            assert_eq!(retries.take_due(now), [TASK]);
        }
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        retries.done(TASK);
        assert_eq!(retries.left(now), None);
    }

    #[test]
    fn what_is_put_off_is_still_to_be_done_and_no_news_when_it_fails() {
        let (mut retries, now) = (Retries::default(), Instant::now());
        retries.failed(TASK, "full".to_owned(), now);
        let due = now + FIRST;
        assert_eq!(retries.take_due(due), [TASK]);
        retries.put_off(TASK, due);
        assert_eq!((retries.take_due(due), retries.left(due)), (vec![], Some(FIRST)));
        assert_eq!(retries.take_due(due + FIRST), [TASK]);
        assert!(!retries.failed(TASK, "full".to_owned(), due + FIRST));
    }

    #[test]
    fn only_news_is_news() {
        let (mut retries, now) = (Retries::default(), Instant::now());
        let mut fails = |text: &str| retries.failed(TASK, text.to_owned(), now);
        assert!(fails("full") && !fails("full") && fails("gone"));
    }
}
