//! What can be typed? The one definition of objects, commands and words.
//!
//! The parser, the help texts, the man pages and the completions all read it.

mod apply;
mod build;
mod flowtable;
mod graph;
mod kinds;
mod metrics;
mod policy;
mod switches;
mod tables;
mod top;
mod watching;

pub use kinds::KINDS;
pub use switches::{SWITCHES, Switch};
pub use tables::{OBJECTS, SET_ELSEWHERE};

use ipvl_core::{OptionEntry, OptionKey, OptionWord};

/// An object of the command line: `link`, `addr`, ...
#[derive(Debug)]
pub struct Object {
    /// The name, as help shows it.
    pub name: &'static str,
    /// Longer or older spellings.
    pub aliases: &'static [&'static str],
    /// The meaning, as half a sentence.
    pub about: &'static str,
    /// Paragraphs for the man page.
    pub text: &'static [&'static str],
    /// Its commands. A single command without a name needs no word of its own.
    pub commands: &'static [Verb],
    /// Example and explanation.
    pub examples: &'static [(&'static str, &'static str)],
    /// Whether help omits it: it is for build scripts and shells.
    pub hidden: bool,
}

/// A command of an object.
#[derive(Debug)]
pub struct Verb {
    /// The name, as help shows it; empty if the object has only this command.
    pub name: &'static str,
    /// Other spellings.
    pub aliases: &'static [&'static str],
    /// In a sentence.
    pub about: &'static str,
    /// What may follow, in any order.
    pub words: &'static [Word],
}

/// One word of a command, with its value.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// The word, or the name of a choice between words.
    pub name: &'static str,
    /// Other spellings.
    pub aliases: &'static [&'static str],
    /// How it takes its value.
    pub form: Form,
    /// Whether any beginning of it is accepted, as iproute2 does for this word.
    pub abbreviable: bool,
    /// Whether the command is incomplete without it.
    pub required: bool,
    /// The meaning, as a sentence; empty if the form says it.
    about: &'static str,
}

/// How a word takes its value.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// `mtu MTU`
    Pair(Value),
    /// `[ dev ] NAME`: a value that no other word takes is this word's.
    Bare(Value),
    /// `[ FILE ... ]`: all values that no other word takes.
    Many(Value),
    /// One of these words itself.
    Choice(&'static [&'static str]),
    /// An option of a slave.
    Option(&'static OptionEntry),
    /// `type ipvlan`, then the words of that kind; nothing follows them. The last kind has all words.
    Kind(&'static [DeviceKind]),
    /// All words that follow.
    Rest(Value),
    /// `rate in RATE out RATE`: each of these words with a value, and behind it `burst SIZE`, or not.
    Rates(&'static [&'static str]),
}

/// Between a rate and its burst.
pub const BURST: &str = "burst";

/// A kind of device, behind `type`.
#[derive(Debug)]
pub struct DeviceKind {
    /// Its name.
    pub name: &'static str,
    /// The words that may follow it.
    pub words: &'static [Word],
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Value {
    Master,
    Slave,
    NewName,
    User,
    Group,
    Netns,
    NetnsName,
    Mtu,
    Mac,
    Address,
    Prefix,
    Length,
    Bytes,
    Page,
    Words,
    File,
    Seconds,
    Number,
    Reason,
    Listen,
    OneOf(&'static [&'static str]),
}

impl Object {
    /// Whether `word` is this object's name, or a beginning of it.
    pub fn is_named(&self, word: &str) -> bool {
        begins_one(word, self.name, self.aliases)
    }

    /// The command that needs no word of its own.
    pub fn only_command(&self) -> Option<&'static Verb> {
        self.commands.first().filter(|command| command.name.is_empty())
    }

    /// `ipvl link`
    pub fn path(&self) -> String {
        format!("ipvl {}", self.name)
    }
}

impl Verb {
    /// Whether `word` is this command's name, or a beginning of it.
    pub fn is_named(&self, word: &str) -> bool {
        begins_one(word, self.name, self.aliases)
    }

