//! On which questions to the tables does a decision rest, and what are the answers?

use super::snapshot::Snapshot;
use ipvl_core::{Addr, Asker, Group, Members, OPTIONS, Options, Owner, PortEntry, Slave, Slot, Tables};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// A snapshot that records in words what it is asked and what it answers.
pub struct Trace<'a> {
    snapshot: &'a Snapshot,
    names: BTreeMap<Slot, String>,
    /// Whether it is of our kernel module: then slots, joined groups, recent broadcasts and DHCP requests are not
    /// known.
    in_module: bool,
    questions: RefCell<Vec<String>>,
}

impl<'a> Trace<'a> {
    /// Answers from `snapshot`. Slaves are called by `names`, where they have one.
    pub fn new(snapshot: &'a Snapshot, names: BTreeMap<Slot, String>) -> Self {
        Self { snapshot, names, in_module: false, questions: RefCell::default() }
    }

    /// The same of a port of our kernel module, as far as netlink tells it.
    pub fn of_module(snapshot: &'a Snapshot, names: BTreeMap<Slot, String>) -> Self {
        Self { in_module: true, ..Self::new(snapshot, names) }
    }

    /// Each question and its answer, in order.
    pub fn questions(self) -> Vec<String> {
        self.questions.into_inner()
    }

    /// A slave by name and slot: `ipvl1 (slot 1)`.
    pub fn name(&self, slot: Slot) -> String {
        match self.names.get(&slot) {
            Some(name) if self.in_module => name.clone(),
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
            Owner::Nobody => "neither a slave nor the host".to_owned(),
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

/// The options that are shown only if they do not have the default, if they change anything in the slave's mode.
fn more_options(options: Options) -> String {
    let more = OPTIONS.iter().filter(|entry| !entry.in_every_line && entry.is_shown(options));
    let effective = more.filter(|entry| entry.modes.contains(&options.mode));
    effective.map(|entry| format!(", {} {}", entry.name, options.word(entry.key))).collect()
}

impl Tables for Trace<'_> {
    /// Not recorded: it is the same for every frame.
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
        self.note(format!("what owns {addr}? {}", self.owner_in_words(owner)));
        owner
    }

    fn members(&self, group: Group) -> Option<&Members> {
        if self.in_module {
            let mac = group.mac;
            self.note(format!("which slaves have joined {mac}? not known here: ip -n NETNS maddr show dev SLAVE"));
            return None;
        }
        let members = self.snapshot.members(group);
        let names: Vec<String> = members.into_iter().flat_map(Members::slots).map(|slot| self.name(slot)).collect();
        let names = if names.is_empty() { "no slave".to_owned() } else { names.join(", ") };
        self.note(format!("which slaves have joined {}? {names}", group.mac));
        members
    }

    fn is_joining(&self) -> bool {
        let joining = self.snapshot.is_joining();
        if joining {
            self.note(
                "has a slave joined more groups? the agent has yet to read which: all slaves get a copy".to_owned(),
            );
        }
        joining
    }

    fn sender_of(&self, digest: u64) -> Option<Slot> {
        let sender = self.snapshot.sender_of(digest);
        let answer = sender.map_or("no slave".to_owned(), |slot| self.name(slot));
        let answer = if self.in_module { "not known here; taken for no slave".to_owned() } else { answer };
        self.note(format!("which slave sent this broadcast a moment ago? {answer}"));
        sender
    }

    fn asker_of(&self, xid: u32) -> Option<Asker> {
        let asker = self.snapshot.asker_of(xid);
        let answer = asker.map_or("no slave".to_owned(), |asker| self.name(asker.slot));
        let answer = if self.in_module { "not known here; taken for no slave".to_owned() } else { answer };
        self.note(format!("which slave waits for this DHCP reply? {answer}"));
        asker
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipvl_core::{IfIndex, Mode, State};

    const ADDRESS: Addr = Addr::v4([10, 0, 0, 11]);

    #[test]
    fn every_question_is_recorded_once() {
        let options = Options { mode: Mode::L3s, ..Options::DEFAULT };
        let slave = Slave::new(IfIndex(9), options, State { up: true, ..State::default() });
        let snapshot = Snapshot {
            slaves: BTreeMap::from([(Slot(1), slave)]),
            owners: BTreeMap::from([(ADDRESS, Owner::Slave(Slot(1)))]),
            ..Snapshot::default()
        };
        let trace = Trace::new(&snapshot, BTreeMap::from([(Slot(1), "ipvl1".to_owned())]));
        for _ in 0..2 {
            trace.owner(ADDRESS);
            trace.slave(Slot(1));
            trace.sender_of(7);
        }
        let expected = [
            "what owns 10.0.0.11? ipvl1 (slot 1)",
            "what is ipvl1 (slot 1)? l3s bridge, up, with host access, guard owned",
            "which slave sent this broadcast a moment ago? no slave",
        ];
        assert_eq!(trace.questions(), expected);
    }
}
