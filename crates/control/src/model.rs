//! What can be asked of ipvl, and what does it tell? Plain data, shared by every door.

use crate::place::NsId;
use crate::rate::{Rates, RatesChange};
use ipvl_core::maps::Counters;
use ipvl_core::{Addr, IfIndex, Mac, MoveReason, OPTIONS, OptionKey, Options, OptionsChange, Reason, Slot};

const IFF_LOWER_UP: u32 = 1 << 16;

/// A network namespace, as a person names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetnsRef {
    /// `/run/netns/NAME`, or a path when it contains a slash.
    Name(String),
    /// That of a process.
    Pid(u32),
}

/// What a slave looks like to its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A network device: one end of a pair, in any netns.
    Ipvlan,
    /// A tap device beside the master, which a virtual machine monitor opens.
    Ipvtap,
}

/// What a slave and its host end are to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The ends of a veth pair, which any kernel has.
    Veth,
    /// The ends of a netkit pair (Linux 6.7), in its L2 mode.
    Netkit,
    /// One device of the kind `ipvlan`, which our kernel module makes.
    Kernel,
}

impl Backend {
    /// What the kernel calls such a device.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Veth => "veth",
            Self::Netkit => "netkit",
            Self::Kernel => "ipvlan",
        }
    }
}

/// The further properties of `type ipvtap`: the user and group that may open the tap device, and its queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tap {
    /// This user may.
    pub user: Option<Account>,
    /// Members of this group may. Without user and group, only the user that made the device may.
    pub group: Option<Account>,
    /// Several queues at once.
    pub multi_queue: bool,
}

/// A user or a group, as a person names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// By number.
    Id(u32),
    /// By the name in `/etc/passwd` or `/etc/group`.
    Name(String),
}

/// A slave to make: `link add link MASTER [name NAME] type ipvlan ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSpec {
    /// The master's name.
    pub master: String,
    /// The slave's name; by default the first free `ipvl%d`, or `ipvtap%d`.
    pub name: Option<String>,
    /// Mode, flag and the other options.
    pub options: Options,
    /// In bytes; the master's by default.
    pub mtu: Option<u32>,
    /// Refused unless it is the master's.
    pub mac: Option<Mac>,
    /// Where to put the slave; by default it stays in the master's netns.
    pub netns: Option<NetnsRef>,
    /// For a tap device.
    pub tap: Option<Tap>,
    /// By default the kernel module's where that is loaded, else netkit where the kernel has it.
    pub backend: Option<Backend>,
    /// The limits of its rates.
    pub rates: Rates,
}

impl LinkSpec {
    /// A slave of this master, with all else by default.
    pub fn of(master: impl Into<String>) -> Self {
        Self {
            master: master.into(),
            name: None,
            options: Options::DEFAULT,
            mtu: None,
            mac: None,
            netns: None,
            tap: None,
            backend: None,
            rates: Rates::default(),
        }
    }
}

/// A change to a slave: `link set NAME ...`. What is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Mode, flag and the other options.
    pub options: OptionsChange,
    /// In bytes.
    pub mtu: Option<u32>,
    /// A new name.
    pub name: Option<String>,
    /// Another netns.
    pub netns: Option<NetnsRef>,
    /// Administratively up or down.
    pub up: Option<bool>,
    /// The limits of its rates.
    pub rates: RatesChange,
}

/// A slave as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// In the slave's own netns.
    pub ifindex: IfIndex,
    /// In the slave's own netns; `?` when it cannot be read.
    pub name: String,
    /// ipvlan or ipvtap.
    pub kind: Kind,
    /// The master's ifindex and name.
    pub master: (IfIndex, String),
    /// Whether what the master carries begins with IP, without a link-layer header (tun, wireguard).
    pub master_is_ip: bool,
    /// The slave's number on its master; 0 for a slave of the kernel module, which does not say it.
    pub slot: Slot,
    /// The host end's ifindex and name; a tap device is its own, and so is a slave of the kernel module.
    pub host_end: (IfIndex, String),
    /// What both are, and why; a tap device has none.
    pub backend: Option<(Backend, &'static str)>,
    /// The id that the master's netns has for the slave's; `None` when they are one.
    pub netnsid: Option<NsId>,
    /// The name of the slave's netns under `/run/netns`, if it has one.
    pub netns: Option<String>,
    /// `IFF_*` of the slave's device.
    pub flags: u32,
    /// `IF_OPER_*` of the slave's device (RFC 2863).
    pub operstate: u8,
    /// In bytes.
    pub mtu: u32,
    /// `txqueuelen`.
    pub txqlen: u32,
    /// The queueing discipline's name.
    pub qdisc: String,
    /// The slave's MAC address.
    pub mac: Mac,
    /// Mode, flag and the other options. In l3s host access is on, whatever was asked for.
    pub options: Options,
    /// The multicast groups that it has joined and gets, in l2.
    pub groups: Vec<Mac>,
    /// Whether it gets every group instead.
    pub all_groups: bool,
    /// The queueing discipline of its host end that what is for the slave passes, if somebody gave it one.
    pub queue: Option<String>,
    /// The limits of its rates.
    pub rates: Rates,
    /// Why the slave is not as it should be, in words; empty when it is.
    pub degraded: Vec<String>,
    /// What the kernel says of the device besides, for `-d`.
    pub detail: Detail,
}

impl Link {
    /// Whether our kernel module has it: then it has neither a host end, programs nor an agent.
    pub fn is_in_module(&self) -> bool {
        matches!(self.backend, Some((Backend::Kernel, _)))
    }

