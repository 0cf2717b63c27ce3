//! Does the column "module" of `docs/parity.md` say what was run, and nothing else?
//!
//! Two runs judge the module, both of `make parity-kmod`: the entries of `tests/rows`, which say what they expect of it; and
//! the scenarios, as `tests/parity/module.txt` keeps them; the run fails if one ends otherwise. Where a frame ends
//! differently from the kernel's driver, it ends as core decides, and so as the row's verdict says.
//!
//! `BLESS=1 cargo test -p ipvl-tests --test document` writes the column.

use crate::entry::{Driver, Entry, Expected, entries};
use ipvl_tests::document::{Row, Standing, rows};
use ipvl_tests::scenario::corpus;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/parity.md");
const SEEN: &str = include_str!("../parity/module.txt");

/// How the module stands to the kernel's driver, by one entry or scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    Same,
    Otherwise,
    NotThere,
}

#[test]
fn of_the_module_each_row_says_what_was_run() {
    let wanted = wanted();
    if std::env::var_os("BLESS").is_some() {
        let text = fs::read_to_string(PAGE).expect("docs/parity.md");
        let lines: Vec<_> = text.lines().map(|line| blessed(line, &wanted)).collect();
        fs::write(PAGE, lines.join("\n") + "\n").expect("write docs/parity.md");
    }
    let wrong: Vec<_> = rows()
        .into_iter()
        .filter(|row| wanted[&row.id] != row.module)
        .map(|row| format!("{} is \"{}\", was run as \"{}\"", row.id, row.module, wanted[&row.id]))
        .collect();
    assert!(wrong.is_empty(), "BLESS=1 writes the column: {wrong:?}");
}

#[test]
fn what_was_seen_is_of_scenarios_that_exist() {
    let known: BTreeSet<_> = corpus().iter().map(|case| scenario(&case.title).to_owned()).collect();
    let unknown: Vec<_> = seen().into_keys().filter(|name| !known.contains(*name)).collect();
    assert!(unknown.is_empty(), "make parity-kmod WRITE=1: {unknown:?}");
    assert!(seen().len() > 200, "{} scenarios", seen().len());
}

fn wanted() -> BTreeMap<String, &'static str> {
    let (scenarios, entries) = (by_scenarios(), by_entries());
    let word = |row: &Row| {
        let all = [&scenarios, &entries].map(|found| found.get(&row.id).cloned().unwrap_or_default());
        judged(row.standing, &all.concat())
    };
    rows().into_iter().map(|row| (row.id.clone(), word(&row))).collect()
}

/// One word for all that was run about a row.
fn judged(standing: Standing, all: &[Stands]) -> &'static str {
    match (all, standing) {
        ([], _) => "not run",
        _ if all.contains(&Stands::NotThere) => "not there",
        _ if !all.contains(&Stands::Otherwise) => "same",
        (_, Standing::Same) => "same",
        (_, Standing::Better) => "better",
        (_, Standing::Different) => "different",
    }
}

fn by_entries() -> BTreeMap<String, Vec<Stands>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for entry in entries() {
        for row in &entry.rows {
            found.entry(row.clone()).or_default().extend(stands(&entry));
        }
    }
    found
}

/// Nothing if the entry is not for the module.
fn stands(entry: &Entry) -> Option<Stands> {
    entry.expected(Driver::Module)?;
    Some(match &entry.module {
        None => Stands::Same,
        Some(Expected { fails: Some(words), .. }) if words == "Unknown device type" => Stands::NotThere,
        Some(_) => Stands::Otherwise,
    })
}

fn by_scenarios() -> BTreeMap<String, Vec<Stands>> {
    let (seen, mut found) = (seen(), BTreeMap::<_, Vec<_>>::new());
    for case in corpus() {
        for row in &case.rows {
            found.entry(row.clone()).or_default().extend(seen.get(scenario(&case.title)));
        }
    }
    found
}

/// By the scenario's name.
fn seen() -> BTreeMap<&'static str, Stands> {
    let standing = |line: &'static str| match line.split_once(' ') {
        Some(("same", name)) => (name, Stands::Same),
        Some(("better", name)) => (name, Stands::Otherwise),
        _ => panic!("tests/parity/module.txt: \"{line}\""),
    };
    SEEN.lines().map(standing).collect()
}

fn scenario(title: &str) -> &str {
    title.split(" [").next().unwrap_or_default()
}

/// A line of the page with its word in the column.
fn blessed(line: &str, wanted: &BTreeMap<String, &str>) -> String {
    let mut cells: Vec<_> = line.split(" | ").collect();
    let word = cells[0].strip_prefix("| ").and_then(|id| wanted.get(id));
    let (Some(word), 6) = (word, cells.len()) else { return line.to_owned() };
    cells[4] = word;
    cells.join(" | ")
}

#[test]
fn a_verdict_needs_a_run() {
    assert_eq!(judged(Standing::Better, &[]), "not run");
    assert_eq!(judged(Standing::Better, &[Stands::Same]), "same");
    assert_eq!(judged(Standing::Better, &[Stands::Same, Stands::Otherwise]), "better");
    assert_eq!(judged(Standing::Different, &[Stands::NotThere, Stands::Same]), "not there");
}
