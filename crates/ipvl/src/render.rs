//! What does the answer look like, as text and as JSON? Pure functions from what was found to what is printed.

mod addr;
mod doctor;
mod event;
mod explain;
mod flow;
mod link;
mod options;
mod plan;
mod stats;
mod time;
mod upgrade;

pub use addr::addresses;
pub use doctor::findings;
pub use event::event;
pub use explain::explanation;
pub use flow::{described, seen};
pub use link::links;
pub use plan::plan;
pub use stats::statistics;
pub use upgrade::upgraded;

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
}

impl Style {
    fn print(self, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) -> String {
        match (self.json, self.pretty) {
            (false, _) => harmless(&text()),
            (true, false) => format!("{}\n", json()),
            (true, true) => format!("{:#}\n", json()),
        }
    }
}

/// Text without characters that move a terminal's cursor or change the order of letters: names may come from namespaces
/// with a hostile root.
pub fn harmless(text: &str) -> String {
    let is_harmful = |c: char| !matches!(c, '\n' | '\t') && (c.is_control() || turns_order(c));
    text.chars().fold(String::with_capacity(text.len()), |mut safe, c| {
        if is_harmful(c) {
            safe.extend(c.escape_default())
        } else {
            safe.push(c)
        }
        safe
    })
}

/// Unicode's directional formatting characters.
fn turns_order(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_command_a_terminal() {
        assert_eq!(harmless("ipvl\u{1b}[2J\u{202e}\u{9b}\r ä\n"), "ipvl\\u{1b}[2J\\u{202e}\\u{9b}\\r ä\n");
    }
}
