//! How is a `[[link]]` table read? The options by core's table, the other keys by [`DeviceTable`], aliases by their names.

use super::file::{DeviceTable, Link};
use crate::keys::{Key, nearest};
use ipvl_core::{OPTIONS, OptionEntry, OptionsChange};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IntoDeserializer as _, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use std::fmt;

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LinkVisitor)
    }
}

struct LinkVisitor;

impl<'de> Visitor<'de> for LinkVisitor {
    type Value = Link;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Link, A::Error> {
        let mut options = OptionsChange::NONE;
        let device = DeviceTable::deserialize(Table { map, known: &[], options: &mut options })?;
        Ok(Link { device, options })
    }
}

/// A table from which the options are taken out as they come; the other keys pass, by their names for aliases.
struct Table<'a, A> {
    map: A,
    known: &'static [&'static str],
    options: &'a mut OptionsChange,
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for Table<'_, A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_map(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_map(Self { known: fields, ..self })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Table<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let mut seed = Some(seed);
        loop {
            match self.map.next_key_seed(KeySeed { seed: &mut seed, known: self.known })? {
                None => return Ok(None),
                Some(Found::Other(key)) => return Ok(Some(key)),
                Some(Found::Option(entry)) => self.map.next_value_seed(WordSeed { entry, options: self.options })?,
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

/// Reads a key; `seed` is the seed of the reader for the keys that are not options.
struct KeySeed<'a, K> {
    seed: &'a mut Option<K>,
    known: &'static [&'static str],
}

enum Found<T> {
    Option(&'static OptionEntry),
    Other(T),
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for KeySeed<'_, K> {
    type Value = Found<K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let name = String::deserialize(deserializer)?;
        let key = Key::find(&name);
        if let Some(Key::Option(option)) = key {
            return Ok(Found::Option(option.entry()));
        }
        let name = key.map_or(name.as_str(), |key| key.names()[0]);
        match self.seed.take().filter(|_| self.known.contains(&name)) {
            Some(seed) => seed.deserialize(name.into_deserializer()).map(Found::Other),
            None => Err(unknown_field(name, self.known)),
        }
    }
}

fn unknown_field<E: Error>(name: &str, known: &[&'static str]) -> E {
    let options = OPTIONS.iter().map(|entry| entry.name);
    let meant = nearest(name, known).map(|meant| format!(" (perhaps `{meant}` is meant)")).unwrap_or_default();
    E::custom(format!(
        "unknown field `{name}`{meant}, expected one of {}",
        quoted(known.iter().copied().chain(options))
    ))
}

/// Reads the value of an option.
struct WordSeed<'a> {
    entry: &'static OptionEntry,
    options: &'a mut OptionsChange,
}

impl<'de> DeserializeSeed<'de> for WordSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for WordSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one of {}", quoted(self.entry.spellings()))
    }

    fn visit_bool<E: Error>(self, on: bool) -> Result<(), E> {
        match self.entry.takes_booleans() {
            true => self.visit_str(if on { "true" } else { "false" }),
            false => Err(E::invalid_type(serde::de::Unexpected::Bool(on), &self)),
        }
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<(), E> {
        let OptionEntry { key, name, .. } = *self.entry;
        if self.options.word(key).is_some() {
            return Err(E::duplicate_field(name));
        }
        match self.options.set(key, word) {
            true => Ok(()),
            false => Err(E::custom(format!("unknown variant `{word}`, expected {}", Expected(&self)))),
        }
    }
}

struct Expected<'a, T>(&'a T);

impl<'de, T: Visitor<'de>> fmt::Display for Expected<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }
}

fn quoted<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
