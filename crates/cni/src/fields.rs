//! What is the value of a key in a JSON object, and which key has a value of the wrong type?

use crate::failure::Failure;
use ipvl_control::{Limit, keys, rate, text};
use ipvl_core::{OptionEntry, OptionsChange};
use serde_json::{Map, Value};

/// An object of the configuration, and its path, for errors: `ipam`, `prevResult.ips[0]`.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    place: &'a str,
}

impl<'a> Fields<'a> {
    /// The object that `value` must be.
    pub fn of(value: &'a Value, place: &'a str) -> Result<Self, Failure> {
        let name = if place.is_empty() { "the network configuration" } else { place };
        let object = value.as_object().ok_or_else(|| Failure::config(format!("{name} must be an object")))?;
        Ok(Self { object, place })
    }

    /// The value of a key; none if it is missing or `null`.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    /// A text; none if it is empty.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>, Failure> {
        let text = self.typed(key, "a string", Value::as_str)?;
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// True or false.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, Failure> {
        self.typed(key, "true or false", Value::as_bool)
    }

    /// A number that fits.
    pub fn number(&self, key: &str) -> Result<Option<u32>, Failure> {
        self.typed(key, "a whole number from 0 to 4294967295", |value| value.as_u64()?.try_into().ok())
    }

    /// A number of any size.
    pub fn whole(&self, key: &str) -> Result<Option<u64>, Failure> {
        self.typed(key, "a whole number from 0 on", Value::as_u64)
    }

    /// A list; a missing one is none.
    pub fn list(&self, key: &str) -> Result<Option<&'a Vec<Value>>, Failure> {
        self.typed(key, "a list", Value::as_array)
    }

    /// One of a few words.
    pub fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<T>, Failure> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let known = |known| self.wrong(key, &format!("one of {known}, not \"{text}\""));
        text::one_of(words, text).map(Some).map_err(known)
    }

    /// An option's word, if the key is there. True and false are accepted where the option has words for them.
    pub fn option(&self, key: &str, option: &OptionEntry, options: &mut OptionsChange) -> Result<(), Failure> {
        let word = match self.get(key) {
            Some(Value::Bool(true)) if option.takes_booleans() => "true",
            Some(Value::Bool(false)) if option.takes_booleans() => "false",
            Some(value) => value.as_str().ok_or_else(|| self.wrong(key, &kind_of(option)))?,
            None => "",
        };
        match word.is_empty() || options.set(option.key, word) {
            true => Ok(()),
            false => Err(self.wrong(key, &format!("{}, not \"{word}\"", any_of(option)))),
        }
    }

    /// The limit of a rate.
    pub fn limit(&self, key: &str) -> Result<Option<Limit>, Failure> {
        let limit =
            |text| keys::limit(text).map_err(|_| self.wrong(key, &format!("{}, not \"{text}\"", rate::EXAMPLE)));
        self.text(key)?.map_or(Ok(None), limit)
    }

    /// A value that says itself what is wrong with it.
    pub fn read<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Failure> {
        let dot = if self.place.is_empty() { "" } else { "." };
        let wrong = |error| Failure::config(format!("\"{}{dot}{key}\": {error}", self.place));
        self.get(key).map(|value| T::deserialize(value)).transpose().map_err(wrong)
    }

    /// The keys that are there.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.object.keys().map(String::as_str)
    }

    /// A value that is parsed from a text.
    pub fn parsed<T: std::str::FromStr>(&self, key: &str, what: &str) -> Result<Option<T>, Failure> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.wrong(key, &format!("{what}, not \"{text}\"")))
    }

    /// What is wrong with a key.
    pub fn wrong(&self, key: &str, must_be: &str) -> Failure {
        let dot = if self.place.is_empty() { "" } else { "." };
        Failure::config(format!("\"{}{dot}{key}\" must be {must_be}", self.place))
    }

    fn typed<T>(&self, key: &str, what: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>, Failure> {
        self.get(key).map(|value| read(value).ok_or_else(|| self.wrong(key, what))).transpose()
    }
}

fn kind_of(option: &OptionEntry) -> String {
    if option.takes_booleans() { any_of(option) } else { "a string".to_owned() }
}

fn any_of(option: &OptionEntry) -> String {
    let words = option.spellings().filter(|word| !matches!(*word, "true" | "false")).collect::<Vec<_>>().join(", ");
    if option.takes_booleans() { format!("true or false, or one of {words}") } else { format!("one of {words}") }
}