    /// The word that takes values without a word.
    pub fn bare(&self) -> Option<&'static Word> {
        self.words.iter().find(|word| matches!(word.form, Form::Bare(_) | Form::Many(_)))
    }

    /// The command and all its words: `ipvl link del [ dev ] NAME [ type { ipvlan | ipvtap } ]`.
    pub fn synopsis(&self, object: &Object) -> Vec<String> {
        let start = if self.name.is_empty() { object.path() } else { format!("{} {}", object.path(), self.name) };
        std::iter::once(start).chain(synopsis(self.words)).collect()
    }
}

/// Each of `words` as help shows it.
pub fn synopsis<'a>(words: impl IntoIterator<Item = &'a Word>) -> Vec<String> {
    words.into_iter().flat_map(Word::synopsis).collect()
}

impl Word {
    /// Whether `typed` is this word, or one of the words of a choice: that word in full.
    pub fn claims(&self, typed: &str) -> Option<&'static str> {
        let same = |name: &&'static str| if self.abbreviable { begins(typed, name) } else { typed == *name };
        let named = || (same(&self.name) || self.aliases.contains(&typed)).then_some(self.name);
        match self.form {
            Form::Many(_) => None,
            Form::Choice(choices) => choices.iter().copied().find(same),
            Form::Option(entry) if stands_alone(entry) => {
                entry.words.iter().map(|word| word.word).find(same).or_else(named)
            }
            _ => named(),
        }
    }

    /// Whether a value follows this word.
    pub fn takes_value(&self, claimed: &str) -> bool {
        match self.form {
            Form::Choice(_) => false,
            Form::Option(_) => claimed == self.name,
            _ => true,
        }
    }

    /// Whether it can be given only once behind a kind: a choice, of which only the values are typed.
    pub fn is_one_of(&self) -> bool {
        matches!(self.form, Form::Choice(_)) || matches!(self.form, Form::Option(entry) if stands_alone(entry))
    }

    /// Its meaning.
    pub fn about(&self) -> String {
        match self.form {
            Form::Option(entry) => entry.to_string(),
            _ => self.about.to_owned(),
        }
    }

    /// Other spellings of the word and of its values, as a sentence; empty if there are none.
    pub fn also(&self) -> String {
        let values: Vec<String> = match self.form {
            Form::Option(entry) => entry.words.iter().filter(|word| !word.aliases.is_empty()).map(spellings).collect(),
            _ => Vec::new(),
        };
        let values = if values.is_empty() { String::new() } else { format!(", with {}", values.join(", ")) };
        let names: Vec<&str> = self.aliases.iter().copied().filter(|alias| *alias != self.name).collect();
        if names.is_empty() { String::new() } else { format!(" Also {}{values}.", names.join(" or ")) }
    }

    /// The word with its value.
    pub fn title(&self) -> String {
        match self.form {
            Form::Pair(value) | Form::Rest(value) => format!("{} {}", self.name, value.meta()),
            Form::Bare(value) => format!("[ {} ] {}", self.name, value.meta()),
            Form::Many(value) => format!("{} ...", value.meta()),
            Form::Choice(choices) => choices.join(" | "),
            Form::Rates(ways) => {
                let ways: Vec<_> = ways.iter().map(|way| format!("[ {way} RATE [ burst SIZE ] ]")).collect();
                format!("{} {}", self.name, ways.join(" "))
            }
            Form::Option(entry) if stands_alone(entry) => words(entry),
            Form::Option(entry) => format!("{} {{ {} }}", self.name, words(entry)),
            Form::Kind(kinds) => {
                let names: Vec<_> = kinds.iter().map(|kind| kind.name).collect();
                format!("{} {{ {} }}", self.name, names.join(" | "))
            }
        }
    }

    /// All that may follow one kind of device or another, each once.
    pub fn kind_words(&self) -> Vec<&'static Word> {
        let Form::Kind(kinds) = self.form else { return Vec::new() };
        let mut words: Vec<&Word> = Vec::new();
        for word in kinds.iter().flat_map(|kind| kind.words) {
            if !words.iter().any(|known| known.name == word.name) {
                words.push(word);
            }
        }
        words
    }

    fn synopsis(&self) -> Vec<String> {
        match (self.form, self.required) {
            (Form::Kind(_), _) => self.kind_synopsis(&self.kind_words()),
            (Form::Choice(_), true) => vec![format!("{{ {} }}", self.title())],
            (_, true) => vec![self.title()],
            (_, false) => vec![format!("[ {} ]", self.title())],
        }
    }

    fn kind_synopsis(&self, words: &[&Word]) -> Vec<String> {
        let start = self.title();
        match (self.required, words) {
            (true, _) => std::iter::once(start).chain(synopsis(words.iter().copied())).collect(),
            (false, []) => vec![format!("[ {start} ]")],
            (false, _) => {
                let rest = synopsis(words.iter().copied());
                std::iter::once(format!("[ {start}")).chain(rest).chain(["]".to_owned()]).collect()
            }
        }
    }
}

