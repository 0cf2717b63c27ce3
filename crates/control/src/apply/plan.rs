//! What must be done so that what is there is as files say? Wishes and what was observed in, steps out; nothing is
//! touched here.

use super::fault::{Fault, Wrong};
use super::observe::{Observed, Present};
use super::wish::{OWNER, Wish, Wishes, full_len};
use crate::model::{Change, Kind, NetnsRef};
use ipvl_core::Addr;
use std::collections::{BTreeMap, BTreeSet};

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Namespaces to make.
    pub netns: Vec<String>,
    /// Slaves to delete, to change and to make, in this order.
    pub steps: Vec<Step>,
    /// How many slaves are as they should be.
    pub unchanged: usize,
}

/// One slave's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An earlier file had it, none has it now.
    Delete(Box<Present>),
    /// Something about it is different.
    Change(Box<Difference>),
    /// There is none.
    Make(Box<Wish>),
}

/// How a slave is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// As it should be.
    pub wish: Wish,
    /// As it is.
    pub was: Present,
    /// What `ipvl link set` would be told.
    pub change: Change,
    /// What its device has too few and too many.
    pub addresses: Drift,
    /// The same of what is declared.
    pub declared: Drift,
}

/// How two sets of addresses differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drift {
    /// What is to come.
    pub add: BTreeSet<(Addr, u8)>,
    /// What is to go.
    pub remove: BTreeSet<(Addr, u8)>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.netns.is_empty() && self.steps.is_empty()
    }
}

impl Difference {
    fn is_none(&self) -> bool {
        let none = Drift::default();
        self.change == Change::default() && self.addresses == none && self.declared == none
    }
}

/// Compares. With `prune`, slaves that came from files and are in none any more go.
pub fn plan(wishes: &Wishes, observed: &Observed, prune: bool) -> Result<Plan, Fault> {
    let netns = wishes.netns.difference(&observed.netns).cloned().collect();
    let mut plan = Plan { netns, ..Plan::default() };
    let (mut changes, mut makes, mut met) = (Vec::new(), Vec::new(), BTreeSet::new());
    for wish in &wishes.links {
        check(wish, wishes, observed)?;
        let Some(was) = find(wish, &observed.slaves) else {
            makes.push(Step::Make(Box::new(wish.clone())));
            continue;
        };
        met.insert(was.host_end.0);
        let difference = compare(wish, was, observed)?;
        if difference.is_none() {
            plan.unchanged += 1;
        } else {
            changes.push(Step::Change(Box::new(difference)));
        }
    }
    let left = observed.slaves.iter().filter(|slave| prune && is_ours(slave) && !met.contains(&slave.host_end.0));
    plan.steps = left.map(|slave| Step::Delete(Box::new(slave.clone()))).chain(changes).chain(makes).collect();
    check_addresses(wishes, observed, &plan)?;
    Ok(plan)
}

/// The slave that is meant: the one that came from this table, wherever it is now, or the one in its place.
fn find<'a>(wish: &Wish, slaves: &'a [Present]) -> Option<&'a Present> {
    let owner = wish.owner();
    let there = |slave: &&Present| slave.name.as_ref() == Some(&wish.name) && is_in(slave, wish);
    slaves.iter().find(|slave| slave.owner.as_ref() == Some(&owner)).or_else(|| slaves.iter().find(there))
}

fn is_in(slave: &Present, wish: &Wish) -> bool {
    if wish.netns.is_some() { slave.netns == wish.netns } else { slave.local }
}

fn is_ours(slave: &Present) -> bool {
    slave.owner.as_ref().is_some_and(|owner| owner.starts_with(OWNER))
}

fn check(wish: &Wish, wishes: &Wishes, observed: &Observed) -> Result<(), Fault> {
    let Some((_, most)) = observed.masters.get(&wish.spec.master) else {
        return Err(wish.fault("master", Wrong::NoMaster(wish.spec.master.clone())));
    };
    match (&wish.netns, wish.spec.mtu) {
        (Some(name), _) if !observed.netns.contains(name) && !wishes.netns.contains(name) => {
            Err(wish.fault("netns", Wrong::NoNetns(name.clone())))
        }
        (_, Some(mtu)) if mtu > *most => Err(wish.fault("mtu", Wrong::MtuAbove { most: *most })),
        _ => Ok(()),
    }
}

