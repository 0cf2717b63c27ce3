//! How is a finding made?

use crate::model::{Finding, Severity};

pub fn good(subject: &str, text: &str) -> Finding {
    finding(Severity::Good, subject, text, "")
}

pub fn limited(subject: &str, text: &str, remedy: &str) -> Finding {
    finding(Severity::Limited, subject, text, remedy)
}

pub fn bad(subject: &str, text: &str, remedy: &str) -> Finding {
    finding(Severity::Bad, subject, text, remedy)
}

pub fn finding(severity: Severity, subject: &str, text: &str, remedy: &str) -> Finding {
    Finding { severity, subject: subject.to_owned(), text: text.to_owned(), remedy: remedy.to_owned() }
}
