//! What do files ask for, all together? Read, checked by itself, and not yet compared with what is there.

use super::fault::{Fault, Place, Wrong};
use super::file::{DeviceTable, File, Link};
use super::value::NetnsName;
use crate::model::{Kind, LinkSpec, NetnsRef, Tap};
use ipvl_core::{Addr, Options};
use std::collections::{BTreeMap, BTreeSet};

/// A slave that is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// How it is made.
    pub spec: LinkSpec,
    /// Its name.
    pub name: String,
    /// The name of the netns that it is to be in, if the file says.
    pub netns: Option<String>,
    /// Administratively up.
    pub up: bool,
    /// What is to be on its device, if the file says.
    pub addresses: Option<BTreeSet<(Addr, u8)>>,
    /// What is to be declared for it, if the file says.
    pub declared: Option<BTreeSet<(Addr, u8)>>,
    /// Where it stands.
    pub place: Place,
}

/// Everything that is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Namespaces to make where they are not.
    pub netns: BTreeSet<String>,
    /// The slaves.
    pub links: Vec<Wish>,
}

impl Wish {
    /// By which a slave is known to have come from a file: the words of its host end's alias.
    pub fn owner(&self) -> String {
        format!("{OWNER}{}/{}", self.netns.as_deref().unwrap_or_default(), self.name)
    }

    /// What is wrong at a key of it.
    pub fn fault(&self, key: &str, wrong: Wrong) -> Fault {
        Fault::new(self.place.at(key), wrong)
    }

    fn singles(&self) -> impl Iterator<Item = Addr> {
        let declared = self.declared.iter().flatten().filter(|(addr, len)| *len == full_len(*addr));
        self.addresses.iter().flatten().chain(declared).map(|(addr, _)| *addr)
    }
}

/// How the owner of every such slave begins.
pub(crate) const OWNER: &str = "apply ";

/// Reads files: their names and texts.
pub fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Wishes, Fault> {
    let mut wishes = Wishes::default();
    for (name, text) in files {
        let file = parse(name, text)?;
        wishes.netns.extend(file.netns.into_iter().map(|netns| netns.name.0));
        for (number, link) in (1..).zip(file.link) {
            wishes.links.push(wish(name, number, link)?);
        }
    }
    check_names(&wishes.links)?;
    check_addresses(&wishes.links)?;
    Ok(wishes)
}

fn parse(name: &str, text: &str) -> Result<File, Fault> {
    let fault = |span: Option<std::ops::Range<usize>>, path: Option<String>, message: &str| {
        let line = span.map(|span| 1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count());
        let (table, key) = path.map_or((None, None), |path| table_and_key(&path));
        let wrong = Wrong::Text(message.lines().collect::<Vec<_>>().join(" "));
        Fault::new(Place { file: name.to_owned(), line, table, key }, wrong)
    };
    let reader = toml::de::Deserializer::parse(text).map_err(|error| fault(error.span(), None, error.message()))?;
    serde_path_to_error::deserialize(reader).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        fault(inner.span(), Some(path), inner.message())
    })
}

/// Of `link[1].addresses[0]`, the second `[[link]]` and `addresses`.
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

fn wish(file: &str, number: usize, Link { device: link, options }: Link) -> Result<Wish, Fault> {
    let table = Some(format!("[[link]] {number} \"{}\"", link.name.0));
    let place = Place { file: file.to_owned(), line: None, table, key: None };
    check_kind(&link).map_or(Ok(()), |(key, wrong)| Err(Fault::new(place.at(key), wrong)))?;
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
    };
    let addresses = link.addresses.map(|all| all.into_iter().map(|one| one.0).collect());
    let declared = link.declared.map(|all| all.into_iter().map(|one| one.0).collect());
    Ok(Wish { spec, name: link.name.0, netns, up: link.up, addresses, declared, place })
}

/// What does not go with the kind of device, and why.
fn check_kind(link: &DeviceTable) -> Option<(&'static str, Wrong)> {
    match Kind::from(link.kind) {
        Kind::Ipvtap if link.netns.is_some() => Some(("netns", Wrong::TapStays)),
        Kind::Ipvtap if link.backend.is_some() => Some(("backend", Wrong::OnlyPair)),
        Kind::Ipvtap if link.addresses.is_some() => Some(("addresses", Wrong::TapAddresses)),
        Kind::Ipvlan if link.user.is_some() => Some(("user", Wrong::OnlyTap)),
        Kind::Ipvlan if link.group.is_some() => Some(("group", Wrong::OnlyTap)),
        Kind::Ipvlan if link.multi_queue => Some(("multi_queue", Wrong::OnlyTap)),
        _ => None,
    }
}

fn check_names(links: &[Wish]) -> Result<(), Fault> {
    let mut seen: BTreeMap<_, &Wish> = BTreeMap::new();
    for wish in links {
        if let Some(other) = seen.insert((&wish.netns, &wish.name), wish) {
            return Err(wish.fault("name", Wrong::Twice { other: other.place.clone() }));
        }
    }
    Ok(())
}

/// Of one master. Two masters may lead to two networks that number alike.
fn check_addresses(links: &[Wish]) -> Result<(), Fault> {
    let mut seen: BTreeMap<_, &Wish> = BTreeMap::new();
    for wish in links {
        for addr in wish.singles() {
            let other = seen.insert((&wish.spec.master, addr), wish).filter(|other| other.place != wish.place);
            if let Some(other) = other {
                let wrong = Wrong::SameAddress { addr: addr.to_string(), other: other.place.clone() };
                return Err(wish.fault("addresses", wrong));
            }
        }
    }
    Ok(())
}

/// In bits of the address's own family.
pub(crate) fn full_len(addr: Addr) -> u8 {
    if addr.as_v4().is_some() { 32 } else { 128 }
}

#[cfg(test)]
mod tests;
