//! What must be done so that the actual state becomes the desired one? A pure function: both states in, steps out.

use super::actual::{ActualLink, ActualState};
use super::config_error::{ConfigError, ErrorKind};
use super::desired::{DesiredLink, DesiredState};
use super::find::{find, is_ours};
use super::inside_diff::InsideDiff;
use super::inside_table::Inside;
use super::policy_diff::{PolicyDiff, resolved};
use crate::model::{Backend, Change, Kind, NetnsRef};
use crate::place::Place;
use ipvl_core::Addr;
use std::collections::{BTreeMap, BTreeSet};

/// What must be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Namespaces to make.
    pub netns: Vec<String>,
    /// Slaves to delete, to change and to make, in this order.
    pub steps: Vec<Step>,
    /// By the name of a netns: routes and rules to remove there; their slaves are gone.
    pub left: BTreeMap<String, Inside>,
    /// The flowtable: whether to turn it on or off.
    pub flowtable: Option<bool>,
    /// How many slaves need no change.
    pub unchanged: usize,
}

/// What must be done about one slave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It came from a file, and is in none any more.
    Delete(Box<ActualLink>),
    /// It exists and differs.
    Change(Box<Difference>),
    /// It does not exist.
    Make(Box<DesiredLink>),
}

/// How a slave differs from what a file asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The slave as the file describes it.
    pub desired: DesiredLink,
    /// The slave as it is.
    pub was: ActualLink,
    /// What to change, as by `ipvl link set`.
    pub change: Change,
    /// Addresses to change on its device.
    pub addresses: AddrDiff,
    /// Declarations to change.
    pub declared: AddrDiff,
    /// Its policy and labels, if they change.
    pub policy: Option<PolicyDiff>,
    /// Routes, rules and switches to change in its netns.
    pub inside: InsideDiff,
}

/// How two sets of addresses differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddrDiff {
    /// To add.
    pub add: BTreeSet<(Addr, u8)>,
    /// To remove.
    pub remove: BTreeSet<(Addr, u8)>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.netns.is_empty() && self.steps.is_empty() && self.left.is_empty() && self.flowtable.is_none()
    }
}

impl Difference {
    fn is_none(&self) -> bool {
        let none = AddrDiff::default();
        let is_as_it_was = self.change == Change::default() && self.policy.is_none();
        is_as_it_was && self.addresses == none && self.declared == none && self.inside.is_empty()
    }
}

/// Compares the states. With `prune`, slaves that came from files and are in none any more are deleted.
pub fn plan(desired: &DesiredState, actual: &ActualState, prune: bool) -> Result<Plan, ConfigError> {
    let netns = desired.netns.difference(&actual.netns).cloned().collect();
    let flowtable = desired.flowtable.filter(|on| Some(*on) != actual.flowtable);
    let mut plan = Plan { netns, flowtable, left: actual.left.clone(), ..Plan::default() };
    let (mut changes, mut makes, mut found) = (Vec::new(), Vec::new(), BTreeSet::new());
    for link in &desired.links {
        check(link, desired, actual)?;
        let Some(was) = find(link, &actual.slaves) else {
            let policy = resolved(link, desired, actual)?;
            makes.push(Step::Make(Box::new(DesiredLink { policy, ..link.clone() })));
            continue;
        };
        found.insert(was.place);
        let difference = compare(link, was, desired, actual)?;
        if difference.is_none() {
            plan.unchanged += 1;
        } else {
            changes.push(Step::Change(Box::new(difference)));
        }
    }
    let unwanted = actual.slaves.iter().filter(|slave| prune && is_ours(slave) && !found.contains(&slave.place));
    plan.steps = unwanted.map(|slave| Step::Delete(Box::new(slave.clone()))).chain(changes).chain(makes).collect();
    check_addresses(desired, actual, &plan)?;
    Ok(plan)
}

fn check(link: &DesiredLink, desired: &DesiredState, actual: &ActualState) -> Result<(), ConfigError> {
    let Some((_, most)) = actual.masters.get(&link.spec.master) else {
        return Err(link.error("master", ErrorKind::NoMaster(link.spec.master.clone())));
    };
    match (&link.netns, link.spec.mtu) {
        (Some(name), _) if !actual.netns.contains(name) && !desired.netns.contains(name) => {
            Err(link.error("netns", ErrorKind::NoNetns(name.clone())))
        }
        (_, Some(mtu)) if mtu > *most => Err(link.error("mtu", ErrorKind::MtuAbove { most: *most })),
        _ => Ok(()),
    }
}

