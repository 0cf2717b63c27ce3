//! How do rules in words become what the programs read?

use super::change::PolicyChange;
use crate::error::{Result, refused};
use crate::kernel::netlink::Netlink;
use crate::policy_words::{PolicyPeer, PolicyRule};
use crate::port::Port;
use crate::port::host_end::HostEnd;
use crate::port::policy::generation;
use crate::port::tables::PolicyMaps;
use crate::refusal::{PolicyRefusal, Refusal};
use crate::slave::find::SlaveNames;
use ipvl_core::Slot;
use ipvl_core::policy::{PeerKind, Policy, Rule};

/// Turns rules in words into what the programs read.
pub(super) struct Writer<'a> {
    pub netlink: &'a Netlink,
    pub names: &'a mut SlaveNames,
    pub port: &'a Port,
    pub maps: &'a mut PolicyMaps,
    /// The slave, for errors.
    pub slave: &'a str,
}

impl Writer<'_> {
    /// The policy after the change; `None` if there is to be none.
    pub fn changed(&mut self, old: Option<&Policy>, change: &PolicyChange) -> Result<Option<Policy>> {
        let mut stored: Vec<Rule> = old.map_or_else(Vec::new, |old| old.rules().to_vec());
        let mut default = old.map_or(Rule::IN | Rule::OUT, |old| old.default);
        match change {
            PolicyChange::Set { inward, outward, rules } => {
                default = with_bit(with_bit(default, Rule::IN, *inward), Rule::OUT, *outward);
                if let Some(rules) = rules {
                    stored = self.all(rules, &stored)?;
                }
            }
            PolicyChange::Add { rule, before } => {
                let place = before.map_or(Ok(stored.len()), |handle| self.place(&stored, handle))?;
                let rule = self.stored(rule)?.called(free_handle(&stored));
                stored.insert(place, rule);
            }
            PolicyChange::Delete(handle) => _ = stored.remove(self.place(&stored, *handle)?),
            PolicyChange::Flush | PolicyChange::Label(_) => return Ok(None),
        }
        let policy = Policy::new(generation(old), default, &stored);
        policy
            .map(Some)
            .ok_or_else(|| refused("change the policy of", self.slave, Refusal::Policy(PolicyRefusal::TooManyRules)))
    }

    /// All rules anew. One that was there before keeps its handle, and so its count.
    fn all(&mut self, rules: &[PolicyRule], before: &[Rule]) -> Result<Vec<Rule>> {
        let (mut kept, mut stored) = (before.to_vec(), Vec::new());
        for rule in rules {
            let rule = self.stored(rule)?;
            let same = kept.iter().position(|old| old.called(0) == rule);
            stored.push(same.map_or(rule, |place| kept.remove(place)));
        }
        for place in 0..stored.len() {
            if stored[place].handle == 0 {
                let used: Vec<Rule> = stored.iter().chain(before).copied().collect();
                stored[place].handle = free_handle(&used);
            }
        }
        Ok(stored)
    }

    fn place(&self, rules: &[Rule], handle: u32) -> Result<usize> {
        let place = rules.iter().position(|rule| rule.handle == handle);
        place.ok_or_else(|| {
            refused("change the policy of", self.slave, Refusal::Policy(PolicyRefusal::NoSuchRule(handle)))
        })
    }

    fn stored(&mut self, rule: &PolicyRule) -> Result<Rule> {
        let peer = match &rule.peer {
            PolicyPeer::Any => PeerKind::Any,
            PolicyPeer::Network(addr, len) => PeerKind::Network(*addr, *len),
            PolicyPeer::Host => PeerKind::Host,
            PolicyPeer::Slaves => PeerKind::Labelled(0),
            PolicyPeer::Slave(name) => PeerKind::Slave(self.sibling(name)?),
            PolicyPeer::Labelled(labels) => {
                let refuse = |refusal| refused("use", labels.join(","), refusal);
                PeerKind::Labelled(self.maps.label_bits(labels, refuse)?)
            }
        };
        Ok(rule.stored(peer))
    }

    fn sibling(&mut self, name: &str) -> Result<Slot> {
        let host_end = self.names.host_end(self.netlink, name)?;
        match HostEnd::of(&host_end) {
            Some(described) if described.master == self.port.master => Ok(described.slot),
            _ => Err(refused("use", name, Refusal::Policy(PolicyRefusal::NoSibling))),
        }
    }
}

fn free_handle(rules: &[Rule]) -> u32 {
    rules.iter().map(|rule| rule.handle).max().unwrap_or(0) + 1
}

fn with_bit(bits: u8, bit: u8, wanted: Option<bool>) -> u8 {
    match wanted {
        Some(true) => bits | bit,
        Some(false) => bits & !bit,
        None => bits,
    }
}
