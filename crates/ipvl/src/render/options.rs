//! How are a slave's options shown?

use ipvl_core::{OPTIONS, OptionEntry, OptionKey, Options};
use serde_json::{Value, json};

/// `mode l3 bridge guard owned host off`, and rarely used options if they do not have the default.
pub fn in_words(options: Options) -> String {
    let shown = OPTIONS.iter().filter(|entry| entry.is_shown(options));
    let words: Vec<String> = shown.map(|entry| in_line(entry, options)).collect();
    words.join(" ")
}

/// An option as JSON has it: one that is on or off is true or false.
pub fn in_json(entry: &OptionEntry, options: Options) -> Value {
    let word = options.word(entry.key);
    if entry.is_switch() { json!(word == "on") } else { json!(word) }
}

/// A flag stands alone, as in the output of ip(8).
fn in_line(entry: &OptionEntry, options: Options) -> String {
    let word = options.word(entry.key);
    if entry.key == OptionKey::Flag { word.to_owned() } else { format!("{} {word}", entry.name) }
}
