//! Which state do the files ask for, all together? It is checked by itself, and not compared with the actual state yet.

use super::config_error::{ConfigError, ErrorKind, Location};
use super::file::{DeviceTable, File, Link};
use super::inside_check::inside;
use super::inside_table::Inside;
use super::value::NetnsName;
use crate::kernel::netlink::RouteKind;
use crate::model::{Backend, Kind, LinkSpec, NetnsRef, Tap};
use crate::policy_words::PolicyKeys;
use crate::rate::Rates;
use ipvl_core::{Addr, Guard, Options};
use std::collections::{BTreeMap, BTreeSet};

/// A slave as a file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredLink {
    /// How to make it.
    pub spec: LinkSpec,
    /// Its name.
    pub name: String,
    /// The name of its netns, if the file has one.
    pub netns: Option<String>,
    /// Administratively up.
    pub up: bool,
    /// The addresses on its device, if the file has them.
    pub addresses: Option<BTreeSet<(Addr, u8)>>,
    /// The addresses and prefixes to declare for it, if the file has them.
    pub declared: Option<BTreeSet<(Addr, u8)>>,
    /// Its policy and labels: exactly these.
    pub policy: PolicyKeys,
    /// The routes, rules and switches of its netns.
    pub inside: Inside,
    /// Its location in the file.
    pub location: Location,
}

/// All that the files describe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DesiredState {
    /// Namespaces to make if they do not exist.
    pub netns: BTreeSet<String>,
    /// The slaves.
    pub links: Vec<DesiredLink>,
    /// Whether the flowtable is to be on, if a file says so.
    pub flowtable: Option<bool>,
}

impl DesiredLink {
    /// The owner in the alias of its host end. It marks a slave that came from a file.
    pub fn owner(&self) -> String {
        format!("{OWNER}{}/{}", self.netns.as_deref().unwrap_or_default(), self.name)
    }

    /// An error at one of its keys.
    pub fn error(&self, key: &str, kind: ErrorKind) -> ConfigError {
        ConfigError::new(self.location.at(key), kind)
    }

    /// The single addresses that it would own.
    fn single_addresses(&self) -> impl Iterator<Item = Addr> {
        let declared = self.declared.iter().flatten().filter(|(addr, len)| *len == addr.full_len());
        self.addresses.iter().flatten().chain(declared).map(|(addr, _)| *addr)
    }
}

/// The owner of every slave that came from a file begins with this.
pub(crate) const OWNER: &str = "apply ";

/// Reads files, each with its name and its text.
pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<DesiredState, ConfigError> {
    let mut desired = DesiredState::default();
    for (name, text) in files {
        let file = parse(name, text)?;
        if let (Some(on), Some(other)) = (file.flowtable, desired.flowtable.filter(|on| Some(*on) != file.flowtable)) {
            let location = Location { file: name.to_owned(), ..Location::default() }.at("flowtable");
            return Err(ConfigError::new(location, ErrorKind::Flowtable { on, other }));
        }
        desired.flowtable = file.flowtable.or(desired.flowtable);
        desired.netns.extend(file.netns.into_iter().map(|netns| netns.name.0));
        for (number, link) in (1..).zip(file.link) {
            desired.links.push(desired_link(name, number, link)?);
        }
    }
    check_names(&desired.links)?;
    check_addresses(&desired.links)?;
    check_inside(&desired.links)?;
    Ok(desired)
}

fn parse(name: &str, text: &str) -> Result<File, ConfigError> {
    let error_at = |span: Option<std::ops::Range<usize>>, path: Option<String>, message: &str| {
        let line = span.map(|span| 1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count());
        let (table, key) = path.map_or((None, None), |path| table_and_key(&path));
        let kind = ErrorKind::Syntax(message.lines().collect::<Vec<_>>().join(" "));
        ConfigError::new(Location { file: name.to_owned(), line, table, key }, kind)
    };
    let reader = toml::de::Deserializer::parse(text).map_err(|error| error_at(error.span(), None, error.message()))?;
    serde_path_to_error::deserialize(reader).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        error_at(inner.span(), Some(path), inner.message())
    })
}

/// `link[1].addresses[0]` is in the second `[[link]]`, at the key `addresses`.
fn table_and_key(path: &str) -> (Option<String>, Option<String>) {
    let (table, key) = path.split_once('.').map_or((path, None), |(table, key)| (table, Some(key)));
    let counted = table.split_once('[').and_then(|(name, index)| {
        let index: usize = index.trim_end_matches(']').parse().ok()?;
        Some(format!("[[{name}]] {}", index + 1))
    });
    let key = key.map(|key| key.split('[').next().unwrap_or(key).to_owned());
    match counted {
        Some(table) => (Some(table), key.filter(|key| key != "?")),
        None => (None, Some(table.to_owned()).filter(|table| !matches!(table.as_str(), "." | "?"))),
    }
}

