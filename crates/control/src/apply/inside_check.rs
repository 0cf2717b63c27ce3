//! Which routes, rules and switches does a table give its slave's netns, and can the netns have them?

use super::file::DeviceTable;
use super::inside_table::{Inside, RouteTable, RuleTable, is_of_slave, sysctl};
use crate::kernel::netlink::RouteKind;
use std::collections::{BTreeMap, BTreeSet};

/// What a table says of the slave's netns, or the key that is wrong, and how. The host's own netns is not for files.
pub fn inside(link: &DeviceTable) -> Result<Inside, (&'static str, String)> {
    let name = &link.name.0;
    let routes = link.routes.iter().map(RouteTable::read).collect::<Result<Vec<_>, _>>();
    let rules = link.rules.iter().map(RuleTable::read).collect::<Result<BTreeSet<_>, _>>();
    let sysctls = link.sysctls.iter().map(|(key, value)| sysctl(key, value, name)).collect::<Result<_, _>>();
    let routes = routes.map_err(|text| ("routes", text))?;
    for (number, route) in routes.iter().enumerate() {
        if let Some(other) = routes[..number].iter().find(|other| other.has_place_of(route)) {
            return Err((
                "routes",
                format!("there can be only one of the routes {other} and {route}: give one another metric"),
            ));
        }
    }
    let sysctls: BTreeMap<String, String> = sysctls.map_err(|text| ("sysctls", text))?;
    if sysctls.len() < link.sysctls.len() {
        return Err(("sysctls", "one switch is there twice, with IFNAME and with the slave's name".to_owned()));
    }
    let inside =
        Inside { routes: routes.into_iter().collect(), rules: rules.map_err(|text| ("rules", text))?, sysctls };
    check_place(link, &inside).map(|()| inside)
}

fn check_place(link: &DeviceTable, inside: &Inside) -> Result<(), (&'static str, String)> {
    let lone = |key| Err((key, "without the key netns this would be the host's own".to_owned()));
    match inside {
        _ if !link.up && !inside.routes.is_empty() => Err(("routes", "a slave that is down can have none".to_owned())),
        _ if link.netns.is_some() => Ok(()),
        _ if inside.routes.iter().any(|route| route.kind != RouteKind::Unicast) => lone("routes"),
        _ if !inside.rules.is_empty() => lone("rules"),
        _ if !inside.sysctls.keys().all(|path| is_of_slave(path, &link.name.0)) => lone("sysctls"),
        _ => Ok(()),
    }
}
