//! Can a name that is printed do any harm? Not after this.

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
