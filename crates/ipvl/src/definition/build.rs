//! How is a word of the definition written down?

use super::{DeviceKind, Form, Value, Word};

pub(super) const fn pair(name: &'static str, value: Value, about: &'static str) -> Word {
    Word { name, aliases: &[], form: Form::Pair(value), abbreviable: false, required: false, about }
}

pub(super) const fn bare(name: &'static str, value: Value, about: &'static str) -> Word {
    Word { form: Form::Bare(value), ..pair(name, value, about) }
}

pub(super) const fn choice(name: &'static str, words: &'static [&'static str], about: &'static str) -> Word {
    Word { name, aliases: &[], form: Form::Choice(words), abbreviable: false, required: false, about }
}

pub(super) const fn rates(name: &'static str, ways: &'static [&'static str], about: &'static str) -> Word {
    Word { name, aliases: &[], form: Form::Rates(ways), abbreviable: false, required: false, about }
}

pub(super) const fn kind(kinds: &'static [DeviceKind]) -> Word {
    let about = "The kind of device. The words behind it belong to it, so it comes last.";
    Word { name: "type", aliases: &[], form: Form::Kind(kinds), abbreviable: true, required: false, about }
}

impl Word {
    pub(super) const fn abbreviable(self) -> Self {
        Self { abbreviable: true, ..self }
    }

    pub(super) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub(super) const fn or(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }
}
