//! In which color is a word printed? In those of iproute2, and only where colors are wanted.

use super::harmless::harmless;
use crate::command::When;
use std::env;
use std::io::{self, IsTerminal as _};

/// A color, by what has it. The codes are those of ECMA-48, as iproute2 uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// The name of a device.
    Name,
    /// A MAC address.
    Mac,
    /// An address of IPv4.
    V4,
    /// An address of IPv6.
    V6,
    /// What is as it should be.
    Good,
    /// What is not so good.
    Limited,
    /// What is not as it should be.
    Bad,
}

const END: &str = "\x1b[0m";
const CODES: [&str; 7] = ["\x1b[36m", "\x1b[33m", "\x1b[35m", "\x1b[34m", "\x1b[32m", "\x1b[33m", "\x1b[31m"];

impl Color {
    /// The text in this color; nothing in it commands a terminal.
    pub fn paint(self, text: &str) -> String {
        format!("{}{}{END}", CODES[self as usize], harmless(text))
    }
}

/// Whether standard output gets colors. What the command line says counts more than `NO_COLOR` (<https://no-color.org>).
pub fn is_wanted(when: When) -> bool {
    let forbidden = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => !forbidden && !is_dumb && io::stdout().is_terminal(),
    }
}

/// [`harmless`], but the codes that [`Color::paint`] writes stay.
pub fn harmless_except_colors(text: &str) -> String {
    let mut pieces = text.split('\x1b');
    let mut safe = harmless(pieces.next().unwrap_or_default());
    for piece in pieces {
        let whole = format!("\x1b{piece}");
        match CODES.iter().chain([&END]).find(|code| whole.starts_with(**code)) {
            Some(code) => safe += &format!("{code}{}", harmless(&whole[code.len()..])),
            None => safe += &harmless(&whole),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_pass_and_other_codes_do_not() {
        let text = format!("{} x\x1b[2Jy", Color::Name.paint("a\x1b[31mb"));
        assert_eq!(harmless_except_colors(&text), "\x1b[36ma\\u{1b}[31mb\x1b[0m x\\u{1b}[2Jy");
    }

    #[test]
    fn without_a_terminal_only_always_is_colored() {
        assert!(is_wanted(When::Always) && !is_wanted(When::Never));
    }
}
