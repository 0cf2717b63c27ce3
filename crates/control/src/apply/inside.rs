//! How does a slave's netns get the routes, rules and switches of a file, and lose those that files gave it before?

use super::inside_table::{Inside, words};
use crate::error::{Error, Result, io_error};
use crate::kernel::netlink::{InsideRoute, InsideRule, Netlink, RouteKind};
use crate::kernel::sysctl;
use crate::place::Place;
use crate::slave::find::OpenPlace;
use ipvl_core::IfIndex;
use std::collections::BTreeMap;

/// What files have given a netns, each route with its device.
pub(super) struct Given {
    routes: Vec<(IfIndex, InsideRoute)>,
    rules: Vec<InsideRule>,
}

/// What a run has done to a netns, to undo it.
#[derive(Default)]
pub(super) struct Done {
    added: Inside,
    /// The routes that gave way to others, and the values that switches had.
    before: Inside,
}

/// Runs `work` on a device. Its netns is opened by its name if it has one: by its id it is searched for.
pub(super) fn enter<T: Send>(
    netlink: &Netlink,
    netns: Option<&str>,
    device: Place,
    work: impl FnOnce(&Netlink, IfIndex) -> Result<T> + Send,
) -> Result<T> {
    match (netns, device.netns) {
        (Some(name), Some(_)) => OpenPlace::named(name, device.ifindex)?.enter(netlink, work),
        _ => OpenPlace::of(netlink, device)?.enter(netlink, work),
    }
}

impl Given {
    /// Reads it.
    pub fn read(there: &Netlink) -> Result<Self> {
        Ok(Self { routes: there.inside_routes()?, rules: there.inside_rules()? })
    }

    /// The routes out of a device.
    pub fn out_of(&self, device: IfIndex) -> Inside {
        let routes = self.routes.iter().filter(|(oif, route)| *oif == device && route.kind == RouteKind::Unicast);
        Inside { routes: routes.map(|(_, route)| route.clone()).collect(), ..Inside::default() }
    }

    /// What is of no device: routes that lead nowhere, and rules.
    pub fn shared(&self) -> Inside {
        let routes = self.routes.iter().filter(|(_, route)| route.kind != RouteKind::Unicast);
        let routes = routes.map(|(_, route)| route.clone()).collect();
        Inside { routes, rules: self.rules.iter().cloned().collect(), ..Inside::default() }
    }
}

/// Makes the netns have all of `wanted`, or leaves it as it was. Of two routes of files to one destination with one metric, the
/// one that is there gives way.
pub(super) fn complete(there: &Netlink, ifindex: IfIndex, wanted: &Inside) -> Result<Done> {
    let mut done = Done::default();
    match done.complete(there, ifindex, wanted) {
        Ok(()) => Ok(done),
        Err(error) => {
            done.undo(there, ifindex);
            Err(error)
        }
    }
}

/// Removes routes and rules. What is gone already is no error.
pub(super) fn remove(there: &Netlink, ifindex: IfIndex, gone: &Inside) -> Result<()> {
    gone.rules.iter().try_for_each(|rule| there.delete_inside_rule(rule))?;
    gone.routes.iter().try_for_each(|route| there.delete_inside_route(ifindex, route))
}

impl Done {
    /// Whether there is nothing to undo.
    pub fn is_nothing(&self) -> bool {
        self.added.is_empty() && self.before.is_empty()
    }

    /// Puts everything back, as far as it goes.
    pub fn undo(&self, there: &Netlink, ifindex: IfIndex) {
        let _ = remove(there, ifindex, &self.added);
        self.before.routes.iter().for_each(|route| _ = there.add_inside_route(ifindex, route));
        in_order(&self.before.sysctls).into_iter().rev().for_each(|(path, value)| _ = sysctl::set(path, value));
    }

    fn complete(&mut self, there: &Netlink, ifindex: IfIndex, wanted: &Inside) -> Result<()> {
        in_order(&wanted.sysctls).into_iter().try_for_each(|(path, value)| self.switch(path, value))?;
        let given = Given::read(there)?;
        let mut present = given.shared();
        present.join(given.out_of(ifindex));
        let missing = wanted.without(&present);
        // A gateway can be used once there is a route to it.
        let (beyond, direct): (Vec<_>, Vec<_>) = missing.routes.iter().partition(|route| route.gateway.is_some());
        for route in direct.into_iter().chain(beyond) {
            let before = present.routes.iter().find(|other| other.has_place_of(route));
            self.route(there, ifindex, before, route)?;
        }
        for rule in missing.rules {
            there.add_inside_rule(&rule)?;
            self.added.rules.insert(rule);
        }
        Ok(())
    }

    fn switch(&mut self, path: &str, value: &str) -> Result<()> {
        let before = sysctl::get(path).map(|value| words(&value));
        if before.as_deref() == Some(value) {
            return Ok(());
        }
        sysctl::set(path, value).map_err(io_error("set", format!("{} to {value}", path.replace('/', "."))))?;
        before.into_iter().for_each(|before| _ = self.before.sysctls.insert(path.to_owned(), before));
        Ok(())
    }

    fn route(
        &mut self,
        there: &Netlink,
        ifindex: IfIndex,
        before: Option<&InsideRoute>,
        route: &InsideRoute,
    ) -> Result<()> {
        if let Some(before) = before {
            there.delete_inside_route(ifindex, before)?;
            self.before.routes.insert(before.clone());
        }
        there.add_inside_route(ifindex, route).map_err(or_of_others)?;
        self.added.routes.insert(route.clone());
        Ok(())
    }
}

fn or_of_others(error: Error) -> Error {
    match error.is_exists() {
        true => error.advising("a route to there with this metric, in this table, did not come from a file"),
        false => error,
    }
}

/// Switches in the order in which they are set: those that change others come before these.
fn in_order(sysctls: &BTreeMap<String, String>) -> Vec<(&String, &String)> {
    let rank = |path: &str| match path.split('/').skip(2).collect::<Vec<_>>()[..] {
        ["conf" | "neigh", "all", ..] => 1,
        ["conf" | "neigh", "default", ..] => 2,
        ["conf" | "neigh", ..] => 3,
        _ => 0,
    };
    let mut all: Vec<_> = sysctls.iter().collect();
    all.sort_by_key(|(path, _)| rank(path));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_of_the_slave_is_set_after_those_that_change_it() {
        let paths = ["net/ipv4/conf/a/forwarding", "net/ipv4/conf/all/forwarding", "net/ipv4/ip_forward"];
        let sysctls = paths.map(|path| (path.to_owned(), "1".to_owned())).into();
        let order: Vec<&str> = in_order(&sysctls).into_iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(order, [paths[2], paths[1], paths[0]]);
    }
}
