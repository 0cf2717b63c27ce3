//! What is to be done? A command line, understood.

use crate::definition::Object;
use ipvl_control::{Change, Kind, LinkSpec, Term};
use ipvl_core::{Addr, Mac};
use std::path::PathBuf;
use std::time::Duration;

/// One command.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the variants are the commands of `definition`")]
pub enum Command {
    Help(Topic),
    Version,
    LinkAdd(LinkSpec),
    LinkSet { name: String, change: Change },
    LinkDelete { name: String },
    LinkShow { name: Option<String>, kind: Option<Kind> },
    AddressShow { slave: Option<String> },
    AddressAdd(Declaration),
    AddressReplace(Declaration),
    AddressDelete(Declaration),
    Stats { name: Option<String> },
    Monitor(Watch),
    Explain(Question),
    Doctor { slave: Option<String> },
    Agent(Term),
    Apply(Application),
    Schema,
    Man { page: String },
    ManAll { dir: PathBuf },
    Completion { shell: Shell },
    Complete { words: Vec<String> },
}

/// What help is wanted about.
#[derive(Clone, Copy, Debug)]
pub enum Topic {
    /// All of it.
    All,
    /// One object.
    Object(&'static Object),
    /// The words behind `type ipvlan` or `type ipvtap`.
    Kind(Kind),
}

/// How to work, whatever the command is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// `-d`
    pub details: bool,
    /// `-j`
    pub json: bool,
    /// `-p`
    pub pretty: bool,
    /// `-s`
    pub statistics: bool,
    /// `-t` or `-ts`
    pub timestamp: Option<Timestamp>,
    /// `-n`
    pub netns: Option<String>,
    /// `-b`
    pub batch: Option<String>,
    /// `-force`
    pub force: bool,
}

/// How to say when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timestamp {
    /// On a line of its own.
    Long,
    /// At the start of the line.
    Short,
}

/// Of what `ipvl monitor` is to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Of slaves.
    pub links: bool,
    /// Of the address table.
    pub addresses: bool,
    /// Whether each line says which of the two it is about.
    pub label: bool,
    /// Of this slave alone.
    pub device: Option<String>,
}

/// An address or a prefix that is to be, or no longer to be, a slave's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// The slave's name.
    pub slave: String,
    /// The address, or the prefix's first.
    pub addr: Addr,
    /// In bits of the address's own family.
    pub prefix_len: u8,
}

/// What is to be applied, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Files and directories.
    pub paths: Vec<PathBuf>,
    /// Whether only to say what would be done.
    pub dry_run: bool,
    /// Whether slaves go that are in no file any more.
    pub prune: bool,
    /// How long to wait for masters.
    pub wait: Duration,
}

/// What `ipvl explain` is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Which way the frame goes.
    pub way: Direction,
    /// The slave that sends it, or the master that receives it.
    pub device: String,
    /// The frame.
    pub frame: Frame,
}

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Out of a slave.
    From,
    /// Into a master.
    In,
}

/// A frame, in either of two forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// What is known of it.
    Described(Description),
}

/// What is known of a frame; the rest follows from the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the words of the command")]
pub struct Description {
    pub to: Addr,
    pub src: Option<Addr>,
    pub dst_mac: Option<Mac>,
    pub src_mac: Option<Mac>,
    pub protocol: Protocol,
    pub len: Option<usize>,
}

/// What a described frame carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// An ARP request (RFC 826).
    Arp,
    /// A neighbour solicitation (RFC 4861, 4.3).
    Ns,
    /// A datagram to port 9 (RFC 863).
    Udp,
    /// A SYN to port 9.
    Tcp,
    /// An echo request (RFC 792, RFC 4443).
    #[default]
    Icmp,
}

/// A shell with a completion script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "their own names")]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}
