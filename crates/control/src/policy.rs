//! How is a slave's policy read and changed?

mod cause;
mod change;
mod giving;
mod install;
mod names;
mod writer;

use crate::error::{Result, refused};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::Netlink;
use crate::policy_words::{PolicyKeys, PolicyRule, PolicySpec};
use crate::port::Port;
use crate::port::tables::PolicyMaps;
use crate::slave::find::{self, SlaveNames};
use cause::CAUSES;
use install::{ask_again, install, remove};
use ipvl_core::policy::{CountKey, Direction, PolicyCount, Rule};
use ipvl_core::{IfIndex, Slot};
use std::collections::BTreeMap;
use writer::Writer;

pub(crate) use cause::cause_in_words;
pub use change::PolicyChange;
pub(crate) use giving::{Giving, policy_keys, replace_policy};
pub(crate) use names::Names;

/// A slave's policy, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlavePolicy {
    /// The slave's name.
    pub slave: String,
    /// Its master's.
    pub master: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Whether what no rule fits passes, inward and outward; none if it has no policy.
    pub defaults: Option<(bool, bool)>,
    /// The rules, in their order.
    pub rules: Vec<CountedRule>,
    /// What else decided, inward or outward, and how often.
    pub others: Vec<(&'static str, Direction, PolicyCount)>,
}

/// A rule, and how much it has decided about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedRule {
    /// The number by which it is called; it stays when other rules come and go.
    pub handle: u32,
    /// The rule.
    pub rule: PolicyRule,
    /// The packets that it decided about: of a connection, those that opened it.
    pub count: PolicyCount,
}

/// The policies and labels of all slaves, or of one.
pub fn policies(slave: Option<&str>) -> Result<Vec<SlavePolicy>> {
    let netlink = Netlink::open()?;
    let only = slave.map(|name| find::slave(&netlink, name)).transpose()?;
    let mut found = Vec::new();
    for port in Port::all(&netlink)? {
        let wanted = |slot: Slot| only.as_ref().is_none_or(|only| (only.port.master, only.slot) == (port.master, slot));
        let Some(maps) = port.policy_maps()? else { continue };
        let master = name_of(&netlink, port.master)?;
        let (names, counts) = (Names::read(&netlink, &port, &maps)?, maps.counts()?);
        for slot in names.slaves.keys().copied().filter(|slot| wanted(*slot)) {
            let shown = shown(&maps, &names, counts.get(&slot), slot, &master)?;
            if only.is_some() || shown.defaults.is_some() || !shown.labels.is_empty() {
                found.push(shown);
            }
        }
    }
    match (only, found.is_empty()) {
        (Some(only), true) => Ok(vec![SlavePolicy::none(only.name, only.port.master, &netlink)?]),
        _ => Ok(found),
    }
}

/// Changes a slave's policy, in one step: each packet meets the old one or the new one.
pub fn change_policy(slave: &str, change: &PolicyChange) -> Result<()> {
    let _lock = Lock::acquire(LOCK_WAIT)?;
    let netlink = Netlink::open()?;
    let mut found = find::slave(&netlink, slave)?;
    if let (PolicyChange::Flush, None) = (change, found.port.policy_maps()?) {
        return Ok(());
    }
    let mut maps = found.port.ensure_policy_maps()?;
    if let PolicyChange::Label(labels) = change {
        let labels = maps.label_bits(labels, |refusal| refused("label", slave, refusal))?;
        maps.set_labels(found.slot, labels)?;
        return ask_again(&mut maps);
    }
    let old = maps.policy(found.slot)?;
    let names = &mut SlaveNames::default();
    let mut writer = Writer { netlink: &netlink, names, port: &found.port, maps: &mut maps, slave };
    match writer.changed(old.as_ref(), change)? {
        Some(policy) => install(&netlink, &mut found, &mut maps, &policy),
        None => remove(&netlink, &mut found, &mut maps),
    }
}

fn shown(
    maps: &PolicyMaps,
    names: &Names,
    counts: Option<&BTreeMap<u32, PolicyCount>>,
    slot: Slot,
    master: &str,
) -> Result<SlavePolicy> {
    let policy = maps.policy(slot)?;
    let count = |number: u32| counts.and_then(|counts| counts.get(&number)).copied().unwrap_or_default();
    let counted = |rule: &Rule| {
        let (handle, rule, count) = (rule.handle, names.in_words(rule), count(rule.handle));
        CountedRule { handle, rule, count }
    };
    let rules = policy.iter().flat_map(|policy| policy.rules()).map(counted).collect();
    let others = CAUSES.iter().flat_map(|(cause, word)| {
        [Direction::In, Direction::Out].map(|way| (*word, way, count(CountKey::of_cause(*cause, way))))
    });
    Ok(SlavePolicy {
        slave: names.slaves.get(&slot).cloned().unwrap_or_default(),
        master: master.to_owned(),
        labels: names.labels_of(maps.labels(slot)?),
        defaults: policy.map(|policy| (policy.default & Rule::IN != 0, policy.default & Rule::OUT != 0)),
        rules,
        others: others.filter(|(.., count)| count.packets > 0).collect(),
    })
}

impl SlavePolicy {
    /// What files and engines could say of the slave for it to have this.
    pub fn keys(&self) -> PolicyKeys {
        let rules = || self.rules.iter().map(|counted| counted.rule.clone()).collect();
        let policy = self.defaults.map(|(inward, outward)| PolicySpec { inward, outward, rules: rules() });
        PolicyKeys { policy, labels: self.labels.iter().cloned().collect() }
    }

    fn none(slave: String, master: IfIndex, netlink: &Netlink) -> Result<Self> {
        let master = name_of(netlink, master)?;
        let (labels, defaults, rules, others) = (Vec::new(), None, Vec::new(), Vec::new());
        Ok(Self { slave, master, labels, defaults, rules, others })
    }
}

fn name_of(netlink: &Netlink, master: IfIndex) -> Result<String> {
    Ok(netlink.link(master, None)?.map_or_else(|| "?".to_owned(), |link| link.name))
}
