//! What does docs/parity.md say of each row?

use std::collections::BTreeMap;

/// A line of the tables.
pub struct Row {
    /// `C1`.
    pub name: String,
    /// `same`, `better` or `different`.
    pub verdict: String,
    /// What is in backticks in the last column.
    pub held_by: Vec<String>,
}

/// All rows by name.
pub fn rows() -> BTreeMap<String, Row> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/parity.md");
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines().filter_map(row).map(|row| (row.name.clone(), row)).collect()
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<_> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
    let [name, _, _, verdict, _, held_by] = cells[..] else { return None };
    let numbered =
        name.starts_with(|c: char| c.is_ascii_uppercase()) && name[1..].starts_with(|c: char| c.is_ascii_digit());
    let held_by = held_by.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    numbered.then(|| Row { name: name.to_owned(), verdict: verdict.to_owned(), held_by })
}
