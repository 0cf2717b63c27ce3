//! What of the address tables was reported, and what is different now?

use crate::model::{AddressEntry, AddressMove, MonitorEvent};
use crate::read::table::{Line, Move, Table};
use ipvl_core::{IfIndex, Moved};
use std::collections::{BTreeMap, BTreeSet};

/// The address tables, by master.
#[derive(Default)]
pub struct ReportedTables(BTreeMap<IfIndex, ReportedTable>);

/// The table of one master.
#[derive(Default)]
pub struct ReportedTable {
    lines: BTreeMap<Line, AddressEntry>,
    moves: BTreeMap<Move, (Moved, AddressMove)>,
}

impl ReportedTable {
    /// What is to be reported of a table.
    pub fn of(table: &Table) -> Self {
        Self { lines: table.lines(), moves: table.moves() }
    }

    /// Moves first, then deleted lines and new ones. Of a table that was not known, no move is news.
    fn differences(&self, new: &Self) -> Vec<MonitorEvent> {
        let is_news = |(key, (moved, _)): &(&Move, &(Moved, AddressMove))| {
            !self.lines.is_empty() && self.moves.get(key).is_none_or(|(before, _)| before != moved)
        };
        let moves = new.moves.iter().filter(is_news).map(|(_, (_, told))| MonitorEvent::AddressMoved(told.clone()));
        let deleted = missing(&self.lines, &new.lines).map(MonitorEvent::AddressDeleted);
        let added = missing(&new.lines, &self.lines).map(MonitorEvent::AddressAdded);
        moves.chain(deleted).chain(added).collect()
    }
}

impl ReportedTables {
    /// Takes over tables that were read, and returns what is to be reported. Of `masters` that could not be read, the tables
    /// stay; others are gone.
    pub fn replace(
        &mut self,
        masters: &BTreeSet<IfIndex>,
        mut read: BTreeMap<IfIndex, ReportedTable>,
    ) -> Vec<MonitorEvent> {
        let before = std::mem::take(&mut self.0);
        let mut reports = Vec::new();
        for (master, table) in before {
            if masters.contains(&master) && !read.contains_key(&master) {
                self.0.insert(master, table);
                continue;
            }
            let new = read.remove(&master).unwrap_or_default();
            reports.extend(table.differences(&new));
            self.0.insert(master, new);
        }
        reports.extend(read.values().flat_map(|new| ReportedTable::default().differences(new)));
        self.0.extend(read);
        reports
    }
}

/// The lines that are in `from` and not in `other`.
fn missing<'a>(
    from: &'a BTreeMap<Line, AddressEntry>,
    other: &'a BTreeMap<Line, AddressEntry>,
) -> impl Iterator<Item = AddressEntry> + 'a {
    from.iter().filter(|(line, _)| !other.contains_key(line)).map(|(_, entry)| entry.clone())
}
