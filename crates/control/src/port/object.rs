//! How are the programs loaded into the kernel from the eBPF object that the build embeds?

use crate::error::{Result, ebpf, refused};
use crate::kernel::bpf::{prog_fd_by_id, prog_info};
use crate::kernel::bpf_map::{Bpffs, MapShape, map_info};
use crate::port::tables::PortMaps;
use crate::port::watch;
use crate::refusal::Refusal;
use aya::programs::SchedClassifier;
use aya::{Ebpf, EbpfLoader, include_bytes_aligned};
use ipvl_core::PortEntry;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::resume_unwind;
use std::thread;

/// The name of the program at the host ends.
pub const SLAVE_XMIT: &str = "slave_xmit";
/// The name of the program at the master.
pub const MASTER_RX: &str = "master_rx";

/// The name of the program before that at the host end of a slave with a policy.
pub const POLICY_OUT: &str = "policy_out";
/// The name of the program at such a host end's egress.
pub const POLICY_IN: &str = "policy_in";
/// The map of a program's constants, which each loading makes anew.
pub const CONSTANTS: &str = ".rodata";

/// The maps that control reads or writes.
const NAMES: [&str; 14] = [
    "PORT",
    "ROUTER",
    "SLAVES",
    "SLOT_BY_IFINDEX",
    "SLOT_CACHE",
    "ADDRS",
    "ADDR_CACHE",
    "PREFIXES",
    "GROUPS",
    "JOINS",
    "STATS",
    "DROPS",
    "BUCKETS",
    "RATES",
];

/// The maps of the two programs of a policy that the others do not have.
pub const POLICY_MAPS: [&str; 8] = [
    "POLICIES",
    "POLICY_COUNTS",
    "CONNECTIONS",
    "FRAGMENTS",
    "LABELLED",
    "LABEL_NAMES",
    "POLICY_FACTS",
    "POLICY_ASKED",
];
/// Those of them that take much memory at once, and which a loader makes although no program it loads uses them.
const LARGE: [&str; 3] = ["CONNECTIONS", "FRAGMENTS", "POLICY_COUNTS"];

/// The eBPF object as the build made it.
pub static OBJECT: &[u8] = include_bytes_aligned!(env!("IPVL_OBJECT"));

/// Both programs with new maps, loaded and not attached.
pub struct Loaded {
    /// The program for host ends.
    pub slave_xmit: Program,
    /// The program for the master.
    pub master_rx: Program,
    /// The maps of both.
    pub maps: PortMaps,
}

/// A loaded program.
pub struct Program {
    /// Keeps it loaded.
    pub fd: OwnedFd,
    /// Its id.
    pub id: u32,
    /// The number of its instructions after the verifier's rewriting; `None` if the kernel does not report it.
    pub instructions: Option<u32>,
}

/// Loads the object; the verifier has accepted it when this returns. It takes some 0.4 s for each program, so both are
/// verified at the same time.
pub fn load() -> Result<Loaded> {
    load_sharing(&BTreeMap::new())
}

