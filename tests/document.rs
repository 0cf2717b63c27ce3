//! Does `docs/parity.md` keep its word: every row once, tests that exist, and of the module only what was run?

#[path = "rows/entry.rs"]
#[allow(dead_code, reason = "the tests of rows use the rest")]
mod entry;
#[path = "document/module.rs"]
mod module;

use ipvl_tests::document::{Row, rows};
use ipvl_tests::scenario::corpus;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The sections, each with its rows.
const SECTIONS: [(char, &[std::ops::RangeInclusive<u32>]); 12] = [
    ('A', &[1..=33]),
    ('B', &[1..=10]),
    ('C', &[1..=23, 30..=50]),
    ('D', &[1..=26]),
    ('E', &[1..=17]),
    ('F', &[1..=18]),
    ('G', &[1..=11]),
    ('H', &[1..=7]),
    ('I', &[1..=7]),
    ('J', &[1..=6]),
    ('K', &[1..=6]),
    ('L', &[1..=4]),
];
const BUGS: u32 = 32;

#[test]
fn every_row_is_there_once() {
    let numbered = SECTIONS
        .iter()
        .flat_map(|(section, ranges)| ranges.iter().cloned().flatten().map(move |number| format!("{section}{number}")));
    let bugs = (1..=BUGS).map(|number| format!("R{number}"));
    let mut wanted: Vec<_> = numbered.chain(["C31b".to_owned()]).chain(bugs).collect();
    let mut found: Vec<_> = rows().into_iter().map(|row| row.id).collect();
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted);
}

#[test]
fn every_row_is_held_or_says_why_not() {
    let idle = |row: &Row| row.held_by.is_empty() && !row.reasons.starts_with("no test: ");
    let idle: Vec<_> = rows().into_iter().filter(idle).map(|row| row.id).collect();
    assert!(idle.is_empty(), "neither held by a test nor \"no test: WHY\": {idle:?}");
}

#[test]
fn rows_that_name_scenarios_have_them_and_scenarios_name_rows() {
    let named: BTreeSet<_> = corpus().into_iter().flat_map(|case| case.rows).collect();
    let rows = rows();
    let known: BTreeSet<_> = rows.iter().map(|row| row.id.clone()).collect();
    let unknown: Vec<_> = named.difference(&known).collect();
    assert!(unknown.is_empty(), "scenarios name rows that docs/parity.md does not have: {unknown:?}");
    let says_so = |row: &&Row| row.held_by.iter().any(|holder| holder == "scenarios");
    let empty: Vec<_> = rows.iter().filter(says_so).filter(|row| !named.contains(&row.id)).map(|row| &row.id).collect();
    assert!(empty.is_empty(), "no scenario names these, though they say so: {empty:?}");
}

#[test]
fn tests_that_rows_name_exist() {
    let sources = sources();
    let tests = rows().into_iter().flat_map(|row| row.held_by.into_iter().map(move |holder| (row.id.clone(), holder)));
    let paths = tests.filter(|(_, holder)| holder.contains("::"));
    let missing: Vec<_> = paths.filter(|(_, path)| !sources.iter().any(|source| source.has(path))).collect();
    assert!(missing.is_empty(), "there are no such tests: {missing:?}");
}

/// A file of the repository.
struct FrameSource {
    /// `ipvl::lifecycle::master`, for `crates/ipvl/tests/lifecycle/master.rs`.
    module: Vec<String>,
    text: String,
}

impl FrameSource {
    fn read(root: &Path, path: &Path) -> Self {
        let relative = path.strip_prefix(root).expect("a path below the root").with_extension("");
        let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let module = match parts.as_slice() {
            [crates, name, _src, rest @ ..] if crates == "crates" => [std::slice::from_ref(name), rest].concat(),
            _ => parts,
        };
        let module = match module.split_last() {
            Some((last, rest)) if last == "mod" || last == "lib" => rest.to_vec(),
            _ => module,
        };
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { module, text }
    }

    /// Whether the test with this path is in here.
    fn has(&self, path: &str) -> bool {
        let mut parts: Vec<_> = path.split("::").collect();
        let name = parts.pop().expect("a test's name");
        let here = |module: &[&str]| module.iter().eq(self.module.iter());
        let parent = parts.split_last().map_or(&[][..], |(_, parent)| parent);
        (here(&parts) || here(parent)) && self.text.contains(&format!("fn {name}("))
    }
}

fn sources() -> Vec<FrameSource> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository").to_owned();
    let mut paths = Vec::new();
    for top in ["crates", "tests"] {
        collect(&root.join(top), &mut paths);
    }
    paths.iter().map(|path| FrameSource::read(&root, path)).collect()
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("read a directory").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, paths);
        } else if path.extension().is_some_and(|end| end == "rs") {
            paths.push(path);
        }
    }
}
