//! What does the answer look like, as text and as JSON? Pure functions from what was found to what is printed.

mod addr;
mod color;
mod doctor;
mod event;
mod explain;
mod failure;
mod flow;
mod graph;
mod harmless;
mod link;
mod metrics;
mod options;
mod plan;
mod policy;
#[cfg(test)]
mod promise;
mod stats;
mod time;
mod upgrade;

pub use addr::addresses;
pub use color::is_wanted as is_colored;
pub use doctor::findings;
pub use event::event;
pub use explain::explanation;
pub use failure::failure;
pub use flow::{described, seen};
pub use graph::{dot, graph, html, mermaid};
pub use harmless::harmless;
pub use link::links;
pub use link::own_words;
#[cfg(test)]
pub use link::tests::moved as sample_link;
pub use metrics::{MEDIA_TYPE, metrics};
pub use plan::plan;
pub use policy::{PodOnSlave, policies, translated};
pub use stats::statistics;
pub use upgrade::upgraded;

use crate::command::Switches;
use color::Color;
use serde_json::Value;

/// How to print.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// All there is.
    pub details: bool,
    /// JSON instead of text.
    pub json: bool,
    /// JSON with indentation.
    pub pretty: bool,
    /// A short line for each record, in columns.
    pub brief: bool,
    /// A long line for each record.
    pub oneline: bool,
    /// In colors. JSON has none.
    pub color: bool,
}

impl Style {
    /// The style that the switches ask for.
    pub fn of(switches: &Switches) -> Self {
        let Switches { details, json, pretty, brief, oneline, color, .. } = *switches;
        Self { details, json, pretty, brief, oneline, color: !json && color::is_wanted(color) }
    }

    /// Texts of records, each of which ends with its last line, or all of them as JSON.
    fn print(self, texts: impl FnOnce() -> Vec<String>, json: impl FnOnce() -> Value) -> String {
        match (self.json, self.pretty) {
            (false, _) => self.safe(&texts().iter().map(|text| self.record(text)).collect::<String>()),
            (true, false) => format!("{}\n", json()),
            (true, true) => format!("{:#}\n", json()),
        }
    }

    /// The text in a color, if colors are wanted.
    fn paint(self, color: Color, text: &str) -> String {
        if self.color { color.paint(text) } else { text.to_owned() }
    }

    /// As iproute2 does with `-o`.
    fn record(self, text: &str) -> String {
        match self.oneline {
            true => format!("{}\n", text.trim_end_matches('\n').replace('\n', "\\")),
            false => text.to_owned(),
        }
    }

    fn safe(self, text: &str) -> String {
        if self.color { color::harmless_except_colors(text) } else { harmless(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_in_one_line_is_ip8s() {
        let print = |oneline| {
            Style { oneline, ..Style::default() }
                .print(|| vec!["1: a\n    b\n".to_owned(), "2: c\n".to_owned()], || Value::Null)
        };
        assert_eq!((print(true), print(false)), ("1: a\\    b\n2: c\n".to_owned(), "1: a\n    b\n2: c\n".to_owned()));
    }
}
