//! What does `top` know, and what do keys change in it? Pure: it is fed with readings, and drawn by `view`.

mod numbers;
mod view;

pub use view::draw;

use ipvl_control::{AgentReport, Overview, PortReport, SlaveReport};
use ipvl_core::{IfIndex, Reason};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// So many readings are remembered.
pub const HISTORY: usize = 60;
const PAGE: isize = 15;

/// All that is shown.
#[derive(Debug, Default)]
pub struct Top {
    /// By host end.
    rows: BTreeMap<IfIndex, Row>,
    ports: Vec<PortReport>,
    agent: Option<AgentReport>,
    time: Option<Instant>,
    sort: Sort,
    filter: String,
    /// Whether keys are letters of the filter.
    typing: bool,
    /// The row that is marked, by its host end.
    marked: Option<IfIndex>,
    /// Whether only that one is shown.
    detail: bool,
    /// Why the last reading failed.
    failure: Option<String>,
}

/// A slave.
#[derive(Debug)]
struct Row {
    slave: SlaveReport,
    rates: Rates,
    /// Drops of each reason in the last readings, the newest last.
    history: BTreeMap<Reason, VecDeque<u64>>,
    last: Option<LastDrop>,
}

/// Each second, from the slave's side.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Rates {
    rx_packets: f64,
    rx_bits: f64,
    tx_packets: f64,
    tx_bits: f64,
    drops: f64,
}

/// The newest drops: how many, of which reason, and when they were seen.
#[derive(Clone, Copy, Debug)]
struct LastDrop {
    reason: Reason,
    count: u64,
    time: Instant,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sort {
    #[default]
    Name,
    Received,
    Sent,
    Drops,
}

impl Sort {
    const ALL: [Self; 4] = [Self::Name, Self::Received, Self::Sent, Self::Drops];

    fn next(self) -> Self {
        let place = Self::ALL.iter().position(|sort| *sort == self).unwrap_or_default();
        Self::ALL[(place + 1) % Self::ALL.len()]
    }

    fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Received => "received",
            Self::Sent => "sent",
            Self::Drops => "drops",
        }
    }
}

impl Top {
    /// A new reading.
    pub fn update(&mut self, overview: Overview, now: Instant) {
        let elapsed = self.time.map(|before| now.saturating_duration_since(before));
        let mut before = std::mem::take(&mut self.rows);
        for slave in overview.slaves {
            let host_end = slave.link.host_end.0;
            self.rows.insert(host_end, Row::new(slave, before.remove(&host_end), elapsed, now));
        }
        (self.ports, self.agent, self.time, self.failure) = (overview.ports, Some(overview.agent), Some(now), None);
        self.keep_mark();
    }

    /// A reading failed. What was read before is still shown.
    pub fn failed(&mut self, why: String) {
        self.failure = Some(why);
    }