fn compare(wish: &Wish, was: &Present, observed: &Observed) -> Result<Difference, Fault> {
    let name = was.host_end.1.clone();
    if let Some(owner) = was.owner.clone().filter(|_| !is_ours(was)) {
        return Err(wish.fault("name", Wrong::Others { owner }));
    }
    if observed.masters.get(&wish.spec.master).map(|(ifindex, _)| *ifindex) != Some(was.master.0) {
        return Err(wish.fault("master", Wrong::Remake { is: format!("a slave of {}", was.master.1), name }));
    }
    match (was.kind, wish.spec.tap.is_some()) {
        (Kind::Ipvlan, true) => {
            return Err(wish.fault("type", Wrong::Remake { is: "an ipvlan device".to_owned(), name }));
        }
        (Kind::Ipvtap, false) => {
            return Err(wish.fault("type", Wrong::Remake { is: "an ipvtap device".to_owned(), name }));
        }
        _ if wish.spec.backend.is_some_and(|backend| was.backend != Some(backend)) => {
            return Err(wish.fault("backend", Wrong::Remake { is: "of another kind of pair".to_owned(), name }));
        }
        _ if was.name.is_none() => return Err(wish.fault("name", Wrong::Unreachable)),
        _ => {}
    }
    // Whoever moves arrives down and without addresses.
    let moves = wish.netns.is_some() && wish.netns != was.netns;
    let (kept, up) = if moves { (&BTreeSet::new(), false) } else { (&was.addresses, was.up) };
    Ok(Difference {
        change: Change { up: (wish.up != up).then_some(wish.up), ..change(wish, was) },
        addresses: Drift::of(wish.addresses.as_ref(), kept),
        declared: Drift::of(wish.declared.as_ref(), &was.declared),
        wish: wish.clone(),
        was: was.clone(),
    })
}

fn change(Wish { spec, name, netns, .. }: &Wish, was: &Present) -> Change {
    Change {
        options: was.options.change_to(spec.options),
        mtu: spec.mtu.filter(|mtu| *mtu != was.mtu),
        name: (was.name.as_ref() != Some(name)).then(|| name.clone()),
        netns: netns.clone().filter(|_| *netns != was.netns).map(NetnsRef::Name),
        up: None,
    }
}

impl Drift {
    fn of(wanted: Option<&BTreeSet<(Addr, u8)>>, present: &BTreeSet<(Addr, u8)>) -> Self {
        let Some(wanted) = wanted else { return Self::default() };
        Self {
            add: wanted.difference(present).copied().collect(),
            remove: present.difference(wanted).copied().collect(),
        }
    }
}

/// What somebody has who keeps it cannot be another's.
fn check_addresses(wishes: &Wishes, observed: &Observed, plan: &Plan) -> Result<(), Fault> {
    let given_up: BTreeMap<u32, &Step> = plan.steps.iter().filter_map(|step| Some((step.host_end()?, step))).collect();
    for wish in &wishes.links {
        let Some((master, _)) = observed.masters.get(&wish.spec.master) else { continue };
        let own = find(wish, &observed.slaves).map(|slave| slave.host_end.0);
        for (key, addr, len) in wish.claims() {
            let Some(owner) = observed.owners.get(&(*master, addr, len)) else { continue };
            let keeps = owner.is_none_or(|owner| {
                Some(owner) != own && !given_up.get(&owner).is_some_and(|step| step.gives_up(addr, len))
            });
            if keeps {
                let (addr, owner) = (addr.to_string(), observed.name_of(*owner));
                return Err(wish.fault(key, Wrong::AddressInUse { addr, owner }));
            }
        }
    }
    Ok(())
}

impl Wish {
    /// What it would own in the table, and by which key.
    fn claims(&self) -> impl Iterator<Item = (&'static str, Addr, u8)> {
        let addresses = self.addresses.iter().flatten().map(|(addr, _)| ("addresses", *addr, full_len(*addr)));
        addresses.chain(self.declared.iter().flatten().map(|(addr, len)| ("declared", *addr, *len)))
    }
}

impl Observed {
    fn name_of(&self, host_end: Option<u32>) -> String {
        let Some(host_end) = host_end else { return "the host".to_owned() };
        let slave = self.slaves.iter().find(|slave| slave.host_end.0 == host_end);
        slave.map_or_else(|| format!("link {host_end}"), |slave| slave.called().to_owned())
    }
}

impl Present {
    /// Its name, or that of its host end.
    pub fn called(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.host_end.1)
    }
}

impl Step {
    fn host_end(&self) -> Option<u32> {
        match self {
            Self::Delete(slave) => Some(slave.host_end.0),
            Self::Change(difference) => Some(difference.was.host_end.0),
            Self::Make(_) => None,
        }
    }

    fn gives_up(&self, addr: Addr, len: u8) -> bool {
        match self {
            Self::Delete(_) => true,
            Self::Change(difference) => {
                let from_device =
                    difference.addresses.remove.iter().any(|(gone, _)| *gone == addr && len == full_len(addr));
                (from_device || difference.declared.remove.contains(&(addr, len))) && difference.was.has(addr, len)
            }
            Self::Make(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
