//! Which labels does a text name?

use crate::refusal::PolicyRefusal;
use ipvl_core::policy::LABEL_BYTES;
use std::collections::BTreeSet;

/// Labels with blanks or commas between them.
///
/// # Errors
///
/// Which is no label, in a sentence.
pub fn labels(text: &str) -> Result<BTreeSet<String>, String> {
    let all = text.split([' ', ',', '\t', '\n']).filter(|label| !label.is_empty());
    all.map(|label| unless_unfit(label).map(|()| label.to_owned()).map_err(|why| format!("{label:?}: {why}"))).collect()
}

/// Refuses what cannot be a label.
pub fn unless_unfit(label: &str) -> Result<(), PolicyRefusal> {
    let is_fit = !label.is_empty() && label.len() <= LABEL_BYTES && label.chars().all(|c| c.is_ascii_graphic());
    if is_fit && !label.contains([',', ';']) { Ok(()) } else { Err(PolicyRefusal::UnfitLabel) }
}
