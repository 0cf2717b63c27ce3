//! What can be asked of ipvl, and what does it tell? Plain data, shared by every door.

use ipvl_core::{Addr, Counters, Flag, Guard, Mac, Mode, Reason, Slot};

/// A network namespace, as a person names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetnsRef {
    /// `/run/netns/NAME`, or a path when it contains a slash.
    Name(String),
    /// That of a process.
    Pid(u32),
}

/// A slave to make: `link add link MASTER [name NAME] type ipvlan ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSpec {
    /// The master's name.
    pub master: String,
    /// The slave's name; by default the first free `ipvl%d`.
    pub name: Option<String>,
    /// l3 by default.
    pub mode: Mode,
    /// bridge by default.
    pub flag: Flag,
    /// owned by default.
    pub guard: Guard,
    /// Whether host and slave reach each other; off by default, always on in l3s.
    pub host: bool,
    /// In bytes; the master's by default.
    pub mtu: Option<u32>,
    /// Refused unless it is the master's.
    pub mac: Option<Mac>,
    /// Where to put the slave; by default it stays in the master's netns.
    pub netns: Option<NetnsRef>,
}

/// A change to a slave: `link set NAME ...`. What is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// l2, l3 or l3s.
    pub mode: Option<Mode>,
    /// bridge, vepa or private.
    pub flag: Option<Flag>,
    /// owned, strict or off.
    pub guard: Option<Guard>,
    /// Whether host and slave reach each other.
    pub host: Option<bool>,
    /// In bytes.
    pub mtu: Option<u32>,
    /// A new name.
    pub name: Option<String>,
    /// Another netns.
    pub netns: Option<NetnsRef>,
    /// Administratively up or down.
    pub up: Option<bool>,
}

/// A slave as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// In the slave's own netns.
    pub ifindex: u32,
    /// In the slave's own netns; `?` when it cannot be read.
    pub name: String,
    /// The master's ifindex and name.
    pub master: (u32, String),
    /// The slave's number on its master.
    pub slot: Slot,
    /// The host end's ifindex and name.
    pub host_end: (u32, String),
    /// The id that the master's netns has for the slave's; `None` when they are one.
    pub netnsid: Option<i32>,
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
    /// l2, l3 or l3s.
    pub mode: Mode,
    /// bridge, vepa or private.
    pub flag: Flag,
    /// owned, strict or off.
    pub guard: Guard,
    /// Whether host and slave reach each other.
    pub host: bool,
    /// Why the slave is not as it should be, in words; empty when it is.
    pub degraded: Vec<String>,
    /// What the kernel says of the device besides, for `-d`.
    pub detail: Detail,
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

/// How an address came into the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is on the slave's device.
    Device,
    /// `ipvl addr add`.
    Declared,
    /// It is on the slave's device, but another owns it: it gets no traffic.
    Conflict,
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
    /// How it came here.
    pub origin: Origin,
    /// For a conflict: who owns the address, a slave's name or `host`.
    pub owner: Option<String>,
}

/// The counters of one slave, or of the wire side of a master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// The slave's name, or the master's.
    pub name: String,
    /// Whether this is the master's line: frames from the wire that were for no slave in particular.
    pub is_master: bool,
    /// Both ways, from the slave's side.
    pub counters: Counters,
    /// Frames dropped, by reason; only those that occurred.
    pub drops: Vec<(Reason, u64)>,
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