fn desired_link(file: &str, number: usize, link: Link) -> Result<DesiredLink, ConfigError> {
    let Link { device: link, options } = link;
    let table = Some(format!("[[link]] {number} \"{}\"", link.name.0));
    let location = Location { file: file.to_owned(), line: None, table, key: None };
    check_kind(&link).map_or(Ok(()), |(key, kind)| Err(ConfigError::new(location.at(key), kind)))?;
    let inside = inside(&link).map_err(|(key, text)| ConfigError::new(location.at(key), ErrorKind::Inside(text)))?;
    let tap = Tap {
        user: link.user.map(|user| user.0),
        group: link.group.map(|group| group.0),
        multi_queue: link.multi_queue,
    };
    let netns = link.netns.map(|NetnsName(name)| name);
    let spec = LinkSpec {
        master: link.master.0,
        name: Some(link.name.0.clone()),
        options: Options::DEFAULT.changed(options),
        mtu: link.mtu.map(|mtu| mtu.0),
        mac: None,
        netns: netns.clone().map(NetnsRef::Name),
        tap: (Kind::from(link.kind) == Kind::Ipvtap).then_some(tap),
        backend: link.backend.map(Into::into),
        rates: Rates { input: link.rate_in.0, output: link.rate_out.0 },
    };
    let policy = PolicyKeys { policy: link.policy.0, labels: link.labels.0 };
    let addresses = link.addresses.map(|all| all.into_iter().map(|one| one.0).collect());
    let declared = link.declared.map(|all| all.into_iter().map(|one| one.0).collect());
    let declared = with_guarded(declared, &addresses, spec.options.guard);
    let (name, up) = (link.name.0, link.up);
    Ok(DesiredLink { spec, name, netns, up, addresses, declared, policy, inside, location })
}

/// With `guard declared`, what a file puts on the device is declared as well.
fn with_guarded(
    declared: Option<BTreeSet<(Addr, u8)>>,
    addresses: &Option<BTreeSet<(Addr, u8)>>,
    guard: Guard,
) -> Option<BTreeSet<(Addr, u8)>> {
    match addresses {
        Some(addresses) if guard == Guard::Declared => {
            let single = addresses.iter().map(|(addr, _)| (*addr, addr.full_len()));
            Some(single.chain(declared.into_iter().flatten()).collect())
        }
        _ => declared,
    }
}

/// The first key that does not fit the type of device, and what is wrong with it.
fn check_kind(link: &DeviceTable) -> Option<(&'static str, ErrorKind)> {
    let in_module = link.backend.is_some_and(|backend| Backend::from(backend) == Backend::Kernel);
    match Kind::from(link.kind) {
        _ if in_module && link.policy.0.is_some() => Some(("policy", ErrorKind::NoPolicyInModule)),
        _ if in_module && !link.labels.0.is_empty() => Some(("labels", ErrorKind::NoPolicyInModule)),
        Kind::Ipvtap if link.netns.is_some() => Some(("netns", ErrorKind::TapStays)),
        Kind::Ipvtap if link.backend.is_some() => Some(("backend", ErrorKind::OnlyPair)),
        Kind::Ipvtap if !link.routes.is_empty() => Some(("routes", ErrorKind::OnlyPair)),
        Kind::Ipvtap if !link.rules.is_empty() => Some(("rules", ErrorKind::OnlyPair)),
        Kind::Ipvtap if !link.sysctls.is_empty() => Some(("sysctls", ErrorKind::OnlyPair)),
        Kind::Ipvtap if link.addresses.is_some() => Some(("addresses", ErrorKind::TapAddresses)),
        Kind::Ipvlan if link.user.is_some() => Some(("user", ErrorKind::OnlyTap)),
        Kind::Ipvlan if link.group.is_some() => Some(("group", ErrorKind::OnlyTap)),
        Kind::Ipvlan if link.multi_queue => Some(("multi_queue", ErrorKind::OnlyTap)),
        _ => None,
    }
}

fn check_names(links: &[DesiredLink]) -> Result<(), ConfigError> {
    let mut seen: BTreeMap<_, &DesiredLink> = BTreeMap::new();
    for link in links {
        if let Some(other) = seen.insert((&link.netns, &link.name), link) {
            return Err(link.error("name", ErrorKind::DuplicateName { other: other.location.clone() }));
        }
    }
    Ok(())
}

/// Two slaves of one master cannot have one address. Two masters may lead to two networks that use the same addresses.
fn check_addresses(links: &[DesiredLink]) -> Result<(), ConfigError> {
    let mut seen: BTreeMap<_, &DesiredLink> = BTreeMap::new();
    for link in links {
        for addr in link.single_addresses() {
            let other = seen.insert((&link.spec.master, addr), link).filter(|other| other.location != link.location);
            if let Some(other) = other {
                let kind = ErrorKind::DuplicateAddress { addr: addr.to_string(), other: other.location.clone() };
                return Err(link.error("addresses", kind));
            }
        }
    }
    Ok(())
}

/// One netns has one route to a destination with a metric in a table, and a switch has one value.
fn check_inside(links: &[DesiredLink]) -> Result<(), ConfigError> {
    let (mut routes, mut switches) = (BTreeMap::new(), BTreeMap::new());
    for link in links {
        let wrong = |key, text| Err(link.error(key, ErrorKind::Inside(text)));
        for route in &link.inside.routes {
            let place = (&link.netns, route.dst, route.table, route.metric);
            match routes.insert(place, (route, link)) {
                Some((other, table)) if other != route || route.kind == RouteKind::Unicast => {
                    let at = &table.location;
                    return wrong("routes", format!("another slave's route has the place of {route}: {other} in {at}"));
                }
                _ => {}
            }
        }
        for (path, value) in &link.inside.sysctls {
            match switches.insert((&link.netns, path), (value, link)) {
                Some((other, table)) if other != value => {
                    let (name, at) = (path.replace('/', "."), &table.location);
                    return wrong("sysctls", format!("another table sets {name} to {other}: {at}"));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