    /// Does what a key asks for. Returns whether that is the end.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return true,
            _ if self.typing => self.type_filter(key.code),
            KeyCode::Char('q') => return true,
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('/') => (self.typing, self.detail) = (true, false),
            KeyCode::Enter => self.detail = !self.detail && self.marked.is_some(),
            KeyCode::Esc if self.detail => self.detail = false,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Up | KeyCode::Char('k') => self.mark(-1),
            KeyCode::Down | KeyCode::Char('j') => self.mark(1),
            KeyCode::PageUp => self.mark(-PAGE),
            KeyCode::PageDown => self.mark(PAGE),
            KeyCode::Home => self.mark(isize::MIN),
            KeyCode::End => self.mark(isize::MAX),
            _ => {}
        }
        self.keep_mark();
        false
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char(c) => self.filter.push(c),
            KeyCode::Backspace => _ = self.filter.pop(),
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.filter.clear();
                self.typing = false;
            }
            _ => {}
        }
    }

    /// The rows that pass the filter, sorted.
    fn shown(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.rows.values().filter(|row| row.passes(&self.filter)).collect();
        let by = |value: fn(&Row) -> f64| move |a: &&Row, b: &&Row| value(b).total_cmp(&value(a));
        rows.sort_by(|a, b| {
            (&a.slave.link.name, a.slave.link.host_end.0).cmp(&(&b.slave.link.name, b.slave.link.host_end.0))
        });
        match self.sort {
            Sort::Name => {}
            Sort::Received => rows.sort_by(by(|row| row.rates.rx_bits)),
            Sort::Sent => rows.sort_by(by(|row| row.rates.tx_bits)),
            Sort::Drops => rows.sort_by(by(|row| row.rates.drops)),
        }
        rows
    }

    /// Marks the row so many lines below.
    fn mark(&mut self, lines: isize) {
        let shown: Vec<IfIndex> = self.shown().iter().map(|row| row.slave.link.host_end.0).collect();
        let place = self.marked.and_then(|marked| shown.iter().position(|one| *one == marked)).unwrap_or_default();
        let last = shown.len().saturating_sub(1);
        let place = place.saturating_add_signed(lines).min(last);
        self.marked = shown.get(place).copied();
    }

    /// What is marked stays so as long as it is shown.
    fn keep_mark(&mut self) {
        let shown: Vec<IfIndex> = self.shown().iter().map(|row| row.slave.link.host_end.0).collect();
        self.marked = self.marked.filter(|marked| shown.contains(marked)).or(shown.first().copied());
        self.detail &= self.marked.is_some();
    }
}

impl Row {
    fn new(slave: SlaveReport, before: Option<Self>, elapsed: Option<Duration>, now: Instant) -> Self {
        let mut row = Self { rates: Rates::default(), history: BTreeMap::new(), last: None, slave };
        let (Some(before), Some(elapsed)) = (before, elapsed) else { return row };
        row.rates = Rates::between(&before.slave, &row.slave, elapsed);
        (row.history, row.last) = (before.history, before.last);
        for (reason, count) in &row.slave.drops {
            let known = before.slave.drops.iter().find(|(known, _)| known == reason);
            let new = count.saturating_sub(known.map_or(0, |(_, count)| *count));
            let history = row.history.entry(*reason).or_default();
            history.push_back(new);
            history.drain(..history.len().saturating_sub(HISTORY));
            if new > 0 && row.last.is_none_or(|last| last.time < now || last.count < new) {
                row.last = Some(LastDrop { reason: *reason, count: new, time: now });
            }
        }
        row
    }

    fn passes(&self, filter: &str) -> bool {
        let SlaveReport { link, owner, drops, .. } = &self.slave;
        let texts = [Some(&link.name), link.netns.as_ref(), Some(&link.master.1), owner.as_ref()];
        let has_reason = || drops.iter().any(|(reason, _)| reason.name().contains(filter));
        filter.is_empty() || texts.into_iter().flatten().any(|text| text.contains(filter)) || has_reason()
    }

    /// Drops of any reason in the last readings.
    fn drops(&self) -> Vec<u64> {
        let mut sums = vec![0; HISTORY];
        for history in self.history.values() {
            let start = HISTORY - history.len();
            history.iter().zip(&mut sums[start..]).for_each(|(count, sum)| *sum += count);
        }
        sums
    }
}

impl Rates {
    fn between(before: &SlaveReport, after: &SlaveReport, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64().max(1e-3);
        let rate = |before: u64, after: u64| after.saturating_sub(before) as f64 / seconds;
        let dropped = |slave: &SlaveReport| slave.drops.iter().map(|(_, count)| count).sum();
        let (old, new) = (before.counters, after.counters);
        Self {
            rx_packets: rate(old.rx_packets, new.rx_packets),
            rx_bits: rate(old.rx_bytes, new.rx_bytes) * 8.0,
            tx_packets: rate(old.tx_packets, new.tx_packets),
            tx_bits: rate(old.tx_bytes, new.tx_bytes) * 8.0,
            drops: rate(dropped(before), dropped(after)),
        }
    }
}

#[cfg(test)]
mod tests;
