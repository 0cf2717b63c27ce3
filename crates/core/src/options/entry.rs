//! How is an option found by its name, and what does its entry in the table mean?

use super::{OPTIONS, OptionEntry, OptionKey, OptionWord, Options};
use core::fmt;

impl OptionKey {
    /// What there is to know of it.
    pub fn entry(self) -> &'static OptionEntry {
        &OPTIONS[self as usize]
    }
}

impl OptionEntry {
    /// The option that has this name, or this alias.
    pub fn find(name: &str) -> Option<&'static Self> {
        OPTIONS.iter().find(|entry| entry.names().any(|known| known == name))
    }

    /// Its name and its aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        core::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// The word that it has where nothing is said.
    pub fn default_word(&self) -> &'static str {
        Options::DEFAULT.word(self.key)
    }

    /// Whether a line about a slave with these options shows this one.
    pub fn is_shown(&self, options: Options) -> bool {
        self.in_every_line || options.word(self.key) != self.default_word()
    }

    /// Every spelling of a value: the words, then their aliases.
    pub fn spellings(&self) -> impl Iterator<Item = &'static str> + use<> {
        let aliases = self.words.iter().flat_map(|word| word.aliases.iter().copied());
        self.words.iter().map(|word| word.word).chain(aliases)
    }

    /// Whether its words are `on` and `off`, so that it is true or false in JSON.
    pub fn is_switch(&self) -> bool {
        self.words.iter().all(|word| matches!(word.word, "on" | "off"))
    }

    /// Whether `true` and `false` are among its spellings, so that JSON's and TOML's booleans set it.
    pub fn takes_booleans(&self) -> bool {
        self.spellings().any(|word| word == "true")
    }
}

/// Its meaning with that of each word, in sentences.
impl fmt::Display for OptionEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.about)?;
        self.words.iter().try_for_each(|OptionWord { word, meaning, .. }| {
            let default = if *word == self.default_word() { " (the default)" } else { "" };
            write!(f, " {word}{default}: {meaning}.")
        })
    }
}
