//! Which commands did this test run? Kept for each test's thread, and shown when the test fails.

use std::cell::RefCell;
use std::collections::VecDeque;

/// Enough for a reader; a run of a million frames needs the memory.
const MOST: usize = 1000;

thread_local! {
    static LINES: RefCell<VecDeque<String>> = const { RefCell::new(VecDeque::new()) };
}

/// Stores one line of this test's history.
pub(crate) fn note(line: impl Into<String>) {
    LINES.with_borrow_mut(|lines| {
        if lines.len() == MOST {
            lines.pop_front();
        }
        lines.push_back(line.into());
    });
}

/// Prints the stored lines, once, if the test is failing.
pub(crate) fn show_on_failure() {
    if std::thread::panicking() {
        for line in LINES.take() {
            eprintln!("  {line}");
        }
    }
}
