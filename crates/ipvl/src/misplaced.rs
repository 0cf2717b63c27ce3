//! What was meant by a word that stands where it cannot? A whole line that can be typed, or a word that is spelt alike.

use crate::definition::{DeviceKind, Form, Object, SWITCHES, Verb, Word};
use crate::usage::UsageError;
use ipvl_control::text::nearest;

/// A line with words of a type, but without the type, gets the line that has it; other garbage the word that is spelt
/// alike.
pub fn explain(error: UsageError, object: &Object, verb: &'static Verb, line: &[String]) -> UsageError {
    match &error {
        UsageError::Garbage { value, .. } | UsageError::TooMuch { value } => {
            let value = value.clone();
            behind_type(object, verb, line).unwrap_or_else(|| error.meaning(&value, words(verb.words)))
        }
        UsageError::Missing { word: "type" } => behind_type(object, verb, line).unwrap_or(error),
        UsageError::UnknownKindWord { kind, word, .. } => {
            let (word, kind) = (word.clone(), kinds(verb).iter().find(|known| known.name == *kind));
            error.meaning(&word, words(kind.map_or(&[][..], |kind| kind.words)))
        }
        UsageError::WrongWord { value, option } => {
            let (value, spellings) = (value.clone(), option.spellings());
            error.meaning(&value, spellings)
        }
        _ => error,
    }
}

/// All spellings of switches, with their dash.
pub fn switches(typed: &str) -> Option<String> {
    let name = typed.trim_start_matches('-');
    nearest(name, SWITCHES.iter().map(|switch| switch.name)).map(|name| format!("-{name}"))
}

/// `link set ipvl0 private`: the words of a type go behind it.
fn behind_type(object: &Object, verb: &'static Verb, line: &[String]) -> Option<UsageError> {
    let kind = kinds(verb).first().filter(|_| !line.iter().any(|word| word == "type"))?;
    let is_of_kind = |typed: &String| kind.words.iter().find(|word| is_exactly(word, typed));
    let (mut before, mut behind) = (Vec::new(), Vec::new());
    let mut line = line.iter();
    while let Some(typed) = line.next() {
        match is_of_kind(typed) {
            Some(word) => {
                behind.push(typed.as_str());
                if word.claims(typed).is_some_and(|claimed| word.takes_value(claimed)) {
                    behind.extend(line.next().map(String::as_str));
                }
            }
            None => before.push(typed.as_str()),
        }
    }
    let word = (*behind.first()?).to_owned();
    let (before, behind) = (before.join(" "), behind.join(" "));
    Some(UsageError::BehindType {
        word,
        line: format!("{} {} {before} type {} {behind}", object.path(), verb.name, kind.name),
    })
}

/// Not shortened: a beginning may as well be a name.
fn is_exactly(word: &Word, typed: &str) -> bool {
    word.claims(typed).is_some_and(|claimed| claimed == typed || word.aliases.contains(&typed))
}

fn kinds(verb: &'static Verb) -> &'static [DeviceKind] {
    let kinds = verb.words.iter().find_map(|word| match word.form {
        Form::Kind(kinds) => Some(kinds),
        _ => None,
    });
    kinds.unwrap_or_default()
}

/// What can be typed where one of these words can.
fn words(words: &'static [Word]) -> impl Iterator<Item = &'static str> {
    words.iter().flat_map(|word| match word.form {
        Form::Choice(choices) => choices.to_vec(),
        Form::Option(entry) if word.is_one_of() => entry.spellings().chain([word.name]).collect(),
        _ => std::iter::once(word.name).chain(word.aliases.iter().copied()).collect(),
    })
}