fn compare(
    link: &DesiredLink,
    was: &ActualLink,
    desired: &DesiredState,
    actual: &ActualState,
) -> Result<Difference, ConfigError> {
    let name = was.host_end.1.clone();
    if let Some(owner) = was.owner.clone().filter(|_| !is_ours(was)) {
        return Err(link.error("name", ErrorKind::OtherOwner { owner }));
    }
    if actual.masters.get(&link.spec.master).map(|(ifindex, _)| *ifindex) != Some(was.master.0) {
        return Err(link.error("master", ErrorKind::Fixed { is: format!("a slave of {}", was.master.1), name }));
    }
    match (was.kind, link.spec.tap.is_some()) {
        (Kind::Ipvlan, true) => {
            return Err(link.error("type", ErrorKind::Fixed { is: "an ipvlan device".to_owned(), name }));
        }
        (Kind::Ipvtap, false) => {
            return Err(link.error("type", ErrorKind::Fixed { is: "an ipvtap device".to_owned(), name }));
        }
        _ if link.spec.backend.is_some_and(|backend| was.backend != Some(backend)) => {
            return Err(link.error("backend", ErrorKind::Fixed { is: "of another backend".to_owned(), name }));
        }
        _ if was.is_in_module() && !link.policy.is_empty() => {
            let key = if link.policy.policy.is_some() { "policy" } else { "labels" };
            return Err(link.error(key, ErrorKind::NoPolicyInModule));
        }
        _ if was.name.is_none() => return Err(link.error("name", ErrorKind::Unreachable)),
        _ => {}
    }
    let moves = link.netns.is_some() && link.netns != was.netns;
    let missing = link.inside.sysctls.keys().find(|path| !was.inside.sysctls.contains_key(*path));
    if let Some(path) = missing.filter(|_| !moves && was.name.as_ref() == Some(&link.name)) {
        let text = format!("its netns has no switch {}", path.replace('/', "."));
        return Err(link.error("sysctls", ErrorKind::Inside(text)));
    }
    // A device that moves to another netns is set down and loses its addresses.
    let (kept, up) = if moves { (&BTreeSet::new(), false) } else { (&was.addresses, was.up) };
    Ok(Difference {
        change: Change { up: (link.up != up).then_some(link.up), ..change(link, was) },
        addresses: AddrDiff::of(link.addresses.as_ref(), kept),
        declared: AddrDiff::of(link.declared.as_ref(), &was.declared),
        inside: if moves { link.inside.moved(&was.inside) } else { link.inside.against(&was.inside) },
        policy: PolicyDiff::of(resolved(link, desired, actual)?, was, actual),
        desired: link.clone(),
        was: was.clone(),
    })
}

fn change(DesiredLink { spec, name, netns, .. }: &DesiredLink, was: &ActualLink) -> Change {
    Change {
        options: was.options.change_to(spec.options),
        mtu: spec.mtu.filter(|mtu| *mtu != was.mtu),
        name: (was.name.as_ref() != Some(name)).then(|| name.clone()),
        netns: netns.clone().filter(|_| *netns != was.netns).map(NetnsRef::Name),
        up: None,
        rates: was.rates.change_to(spec.rates),
    }
}

impl AddrDiff {
    fn of(wanted: Option<&BTreeSet<(Addr, u8)>>, present: &BTreeSet<(Addr, u8)>) -> Self {
        let Some(wanted) = wanted else { return Self::default() };
        Self {
            add: wanted.difference(present).copied().collect(),
            remove: present.difference(wanted).copied().collect(),
        }
    }
}

/// An address cannot be used while another slave or the host owns it, unless the plan takes it from that slave.
fn check_addresses(desired: &DesiredState, actual: &ActualState, plan: &Plan) -> Result<(), ConfigError> {
    let steps_by_place: BTreeMap<Place, &Step> =
        plan.steps.iter().filter_map(|step| Some((step.place()?, step))).collect();
    for link in &desired.links {
        let Some((master, _)) = actual.masters.get(&link.spec.master) else { continue };
        let own = find(link, &actual.slaves).map(|slave| slave.place);
        for (key, addr, len) in link.claims() {
            let Some(owner) = actual.owners.get(&(*master, addr, len)) else { continue };
            let keeps = owner.is_none_or(|owner| {
                Some(owner) != own && !steps_by_place.get(&owner).is_some_and(|step| step.gives_up(addr, len))
            });
            if keeps {
                let (addr, owner) = (addr.to_string(), actual.name_of(*owner));
                return Err(link.error(key, ErrorKind::AddressInUse { addr, owner }));
            }
        }
    }
    Ok(())
}

impl DesiredLink {
    /// The prefixes that it would own, each with the key that says so.
    fn claims(&self) -> impl Iterator<Item = (&'static str, Addr, u8)> {
        let addresses = self.addresses.iter().flatten().map(|(addr, _)| ("addresses", *addr, addr.full_len()));
        addresses.chain(self.declared.iter().flatten().map(|(addr, len)| ("declared", *addr, *len)))
    }
}

impl ActualState {
    fn name_of(&self, place: Option<Place>) -> String {
        let Some(place) = place else { return "the host".to_owned() };
        let slave = self.slaves.iter().find(|slave| slave.place == place);
        slave.map_or_else(|| format!("link {}", place.ifindex), |slave| slave.called().to_owned())
    }
}

impl ActualLink {
    /// Whether our kernel module has it.
    pub fn is_in_module(&self) -> bool {
        self.backend == Some(Backend::Kernel)
    }

    /// Its name, or its host end's name if that cannot be read.
    pub fn called(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.host_end.1)
    }
}

impl Step {
    fn place(&self) -> Option<Place> {
        match self {
            Self::Delete(slave) => Some(slave.place),
            Self::Change(difference) => Some(difference.was.place),
            Self::Make(_) => None,
        }
    }

    fn gives_up(&self, addr: Addr, len: u8) -> bool {
        match self {
            Self::Delete(_) => true,
            Self::Change(difference) => {
                let from_device =
                    difference.addresses.remove.iter().any(|(gone, _)| *gone == addr && len == addr.full_len());
                (from_device || difference.declared.remove.contains(&(addr, len))) && difference.was.has(addr, len)
            }
            Self::Make(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
