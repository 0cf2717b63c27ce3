//! What is to be watched?

use super::values;
use crate::command::{Capture, Filter};
use crate::usage::UsageError;
use crate::words::Given;
use ipvl_core::Reason;
use ipvl_core::maps::MAX_SNAP;

/// The words of `flows`, which `capture` has, too.
pub fn filter(given: &Given) -> Result<Filter, UsageError> {
    Ok(Filter {
        slave: given.parsed("dev", values::device)?,
        reason: given.parsed("reason", reason)?,
        drops: given.get("drops").is_some(),
        from: given.parsed("from", values::address)?,
        to: given.parsed("to", values::address)?,
        count: given.parsed("-c", count)?,
    })
}

/// The words of `capture`.
pub fn capture(given: &Given) -> Result<Capture, UsageError> {
    let capture = Capture {
        filter: filter(given)?,
        snap: given.parsed("-s", snap)?.unwrap_or(MAX_SNAP as u32),
        write: given.get("-w").map(str::to_owned),
        megabytes: given.parsed("-C", megabytes)?,
        files: given.parsed("-W", files)?,
    };
    match (&capture.write, capture.megabytes, capture.files) {
        (None, Some(_), _) | (_, None, Some(_)) => Err(UsageError::RotatesNothing),
        (Some(name), Some(_), _) if name == "-" => Err(UsageError::RotatesNothing),
        _ => Ok(capture),
    }
}

fn reason(text: &str) -> Result<Reason, UsageError> {
    let named = Reason::ALL.iter().find(|reason| reason.name() == text);
    named.copied().ok_or_else(|| UsageError::Wrong {
        value: text.to_owned(),
        must: "reason must be a name that \"ipvl -d stats\" and docs/operating.md show, such as private",
    })
}

fn count(text: &str) -> Result<u64, UsageError> {
    number(text, 1..=u64::MAX, "-c must be a number from 1")
}

fn snap(text: &str) -> Result<u32, UsageError> {
    number(text, 14..=MAX_SNAP as u64, "-s must be a number of bytes from 14 to 2048").map(|bytes| bytes as u32)
}

fn megabytes(text: &str) -> Result<u32, UsageError> {
    number(text, 1..=1_000_000, "-C must be a number of megabytes from 1 to 1000000").map(|size| size as u32)
}

fn files(text: &str) -> Result<u32, UsageError> {
    number(text, 1..=1_000_000, "-W must be a number of files from 1 to 1000000").map(|files| files as u32)
}

fn number(text: &str, range: std::ops::RangeInclusive<u64>, must: &'static str) -> Result<u64, UsageError> {
    let parsed = text.parse().ok().filter(|number| range.contains(number));
    parsed.ok_or_else(|| UsageError::Wrong { value: text.to_owned(), must })
}
