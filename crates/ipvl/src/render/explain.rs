//! How is a verdict shown?

use super::Style;
use crate::backend::Explanation;
use ipvl_core::{Action, Verdict};
use serde_json::json;

/// What was looked up on the way, and what came of it.
pub fn explanation(explanation: &Explanation, style: Style) -> String {
    let Explanation { verdict, questions, text } = explanation;
    style.print(
        || questions.iter().map(|question| format!("    {question}\n")).chain([format!("{text}\n")]).collect(),
        || json!({ "verdict": word(*verdict), "reason": reason(*verdict), "questions": questions, "text": text }),
    )
}

fn word(verdict: Verdict) -> &'static str {
    match verdict.action() {
        Action::Deliver(_) => "deliver",
        Action::Flood(_) => "flood",
        Action::Wire => "wire",
        Action::Route => "route",
        Action::OnLink => "on-link",
        Action::Host => "host",
        Action::Answer => "answer",
        Action::Drop(_) => "drop",
    }
}

fn reason(verdict: Verdict) -> Option<&'static str> {
    match verdict.action() {
        Action::Drop(reason) => Some(reason.name()),
        _ => None,
    }
}
