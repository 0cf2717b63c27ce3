//! Which commands did this test run? Kept for each test's thread, and shown when the test fails.

use std::cell::RefCell;

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Remembers one line of this test's story.
pub(crate) fn note(line: impl Into<String>) {
    LINES.with_borrow_mut(|lines| lines.push(line.into()));
}

/// Prints what was remembered, once, if the test is failing.
pub(crate) fn show_on_failure() {
    if std::thread::panicking() {
        for line in LINES.take() {
            eprintln!("  {line}");
        }
    }
}
