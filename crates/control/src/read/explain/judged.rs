//! What do the policies of a frame's sender and of its receivers say?

use super::explanation::Explanation;
use super::fate::Fate;
use crate::error::Result;
use crate::kernel::netlink::Netlink;
use crate::policy::{Names, cause_in_words};
use crate::port::Port;
use crate::port::tables::PolicyMaps;
use crate::read::snapshot::Snapshot;
use crate::read::watcher;
use ipvl_core::policy::{Connection, Direction, Flow, FragmentKey, Peer, PolicyTables, judge};
use ipvl_core::wire::ETH_HLEN;
use ipvl_core::{Action, Addr, Flood, Frame, Owner, PortEntry, Reason, Slot, Tables, destination};

/// The policies of a port, and what they are asked.
pub struct Policies<'a> {
    snapshot: &'a Snapshot,
    maps: PolicyMaps,
    names: Names,
}

impl<'a> Policies<'a> {
    /// Those of this port; none if it never had any.
    pub fn read(netlink: &Netlink, port: &Port, snapshot: &'a Snapshot) -> Result<Option<Self>> {
        let Some(maps) = port.policy_maps()? else { return Ok(None) };
        let names = Names::read(netlink, port, &maps)?;
        Ok(Some(Self { snapshot, maps, names }))
    }

    /// The explanation after the policies: that of the sender is asked first of all, that of the receiver last.
    pub fn ask(&self, sender: Option<Slot>, frame: &impl Frame, told: Explanation) -> Result<Explanation> {
        let at = self.header_len(sender);
        let out = match sender {
            Some(slot) => self.of(slot, Direction::Out, at, frame)?,
            None => None,
        };
        match out {
            Some((false, line)) => Ok(dropped(Vec::new(), line)),
            Some((true, line)) => {
                let questions = [vec![line], told.questions.clone()].concat();
                self.ask_receiver(frame, at, Explanation { questions, ..told })
            }
            None => self.ask_receiver(frame, at, told),
        }
    }

    fn ask_receiver(&self, frame: &impl Frame, at: usize, told: Explanation) -> Result<Explanation> {
        if let Action::Flood(flood) = told.verdict.action() {
            return self.ask_receivers(flood, frame, at, told);
        }
        let receiver = match (told.verdict.action(), destination(frame).map(|dst| self.snapshot.owner(dst))) {
            (Action::Deliver(slot), _) | (Action::Host, Some(Owner::Slave(slot))) => slot,
            _ => return Ok(told),
        };
        Ok(match self.of(receiver, Direction::In, at, frame)? {
            Some((true, line)) => {
                let questions = [told.questions.clone(), vec![line]].concat();
                Explanation { questions, ..told }
            }
            Some((false, line)) => dropped(told.questions, line),
            None => told,
        })
    }

    /// Each slave that gets a copy, by its own policy. The frame itself goes on.
    fn ask_receivers(&self, flood: Flood, frame: &impl Frame, at: usize, mut told: Explanation) -> Result<Explanation> {
        let (first, end) = flood.slots(&self.snapshot.port());
        let filter = flood.filter(frame, self.snapshot);
        let receivers = (first..end).map(Slot).filter(|slot| filter.admits(*slot, self.snapshot.slave(*slot)));
        let mut refusing = Vec::new();
        for slot in receivers {
            let Some((passes, line)) = self.of(slot, Direction::In, at, frame)? else { continue };
            told.questions.push(line);
            if !passes {
                refusing.push(self.name(slot));
            }
        }
        if !refusing.is_empty() {
            told.text = format!("{}; dropped as {}: the copies for {}", told.text, Reason::Policy, refusing.join(", "));
        }
        Ok(told)
    }

    /// Whether a slave's policy lets the frame pass, and why; `None` if it is not asked.
    fn of(&self, slot: Slot, way: Direction, at: usize, frame: &impl Frame) -> Result<Option<(bool, String)>> {
        let Some(policy) = self.maps.policy(slot)? else { return Ok(None) };
        if destination(frame).is_none() {
            return Ok(None);
        }
        let judgement = judge(frame, at, (slot, way), &policy, self);
        let name = self.name(slot);
        let verb = if way == Direction::Out { "send" } else { "receive" };
        let answer = if judgement.passes { "yes" } else { "no" };
        let cause = cause_in_words(&policy, judgement.cause, way, &self.names);
        Ok(Some((judgement.passes, format!("may {name} {verb} it, by its policy? {answer}: {cause}"))))
    }

    fn name(&self, slot: Slot) -> &str {
        self.names.slaves.get(&slot).map_or("?", String::as_str)
    }

    /// What a master without link-layer header receives begins with IP.
    fn header_len(&self, sender: Option<Slot>) -> usize {
        let bare = sender.is_none() && self.snapshot.port().has(PortEntry::IP_ONLY);
        if bare { 0 } else { ETH_HLEN }
    }
}

impl PolicyTables for Policies<'_> {
    fn peer(&self, addr: Addr) -> Peer {
        let owner = self.snapshot.owner(addr);
        let labels = match owner {
            Owner::Slave(slot) => self.maps.labels(slot).unwrap_or(0),
            Owner::Host | Owner::Nobody => 0,
        };
        Peer { owner, labels }
    }

    fn connection(&self, flow: &Flow) -> Option<Connection> {
        self.maps.connection(flow).ok().flatten()
    }

    fn fragment(&self, key: &FragmentKey) -> Option<u64> {
        self.maps.fragment(key).ok().flatten()
    }

    fn now(&self) -> u64 {
        watcher::now()
    }
}

fn dropped(mut questions: Vec<String>, line: String) -> Explanation {
    questions.push(line);
    let Fate { verdict, text, lost, remedy, .. } = Fate::dropped(Reason::Policy);
    Explanation { verdict, questions, text, lost, remedy }
}
