//! What does `help` print?

use super::topics::of_word;
use super::wrap::{entry, wrap};
use crate::command::Topic;
use crate::definition::{KINDS, OBJECTS, Object, SWITCHES, Switch, Word, synopsis};
use crate::names::Named as _;
use crate::usage::UsageError;
use ipvl_control::Kind;

/// The help text about `topic`.
pub fn help(topic: &Topic) -> Result<String, UsageError> {
    match topic {
        Topic::All => Ok(all()),
        Topic::Object(object) => Ok(of_object(object)),
        Topic::Kind(kind) => Ok(of_kind(*kind)),
        Topic::Word(word) => of_word(word),
    }
}

fn all() -> String {
    let names: Vec<_> = shown().map(|object| object.name).collect();
    let options: Vec<_> = SWITCHES.iter().map(Switch::synopsis).collect();
    let objects: String = shown().map(|object| entry(object.name, object.about)).collect();
    let start = "Usage: ipvl [ OPTIONS ] OBJECT { COMMAND | help }\n       ipvl [ -force ] -batch FILE\n";
    let objects_line = format!("{{ {} }}", names.join(" | "));
    let options_line = format!("{{ {} }}", options.join(" | "));
    format!(
        "{start}{}{}\n{objects}",
        wrap("where  OBJECT := ", 19, objects_line.split_inclusive(" | ").map(str::trim_end)),
        wrap("       OPTIONS := ", 20, options_line.split_inclusive(" | ").map(str::trim_end)),
    )
}

fn of_object(object: &Object) -> String {
    let starts = std::iter::once("Usage: ").chain(std::iter::repeat("       "));
    let usage: String = starts
        .zip(object.commands)
        .map(|(start, command)| {
            let pieces = command.synopsis(object);
            wrap(start, 15, pieces.iter().map(String::as_str))
        })
        .collect();
    format!("{usage}\n{}", entries(words_of(object)))
}

fn of_kind(kind: Kind) -> String {
    let words = KINDS.iter().find(|known| known.name == kind.word()).map_or(&[][..], |known| known.words);
    let pieces = synopsis(words);
    let usage = wrap(&format!("Usage: ... {} ", kind.word()), 18, pieces.iter().map(String::as_str));
    format!("{usage}\n{}", entries(words))
}

/// Every word that some command of `object` knows, each once.
fn words_of(object: &Object) -> Vec<&'static Word> {
    let mut words: Vec<&'static Word> = Vec::new();
    for word in object.commands.iter().flat_map(|command| command.words).flat_map(with_kind) {
        if !words.iter().any(|other| other.title() == word.title()) {
            words.push(word);
        }
    }
    words
}

fn with_kind(word: &'static Word) -> Vec<&'static Word> {
    std::iter::once(word).chain(word.kind_words()).collect()
}

fn shown() -> impl Iterator<Item = &'static Object> {
    OBJECTS.iter().filter(|object| !object.hidden)
}

fn entries<'a>(words: impl IntoIterator<Item = &'a Word>) -> String {
    words.into_iter().map(|word| entry(&word.title(), &word.about())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot;

    #[test]
    fn help_is_as_it_was() {
        snapshot::check("help.txt", &help(&Topic::All).unwrap());
        for (name, kind) in Kind::NAMES {
            snapshot::check(&format!("help-{name}.txt"), &help(&Topic::Kind(*kind)).unwrap());
        }
        for object in shown() {
            snapshot::check(&format!("help-{}.txt", object.name), &help(&Topic::Object(object)).unwrap());
        }
    }
}
