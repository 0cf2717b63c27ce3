//! How does a slave get exactly the policy and labels that a file or an engine says, and which has it?

use super::change::PolicyChange;
use super::install::{ask_again, install, remove};
use super::names::Names;
use super::writer::Writer;
use crate::error::{Result, refused};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::Netlink;
use crate::policy_words::{PolicyKeys, PolicySpec};
use crate::port::Port;
use crate::port::tables::PolicyMaps;
use crate::slave::find::{self, SlaveNames};
use ipvl_core::policy::{Policy, Rule};
use ipvl_core::{IfIndex, Slot};
use std::collections::{BTreeMap, BTreeSet};

/// New slaves get their rules, one after the other. The caller has the lock.
pub(crate) struct Giving<'a> {
    netlink: &'a Netlink,
    names: SlaveNames,
    labelled: BTreeSet<IfIndex>,
}

impl<'a> Giving<'a> {
    /// Nothing is done yet.
    pub fn new(netlink: &'a Netlink) -> Self {
        Self { netlink, names: SlaveNames::default(), labelled: BTreeSet::new() }
    }

    /// Writes the rules of a slave that has dropped everything until now.
    pub fn give(&mut self, port: &Port, slot: Slot, slave: &str, keys: &PolicyKeys) -> Result<()> {
        if !keys.labels.is_empty() {
            self.labelled.insert(port.master);
        }
        let Some(spec) = &keys.policy else { return Ok(()) };
        let mut maps = port.ensure_policy_maps()?;
        let old = maps.policy(slot)?;
        let mut writer = Writer { netlink: self.netlink, names: &mut self.names, port, maps: &mut maps, slave };
        let policy = writer.changed(old.as_ref(), &in_whole(spec))?;
        policy.map_or(Ok(()), |policy| maps.set_policy(slot, &policy))
    }

    /// Has each policy of a port with new labels ask again which slaves its rules are about.
    pub fn finish(&self, ports: &BTreeMap<IfIndex, Port>) -> Result<()> {
        for port in self.labelled.iter().filter_map(|master| ports.get(master)) {
            port.policy_maps()?.map_or(Ok(()), |mut maps| ask_again(&mut maps))?;
        }
        Ok(())
    }
}

/// Gives a slave exactly this policy and these labels, all or nothing. Each packet meets the old rules or the new ones.
pub(crate) fn replace_policy(slave: &str, keys: &PolicyKeys) -> Result<()> {
    let _lock = Lock::acquire(LOCK_WAIT)?;
    let netlink = Netlink::open()?;
    let mut found = find::slave(&netlink, slave)?;
    if keys.is_empty() && found.port.policy_maps()?.is_none() {
        return Ok(());
    }
    let mut maps = found.port.ensure_policy_maps()?;
    let (old, old_labels) = (maps.policy(found.slot)?, maps.labels(found.slot)?);
    let labels = maps.label_bits(&keys.labels, |refusal| refused("label", slave, refusal))?;
    let names = &mut SlaveNames::default();
    let mut writer = Writer { netlink: &netlink, names, port: &found.port, maps: &mut maps, slave };
    let new = keys.policy.as_ref().map(|spec| writer.changed(old.as_ref(), &in_whole(spec))).transpose()?.flatten();
    if labels != old_labels {
        maps.set_labels(found.slot, labels)?;
    }
    let done = match &new {
        Some(policy) => install(&netlink, &mut found, &mut maps, policy),
        None if old.is_some() => remove(&netlink, &mut found, &mut maps),
        None => Ok(()),
    };
    if done.is_err() {
        maps.set_labels(found.slot, old_labels)?;
    }
    if labels != old_labels { done.and_then(|()| ask_again(&mut maps)) } else { done }
}

/// What files and engines could say of each slave of a port to have the policy and labels that it has.
pub(crate) fn policy_keys(netlink: &Netlink, port: &Port) -> Result<BTreeMap<Slot, PolicyKeys>> {
    let Some(maps) = port.policy_maps()? else { return Ok(BTreeMap::new()) };
    let (names, policies) = (Names::read(netlink, port, &maps)?, maps.policies()?);
    names.slaves.keys().map(|slot| Ok((*slot, keys(&maps, &names, policies.get(slot), *slot)?))).collect()
}

fn keys(maps: &PolicyMaps, names: &Names, policy: Option<&Policy>, slot: Slot) -> Result<PolicyKeys> {
    let passes = |policy: &Policy, bit| policy.default & bit != 0;
    let policy = policy.map(|policy| PolicySpec {
        inward: passes(policy, Rule::IN),
        outward: passes(policy, Rule::OUT),
        rules: policy.rules().iter().map(|rule| names.in_words(rule)).collect(),
    });
    Ok(PolicyKeys { policy, labels: names.labels_of(maps.labels(slot)?).into_iter().collect() })
}

fn in_whole(spec: &PolicySpec) -> PolicyChange {
    let PolicySpec { inward, outward, rules } = spec.clone();
    PolicyChange::Set { inward: Some(inward), outward: Some(outward), rules: Some(rules) }
}
