//! Does each driver do what docs/parity.md says of it, in all that is typed rather than sent?
//!
//! `rows/*.toml` say what is done and what must be seen. The same entries judge ipvl and, with `DRIVER=kernel` on a kernel
//! that has it, the kernel's own driver.

#[path = "rows/entry.rs"]
mod entry;
#[path = "rows/play.rs"]
mod play;

use entry::{Driver, Entry, entries};
use ipvl_testbed::{at_once, require_root};
use ipvl_tests::document::{Row, Standing, rows, standings};
use std::collections::BTreeSet;

/// Most of an entry's time is spent waiting.
const AT_ONCE: usize = 6;

#[test]
fn every_row_is_as_the_document_says() {
    require_root!();
    let driver = Driver::chosen();
    let all = wanted(driver, |entry| entry.needs.is_none());
    let total = all.len();
    let failures = at_once(AT_ONCE, all, |entry| play::play(&entry, driver));
    assert!(failures.is_empty(), "{} of {total}, {driver:?}:\n{}", failures.len(), failures.join("\n"));
    println!("{total} entries, {driver:?}");
}

/// These entries are skipped on a kernel without the device, and no others with them.
#[test]
fn every_row_about_a_kind_of_device_is_as_the_document_says() {
    require_root!();
    let driver = Driver::chosen();
    let all = wanted(driver, |entry| entry.needs.is_some());
    let failures: Vec<_> = all.iter().filter_map(|entry| play::play(entry, driver).err()).collect();
    assert!(failures.is_empty(), "{} of {}, {driver:?}:\n{}", failures.len(), all.len(), failures.join("\n"));
}

/// The entries that this driver is judged by and, if `ROWS` names rows, that are about one of them.
fn wanted(driver: Driver, which: impl Fn(&Entry) -> bool) -> Vec<Entry> {
    let rows = std::env::var("ROWS").unwrap_or_default();
    entries().into_iter().filter(|entry| entry.concerns(driver, &rows) && which(entry)).collect()
}

/// A row that is held by "rows" has an entry, and an entry speaks to rows that there are.
#[test]
fn the_document_and_the_entries_agree() {
    let known = rows();
    let named: BTreeSet<_> = entries().into_iter().flat_map(|entry| entry.rows).collect();
    let unknown: Vec<_> = named.iter().filter(|id| !known.iter().any(|row| row.id == **id)).collect();
    assert!(unknown.is_empty(), "docs/parity.md has no row {unknown:?}");
    let claims = |row: &&Row| row.held_by.iter().any(|test| test == "rows");
    let missing: Vec<_> = known.iter().filter(claims).map(|row| &row.id).filter(|id| !named.contains(*id)).collect();
    assert!(missing.is_empty(), "no entry in tests/rows has {missing:?}");
}

/// Where the document says "same", no entry may expect two things. How an error is worded is no difference.
#[test]
fn what_is_the_same_is_expected_once() {
    let known = standings();
    let same = |entry: &&Entry| entry.rows.iter().all(|row| known.get(row) == Some(&Standing::Same));
    let all = entries();
    let wrong: Vec<_> = all.iter().filter(same).filter(|entry| entry.tells_drivers_apart()).collect();
    let wrong: Vec<_> = wrong.iter().map(|entry| format!("{:?}: {}", entry.rows, entry.name)).collect();
    assert!(wrong.is_empty(), "docs/parity.md says \"same\", these do not:\n{}", wrong.join("\n"));
}
