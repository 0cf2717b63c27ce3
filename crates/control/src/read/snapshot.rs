//! What would become of a frame, going by what the tables say now? The kernel's questions, answered from a copy.

use ipvl_core::{Addr, Frame, Group, Members, OPTIONS, Options, Owner, PortEntry, Slave, Slot, Tables};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

/// The tables of one port, read once.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The master, and what all slaves share.
    pub port: PortEntry,
    /// The slaves by slot.
    pub slaves: BTreeMap<Slot, Slave>,
    /// Who owns which single address.
    pub owners: BTreeMap<Addr, Owner>,
    /// Who owns which prefix, as long as [`PortEntry::PREFIXES`] is set. The length counts all 128 bits of an [`Addr`]: an
    /// IPv4 /24 is 120.
    pub prefixes: Vec<(Addr, u8, Owner)>,
    /// Who has joined which multicast group.
    pub groups: BTreeMap<Group, Members>,
    /// Who sent the broadcast with this digest a moment ago.
    pub sent: BTreeMap<u64, Slot>,
}

impl Tables for Snapshot {
    fn port(&self) -> PortEntry {
        self.port
    }

    fn port_ref(&self) -> Option<&PortEntry> {
        Some(&self.port)
    }

    fn slave(&self, slot: Slot) -> Slave {
        self.slaves.get(&slot).copied().unwrap_or(Slave::VACANT)
    }

    fn owner(&self, addr: Addr) -> Owner {
        let exact = self.owners.get(&addr).copied();
        exact.or_else(|| self.longest_match(addr)).unwrap_or(Owner::Nobody)
    }

    fn members(&self, group: Group) -> Option<&Members> {
        self.groups.get(&group)
    }

    fn sender_of(&self, digest: u64) -> Option<Slot> {
        self.sent.get(&digest).copied()
    }
}

impl Snapshot {
    fn longest_match(&self, addr: Addr) -> Option<Owner> {
        let matching = self.prefixes.iter().filter(|(prefix, len, _)| shared_bits(*prefix, addr) >= u32::from(*len));
        let longest = matching.max_by_key(|(_, len, _)| *len).map(|(_, _, owner)| *owner);
        longest.filter(|_| self.port.has(PortEntry::PREFIXES))
    }
}

/// How many leading bits two addresses have in common.
fn shared_bits(one: Addr, other: Addr) -> u32 {
    (u128::from_be_bytes(one.0) ^ u128::from_be_bytes(other.0)).leading_zeros()
}

/// A frame in memory, with what a kernel would know about it besides its bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Bytes {
    /// From the link-layer header on.
    pub data: Vec<u8>,
    /// The VLAN id of a tag that the kernel keeps apart from the bytes.
    pub vlan: Option<u16>,
    /// Whether it stands for several segments.
    pub gso: bool,
    /// Whether it is the host's own multicast, looped back.
    pub loopback: bool,
}

/// In hex, as one word.
impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { data, vlan, gso, loopback } = self;
        data.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, " vlan {vlan:?} gso {gso} loopback {loopback}")
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(data: Vec<u8>) -> Self {
        Self { data, ..Self::default() }
    }
}

impl Frame for Bytes {
    fn len(&self) -> usize {
        self.data.len()
    }

    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.data.get(offset..offset.checked_add(N)?)?.try_into().ok()
    }

    fn read_at<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.read(offset)
    }

    fn vlan(&self) -> Option<u16> {
        self.vlan
    }

    fn is_gso(&self) -> bool {
        self.gso
    }

    fn is_to_us(&self) -> bool {
        false
    }

    fn is_loopback(&self) -> bool {
        self.loopback
    }
}

/// A snapshot that writes down what it was asked, and what it answered, in words.
pub struct Asked<'a> {
    snapshot: &'a Snapshot,
    names: BTreeMap<Slot, String>,
    questions: RefCell<Vec<String>>,
}

impl<'a> Asked<'a> {
    /// Answers from `snapshot`, and calls the slaves by `names` where it has one.
    pub fn new(snapshot: &'a Snapshot, names: BTreeMap<Slot, String>) -> Self {
        Self { snapshot, names, questions: RefCell::default() }
    }

    /// Each question and its answer, in order.
    pub fn questions(self) -> Vec<String> {
        self.questions.into_inner()
    }

    /// A slave as people know it: "ipvl1 (slot 1)".
    pub fn name(&self, slot: Slot) -> String {
        match self.names.get(&slot) {
            Some(name) => format!("{name} (slot {})", slot.0),
            None => format!("the slave in slot {}", slot.0),
        }
    }

    fn note(&self, line: String) {
        let mut questions = self.questions.borrow_mut();
        if !questions.contains(&line) {
            questions.push(line);
        }
    }

