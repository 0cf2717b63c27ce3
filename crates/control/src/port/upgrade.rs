//! How do the programs of this build take the place of an older one's, without losing a packet or an entry of a table?
//!
//! The new programs use the same maps as the old ones, as far as both mean the same by them, so that nothing has to be
//! copied and no count is lost. Of the others, new ones are filled first. Then each program is replaced where it is
//! attached, the master's last: until then the port is of the old version, and what was interrupted can be done again.

mod renamed;

use crate::error::{Result, refused};
use crate::kernel::bpf::{self, AttachType, ProgInfo};
use crate::kernel::bpf_map::{MapShape, copy_map, first_value, map_info};
use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::model::Backend;
use crate::port::Port;
use crate::port::hook::Hook;
use crate::port::host_end::backend_of;
use crate::port::object::{self, CONSTANTS, Loaded, MASTER_RX, Program, SLAVE_XMIT};
use crate::port::policy;
use crate::port::programs::{Remnant, host_ends_of, port_entry};
use crate::refusal::Refusal;
use ipvl_core::maps::ABI_VERSION;
use ipvl_core::{IfIndex, PortEntry};
use renamed::RENAMED;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

/// What an upgrade of one port has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgraded {
    /// The master's name.
    pub master: String,
    /// The version of the tables before ([`ABI_VERSION`]).
    pub from: u32,
    /// The version of the tables now.
    pub to: u32,
    /// How many programs were replaced; 0 if all were this build's.
    pub replaced: usize,
}

/// Maps that may start empty: what is in them is true for a moment only.
const TRANSIENT: [&str; 12] = [
    "NEXTHOPS",
    "SENT",
    "REPORTS",
    "XIDS",
    "JOINS",
    "WATCHES",
    "WATCH_TOLD",
    "WATCH_LOST",
    "WATCH_PACKET",
    "WATCH_RINGS",
    "WATCH_FLOWS",
    ".bss",
];
/// The tables of this version and of later ones can be taken over.
const OLDEST: u32 = 4;
const PORT: &str = "PORT";

/// The maps of a port by their names.
type NamedMaps = BTreeMap<String, (OwnedFd, MapShape)>;

/// Where one of our programs is attached.
struct Attached {
    ifindex: IfIndex,
    name: &'static str,
    program: OwnedFd,
    info: ProgInfo,
    point: Point,
}

/// How it is attached there.
#[derive(Clone, Copy)]
enum Point {
    Ingress(Hook),
    Netkit,
}

/// Where a map of the new programs comes from.
#[derive(Debug, PartialEq, Eq)]
enum MapSource<'a> {
    Shared,
    CopyOf(&'a str),
    Empty,
}

/// Replaces the programs of a master's port by those of this build; `None` if the link is no master. With `again` those
/// are replaced too that are of this build. The caller has the lock, and no agent runs.
pub fn upgrade(netlink: &Netlink, master: &LinkInfo, again: bool) -> Result<Option<Upgraded>> {
    let Some((hook, program)) = Hook::find(netlink, master.ifindex, MASTER_RX)? else { return Ok(None) };
    let master_rx = Attached::new(master.ifindex, MASTER_RX, program, Point::Ingress(hook))?;
    let host_ends = at_host_ends(netlink, master.ifindex)?;
    let entry = port_entry(&master_rx.info.map_ids, master.ifindex)?;
    if !(OLDEST..=ABI_VERSION).contains(&entry.abi) {
        let versions = Refusal::OtherVersion { theirs: entry.abi, ours: ABI_VERSION };
        return Err(refused("upgrade", &*master.name, versions));
    }
    let done = |replaced| Some(Upgraded { master: master.name.clone(), from: entry.abi, to: ABI_VERSION, replaced });
    if host_ends.is_empty() {
        Port::replace(netlink, master, Remnant { hook, master_rx: master_rx.program, entry }, object::load()?)?;
        return Ok(done(1));
    }
    let old = maps_of(&master_rx, &host_ends, &entry)?;
    let policy_maps = policy::maps_among(&master.name, &old)?;
    let mut loaded = load(&master.name, entry.abi, &old)?;
    // All or none: the port names one program for all host ends.
    let all: Vec<&Attached> = host_ends.iter().chain([&master_rx]).collect();
    if !again && all.iter().all(|attached| attached.is_of(&loaded)) {
        return Ok(done(0));
    }
    let slave_xmit = loaded.slave_xmit.id;
    loaded.maps.set_port(PortEntry { abi: ABI_VERSION, slave_xmit, ..entry })?;
    all.iter().try_for_each(|attached| attached.replace(netlink, &loaded))?;
    policy::upgrade(netlink, &host_ends_of(netlink, master.ifindex)?, &loaded.slave_xmit.fd, &policy_maps)?;
    Ok(done(all.len()))
}

