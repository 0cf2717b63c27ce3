//! Has a text changed? Expected texts are files in `tests/snapshots`; `BLESS=1` writes them again.

use std::path::Path;
use std::{env, fs};

/// Compares `actual` with the file `name`.
#[track_caller]
pub fn check(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if env::var_os("BLESS").is_some() {
        fs::write(&path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{name} differs; if it is meant to, run the test with BLESS=1");
}
