//! Which options does a slave have, which words set them, and which bits of the map's word are theirs?
//!
//! This is the one table of options. Commands, files, engines' plugins, help, manual pages and the JSON schema are made
//! from it, and so are the bits that the kernel's programs read.

mod entry;
mod ipvlan;

/// What there is to know of one option.
#[derive(Debug, PartialEq, Eq)]
pub struct OptionEntry {
    /// Which option it is.
    pub key: OptionKey,
    /// Its name, the same for commands, files and engines.
    pub name: &'static str,
    /// Other names that mean the same, such as those of engines' own drivers.
    pub aliases: &'static [&'static str],
    /// The words that it can have.
    pub words: &'static [OptionWord],
    /// The modes in which it changes anything.
    pub modes: &'static [Mode],
    /// The first version that has it.
    pub since: &'static str,
    /// Whether every line about a slave shows it; else only where it is not the default.
    pub in_every_line: bool,
    /// Its meaning, in one or two sentences.
    pub about: &'static str,
    /// Its bits in the map's word.
    pub mask: u32,
}

/// A word that an option can have.
#[derive(Debug, PartialEq, Eq)]
pub struct OptionWord {
    /// The word.
    pub word: &'static str,
    /// Other words that mean the same.
    pub aliases: &'static [&'static str],
    /// Its meaning, in part of a sentence.
    pub meaning: &'static str,
}

/// Makes, for each entry, an enum with one variant for each word; and, of all entries, [`Options`], [`OptionsChange`],
/// [`OptionKey`] and [`OPTIONS`].
macro_rules! options {
    ($(
        $(#[$attribute:meta])*
        $field:ident: $Type:ident {
            bits: $from:literal..$to:literal,
            aliases: [$($alias:literal),*],
            default: $default:ident,
            modes: [$($mode:ident),+],
            since: $since:literal,
            in_every_line: $in_every_line:literal,
            about: $about:literal,
            words: [$($Variant:ident = $value:literal, $word:literal, [$($other:literal),*], $meaning:literal;)+],
        }
    )+) => {
        $(
            $(#[$attribute])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
            #[repr(u8)]
            pub enum $Type {
                $(#[doc = concat!("`", $word, "`: ", $meaning, ".")] $Variant = $value),+
            }

            impl $Type {
                /// The option's bits in the map's word.
                pub(crate) const MASK: u32 = (u32::MAX >> (32 - ($to - $from))) << $from;

                /// This value in the map's word.
                pub(crate) const fn bits(self) -> u32 {
                    (self as u32) << $from
                }

                /// The value in the map's word. A number without a meaning reads as the default.
                #[inline(always)]
                pub(crate) const fn of(bits: u32) -> Self {
                    match (bits & Self::MASK) >> $from {
                        $($value => Self::$Variant,)+
                        _ => Self::$default,
                    }
                }

                /// The value that a word, or an alias of it, stands for.
                pub fn from_word(word: &str) -> Option<Self> {
                    match word {
                        $($word $(| $other)* => Some(Self::$Variant),)+
                        _ => None,
                    }
                }

                /// The word for this value.
                pub fn word(self) -> &'static str {
                    match self {
                        $(Self::$Variant => $word),+
                    }
                }
            }
        )+

        /// The options of one slave.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct Options {
            $(#[doc = $about] pub $field: $Type),+
        }

        /// A change to the options of a slave; an option that is `None` stays unchanged.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct OptionsChange {
            $(#[doc = $about] pub $field: Option<$Type>),+
        }

        /// Which option.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum OptionKey {
            $(#[doc = concat!("[`Options::", stringify!($field), "`].")] $Type),+
        }

        /// All options, in the order in which they are shown; [`OptionKey`] counts in the same order.
        pub const OPTIONS: &[OptionEntry] = &[$(OptionEntry {
            key: OptionKey::$Type,
            name: stringify!($field),
            aliases: &[$($alias),*],
            words: &[$(OptionWord { word: $word, aliases: &[$($other),*], meaning: $meaning }),+],
            modes: &[$(Mode::$mode),+],
            since: $since,
            in_every_line: $in_every_line,
            about: $about,
            mask: $Type::MASK,
        }),+];

        impl Options {
            /// The default of every option.
            pub const DEFAULT: Self = Self { $($field: $Type::$default),+ };

            /// These options with a change.
            pub fn changed(self, change: OptionsChange) -> Self {
                Self { $($field: change.$field.unwrap_or(self.$field)),+ }
            }

            /// The change that makes `new` of these options.
            pub fn change_to(self, new: Self) -> OptionsChange {
                OptionsChange { $($field: (self.$field != new.$field).then_some(new.$field)),+ }
            }

            /// The word that an option has.
            pub fn word(self, key: OptionKey) -> &'static str {
                match key {
                    $(OptionKey::$Type => self.$field.word()),+
                }
            }

            /// The options in the map's word.
            pub const fn bits(self) -> u32 {
                0 $(| self.$field.bits())+
            }

            /// The options that the map's word has.
            pub const fn of(bits: u32) -> Self {
                Self { $($field: $Type::of(bits)),+ }
            }
        }

        impl OptionsChange {
            /// No change.
            pub const NONE: Self = Self { $($field: None),+ };

            /// Whether nothing changes.
            pub fn is_empty(self) -> bool {
                self == Self::NONE
            }

            /// The new word of an option that changes.
            pub fn word(self, key: OptionKey) -> Option<&'static str> {
                match key {
                    $(OptionKey::$Type => self.$field.map($Type::word)),+
                }
            }

            /// Changes an option to what a word stands for. Without such a word it does nothing, and is false.
            #[must_use]
            pub fn set(&mut self, key: OptionKey, word: &str) -> bool {
                match key {
                    $(OptionKey::$Type => {
                        let found = $Type::from_word(word);
                        self.$field = found.or(self.$field);
                        found.is_some()
                    })+
                }
            }
        }
    };
}

