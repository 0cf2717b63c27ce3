//! What is the world of a scenario? A master, its slaves and their addresses, from a line of words for each slave.

use crate::frame::TRANSACTION;
use crate::names;
use ipvl_control::read::snapshot::Snapshot;
use ipvl_core::maps::ABI_VERSION;
use ipvl_core::{
    Addr, Asker, Dhcp, Flag, Group, Guard, HostAccess, IfIndex, Mac, Members, Mode, NeighProxy, Options, Owner,
    PortEntry, Siblings, Slave, Slot, State,
};
use ipvl_testbed::{HOST_V4, HOST_V6, MASTER_MAC};
use std::net::IpAddr;

/// The master's ifindex unless another is given.
const MASTER: u32 = 100;
const MTU: u32 = 1500;

/// A slave as a scenario describes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// `a`, `b`, ...: its place in [`names::SLAVES`] is its slot.
    pub name: String,
    /// `l2 bridge owned host down local proxy direct nodhcp`, in this order, as far as they apply.
    pub words: Vec<String>,
}

/// All that the tables hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct World {
    /// The slaves.
    pub members: Vec<Member>,
    /// `b 10.50.0.0/16`: a slave, and what is declared for it.
    pub declared: Vec<String>,
    /// `b group`, `c 01:80:c2:00:00:0e`: a slave, and a multicast group that it has joined. Without it, slaves get all
    /// multicast.
    pub joined: Option<Vec<String>>,
    /// The slaves that have sent a DHCP request with the transaction id of all DHCP messages, in this order.
    pub asked: Vec<String>,
    /// `master-gone`, `ip-only`.
    pub port: Vec<String>,
}

impl Member {
    /// What the words say; what they leave open is l2, bridge, owned, up, in a netns of its own, with all multicast.
    ///
    /// # Panics
    /// At a word that means nothing.
    pub fn slave(&self, host_end: IfIndex) -> Slave {
        let mut options = Options { mode: Mode::L2, ..Options::DEFAULT };
        let mut state = State { up: true, all_groups: true, ..State::default() };
        for word in &self.words {
            match word.as_str() {
                "l2" => options.mode = Mode::L2,
                "l3" => options.mode = Mode::L3,
                "l3s" => options.mode = Mode::L3s,
                "bridge" => options.flag = Flag::Bridge,
                "vepa" => options.flag = Flag::Vepa,
                "private" => options.flag = Flag::Private,
                "owned" => options.guard = Guard::Owned,
                "strict" => options.guard = Guard::Strict,
                "router" => options.guard = Guard::Router,
                "declared" => options.guard = Guard::Declared,
                "off" => options.guard = Guard::Off,
                "host" => options.host = HostAccess::On,
                "proxy" => options.neigh = NeighProxy::Proxy,
                "nodhcp" => options.dhcp = Dhcp::Off,
                "direct" => options.siblings = Siblings::Direct,
                "down" => state.up = false,
                "local" => state.local = true,
                other => panic!("\"{other}\" says nothing of slave {}", self.name),
            }
        }
        Slave::new(host_end, options, state)
    }

    /// Its options.
    pub fn options(&self) -> Options {
        self.slave(IfIndex::NONE).options()
    }

    /// Its state.
    pub fn state(&self) -> State {
        self.slave(IfIndex::NONE).state()
    }

    /// Its slot.
    pub fn slot(&self) -> Slot {
        Slot(names::slot(&self.name).expect("a slave's name"))
    }

    fn owns(&self) -> [Addr; 2] {
        let (v4, v6) = names::slave_addresses(self.slot().0);
        [IpAddr::from(v4).into(), IpAddr::from(v6).into()]
    }
}

impl World {
    /// The slave with this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn member(&self, name: &str) -> &Member {
        self.members.iter().find(|member| member.name == name).unwrap_or_else(|| panic!("no slave {name} here"))
    }

    /// The tables, with made-up ifindexes.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot_at(IfIndex(MASTER), |slot| IfIndex(MASTER + 1 + slot.0))
    }

    /// The tables for a master and host ends that exist.
    pub fn snapshot_at(&self, master: IfIndex, host_end: impl Fn(Slot) -> IfIndex) -> Snapshot {
        let slots = self.members.iter().map(|member| member.slot().0 + 1).max().unwrap_or(0);
        let mac = if self.is("ip-only") { [0; 6] } else { MASTER_MAC };
        let flags = self.flags();
        let port =
            PortEntry { abi: ABI_VERSION, master, mtu: MTU, slots, flags, mac: Mac(mac), ..PortEntry::default() };
        let mut snapshot = Snapshot { port, ..Snapshot::default() };
        for member in &self.members {
            let slot = member.slot();
            snapshot.slaves.insert(slot, self.slave(member, host_end(slot)));
            snapshot.owners.extend(member.owns().map(|addr| (addr, Owner::Slave(slot))));
        }
        for addr in [IpAddr::from(HOST_V4), IpAddr::from(HOST_V6)] {
            snapshot.owners.insert(addr.into(), Owner::Host);
        }
        for (slot, group) in self.memberships() {
            snapshot.groups.entry(group).or_insert(Members::NOBODY).set(slot, true);
        }
        let first = self.asked.first().map(|name| self.member(name).slot());
        let asker = first.map(|slot| Asker { slot, alone: self.asked.len() == 1 });
        snapshot.asked =
            asker.map(|asker| (u32::from_ne_bytes(TRANSACTION.to_be_bytes()), asker)).into_iter().collect();
        snapshot.prefixes = self.declared.iter().map(|line| prefix(line)).collect();
        snapshot
    }

    /// What a slave is in this world.
    pub fn slave(&self, member: &Member, host_end: IfIndex) -> Slave {
        member.slave(host_end).with_state(State { all_groups: self.joined.is_none(), ..member.state() })
    }

    /// The slaves and the groups that they have joined.
    pub fn memberships(&self) -> Vec<(Slot, Group)> {
        self.joined.iter().flatten().flat_map(|line| membership(line)).collect()
    }

    fn flags(&self) -> u32 {
        let flag = |on: bool, flag: u32| if on { flag } else { 0 };
        flag(self.is("master-gone"), PortEntry::MASTER_GONE)
            | flag(self.is("ip-only"), PortEntry::IP_ONLY)
            | flag(!self.asked.is_empty(), PortEntry::DHCP)
            | flag(!self.declared.is_empty(), PortEntry::PREFIXES)
    }

    /// Whether the port has this property.
    pub fn is(&self, word: &str) -> bool {
        self.port.iter().any(|property| property == word)
    }
}

fn membership(line: &str) -> Vec<(Slot, Group)> {
    let (name, group) = line.split_once(' ').expect("a slave and a group");
    let slot = Slot(names::slot(name).expect("a slave's name"));
    names::group_macs(group).into_iter().map(|mac| (slot, Group::from(Mac(mac)))).collect()
}

fn prefix(line: &str) -> (Addr, u8, Owner) {
    let (name, prefix) = line.split_once(' ').expect("a slave and a prefix");
    let (address, len) = prefix.split_once('/').expect("a prefix with its length");
    let address: IpAddr = address.parse().expect("a prefix's address");
    let len: u8 = len.parse().expect("a prefix's length");
    let slot = Slot(names::slot(name).expect("a slave's name"));
    (address.into(), if address.is_ipv4() { 96 + len } else { len }, Owner::Slave(slot))
}
