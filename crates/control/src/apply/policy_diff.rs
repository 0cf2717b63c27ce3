//! How does a slave's policy differ from what a file says, whatever names the slaves that its rules are about have?

use super::actual::{ActualLink, ActualState};
use super::config_error::{ConfigError, ErrorKind};
use super::desired::{DesiredLink, DesiredState};
use super::find::find;
use crate::policy_words::PolicyKeys;

/// A slave's policy and labels before and after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDiff {
    /// As they are.
    pub old: PolicyKeys,
    /// As they are to be.
    pub new: PolicyKeys,
}

impl PolicyDiff {
    /// None if they are as they are to be.
    pub fn of(new: PolicyKeys, was: &ActualLink, actual: &ActualState) -> Option<Self> {
        let by_host_end = |keys: &PolicyKeys| renamed(keys, |name| host_end(name, was.master.0, actual));
        let differs = by_host_end(&new) != by_host_end(&was.policy);
        differs.then(|| Self { old: was.policy.clone(), new })
    }
}

/// What a table says of policy and labels. A slave that its rules name, and that is called otherwise until the plan is carried
/// out, is named by its host end.
pub fn resolved(link: &DesiredLink, desired: &DesiredState, actual: &ActualState) -> Result<PolicyKeys, ConfigError> {
    let mut named = link.policy.policy.iter().flat_map(|policy| policy.named_slaves());
    named.try_for_each(|name| check(name, link, desired, actual))?;
    let now = |name: &str| {
        let table = tables(name, link, desired).next()?;
        let slave = find(table, &actual.slaves)?;
        (slave.name.as_deref() != Some(name)).then(|| slave.host_end.1.clone())
    };
    Ok(renamed(&link.policy, |name| now(name).unwrap_or_else(|| name.to_owned())))
}

/// A slave that a rule names has a table, or exists.
fn check(name: &str, link: &DesiredLink, desired: &DesiredState, actual: &ActualState) -> Result<(), ConfigError> {
    let master = actual.masters.get(&link.spec.master).map(|(ifindex, _)| *ifindex);
    let called = |slave: &&ActualLink| slave.name.as_deref() == Some(name) || slave.host_end.1 == name;
    let there = actual.slaves.iter().filter(called).filter(|slave| Some(slave.master.0) == master).count();
    match (tables(name, link, desired).count(), there) {
        (0, 0) => {
            let (name, master) = (name.to_owned(), link.spec.master.clone());
            Err(link.error("policy", ErrorKind::NoSibling { name, master }))
        }
        (2.., _) | (_, 2..) => Err(link.error("policy", ErrorKind::Ambiguous { name: name.to_owned() })),
        _ => Ok(()),
    }
}

/// The tables of slaves of this name, of the same master.
fn tables<'a>(name: &str, link: &DesiredLink, desired: &'a DesiredState) -> impl Iterator<Item = &'a DesiredLink> {
    desired.links.iter().filter(move |other| other.name == name && other.spec.master == link.spec.master)
}

fn renamed(keys: &PolicyKeys, name: impl Fn(&str) -> String) -> PolicyKeys {
    PolicyKeys { policy: keys.policy.as_ref().map(|policy| policy.renamed(name)), labels: keys.labels.clone() }
}

/// The host end of the slave of this name.
fn host_end(name: &str, master: ipvl_core::IfIndex, actual: &ActualState) -> String {
    let of_master = || actual.slaves.iter().filter(|slave| slave.master.0 == master);
    let found = of_master().find(|slave| slave.host_end.1 == name);
    let found = found.or_else(|| of_master().find(|slave| slave.name.as_deref() == Some(name)));
    found.map_or_else(|| name.to_owned(), |slave| slave.host_end.1.clone())
}
