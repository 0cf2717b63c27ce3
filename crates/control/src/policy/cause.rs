//! What decided about a packet, in words?

use super::names::Names;
use ipvl_core::policy::{Cause, Direction, Policy};

/// All but the rules.
pub const CAUSES: [(Cause, &str); 6] = [
    (Cause::DEFAULT, "default"),
    (Cause::ESTABLISHED, "established"),
    (Cause::RELATED, "related"),
    (Cause::FRAGMENT, "fragment"),
    (Cause::LINK, "link"),
    (Cause::TRUNCATED, "truncated"),
];

/// What decided, in words: `rule 3: in tcp dport 80 accept`.
pub fn cause_in_words(policy: &Policy, cause: Cause, direction: Direction, names: &Names) -> String {
    match cause.rule().and_then(|place| policy.rules().get(place)) {
        Some(rule) => format!("rule {}: {}", rule.handle, names.in_words(rule)),
        None => {
            let word = CAUSES.iter().find(|(known, _)| *known == cause).map_or("?", |(_, word)| word);
            format!("{word} ({})", direction.word())
        }
    }
}
