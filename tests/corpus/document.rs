//! What does `docs/parity.md` say about each row? Its verdict, and the tests that check it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// How ipvl stands to the kernel's driver in one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The same frames reach the same places.
    Same,
    /// ipvl fixes what the kernel's driver loses, leaks, or applies to other slaves.
    Better,
    /// Neither, and the row says why.
    Different,
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// `C31b`.
    pub id: String,
    /// The verdict.
    pub standing: Standing,
    /// The same for the kernel module, as far as it was run: `not run`, `not there`, or a verdict.
    pub module: String,
    /// What is in backticks in the last column: `scenarios`, `rows`, a test's path, `rule NAME`.
    pub held_by: Vec<String>,
    /// The last column as it is.
    pub reasons: String,
}

/// All rows, in the document's order.
///
/// # Panics
/// When a line that begins as a row does is none.
pub fn rows() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/parity.md");
    let text = fs::read_to_string(path).expect("docs/parity.md");
    text.lines().filter_map(row).collect()
}

/// The verdicts by row.
pub fn standings() -> BTreeMap<String, Standing> {
    rows().into_iter().map(|row| (row.id, row.standing)).collect()
}

fn row(line: &str) -> Option<Row> {
    let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
    let cells: Vec<_> = inner.split(" | ").map(str::trim).collect();
    let id = cells[0];
    if !id.starts_with(|first: char| first.is_ascii_uppercase()) {
        return None;
    }
    let &[_, _, _, standing, module, reasons] = cells.as_slice() else {
        panic!("docs/parity.md: row {id} has {} columns, not 6", cells.len())
    };
    let standing = match standing {
        "same" => Standing::Same,
        "better" => Standing::Better,
        "different" => Standing::Different,
        other => panic!("docs/parity.md: row {id} is \"{other}\": say same, better or different"),
    };
    let held_by = reasons.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Some(Row { id: id.to_owned(), standing, module: module.to_owned(), held_by, reasons: reasons.to_owned() })
}
