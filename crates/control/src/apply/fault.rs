//! What is wrong with a file, and where?

use std::fmt;

/// Something in a file that cannot be. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {wrong}")]
pub struct Fault {
    /// Where it stands.
    pub place: Box<Place>,
    /// What is wrong.
    pub wrong: Box<Wrong>,
}

impl Fault {
    /// Something wrong at a place.
    pub fn new(place: Place, wrong: Wrong) -> Self {
        Self { place: Box::new(place), wrong: Box::new(wrong) }
    }
}

/// A place in a file, as exactly as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: String,
    /// Counted from 1.
    pub line: Option<usize>,
    /// `[[link]] 2`, or `[[link]] "web0"` once that is known.
    pub table: Option<String>,
    /// The key.
    pub key: Option<String>,
}

/// What is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the texts say what they are")]
pub enum Wrong {
    /// The file cannot be read.
    Unreadable(String),
    /// It is no TOML, or has keys or values that are not known; the reader's words, with what is allowed.
    Text(String),
    Twice {
        other: Place,
    },
    SameAddress {
        addr: String,
        other: Place,
    },
    OnlyTap,
    OnlyPair,
    TapStays,
    TapAddresses,
    NoNetns(String),
    NoMaster(String),
    MtuAbove {
        most: u32,
    },
    Remake {
        is: String,
        name: String,
    },
    Unreachable,
    Others {
        owner: String,
    },
    AddressInUse {
        addr: String,
        owner: String,
    },
}

impl Place {
    /// The same place, at a key.
    pub fn at(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))?;
        self.table.as_ref().map_or(Ok(()), |table| write!(f, ": {table}"))?;
        self.key.as_ref().map_or(Ok(()), |key| write!(f, ": {key}"))
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) | Self::Text(why) => f.write_str(why),
            Self::Twice { other } => write!(f, "there is a slave of that name and netns already: {other}"),
            Self::SameAddress { addr, other } => write!(f, "{addr} is another slave's as well: {other}"),
            Self::OnlyPair => f.write_str("only for type \"ipvlan\": a tap device is no pair"),
            Self::OnlyTap => f.write_str("only for type \"ipvtap\""),
            Self::TapStays => f.write_str("a tap device works only in its master's network namespace"),
            Self::TapAddresses => f.write_str("a guest sets its addresses itself; write them under `declared`"),
            Self::NoNetns(name) => {
                write!(
                    f,
                    "there is no network namespace {name}: make it, or have it made by [[netns]] name = \"{name}\""
                )
            }
            Self::NoMaster(name) => write!(f, "there is no link {name} here; `ip link` lists them"),
            Self::MtuAbove { most } => write!(f, "the master's is {most}, and no slave's can be above it"),
            Self::Remake { is, name } => {
                write!(f, "it is {is}, and only a new slave can be otherwise: `ipvl link del {name}`, then apply again")
            }
            Self::Unreachable => f.write_str("nothing leads to the network namespace that the slave is in"),
            Self::Others { owner } => write!(f, "there is a slave of that name and netns, which belongs to {owner}"),
            Self::AddressInUse { addr, owner } => write!(f, "{addr} belongs to {owner}"),
        }
    }
}