/// The programs at the host ends of a master.
fn at_host_ends(netlink: &Netlink, master: IfIndex) -> Result<Vec<Attached>> {
    let mut found = Vec::new();
    for link in host_ends_of(netlink, master)? {
        if backend_of(&link) == Some(Backend::Netkit) {
            for id in bpf::prog_query(link.ifindex, AttachType::NetkitPeer)? {
                let attached = Attached::new(link.ifindex, SLAVE_XMIT, bpf::prog_fd_by_id(id)?, Point::Netkit)?;
                if attached.info.name == SLAVE_XMIT {
                    found.push(attached);
                }
            }
        }
        if let Some((hook, program)) = Hook::find(netlink, link.ifindex, SLAVE_XMIT)? {
            found.push(Attached::new(link.ifindex, SLAVE_XMIT, program, Point::Ingress(hook))?);
        }
    }
    Ok(found)
}

/// The maps of the port: those of the master's program, and of the other one that belongs to it. If no host end has that any
/// more, an upgrade was interrupted when all host ends had new programs, and these have the maps.
fn maps_of(master_rx: &Attached, host_ends: &[Attached], entry: &PortEntry) -> Result<NamedMaps> {
    let its_own = host_ends.iter().find(|attached| attached.info.id == entry.slave_xmit);
    let same_port = || host_ends.iter().find(|attached| attached.shares_port(master_rx));
    let slave_xmit = its_own.or_else(same_port).or(host_ends.first());
    let newer = slave_xmit.is_some_and(|attached| !attached.shares_port(master_rx));
    let first = if newer { None } else { Some(master_rx) };
    let mut maps = NamedMaps::new();
    for attached in first.into_iter().chain(slave_xmit) {
        for id in &attached.info.map_ids {
            let map = bpf::map_fd_by_id(*id)?;
            let (name, shape) = map_info(&map)?;
            maps.insert(name, (map, shape));
        }
    }
    Ok(maps)
}

/// Loads the new programs with the old maps, and fills the maps that are new.
fn load(master: &str, abi: u32, old: &NamedMaps) -> Result<Loaded> {
    let shapes = object::shapes()?;
    let mut sources = BTreeMap::new();
    for (name, shape) in &shapes {
        let source = source(name, *shape, abi, &|name| old.get(name).map(|(_, shape)| *shape));
        let source = source.ok_or_else(|| refused("upgrade", master, Refusal::UnfitTable { name: name.clone() }))?;
        sources.insert(name.as_str(), source);
    }
    let mut shared = BTreeMap::new();
    for (name, (map, _)) in old.iter().filter(|(name, _)| sources.get(name.as_str()) == Some(&MapSource::Shared)) {
        shared.insert(name.clone(), map.as_fd());
    }
    let loaded = object::load_sharing(&shared)?;
    fill(&loaded, &sources, old)?;
    Ok(loaded)
}

/// Where the map `name` comes from, if `old` has the shapes of the old maps; `None` if it cannot be made of them.
fn source<'a>(name: &str, shape: MapShape, abi: u32, old: &dyn Fn(&str) -> Option<MapShape>) -> Option<MapSource<'a>> {
    let same = old(name) == Some(shape);
    match RENAMED.iter().find(|(now, _)| *now == name) {
        // The old programs would read the version of the new ones there.
        _ if name == PORT && abi != ABI_VERSION => Some(MapSource::Empty),
        _ if name == CONSTANTS => Some(MapSource::Empty),
        _ if same => Some(MapSource::Shared),
        Some((_, then)) if old(then) == Some(shape) => Some(MapSource::CopyOf(then)),
        _ if TRANSIENT.contains(&name) || old(name).is_none() && abi != ABI_VERSION => Some(MapSource::Empty),
        _ => None,
    }
}

