//! What does a command line ask for? Its meaning, after parsing.

use crate::definition::Object;
use ipvl_control::{Change, Kind, LinkSpec, PolicyChange, Term};
use ipvl_core::{Addr, Mac, Reason};
use std::net::SocketAddr;
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
    PolicyShow { slave: Option<String> },
    PolicyChange { slave: String, change: PolicyChange },
    PolicyTranslate { files: Vec<PathBuf> },
    Stats { name: Option<String> },
    Metrics { listen: Option<SocketAddr> },
    Monitor(Watch),
    Flows(Filter),
    Capture(Capture),
    Explain(Question),
    Graph(Drawing),
    Top { every: Duration },
    Doctor { slave: Option<String> },
    Agent(Term),
    SetFlowtable { on: bool },
    FlushFlowtable,
    Upgrade { master: Option<String>, again: bool },
    Apply(Application),
    Schema,
    Man { page: String },
    ManAll { dir: PathBuf },
    Completion { shell: Shell },
    Complete { words: Vec<String> },
}

impl Command {
    /// What the command does to slaves, if it needs rights for that. The agent itself reports which rights it lacks.
    pub fn needs_rights(&self) -> Option<&'static str> {
        match self {
            Self::LinkAdd(_) => Some("add"),
            Self::LinkSet { .. } | Self::PolicyChange { .. } => Some("change"),
            Self::AddressAdd(_) | Self::AddressDelete(_) => Some("change"),
            Self::LinkDelete { .. } => Some("delete"),
            Self::LinkShow { .. } | Self::AddressShow { .. } | Self::Stats { .. } | Self::Metrics { .. } => {
                Some("list")
            }
            Self::PolicyShow { .. } | Self::PolicyTranslate { .. } => Some("list"),
            Self::Monitor(_) | Self::Flows(_) | Self::Capture(_) | Self::Top { .. } => Some("watch"),
            Self::Explain(_) | Self::Graph(_) | Self::Doctor { .. } => Some("examine"),
            Self::Apply(_) => Some("apply files to"),
            Self::SetFlowtable { .. } | Self::FlushFlowtable => Some("change"),
            Self::Upgrade { .. } => Some("upgrade the programs of"),
            _ => None,
        }
    }
}

/// The subject of the help.
#[derive(Clone, Debug)]
pub enum Topic {
    /// All of it.
    All,
    /// One object.
    Object(&'static Object),
    /// The words behind `type ipvlan` or `type ipvtap`.
    Kind(Kind),
    /// Whatever has this name: an option, one of its words, a word of a command, a switch, a reason of drops.
    Word(String),
}

/// The switches, which are the same for all commands.
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
    /// `-br`
    pub brief: bool,
    /// `-o`
    pub oneline: bool,
    /// `-4` or `-6`
    pub family: Option<Family>,
    /// `-c`
    pub color: When,
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "their own names")]
pub enum Family {
    V4,
    V6,
}

impl Family {
    /// Whether the address is of this family.
    pub fn has(self, addr: Addr) -> bool {
        addr.as_v4().is_some() == (self == Self::V4)
    }
}

/// When colors are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Never.
    Never,
}

/// Where the time is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timestamp {
    /// On a line of its own.
    Long,
    /// At the start of the line.
    Short,
}

/// Which changes `ipvl monitor` prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Changes of slaves.
    pub links: bool,
    /// Changes of the address table.
    pub addresses: bool,
    /// Whether each line begins with `[LINK]` or `[ADDR]`.
    pub label: bool,
    /// Only changes of this slave.
    pub device: Option<String>,
    /// Only addresses of this family.
    pub family: Option<Family>,
}

/// Which packets or flows are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only what this slave sends and gets.
    pub slave: Option<String>,
    /// Only drops for this reason.
    pub reason: Option<Reason>,
    /// Only drops.
    pub drops: bool,
    /// Only from this address.
    pub from: Option<Addr>,
    /// Only to this address.
    pub to: Option<Addr>,
    /// How many, before the command ends.
    pub count: Option<u64>,
}

/// How packets are captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Which packets.
    pub filter: Filter,
    /// Bytes of each packet.
    pub snap: u32,
    /// The file to write, `-` for standard output; lines of text if there is none.
    pub write: Option<String>,
    /// The size of a file in megabytes, after which the next begins.
    pub megabytes: Option<u32>,
    /// How many files there are before the first is written again.
    pub files: Option<u32>,
}

/// An address or a prefix that is declared for a slave, or withdrawn from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// The slave's name.
    pub slave: String,
    /// The address, or the prefix's first.
    pub addr: Addr,
    /// In bits of the address's own family.
    pub prefix_len: u8,
}

/// Which files `ipvl apply` reads, and how it applies them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Files and directories.
    pub paths: Vec<PathBuf>,
    /// Whether it only prints what it would do.
    pub dry_run: bool,
    /// Whether it deletes slaves that it made earlier and that no file names any more.
    pub prune: bool,
    /// How long to wait for masters.
    pub wait: Duration,
}

/// The question to `ipvl explain`.
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
    /// A description of it.
    Described(Description),
}

/// A description of a frame; the rest follows from the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the words of the command")]
pub struct Description {
    pub to: Addr,
    pub src: Option<Addr>,
    pub dst_mac: Option<Mac>,
    pub src_mac: Option<Mac>,
    pub protocol: Protocol,
    pub dport: Option<u16>,
    pub len: Option<usize>,
}

/// What a described frame carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// An ARP request (RFC 826).
    Arp,
    /// A neighbour solicitation (RFC 4861, 4.3).
    Ns,
    /// A datagram, to port 9 (RFC 863) unless another is given.
    Udp,
    /// A SYN, to the same.
    Tcp,
    /// An echo request (RFC 792, RFC 4443).
    #[default]
    Icmp,
}

/// How a graph is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drawing {
    /// For a terminal, or as JSON.
    Tree,
    /// For Graphviz.
    Dot,
    /// For Mermaid.
    Mermaid,
    /// As a page, in this file.
    Html(PathBuf),
}

/// A shell with a completion script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "their own names")]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}
