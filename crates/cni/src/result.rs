//! How is a plugin's result of any version read and written?

use crate::failure::Failure;
use crate::fields::Fields;
use crate::outcome::{self, Outcome};
use crate::outcome_020;
use crate::version::is_at_least;
use serde_json::Value;

/// Reads one that is found at `place`.
pub fn parse(value: &Value, place: &str) -> Result<Outcome, Failure> {
    let mut outcome = outcome::parse(value, place)?;
    outcome_020::take(&Fields::of(value, place)?, place, &mut outcome)?;
    Ok(outcome)
}

/// A result of 0.3.0 or later as another version has it.
pub fn in_version(result: Value, version: &str) -> Value {
    match is_at_least(version, "0.3.0") {
        true => outcome::in_version(result, version),
        false => outcome_020::write(&result, version),
    }
}
