//! How is a failure told, on standard error?

use super::Style;
use super::harmless::harmless;
use serde_json::json;

/// A failure's message; in a batch with the file and the lines that failed, as `file:1-3`.
pub fn failure(message: &str, place: Option<&(String, String)>, style: Style) -> String {
    if style.json {
        let mut all = json!({ "error": message.strip_prefix("Error: ").unwrap_or(message) });
        if let Some((file, lines)) = place {
            (all["file"], all["lines"]) = (json!(file), json!(lines));
        }
        return if style.pretty { format!("{all:#}\n") } else { format!("{all}\n") };
    }
    let place = place.map_or_else(String::new, |(file, lines)| format!("Command failed {file}:{lines}\n"));
    let message = if message.is_empty() { String::new() } else { format!("{message}\n") };
    harmless(&(message + &place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_an_object_and_a_person_a_sentence() {
        let place = ("f".to_owned(), "1-3".to_owned());
        let (text, json) = (Style::default(), Style { json: true, ..Style::default() });
        let told = |style| failure("Error: \"x\" is wrong", Some(&place), style);
        assert_eq!(told(text), "Error: \"x\" is wrong\nCommand failed f:1-3\n");
        assert_eq!(told(json), "{\"error\":\"\\\"x\\\" is wrong\",\"file\":\"f\",\"lines\":\"1-3\"}\n");
    }
}
