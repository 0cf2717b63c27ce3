//! How does a slave's netns get the routes, rules and switches of a file, and lose those that files gave it before?

use super::inside_table::Inside;
use crate::error::{Result, io_error};
use crate::kernel::netlink::{InsideRoute, InsideRule, Netlink, RouteKind};
use crate::kernel::sysctl;
use ipvl_core::IfIndex;
use std::collections::BTreeMap;

/// How what a netns has differs from what files want.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InsideDiff {
    /// To add; switches to set.
    pub add: Inside,
    /// To remove. Switches keep their values.
    pub remove: Inside,
    /// The values that switches have.
    pub values: BTreeMap<String, String>,
}

impl Inside {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is missing of this, and what there is too much.
    pub(super) fn against(&self, present: &Self) -> InsideDiff {
        let differs = |(path, value): &(&String, &String)| present.sysctls.get(*path) != Some(*value);
        let add = Self {
            routes: self.routes.difference(&present.routes).cloned().collect(),
            rules: self.rules.difference(&present.rules).cloned().collect(),
            sysctls: self.sysctls.iter().filter(differs).map(|(path, value)| (path.clone(), value.clone())).collect(),
        };
        let remove = Self {
            routes: present.routes.difference(&self.routes).cloned().collect(),
            rules: present.rules.difference(&self.rules).cloned().collect(),
            sysctls: BTreeMap::new(),
        };
        InsideDiff { add, remove, values: present.sysctls.clone() }
    }

    /// The same for a slave that moves to another netns: its routes vanish, and what is not its own stays behind.
    pub(super) fn moved(&self, present: &Self) -> InsideDiff {
        let mut remove = Self { sysctls: BTreeMap::new(), ..present.clone() };
        remove.routes.retain(|route| route.kind != RouteKind::Unicast);
        InsideDiff { add: self.clone(), remove, values: BTreeMap::new() }
    }

    /// What belongs to the netns and not to one slave: rules, and routes that lead nowhere.
    pub(super) fn retain_shared(&mut self, keep: impl Fn(&Shared<'_>) -> bool) {
        self.routes.retain(|route| route.kind == RouteKind::Unicast || keep(&Shared::Route(route)));
        self.rules.retain(|rule| keep(&Shared::Rule(rule)));
    }

    /// Whether this is part of it.
    pub(super) fn has(&self, shared: &Shared<'_>) -> bool {
        match shared {
            Shared::Route(route) => self.routes.contains(*route),
            Shared::Rule(rule) => self.rules.contains(*rule),
        }
    }
}

/// One thing that belongs to the netns.
pub(super) enum Shared<'a> {
    /// A route that leads nowhere.
    Route(&'a InsideRoute),
    /// A rule.
    Rule(&'a InsideRule),
}

impl InsideDiff {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }
}

/// Adds all of it, or nothing.
pub(super) fn add(there: &Netlink, ifindex: IfIndex, inside: &Inside) -> Result<()> {
    let mut done = Inside::default();
    let result = add_each(there, ifindex, inside, &mut done);
    if result.is_err() {
        let _ = remove(there, ifindex, &done);
        done.sysctls.iter().for_each(|(path, value)| _ = sysctl::set(path, value));
    }
    result
}

/// Notes in `done` what was added, and the values that switches had.
fn add_each(there: &Netlink, ifindex: IfIndex, inside: &Inside, done: &mut Inside) -> Result<()> {
    for (path, value) in &inside.sysctls {
        let before = sysctl::get(path);
        sysctl::set(path, value).map_err(io_error("set", format!("{path} to {value}")))?;
        before.into_iter().for_each(|before| _ = done.sysctls.insert(path.clone(), before));
    }
    for route in &inside.routes {
        there.add_inside_route(ifindex, route)?;
        done.routes.insert(route.clone());
    }
    for rule in &inside.rules {
        there.add_inside_rule(rule)?;
        done.rules.insert(rule.clone());
    }
    Ok(())
}

/// Removes routes and rules. What is gone already is no error.
pub(super) fn remove(there: &Netlink, ifindex: IfIndex, inside: &Inside) -> Result<()> {
    inside.rules.iter().try_for_each(|rule| there.delete_inside_rule(rule))?;
    inside.routes.iter().try_for_each(|route| there.delete_inside_route(ifindex, route))
}
