//! Which word of a command line has which value? The definition says how to read them; the values are still text here.

use crate::definition::{BURST, DeviceKind, Form, SET_ELSEWHERE, Verb, Word, synopsis};
use crate::usage::UsageError;
use std::slice::Iter;

/// The words of a command line, with their values.
#[derive(Debug, Default)]
pub struct Given(Vec<(&'static str, String)>);

impl Given {
    /// Reads what stands behind the command.
    pub fn read(line: &[String], command: &'static Verb) -> Result<Self, UsageError> {
        let mut given = Self::default();
        let mut line = line.iter();
        while let Some(typed) = line.next() {
            match claim(typed, command.words) {
                Some((word, claimed)) => given.take(word, claimed, typed, &mut line)?,
                None => given.take_bare(typed, command)?,
            }
        }
        given.check_required(command.words)?;
        Ok(given)
    }

    /// The value of `word`, if it was given.
    pub fn get(&self, word: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == word).map(|(_, value)| value.as_str())
    }

    /// All values of a word that may be given several times.
    pub fn all(&self, word: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(name, _)| *name == word).map(|(_, value)| value.as_str())
    }

    /// The value of `word`, understood.
    pub fn parsed<T>(
        &self,
        word: &str,
        parse: impl Fn(&str) -> Result<T, UsageError>,
    ) -> Result<Option<T>, UsageError> {
        self.get(word).map(parse).transpose()
    }

    /// The value of a word that the definition requires.
    pub fn required(&self, word: &'static str) -> Result<&str, UsageError> {
        self.get(word).ok_or(UsageError::Missing { word })
    }

    /// The first of `words` that was given.
    pub fn first_of(&self, words: &[&'static str]) -> Option<&'static str> {
        words.iter().find(|word| self.get(word).is_some()).copied()
    }

    fn take<'a>(
        &mut self,
        word: &'static Word,
        claimed: &'static str,
        typed: &str,
        rest: &mut Iter<'a, String>,
    ) -> Result<(), UsageError> {
        match word.form {
            Form::Choice(_) => self.put(word, claimed),
            Form::Pair(_) | Form::Bare(_) | Form::Many(_) | Form::Option(_) => self.put(word, next(typed, rest)?),
            Form::Rates(ways) => self.take_rates(typed, ways, rest),
            Form::Rest(_) => self.put(word, &rest.map(String::as_str).collect::<Vec<_>>().join(" ")),
            Form::Kind(kinds) => {
                let name = next(typed, rest)?;
                let kind = kinds.iter().find(|kind| kind.name == name);
                let kind = kind.ok_or_else(|| UsageError::OtherKind { value: name.to_owned() })?;
                self.put(word, kind.name)?;
                self.take_kind(kind, rest)
            }
        }
    }

    /// Each way's rate under the way's name, with the burst behind it.
    fn take_rates(
        &mut self,
        typed: &str,
        ways: &'static [&'static str],
        rest: &mut Iter<'_, String>,
    ) -> Result<(), UsageError> {
        let is_next = |rest: &Iter<'_, String>, word: &str| rest.as_slice().first().is_some_and(|next| next == word);
        let mut after = typed;
        while let Some(way) = ways.iter().copied().find(|way| is_next(rest, way)) {
            let mut value = next(rest.next().map_or(typed, String::as_str), rest)?.to_owned();
            if is_next(rest, BURST) {
                value = format!("{value} {BURST} {}", next(rest.next().map_or(typed, String::as_str), rest)?);
            }
            if self.get(way).is_some() {
                return Err(UsageError::Duplicate { word: way, value });
            }
            self.0.push((way, value));
            after = way;
        }
        if after == typed { Err(UsageError::Incomplete { after: typed.to_owned() }) } else { Ok(()) }
    }

    /// As in iproute2: behind the type, a word given twice has its last value.
    fn take_kind<'a>(
        &mut self,
        kind: &'static DeviceKind,
        rest: &mut impl Iterator<Item = &'a String>,
    ) -> Result<(), UsageError> {
        while let Some(typed) = rest.next() {
            let (word, claimed) = claim(typed, kind.words).ok_or_else(|| unknown_kind_word(typed, kind))?;
            if word.is_one_of() && self.get(word.name).is_some() {
                let (kind, word, choices) = (kind.name, typed.clone(), word.title().replace(" | ", ", "));
                return Err(UsageError::SecondFlag { kind, word, choices });
            }
            let value = if word.takes_value(claimed) { next(typed, rest)? } else { claimed };
            self.0.insert(0, (word.name, value.to_owned()));
        }
        Ok(())
    }

    fn take_bare(&mut self, typed: &str, command: &'static Verb) -> Result<(), UsageError> {
        if SET_ELSEWHERE.contains(&typed) {
            return Err(UsageError::SetElsewhere { word: typed.to_owned() });
        }
        match command.bare() {
            Some(Word { name, form: Form::Many(_), .. }) => {
                self.0.push((name, typed.to_owned()));
                Ok(())
            }
            Some(word) if self.get(word.name).is_none() => self.put(word, typed),
            Some(word) => Err(UsageError::Garbage { word: word.name, value: typed.to_owned() }),
            None => Err(UsageError::TooMuch { value: typed.to_owned() }),
        }
    }

    fn put(&mut self, word: &'static Word, value: &str) -> Result<(), UsageError> {
        if self.get(word.name).is_some() {
            return Err(UsageError::Duplicate { word: word.name, value: value.to_owned() });
        }
        self.0.push((word.name, value.to_owned()));
        Ok(())
    }

    fn check_required(&self, words: &[Word]) -> Result<(), UsageError> {
        let missing = |word: &&Word| word.required && self.get(word.name).is_none();
        words.iter().find(missing).map_or(Ok(()), |word| Err(UsageError::Missing { word: word.name }))
    }
}

fn claim(typed: &str, words: &'static [Word]) -> Option<(&'static Word, &'static str)> {
    words.iter().find_map(|word| word.claims(typed).map(|claimed| (word, claimed)))
}

fn next<'a>(after: &str, rest: &mut impl Iterator<Item = &'a String>) -> Result<&'a str, UsageError> {
    rest.next().map(String::as_str).ok_or_else(|| UsageError::Incomplete { after: after.to_owned() })
}

fn unknown_kind_word(typed: &str, kind: &DeviceKind) -> UsageError {
    let usage = format!("Usage: ... {} {}", kind.name, synopsis(kind.words).join(" "));
    UsageError::UnknownKindWord { kind: kind.name, word: typed.to_owned(), usage }
}