    fn owner_in_words(&self, owner: Owner) -> String {
        match owner {
            Owner::Nobody => "nobody that we know".to_owned(),
            Owner::Host => "the host".to_owned(),
            Owner::Slave(slot) => self.name(slot),
        }
    }

    fn slave_in_words(&self, slot: Slot, slave: Slave) -> String {
        if slave.is_vacant() {
            return format!("what is in slot {}? nothing", slot.0);
        }
        let Options { mode, flag, guard, .. } = slave.options();
        let (mode, flag, guard) = (mode.word(), flag.word(), guard.word());
        let host = if slave.host() { "with" } else { "without" };
        let state = if slave.up() { "up" } else { "down" };
        let more = more_options(slave.options());
        format!("what is {}? {mode} {flag}, {state}, {host} host access, guard {guard}{more}", self.name(slot))
    }
}

/// Those that only few slaves have, if they change anything in the slave's mode.
fn more_options(options: Options) -> String {
    let more = OPTIONS.iter().filter(|entry| !entry.in_every_line && entry.is_shown(options));
    let effective = more.filter(|entry| entry.modes.contains(&options.mode));
    effective.map(|entry| format!(", {} {}", entry.name, options.word(entry.key))).collect()
}

impl Tables for Asked<'_> {
    /// Not written down: it is the same for every frame.
    fn port(&self) -> PortEntry {
        self.snapshot.port()
    }

    fn port_ref(&self) -> Option<&PortEntry> {
        self.snapshot.port_ref()
    }

    fn slave(&self, slot: Slot) -> Slave {
        let slave = self.snapshot.slave(slot);
        self.note(self.slave_in_words(slot, slave));
        slave
    }

    fn owner(&self, addr: Addr) -> Owner {
        let owner = self.snapshot.owner(addr);
        self.note(format!("who owns {addr}? {}", self.owner_in_words(owner)));
        owner
    }

    fn members(&self, group: Group) -> Option<&Members> {
        let members = self.snapshot.members(group);
        let names: Vec<String> = members.into_iter().flat_map(Members::slots).map(|slot| self.name(slot)).collect();
        let names = if names.is_empty() { "none of us".to_owned() } else { names.join(", ") };
        self.note(format!("who has joined {}? {names}", group.mac));
        members
    }

    fn sender_of(&self, digest: u64) -> Option<Slot> {
        let sender = self.snapshot.sender_of(digest);
        let answer = sender.map_or("none of us".to_owned(), |slot| self.name(slot));
        self.note(format!("who sent this broadcast a moment ago? {answer}"));
        sender
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipvl_core::{Mode, State};

    const ADDRESS: Addr = Addr::v4([10, 0, 0, 11]);

    #[test]
    fn a_single_address_wins_over_a_prefix_and_a_long_prefix_over_a_short_one() {
        let mut snapshot = Snapshot {
            port: PortEntry { flags: PortEntry::PREFIXES, ..PortEntry::default() },
            prefixes: vec![
                (Addr::v4([10, 0, 0, 0]), 104, Owner::Slave(Slot(1))),
                (Addr::v4([10, 0, 0, 0]), 120, Owner::Slave(Slot(2))),
            ],
            ..Snapshot::default()
        };
        assert_eq!(snapshot.owner(ADDRESS), Owner::Slave(Slot(2)));
        assert_eq!(snapshot.owner(Addr::v4([10, 9, 9, 9])), Owner::Slave(Slot(1)));
        assert_eq!(snapshot.owner(Addr::v4([11, 0, 0, 0])), Owner::Nobody);
        snapshot.owners.insert(ADDRESS, Owner::Host);
        assert_eq!(snapshot.owner(ADDRESS), Owner::Host);
    }

    #[test]
    fn every_question_is_written_down_once() {
        let options = Options { mode: Mode::L3s, ..Options::DEFAULT };
        let slave = Slave::new(9, options, State { up: true, ..State::default() });
        let snapshot = Snapshot {
            slaves: BTreeMap::from([(Slot(1), slave)]),
            owners: BTreeMap::from([(ADDRESS, Owner::Slave(Slot(1)))]),
            ..Snapshot::default()
        };
        let asked = Asked::new(&snapshot, BTreeMap::from([(Slot(1), "ipvl1".to_owned())]));
        for _ in 0..2 {
            asked.owner(ADDRESS);
            asked.slave(Slot(1));
            asked.sender_of(7);
        }
        let expected = [
            "who owns 10.0.0.11? ipvl1 (slot 1)",
            "what is ipvl1 (slot 1)? l3s bridge, up, with host access, guard owned",
            "who sent this broadcast a moment ago? none of us",
        ];
        assert_eq!(asked.questions(), expected);
    }
}