impl Value {
    /// The value's name in help.
    pub fn meta(self) -> String {
        let name = match self {
            Self::Master => "MASTER",
            Self::Slave | Self::NewName => "NAME",
            Self::User => "USER",
            Self::Group => "GROUP",
            Self::Netns => "{ PID | NAME }",
            Self::NetnsName => "NETNS",
            Self::Mtu => "MTU",
            Self::Mac => "LLADDR",
            Self::Address => "ADDR",
            Self::Prefix => "PREFIX",
            Self::Length => "BYTES",
            Self::Bytes => "HEX",
            Self::Page => "PAGE",
            Self::Words => "WORD...",
            Self::File => "FILE",
            Self::Seconds => "SECONDS",
            Self::Number => "NUMBER",
            Self::Reason => "REASON",
            Self::Listen => "[ADDRESS:]PORT",
            Self::OneOf(choices) => return format!("{{ {} }}", choices.join(" | ")),
        };
        name.to_owned()
    }
}

/// In the grammar of ip(8) a flag is a word of its own: `bridge`. The option's name may stand before it.
fn stands_alone(entry: &OptionEntry) -> bool {
    entry.key == OptionKey::Flag
}

/// `true or 1 for on`
fn spellings(word: &OptionWord) -> String {
    format!("{} for {}", word.aliases.join(" or "), word.word)
}

fn words(entry: &OptionEntry) -> String {
    entry.words.iter().map(|word| word.word).collect::<Vec<_>>().join(" | ")
}

fn begins_one(typed: &str, name: &str, aliases: &[&str]) -> bool {
    begins(typed, name) || aliases.iter().any(|alias| begins(typed, alias))
}

fn begins(typed: &str, name: &str) -> bool {
    !typed.is_empty() && name.starts_with(typed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_within_their_table() {
        for object in OBJECTS {
            assert_eq!(OBJECTS.iter().filter(|other| other.name == object.name).count(), 1, "{}", object.name);
            for command in object.commands {
                let same = object.commands.iter().filter(|other| other.name == command.name);
                assert_eq!(same.count(), 1, "{} {}", object.name, command.name);
            }
        }
    }

    #[test]
    fn what_follows_a_kind_is_told_once() {
        let kind = Word { form: Form::Kind(KINDS), ..build::pair("type", Value::Words, "") };
        let names: Vec<_> = kind.kind_words().iter().map(|word| word.name).collect();
        assert_eq!(
            names,
            ["mode", "flag", "guard", "host", "neigh", "dhcp", "siblings", "backend", "user", "group", "queues"]
        );
    }

    #[test]
    fn every_sentence_ends_with_a_full_stop() {
        let words = OBJECTS.iter().flat_map(|object| object.commands).flat_map(|command| command.words);
        let words = words.flat_map(|word| std::iter::once(word).chain(word.kind_words()));
        for word in words {
            assert!(word.about().ends_with('.'), "{}", word.name);
        }
    }
}
