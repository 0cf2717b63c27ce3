//! Which words stand for kinds, backends and other values? One table each, for parsing and for printing.

use crate::command::{Protocol, Shell, When};
use ipvl_control::text::BACKENDS;
use ipvl_control::{AddressStatus, Backend, Kind, Severity};

/// A value that has a word of its own.
pub trait Named: Copy + PartialEq + 'static {
    /// Every value and its word.
    const NAMES: &'static [(&'static str, Self)];

    /// The value's word.
    fn word(self) -> &'static str {
        Self::NAMES.iter().find(|(_, value)| *value == self).map_or("?", |(name, _)| name)
    }

    /// The value that has this word.
    fn from_word(word: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(name, _)| *name == word).map(|(_, value)| *value)
    }
}

macro_rules! names {
    ($($of:ident: $($word:literal = $value:ident),+;)+) => {
        $(impl Named for $of { const NAMES: &'static [(&'static str, Self)] = &[$(($word, $of::$value)),+]; })+
    };
}

names! {
    Kind: "ipvlan" = Ipvlan, "ipvtap" = Ipvtap;
    AddressStatus: "device" = Device, "declared" = Declared, "conflict" = Conflict, "refused" = Refused;
    Severity: "good" = Good, "limited" = Limited, "bad" = Bad;
    Protocol: "arp" = Arp, "ns" = Ns, "udp" = Udp, "tcp" = Tcp, "icmp" = Icmp;
    When: "always" = Always, "auto" = Auto, "never" = Never;
    Shell: "bash" = Bash, "zsh" = Zsh, "fish" = Fish;
}

impl Named for Backend {
    const NAMES: &'static [(&'static str, Self)] = &BACKENDS;
}

impl Named for bool {
    const NAMES: &'static [(&'static str, Self)] = &[("on", true), ("off", false)];
}