    /// Whether this is the slave's name, or its host end's.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.host_end.1 == name
    }

    /// Whether the slave is administratively up.
    pub fn is_up(&self) -> bool {
        self.flags & libc::IFF_UP as u32 != 0
    }

    /// Whether it is up and what it sends goes somewhere.
    pub fn has_carrier(&self) -> bool {
        self.flags & IFF_LOWER_UP != 0
    }
}

/// What `ip -d link` prints of any device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the kernel's own name of the attribute")]
pub struct Detail {
    pub promiscuity: u32,
    pub allmulti: u32,
    pub min_mtu: u32,
    pub max_mtu: u32,
    pub addrgenmode: String,
    pub num_tx_queues: u32,
    pub num_rx_queues: u32,
    pub gso_max_size: u32,
    pub gso_max_segs: u32,
    pub tso_max_size: u32,
    pub tso_max_segs: u32,
    pub gro_max_size: u32,
    pub gso_ipv4_max_size: u32,
    pub gro_ipv4_max_size: u32,
}

/// A change, as `ipvl monitor` reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MonitorEvent {
    /// A new slave.
    LinkAdded(Box<Link>),
    /// A slave is gone; its last state.
    LinkDeleted(Box<Link>),
    /// A property of a slave changed.
    LinkChanged {
        /// The property.
        what: Property,
        /// The slave as it was.
        old: Box<Link>,
        /// The slave as it is.
        new: Box<Link>,
    },
    /// A new line of the address table.
    AddressAdded(AddressEntry),
    /// A line of the address table is gone.
    AddressDeleted(AddressEntry),
    /// An address went from one owner to another, although it was still on the first one's device, or declared for it.
    AddressMoved(AddressMove),
    /// The kernel had no room for all events. The differences follow.
    Lost,
}

/// What of a slave can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of `Link` say what they are")]
pub enum Property {
    Netns,
    Name,
    State,
    Carrier,
    Mtu,
    Address,
    Option(OptionKey),
    Degraded,
}

impl Property {
    /// The properties that differ, in the order in which they are reported.
    pub fn differing(old: &Link, new: &Link) -> Vec<Self> {
        let options = OPTIONS.iter().map(|entry| Self::Option(entry.key));
        let all = Self::OF_DEVICE.into_iter().chain(options).chain([Self::Degraded]);
        all.filter(|what| what.differs(old, new)).collect()
    }

    const OF_DEVICE: [Self; 6] = [Self::Netns, Self::Name, Self::State, Self::Carrier, Self::Mtu, Self::Address];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Netns => "netns",
            Self::Name => "name",
            Self::State => "state",
            Self::Carrier => "carrier",
            Self::Mtu => "mtu",
            Self::Address => "address",
            Self::Option(key) => key.entry().name,
            Self::Degraded => "degraded",
        }
    }

    fn differs(self, old: &Link, new: &Link) -> bool {
        match self {
            Self::Netns => old.netnsid != new.netnsid,
            Self::Name => old.name != new.name,
            Self::State => old.is_up() != new.is_up(),
            Self::Carrier => old.has_carrier() != new.has_carrier(),
            Self::Mtu => old.mtu != new.mtu,
            Self::Address => old.mac != new.mac,
            Self::Option(key) => old.options.word(key) != new.options.word(key),
            Self::Degraded => old.degraded != new.degraded,
        }
    }
}

/// How an address comes to be in the table, and whether the slave owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressStatus {
    /// The slave owns it, as it is on the slave's device.
    Device,
    /// The slave owns it by `ipvl addr add`.
    Declared,
    /// It is on the slave's device, but another slave or the host owns it: the slave gets no traffic for it.
    Conflict,
    /// It is on the slave's device, and found no room: the table is full, or the slave's netns has all that one may have.
    Refused,
}

/// A line of the address table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressEntry {
    /// The address, or the prefix's first.
    pub addr: Addr,
    /// In bits of the address's own family; 32 or 128 for a single address.
    pub prefix_len: u8,
    /// The slave; `None` for the host.
    pub slave: Option<String>,
    /// The master's name.
    pub master: String,
    /// How it comes to be here.
    pub status: AddressStatus,
    /// For a conflict: the owner of the address, a slave's name or `host`.
    pub owner: Option<String>,
}

/// How an address or a prefix went from one owner to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressMove {
    /// The address, or the prefix's first.
    pub addr: Addr,
    /// In bits of the address's own family.
    pub prefix_len: u8,
    /// The slave that had it.
    pub from: String,
    /// The slave that has it now; `None` for the host.
    pub to: Option<String>,
    /// The master's name.
    pub master: String,
    /// Why.
    pub why: MoveReason,
}

/// The counters of one slave, or of the wire side of a master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// The slave's name, or the master's.
    pub name: String,
    /// The master's ifindex, or the host end's (of a slave of the kernel module, its own), by which a line is told from others of that name.
    pub ifindex: IfIndex,
    /// Whether this is the master's line: frames from the wire that were for no slave in particular.
    pub is_master: bool,
    /// Both ways, from the slave's side.
    pub counters: Counters,
    /// Frames dropped, by reason; only those that occurred.
    pub drops: Vec<(Reason, u64)>,
}

impl Statistics {
    /// Whether these are the slave's: numbers alone may be the same in two namespaces.
    pub fn is_of(&self, link: &Link) -> bool {
        !self.is_master && (self.ifindex, &self.name) == (link.host_end.0, &link.name)
    }
}

/// One finding of `ipvl doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at.
    pub subject: String,
    /// What was found.
    pub text: String,
    /// What to do; empty when nothing is to be done.
    pub remedy: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Good,
    /// Works, but not all of it.
    Limited,
    /// Does not work.
    Bad,
}
