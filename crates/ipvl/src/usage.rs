//! What is wrong with a command line? iproute2's texts, and what to do where iproute2 does not say it.

use ipvl_control::text::nearest;
use ipvl_core::OptionEntry;
use thiserror::Error;

/// Why a command line is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "each variant's text names its fields")]
pub enum UsageError {
    #[error("Object \"{word}\" is unknown, try \"ipvl help\".")]
    UnknownObject { word: String },
    #[error("Command \"{word}\" is unknown, try \"ipvl {object} help\".")]
    UnknownCommand { object: &'static str, word: String },
    #[error("Option \"{word}\" is unknown, try \"ipvl -help\".")]
    UnknownOption { word: String },
    #[error("Command line is not complete: \"{after}\" wants a value. Try option \"help\"")]
    Incomplete { after: String },
    #[error("Not enough information: \"{word}\" argument is required.")]
    Missing { word: &'static str },
    #[error("Error: duplicate \"{word}\": \"{value}\" is the second value.")]
    Duplicate { word: &'static str, value: String },
    #[error("Error: either \"{word}\" is duplicate, or \"{value}\" is a garbage.")]
    Garbage { word: &'static str, value: String },
    #[error("Error: \"{value}\" is garbage: nothing may stand here.")]
    TooMuch { value: String },
    #[error("Error: argument \"{value}\" is wrong: {must}")]
    Wrong { value: String, must: &'static str },
    #[error("Error: argument \"{value}\" is wrong: {}", must_be(.option))]
    WrongWord { value: String, option: &'static OptionEntry },
    #[error("Error: any valid prefix is expected rather than \"{value}\".")]
    NotAPrefix { value: String },
    #[error(
        "Error: argument \"{value}\" is wrong: give {whole} for the whole prefix, or a single address without a length"
    )]
    HostBits { value: String, whole: String },
    #[error(
        "Error: argument \"{value}\" is wrong: type must be ipvlan or ipvtap; \"ip link\" makes devices of other types"
    )]
    OtherKind { value: String },
    #[error("{kind}: unknown option \"{word}\"?\n{usage}")]
    UnknownKindWord { kind: &'static str, word: String, usage: String },
    #[error("{kind}: unknown option \"{word}\"? Only one of {choices} can be given, and one was given already.")]
    SecondFlag { kind: &'static str, word: String, choices: String },
    #[error("Error: \"{word}\" is not for ipvl: use \"ip link\" for it, on the slave.")]
    SetElsewhere { word: String },
    #[error("Error: \"address\" cannot be set: a slave always has its master's MAC address.")]
    SlaveAddress,
    #[error("Error: \"hex\" gives the whole frame: omit \"{word}\".")]
    HexAndMore { word: &'static str },
    #[error("Error: {address} has the wrong address family for this \"{protocol}\" frame.")]
    OtherFamily { protocol: &'static str, address: String },
    #[error("Error: \"-C\" and \"-W\" are for files that \"-w\" names, and \"-W\" wants \"-C\".")]
    RotatesNothing,
    #[error("Error: \"{word}\" stands behind the type: {line}")]
    BehindType { word: String, line: String },
    #[error("There is no help about \"{word}\": it is no object, no option, no word and no reason of a drop.")]
    UnknownTopic { word: String },
    #[error("{error}{} Did you mean \"{meant}\"?", stop(error))]
    Meant { error: Box<Self>, meant: String },
    #[error("Error: a rule is wrong: {problem}")]
    Rule { problem: String },
    #[error("Error: unbalanced quote in \"{line}\".")]
    OpenQuote { line: String },
}

impl UsageError {
    /// The same, with the one of `known` that was probably meant by `typed`.
    pub fn meaning<'a>(self, typed: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        self.with(nearest(typed, known).map(str::to_owned))
    }

    /// The same, with what was probably meant.
    pub fn with(self, meant: Option<String>) -> Self {
        match meant {
            Some(meant) => Self::Meant { error: Box::new(self), meant },
            None => self,
        }
    }

    /// The status that iproute2 ends with.
    pub fn status(&self) -> u8 {
        match self {
            Self::Meant { error, .. } => error.status(),
            Self::UnknownObject { .. }
            | Self::UnknownCommand { .. }
            | Self::UnknownKindWord { .. }
            | Self::SecondFlag { .. }
            | Self::UnknownTopic { .. }
            | Self::NotAPrefix { .. } => 1,
            _ => 255,
        }
    }
}

/// The full stop that a message may lack.
fn stop(error: &UsageError) -> &'static str {
    if error.to_string().ends_with(['.', '?']) { "" } else { "." }
}

/// `mode must be l2, l3 or l3s`
fn must_be(option: &OptionEntry) -> String {
    let words: Vec<&str> = option.words.iter().map(|word| word.word).collect();
    let also: Vec<&str> = option.words.iter().flat_map(|word| word.aliases.iter().copied()).collect();
    let also = if also.is_empty() { String::new() } else { format!(" (also {})", also.join(", ")) };
    let (last, others) = words.split_last().map_or(("", &[][..]), |(last, others)| (*last, others));
    format!("{} must be {} or {last}{also}", option.name, others.join(", "))
}