/// The same, with these maps, by their names, instead of new ones. They have the shapes that [`shapes`] says.
pub fn load_sharing(maps: &BTreeMap<String, BorrowedFd<'_>>) -> Result<Loaded> {
    let mut object = object(maps, &LARGE)?;
    let mut programs: BTreeMap<_, _> = object.programs_mut().collect();
    let (one, other) = (programs.remove(SLAVE_XMIT), programs.remove(MASTER_RX));
    let (slave_xmit, master_rx) = thread::scope(|scope| {
        let beside = scope.spawn(|| program(other, MASTER_RX));
        (program(one, SLAVE_XMIT), beside.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    let (slave_xmit, master_rx) = (slave_xmit?, master_rx?);
    let mut named = BTreeMap::new();
    for name in NAMES {
        let id = object.map(name).map(map_id).transpose()?.unwrap_or_default();
        named.insert(name.to_owned(), aya::maps::MapData::from_id(id).map_err(ebpf("open", "a map"))?);
    }
    Ok(Loaded { slave_xmit, master_rx, maps: PortMaps::from_named(named)? })
}

/// Loads the two programs of a policy, [`POLICY_OUT`] and [`POLICY_IN`], with these maps of a port; the others of
/// [`POLICY_MAPS`] are new.
pub fn load_policy(maps: &BTreeMap<String, BorrowedFd<'_>>) -> Result<(Program, Program)> {
    let mut object = object(maps, &[])?;
    let mut programs: BTreeMap<_, _> = object.programs_mut().collect();
    let (out, inward) = (programs.remove(POLICY_OUT), programs.remove(POLICY_IN));
    Ok((program(out, POLICY_OUT)?, program(inward, POLICY_IN)?))
}

/// Programs that another process has loaded, and that no port uses yet.
pub fn open(slave_xmit: u32, master_rx: u32) -> Result<Loaded> {
    let (slave_xmit, mut maps) = opened(slave_xmit, SLAVE_XMIT)?;
    let (master_rx, its_maps) = opened(master_rx, MASTER_RX)?;
    maps.extend(its_maps);
    let maps = PortMaps::by_ids(&maps)?;
    match maps.port()? == PortEntry::default() {
        true => Ok(Loaded { slave_xmit, master_rx, maps }),
        false => Err(refused("use", "spare programs", Refusal::ForeignProgram)),
    }
}

fn opened(id: u32, name: &str) -> Result<(Program, Vec<u32>)> {
    let fd = prog_fd_by_id(id)?;
    let info = prog_info(&fd)?;
    match info.name == name {
        true => Ok((Program { fd, id, instructions: None }, info.map_ids)),
        false => Err(refused("use", format!("bpf program {id}"), Refusal::ForeignProgram)),
    }
}

/// Which programs this build has, as a number.
pub fn build() -> u64 {
    let mut hasher = DefaultHasher::new();
    OBJECT.hash(&mut hasher);
    hasher.finish()
}

fn object(maps: &BTreeMap<String, BorrowedFd<'_>>, small: &[&'static str]) -> Result<Ebpf> {
    let (bpffs, own) = (Bpffs::new()?, watch::arrays()?);
    let mut loader = EbpfLoader::new();
    let own = own.iter().filter(|(name, _)| !maps.contains_key(*name)).map(|(name, map)| (name, map.as_fd()));
    for (name, map) in maps.iter().map(|(name, map)| (name, *map)).chain(own) {
        loader.map_pin_path(name.as_str(), bpffs.pin(map, name)?);
    }
    for name in small {
        loader.map_max_entries(name, 1);
    }
    loader.load(OBJECT).map_err(ebpf("load", "the eBPF object"))
}

/// The maps of the object that every port has, by their names.
pub fn shapes() -> Result<BTreeMap<String, MapShape>> {
    let mut shapes = all_shapes()?;
    shapes.retain(|name, _| !POLICY_MAPS.contains(&name.as_str()));
    for (name, map) in watch::arrays()? {
        shapes.insert(name, map_info(map)?.1);
    }
    Ok(shapes)
}

/// Those of [`POLICY_MAPS`].
pub fn policy_shapes() -> Result<BTreeMap<String, MapShape>> {
    let mut shapes = all_shapes()?;
    shapes.retain(|name, _| POLICY_MAPS.contains(&name.as_str()));
    Ok(shapes)
}

fn all_shapes() -> Result<BTreeMap<String, MapShape>> {
    let object = aya_obj::Object::parse(OBJECT).map_err(ebpf("read", "the eBPF object"))?;
    let shape = |map: &aya_obj::Map| {
        MapShape::new(map.map_type(), map.key_size(), map.value_size(), map.max_entries(), map.map_flags())
    };
    Ok(object.maps.iter().map(|(name, map)| (name.clone(), shape(map))).collect())
}

fn map_id(map: &aya::maps::Map) -> Result<u32> {
    use aya::maps::Map;
    let (Map::Array(data)
    | Map::HashMap(data)
    | Map::LpmTrie(data)
    | Map::PerCpuArray(data)
    | Map::PerCpuHashMap(data)) = map
    else {
        return Ok(0);
    };
    Ok(data.info().map_err(ebpf("describe", "a map"))?.id())
}

fn program(program: Option<&mut aya::programs::Program>, name: &'static str) -> Result<Program> {
    let failed = || format!("the program {name}");
    let program = program.ok_or(aya::programs::ProgramError::NotLoaded);
    let program: &mut SchedClassifier =
        program.map_err(ebpf("find", failed()))?.try_into().map_err(ebpf("find", failed()))?;
    program.load().map_err(ebpf("load", failed()))?;
    let info = program.info().map_err(ebpf("describe", failed()))?;
    let fd = program.fd().map_err(ebpf("load", failed()))?.as_fd().try_clone_to_owned();
    let fd = fd.map_err(ebpf("keep", failed()))?;
    Ok(Program { fd, id: info.id(), instructions: info.size_translated().map(|bytes| bytes / 8) })
}