fn fill(loaded: &Loaded, sources: &BTreeMap<&str, MapSource<'_>>, old: &NamedMaps) -> Result<()> {
    let mut ids = bpf::prog_info(&loaded.slave_xmit.fd)?.map_ids;
    ids.extend(bpf::prog_info(&loaded.master_rx.fd)?.map_ids);
    for id in ids {
        let map = bpf::map_fd_by_id(id)?;
        let (name, shape) = map_info(&map)?;
        if let Some(MapSource::CopyOf(then)) = sources.get(name.as_str())
            && let Some((from, _)) = old.get(*then)
        {
            copy_map(from, &map, shape)?;
        }
    }
    Ok(())
}

impl Attached {
    fn new(ifindex: IfIndex, name: &'static str, program: OwnedFd, point: Point) -> Result<Self> {
        let info = bpf::prog_info(&program)?;
        Ok(Self { ifindex, name, program, info, point })
    }

    /// Whether both programs read the same map `PORT`.
    fn shares_port(&self, other: &Self) -> bool {
        port_of(&self.info) == port_of(&other.info)
    }

    /// Whether it is this build's already, and uses the same maps.
    fn is_of(&self, loaded: &Loaded) -> bool {
        bpf::prog_info(&self.counterpart(loaded).fd).is_ok_and(|new| {
            new.tag == self.info.tag && port_of(&new) == port_of(&self.info) && constants(&new) == constants(&self.info)
        })
    }

    /// Puts the program of this build in its place.
    fn replace(&self, netlink: &Netlink, loaded: &Loaded) -> Result<()> {
        let (new, old) = (&self.counterpart(loaded).fd, &self.program);
        match self.point {
            Point::Ingress(hook) => hook.replace(netlink, self.ifindex, new, old, self.name),
            Point::Netkit => bpf::prog_replace(self.ifindex, new, old, AttachType::NetkitPeer),
        }
    }

    fn counterpart<'a>(&self, loaded: &'a Loaded) -> &'a Program {
        if self.name == MASTER_RX { &loaded.master_rx } else { &loaded.slave_xmit }
    }
}

fn port_of(program: &ProgInfo) -> Option<u32> {
    map_named(program, PORT).map(|(id, ..)| id)
}

fn constants(program: &ProgInfo) -> Option<Vec<u8>> {
    let (_, map, shape) = map_named(program, CONSTANTS)?;
    first_value(map, shape).ok()
}

/// The id, the descriptor and the shape of a program's map.
fn map_named(program: &ProgInfo, wanted: &str) -> Option<(u32, OwnedFd, MapShape)> {
    program.map_ids.iter().find_map(|id| {
        let map = bpf::map_fd_by_id(*id).ok()?;
        let (name, shape) = map_info(&map).ok()?;
        (name == wanted).then_some((*id, map, shape))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARRAY: MapShape = MapShape { kind: 2, key: 4, value: 8, entries: 16, grows: false };
    const LONGER: MapShape = MapShape { value: 12, ..ARRAY };

    fn of(name: &str, abi: u32, old: &[(&str, MapShape)]) -> Option<MapSource<'static>> {
        source(name, ARRAY, abi, &|name| old.iter().find(|(known, _)| *known == name).map(|(_, shape)| *shape))
    }

    #[test]
    fn what_means_the_same_is_shared_and_what_was_renamed_is_copied() {
        assert_eq!(of("STATS", OLDEST, &[("STATS", ARRAY)]), Some(MapSource::Shared));
        let [_, (now, then), _] = RENAMED;
        assert_eq!(of(now, OLDEST, &[(then, ARRAY)]), Some(MapSource::CopyOf(then)));
        assert_eq!(of("NEXTHOPS", OLDEST, &[]), Some(MapSource::Empty));
    }

    #[test]
    fn a_table_that_would_be_lost_is_refused() {
        assert_eq!(of("STATS", OLDEST, &[("STATS", LONGER)]), None);
        let [_, (now, then), _] = RENAMED;
        assert_eq!(of(now, OLDEST, &[(then, LONGER), (now, LONGER)]), None);
        assert_eq!(of("ADDRS", ABI_VERSION, &[]), None, "this version has it");
    }

    #[test]
    fn two_versions_never_share_the_ports_entry() {
        assert_eq!(of(PORT, OLDEST, &[(PORT, ARRAY)]), Some(MapSource::Empty));
        assert_eq!(of(PORT, ABI_VERSION, &[(PORT, ARRAY)]), Some(MapSource::Shared));
    }
}
