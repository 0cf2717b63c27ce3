//! What is wrong in a file, and where?

use std::fmt;

/// An error in a file. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{location}: {kind}")]
pub struct ConfigError {
    /// Where it is.
    pub location: Box<Location>,
    /// What is wrong.
    pub kind: Box<ErrorKind>,
}

impl ConfigError {
    /// An error at a location.
    pub fn new(location: Location, kind: ErrorKind) -> Self {
        Self { location: Box::new(location), kind: Box::new(kind) }
    }
}

/// A location in a file, as exactly as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// The file.
    pub file: String,
    /// Counted from 1.
    pub line: Option<usize>,
    /// `[[link]] 2`, or `[[link]] 2 "web0"` once the name is known.
    pub table: Option<String>,
    /// The key.
    pub key: Option<String>,
}

/// What is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the texts say what they are")]
pub enum ErrorKind {
    /// It is not TOML, or has unknown keys or values. The text is the parser's, and says what is allowed.
    Syntax(String),
    DuplicateName {
        other: Location,
    },
    DuplicateAddress {
        addr: String,
        other: Location,
    },
    OnlyTap,
    OnlyPair,
    NoPolicyInModule,
    NoSibling {
        name: String,
        master: String,
    },
    Ambiguous {
        name: String,
    },
    TapStays,
    TapAddresses,
    NoNetns(String),
    NoMaster(String),
    MtuAbove {
        most: u32,
    },
    /// The slave would have to be deleted and made again.
    Fixed {
        is: String,
        name: String,
    },
    /// A route, a rule or a switch is wrong. The text says how.
    Inside(String),
    Unreachable,
    OtherOwner {
        owner: String,
    },
    Flowtable {
        on: bool,
        other: bool,
    },
    AddressInUse {
        addr: String,
        owner: String,
    },
}

impl Location {
    /// A key at this location.
    pub fn at(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))?;
        self.table.as_ref().map_or(Ok(()), |table| write!(f, ": {table}"))?;
        self.key.as_ref().map_or(Ok(()), |key| write!(f, ": {key}"))
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(text) | Self::Inside(text) => f.write_str(text),
            Self::DuplicateName { other } => write!(f, "there is a slave of that name and netns already: {other}"),
            Self::DuplicateAddress { addr, other } => write!(f, "another slave has {addr}, too: {other}"),
            Self::OnlyPair => f.write_str("this key is only for type \"ipvlan\": a tap device is not a pair"),
            Self::NoPolicyInModule => f.write_str(
                "it is a slave of the kernel module, which knows neither policies nor labels: make it with backend veth or netkit",
            ),
            Self::NoSibling { name, master } => write!(f, "a rule names {name}, which is no slave of {master}"),
            Self::Ambiguous { name } => {
                write!(f, "a rule names {name}, and several slaves have that name: give one a label, and name that")
            }
            Self::OnlyTap => f.write_str("this key is only for type \"ipvtap\""),
            Self::TapStays => f.write_str("a tap device works only in its master's network namespace"),
            Self::TapAddresses => f.write_str("a guest sets its addresses itself; list them under `declared` instead"),
            Self::NoNetns(name) => {
                write!(f, "there is no network namespace {name}: make it, or let [[netns]] name = \"{name}\" make it")
            }
            Self::NoMaster(name) => write!(f, "there is no link {name} here; `ip link` lists the links"),
            Self::MtuAbove { most } => write!(f, "a slave's mtu cannot be larger than the master's, {most}"),
            Self::Fixed { is, name } => {
                write!(f, "it is {is}, and that cannot be changed: `ipvl link del {name}`, then apply again")
            }
            Self::Unreachable => f.write_str("the slave's network namespace cannot be entered from here"),
            Self::OtherOwner { owner } => {
                write!(f, "there is a slave of that name and netns, which belongs to {owner}")
            }
            Self::Flowtable { on, other } => write!(f, "it is {on} here, and {other} in a file before"),
            Self::AddressInUse { addr, owner } => write!(f, "{addr} belongs to {owner}"),
        }
    }
}
