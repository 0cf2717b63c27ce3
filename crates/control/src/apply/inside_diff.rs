//! How does what files gave a slave's netns before differ from what they want now? Sets in, sets out.

use super::inside_table::Inside;
use crate::kernel::netlink::RouteKind;
use std::collections::BTreeMap;

/// How what a netns has differs from what files want.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InsideDiff {
    /// To add; switches to set.
    pub add: Inside,
    /// To remove. Switches keep their values.
    pub remove: Inside,
    /// Those to remove that give their place to others: they go only then.
    pub replaced: Inside,
    /// The values that switches have.
    pub values: BTreeMap<String, String>,
}

impl Inside {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The routes and rules that `other` has, too.
    pub(super) fn common(&self, other: &Self) -> Self {
        let routes = self.routes.intersection(&other.routes).cloned().collect();
        Self { routes, rules: self.rules.intersection(&other.rules).cloned().collect(), ..Self::default() }
    }

    /// The routes and rules that `other` has not.
    pub(super) fn without(&self, other: &Self) -> Self {
        let routes = self.routes.difference(&other.routes).cloned().collect();
        Self { routes, rules: self.rules.difference(&other.rules).cloned().collect(), ..Self::default() }
    }

    /// Adds the routes and rules of `other`.
    pub(super) fn join(&mut self, other: Self) {
        self.routes.extend(other.routes);
        self.rules.extend(other.rules);
    }

    /// What belongs to the netns and not to one slave: routes that lead nowhere, and rules.
    pub(super) fn shared(&self) -> Self {
        let routes = self.routes.iter().filter(|route| route.kind != RouteKind::Unicast).cloned().collect();
        Self { routes, rules: self.rules.clone(), ..Self::default() }
    }

    /// Only the switches.
    pub(super) fn switches(&self) -> Self {
        Self { sysctls: self.sysctls.clone(), ..Self::default() }
    }

    /// Only the routes and rules.
    pub(super) fn without_switches(&self) -> Self {
        Self { sysctls: BTreeMap::new(), ..self.clone() }
    }

    /// What is missing of this, and what there is too much.
    pub(super) fn against(&self, present: &Self) -> InsideDiff {
        let differs = |(path, value): &(&String, &String)| present.sysctls.get(*path) != Some(*value);
        let sysctls = self.sysctls.iter().filter(differs).map(|(path, value)| (path.clone(), value.clone())).collect();
        let (add, remove) = (Self { sysctls, ..self.without(present) }, present.without(self));
        let mut replaced = Self { routes: remove.routes.clone(), ..Self::default() };
        replaced.routes.retain(|route| add.routes.iter().any(|new| new.has_place_of(route)));
        InsideDiff { add, remove, replaced, values: present.sysctls.clone() }
    }

    /// The same for a slave that moves to another netns: its routes vanish, and what is not its own stays behind.
    pub(super) fn moved(&self, present: &Self) -> InsideDiff {
        InsideDiff { add: self.clone(), remove: present.shared(), ..InsideDiff::default() }
    }
}

impl InsideDiff {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }

    /// What goes before anything new comes.
    pub(super) fn gone(&self) -> Inside {
        self.remove.without(&self.replaced)
    }
}
