//! What does `help WORD` print? Whatever has that name: a command's word, an option or its words, a switch, a reason.

use super::wrap::entry;
use crate::definition::{Form, OBJECTS, SWITCHES, Switch, Word};
use crate::usage::UsageError;
use ipvl_control::remedy;
use ipvl_core::{OPTIONS, OptionEntry, Reason};

/// The help about a word.
pub fn of_word(word: &str) -> Result<String, UsageError> {
    let found: Vec<String> =
        [of_options(word), of_words(word), of_switch(word), of_reason(word)].into_iter().flatten().collect();
    match found.is_empty() {
        true => Err(UsageError::UnknownTopic { word: word.to_owned() }.meaning(word, known())),
        false => Ok(found.join("\n")),
    }
}

/// An option of a slave, by its name or by one of its words.
fn of_options(word: &str) -> Option<String> {
    let has = |entry: &&OptionEntry| entry.names().chain(entry.spellings()).any(|known| known == word);
    let entries: String = OPTIONS
        .iter()
        .filter(has)
        .map(|option| {
            let words: Vec<&str> = option.words.iter().map(|word| word.word).collect();
            entry(&format!("{} {{ {} }}", option.name, words.join(" | ")), &option.to_string())
        })
        .collect();
    (!entries.is_empty()).then(|| format!("An option of a slave, behind its type:\n{entries}"))
}

/// A word of commands, once for each meaning, with the commands that know it.
fn of_words(word: &str) -> Option<String> {
    let mut meanings: Vec<(&Word, Vec<String>)> = Vec::new();
    for object in OBJECTS.iter().filter(|object| !object.hidden) {
        for verb in object.commands {
            for known in verb.words.iter().flat_map(|known| std::iter::once(known).chain(known.kind_words())) {
                if !is_named(known, word) {
                    continue;
                }
                let place = format!("{} {}", object.path(), verb.name).trim_end().to_owned();
                match meanings.iter_mut().find(|(other, _)| other.about() == known.about()) {
                    Some((_, places)) => places.push(place),
                    None => meanings.push((known, vec![place])),
                }
            }
        }
    }
    let told = |(known, places): &(&Word, Vec<String>)| {
        format!("A word of {}:\n{}", places.join(", "), entry(&known.title(), &(known.about() + &known.also())))
    };
    (!meanings.is_empty()).then(|| meanings.iter().map(told).collect::<Vec<_>>().join("\n"))
}

/// Options have a paragraph of their own.
fn is_named(known: &Word, word: &str) -> bool {
    match known.form {
        Form::Option(_) => false,
        Form::Choice(choices) => choices.contains(&word),
        _ => known.name == word || known.aliases.contains(&word),
    }
}

fn of_switch(word: &str) -> Option<String> {
    let switch = Switch::find(word).filter(|switch| word.starts_with('-') || word == switch.name)?;
    Some(format!("An option, before the object:\n{}", entry(&switch.synopsis(), switch.about)))
}

/// Why a frame was dropped, and what to do about it.
fn of_reason(word: &str) -> Option<String> {
    let reason = Reason::ALL.iter().find(|reason| reason.name() == word)?;
    let todo = match remedy(*reason) {
        "" => String::new(),
        remedy => format!(" To do: {remedy}."),
    };
    let about = format!("{}{todo}", reason.meaning().trim());
    Some(format!("A reason for which frames are dropped, in ipvl stats:\n{}", entry(reason.name(), &about)))
}

fn known() -> impl Iterator<Item = &'static str> {
    let objects = OBJECTS.iter().filter(|object| !object.hidden);
    let words = objects.clone().flat_map(|object| object.commands).flat_map(|verb| verb.words).map(|word| word.name);
    let options = OPTIONS.iter().flat_map(|option| option.names().chain(option.spellings()));
    let others = SWITCHES.iter().map(|switch| switch.name).chain(Reason::ALL.iter().map(|reason| reason.name()));
    objects.map(|object| object.name).chain(words).chain(options).chain(others)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot;

    #[test]
    fn all_that_has_the_name_is_told() {
        let told: String = ["private", "guard", "mtu", "dev", "-br", "too-big", "up"]
            .map(|word| format!("$ ipvl help {word}\n{}", of_word(word).unwrap()))
            .concat();
        snapshot::check("help-words.txt", &told);
    }

    #[test]
    fn what_has_no_help_may_have_been_meant_otherwise() {
        assert!(of_word("gaurd").unwrap_err().to_string().ends_with(" Did you mean \"guard\"?"));
        assert!(of_word("xyzzy").unwrap_err().to_string().ends_with("no reason of a drop."));
    }
}