// The bits between those of the options are the agent's, see `slave.rs`.
options! {
    /// How far up a slave's own stack works (`IPVLAN_MODE_*`).
    mode: Mode {
        bits: 0..2,
        aliases: ["ipvlan_mode"],
        default: L3,
        modes: [L2, L3, L3s],
        since: "0.1.0",
        in_every_line: true,
        about: "Where the slave's packets are routed.",
        words: [
            L2 = 0, "l2", [], "the slave's own stack resolves and routes";
            L3 = 1, "l3", [], "the master's routing table decides";
            L3s = 2, "l3s", [], "as l3, through the host's netfilter hooks";
        ],
    }

    /// How a slave and its siblings reach each other (`IPVLAN_F_*`). Ordered: the greater is the stricter.
    flag: Flag {
        bits: 2..4,
        aliases: ["ipvlan_flag"],
        default: Bridge,
        modes: [L2, L3, L3s],
        since: "0.1.0",
        in_every_line: true,
        about: "How the slave and its siblings, the other slaves of its master, reach each other.",
        words: [
            Bridge = 0, "bridge", [], "directly";
            Private = 2, "private", [], "not at all";
            Vepa = 1, "vepa", [], "by way of the switch, which may send frames back (802.1Qbg)";
        ],
    }

    /// Which source addresses a slave may use.
    guard: Guard {
        bits: 12..15,
        aliases: [],
        default: Owned,
        modes: [L2, L3, L3s],
        since: "0.1.0",
        in_every_line: true,
        about: "Which source addresses the slave may use.",
        words: [
            Owned = 0, "owned", [], "any but the host's and other slaves'";
            Strict = 1, "strict", [], "only its own, in IP and ARP, and no message of a router or a DHCP server";
            Router = 3, "router", [], "only its own, in IP and ARP";
            Declared = 5, "declared", [], "as strict, and its own are those that the operator or an engine gave it";
            Off = 2, "off", [], "any";
        ],
    }

    /// Whether host and slave reach each other. An l3s slave always has it, see [`crate::Slave::host`].
    host: HostAccess {
        bits: 6..7,
        aliases: ["hostAccess", "host_access"],
        default: Off,
        modes: [L2, L3],
        since: "0.1.0",
        in_every_line: true,
        about: "Whether host and slave reach each other. In l3s they always do.",
        words: [
            On = 1, "on", ["true", "1"], "they do";
            Off = 0, "off", ["false", "0"], "they do not";
        ],
    }

    /// Whether we answer ARP and neighbour discovery from the wire for a slave. In l2 its own stack does.
    neigh: NeighProxy {
        bits: 10..11,
        aliases: ["neighProxy", "neigh_proxy"],
        default: Off,
        modes: [L3, L3s],
        since: "0.1.0",
        in_every_line: false,
        about: "Whether ipvl answers ARP and neighbour solicitations from the master's link for the slave's addresses. In l2 \
                the slave answers itself.",
        words: [
            Proxy = 1, "proxy", ["true"], "it does, with the master's MAC address";
            Off = 0, "off", ["false"], "it does not";
        ],
    }

    /// Whether DHCP servers can tell the slave from its siblings, which have the same MAC address.
    dhcp: Dhcp {
        bits: 29..30,
        aliases: [],
        default: On,
        modes: [L2],
        since: "0.1.0",
        in_every_line: false,
        about: "Whether ipvl helps the slave's DHCP client, whose MAC address its siblings have, too. In l3 and l3s, which \
                carry no broadcast, it is kept and changes nothing.",
        words: [
            On = 0, "on", ["true", "1"], "it gets the replies to its requests alone, and an identifier of its own if the client names none but the MAC address";
            Off = 1, "off", ["false", "0"], "requests and replies are as any other frame";
        ],
    }

    /// Where an l3s slave and its siblings meet. Slaves in other modes always meet directly.
    siblings: Siblings {
        bits: 31..32,
        aliases: [],
        default: Host,
        modes: [L3s],
        since: "0.1.0",
        in_every_line: false,
        about: "Where a slave in l3s and its siblings meet. In l2 and l3 it is kept and changes nothing.",
        words: [
            Host = 0, "host", [], "in the host's stack, whose netfilter hooks see the packets";
            Direct = 1, "direct", [], "past it, as in l3, if the sibling is in l2 or l3, or has siblings direct, too";
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_every_option_survives_the_map() {
        for entry in OPTIONS {
            for word in entry.words {
                let mut change = OptionsChange::NONE;
                assert!(change.set(entry.key, word.word), "{} {}", entry.name, word.word);
                let options = Options::DEFAULT.changed(change);
                assert_eq!(Options::of(options.bits()).word(entry.key), word.word);
                assert_eq!(
                    Options::DEFAULT.change_to(options).word(entry.key).unwrap_or(entry.default_word()),
                    word.word
                );
                assert_eq!(change.word(entry.key), Some(word.word));
            }
        }
    }

    #[test]
    fn an_alias_means_what_its_word_means() {
        for entry in OPTIONS {
            for word in entry.words {
                for alias in word.aliases {
                    let mut change = OptionsChange::NONE;
                    assert!(change.set(entry.key, alias) && change.word(entry.key) == Some(word.word), "{alias}");
                }
            }
            let mut change = OptionsChange::NONE;
            assert!(!change.set(entry.key, "") && !change.set(entry.key, "On") && change.is_empty());
        }
    }

    #[test]
    fn options_share_neither_bits_nor_names() {
        let masks = || OPTIONS.iter().map(|entry| entry.mask);
        assert_eq!(masks().map(u32::count_ones).sum::<u32>(), masks().fold(0, |all, mask| all | mask).count_ones());
        for entry in OPTIONS {
            for name in entry.names() {
                assert_eq!(OptionEntry::find(name), Some(entry.key.entry()), "{name}");
            }
            assert_eq!(entry.spellings().filter(|word| *word == entry.default_word()).count(), 1, "{}", entry.name);
        }
    }

    #[test]
    fn the_stricter_flag_is_the_greater_and_a_change_may_be_empty() {
        assert!(Flag::Private > Flag::Vepa && Flag::Vepa > Flag::Bridge);
        assert!(Options::DEFAULT.change_to(Options::DEFAULT).is_empty());
        let change = OptionsChange { flag: Some(Flag::Vepa), ..OptionsChange::NONE };
        assert_eq!(Options::DEFAULT.changed(change), Options { flag: Flag::Vepa, ..Options::DEFAULT });
    }
}
