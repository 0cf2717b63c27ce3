//! How is a verdict shown?

use super::Style;
use super::color::Color;
use crate::backend::Explanation;
use ipvl_core::{Action, Verdict};
use serde_json::json;

/// The look-ups of the decision, their answers, the verdict, and what to do if the frame does not arrive.
pub fn explanation(explanation: &Explanation, style: Style) -> String {
    let Explanation { verdict, questions, text, lost, remedy } = explanation;
    let remedy_text = if remedy.is_empty() { String::new() } else { format!(" To do: {remedy}") };
    let stop = if remedy.is_empty() || text.ends_with('.') { "" } else { "." };
    let color = if lost.is_some() || reason(*verdict).is_some() { Color::Bad } else { Color::Good };
    let last = format!("{}{stop}{remedy_text}\n", style.paint(color, text));
    style.print(
        || vec![questions.iter().map(|question| format!("    {question}\n")).chain([last]).collect()],
        || {
            json!({
                "verdict": word(*verdict),
                "reason": reason(*verdict),
                "questions": questions,
                "text": text,
                "lost": lost,
                "remedy": remedy,
            })
        },
    )
}

/// The verdict's word.
pub fn word(verdict: Verdict) -> &'static str {
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

/// Why it is dropped, if it is.
pub fn reason(verdict: Verdict) -> Option<&'static str> {
    match verdict.action() {
        Action::Drop(reason) => Some(reason.name()),
        _ => None,
    }
}
