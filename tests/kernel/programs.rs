//! How do tests run the loaded programs on a frame? By `BPF_PROG_TEST_RUN`, with tables of their own.

use aya::maps::lpm_trie::Key;
use aya::maps::{Array, HashMap, LpmTrie, Map, MapData, PerCpuArray, PerCpuHashMap};
use aya::programs::{ProgramInfo, SchedClassifier, TestRun, TestRunOptions, loaded_programs};
use ipvl_control::kernel::bpf;
use ipvl_control::port::object::{self, Program};
use ipvl_control::port::tables::{Abi, AddrCache, SlotCache};
use ipvl_control::read::snapshot::{Bytes, Snapshot};
use ipvl_core::dhcp::Asked;
use ipvl_core::maps::{Counters, DropKey, Sent};
use ipvl_core::{Addr, Group, IfIndex, Members, Origin, Owner, OwnerEntry, PortEntry, Slave, Slot, Verdict, WIRE};
use ipvl_tests::names::SLAVES;
use std::collections::BTreeMap;

/// Where `struct __sk_buff` has what we give and what we look at; its whole length.
const INGRESS_IFINDEX: usize = 36;
const IFINDEX: usize = 40;
const CONTROL_BLOCK: usize = 48;
const GSO_SEGMENTS: usize = 164;
const GSO_SIZE: usize = 176;
const CONTEXT: usize = 192;
const SEGMENT: u32 = 1400;

/// Both programs and what they share.
pub struct Programs {
    slave_xmit: SchedClassifier,
    master_rx: SchedClassifier,
    port: Array<MapData, Abi<PortEntry>>,
    slaves: Array<MapData, Abi<Slave>>,
    ids: HashMap<MapData, Abi<IfIndex>, Abi<Slot>>,
    slot_cache: SlotCache,
    addrs: HashMap<MapData, Abi<Addr>, Abi<OwnerEntry>>,
    addr_cache: AddrCache,
    prefixes: LpmTrie<MapData, Abi<Addr>, Abi<OwnerEntry>>,
    groups: HashMap<MapData, Abi<Group>, Abi<Members>>,
    stats: PerCpuArray<MapData, Abi<Counters>>,
    drops: PerCpuHashMap<MapData, Abi<DropKey>, u64>,
    buckets: Array<MapData, u64>,
    sent: HashMap<MapData, u64, Abi<Sent>>,
    xids: HashMap<MapData, u32, Abi<Asked>>,
}

/// What a program did with a frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What it decided.
    pub verdict: Verdict,
    /// The frame as it left it.
    pub data: Vec<u8>,
}

/// All that was counted so far; what is zero is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// By slave.
    pub counters: BTreeMap<Slot, [u64; 4]>,
    /// By source and reason.
    pub drops: BTreeMap<DropKey, u64>,
}

impl Programs {
    /// How many instructions the verifier looked at, for each program; `None` if the kernel does not say.
    pub fn verified(&self) -> Option<[u32; 2]> {
        Some([count(&self.slave_xmit)?, count(&self.master_rx)?])
    }

    /// The same of the two programs that ask a policy.
    pub fn verified_of_policies() -> Option<[u32; 2]> {
        let (out, inward) = object::load_policy(&BTreeMap::new()).expect("load the programs of a policy");
        Some([count(&classifier(&out))?, count(&classifier(&inward))?])
    }

    /// Loads them into the kernel, attached nowhere.
    pub fn load() -> Self {
        let loaded = object::load().expect("load the programs");
        let mut maps = maps(&loaded.slave_xmit, &loaded.master_rx);
        let mut take = |name: &str| maps.remove(name).unwrap_or_else(|| panic!("no map {name}"));
        Self {
            slave_xmit: classifier(&loaded.slave_xmit),
            master_rx: classifier(&loaded.master_rx),
            port: Map::Array(take("PORT")).try_into().expect("PORT"),
            slaves: Map::Array(take("SLAVES")).try_into().expect("SLAVES"),
            ids: Map::HashMap(take("SLOT_BY_IFINDEX")).try_into().expect("SLOT_BY_IFINDEX"),
            addrs: Map::HashMap(take("ADDRS")).try_into().expect("ADDRS"),
            slot_cache: SlotCache::from_data(take("SLOT_CACHE")).expect("SLOT_CACHE"),
            addr_cache: AddrCache::from_data(take("ADDR_CACHE")).expect("ADDR_CACHE"),
            prefixes: Map::LpmTrie(take("PREFIXES")).try_into().expect("PREFIXES"),
            groups: Map::HashMap(take("GROUPS")).try_into().expect("GROUPS"),
            stats: Map::PerCpuArray(take("STATS")).try_into().expect("STATS"),
            drops: Map::PerCpuHashMap(take("DROPS")).try_into().expect("DROPS"),
            buckets: Map::Array(take("BUCKETS")).try_into().expect("BUCKETS"),
            sent: Map::LruHashMap(take("SENT")).try_into().expect("SENT"),
            xids: Map::LruHashMap(take("XIDS")).try_into().expect("XIDS"),
        }
    }

    /// Makes the tables say what `snapshot` says, and nothing else. What it says was sent is forgotten.
    pub fn fill(&mut self, snapshot: &Snapshot) {
        self.forget();
        self.port.set(0, Abi(snapshot.port), 0).expect("write PORT");
        for slot in 0..SLAVES.len() as u32 {
            let slave = snapshot.slaves.get(&Slot(slot)).copied().unwrap_or(Slave::VACANT);
            self.slaves.set(slot, Abi(slave), 0).expect("write SLAVES");
        }
        for (slot, slave) in &snapshot.slaves {
            self.ids.insert(Abi(slave.host_end), Abi(*slot), 0).expect("write SLOT_BY_IFINDEX");
            self.slot_cache.insert(slave.host_end, *slot).expect("write SLOT_CACHE");
        }
        for (addr, owner) in &snapshot.owners {
            self.addrs.insert(Abi(*addr), Abi(entry(*owner)), 0).expect("write ADDRS");
            self.addr_cache.insert(*addr, entry(*owner)).expect("write ADDR_CACHE");
        }
        for (addr, len, owner) in &snapshot.prefixes {
            self.prefixes.insert(&Key::new((*len).into(), Abi(*addr)), Abi(entry(*owner)), 0).expect("write PREFIXES");
        }
        for (group, members) in &snapshot.groups {
            self.groups.insert(Abi(*group), Abi(*members), 0).expect("write GROUPS");
        }
    }

    /// What `slave_xmit` makes of a frame at a host end; `None` where the kernel refuses to try such a frame.
    pub fn egress(&self, frame: &Bytes, host_end: IfIndex) -> Option<Outcome> {
        run(&self.slave_xmit, frame, host_end)
    }

    /// What `master_rx` makes of a frame at the master.
    pub fn ingress(&self, frame: &Bytes, master: IfIndex) -> Option<Outcome> {
        run(&self.master_rx, frame, master)
    }

    /// The sender of the broadcast with this digest.
    pub fn sender_of(&self, digest: u64) -> Option<Slot> {
        self.sent.get(&digest, 0).ok().map(|sent| sent.0.slot)
    }

    /// All counters, over all CPUs.
    pub fn counted(&self) -> Counted {
        let mut counted = Counted::default();
        for slot in 0..SLAVES.len() as u32 {
            let each = self.stats.get(&slot, 0).expect("read STATS");
            let sum = each.iter().fold([0; 4], |[a, b, c, d], Abi(cpu)| {
                [a + cpu.tx_packets, b + cpu.tx_bytes, c + cpu.rx_packets, d + cpu.rx_bytes]
            });
            if sum != [0; 4] {
                counted.counters.insert(Slot(slot), sum);
            }
        }
        for entry in self.drops.iter() {
            let (Abi(key), each) = entry.expect("read DROPS");
            counted.drops.insert(key, each.iter().sum());
        }
        counted
    }

    fn forget(&mut self) {
        for host_end in self.ids.keys().flatten().collect::<Vec<_>>() {
            self.slot_cache.remove(host_end.0).expect("clear SLOT_CACHE");
            self.ids.remove(&host_end).expect("clear SLOT_BY_IFINDEX");
        }
        for addr in self.addrs.keys().flatten().collect::<Vec<_>>() {
            self.addr_cache.remove(addr.0).expect("clear ADDR_CACHE");
            self.addrs.remove(&addr).expect("clear ADDRS");
        }
        for key in self.prefixes.keys().flatten().collect::<Vec<_>>() {
            self.prefixes.remove(&key).expect("clear PREFIXES");
        }
        for group in self.groups.keys().flatten().collect::<Vec<_>>() {
            self.groups.remove(&group).expect("clear GROUPS");
        }
        for digest in self.sent.keys().flatten().collect::<Vec<_>>() {
            self.sent.remove(&digest).expect("clear SENT");
        }
        for xid in self.xids.keys().flatten().collect::<Vec<_>>() {
            self.xids.remove(&xid).expect("clear XIDS");
        }
        self.forget_counters();
    }

    /// Resets the counters and the allowances.
    pub fn forget_counters(&mut self) {
        for key in self.drops.keys().flatten().collect::<Vec<_>>() {
            self.drops.remove(&key).expect("clear DROPS");
        }
        let cpus = aya::util::nr_cpus().expect("count the CPUs");
        for slot in (0..SLAVES.len() as u32).chain([WIRE.0]) {
            let zero = vec![Abi(Counters::default()); cpus].try_into().expect("a value for each CPU");
            self.stats.set(slot, zero, 0).expect("clear STATS");
            self.buckets.set(slot, 0, 0).expect("clear BUCKETS");
        }
    }
}

fn run(program: &SchedClassifier, frame: &Bytes, ifindex: IfIndex) -> Option<Outcome> {
    let mut given = [0; CONTEXT];
    for field in [INGRESS_IFINDEX, IFINDEX] {
        given[field..field + 4].copy_from_slice(&ifindex.0.to_ne_bytes());
    }
    if frame.gso {
        let segments = (frame.data.len() as u32).div_ceil(SEGMENT);
        given[GSO_SEGMENTS..GSO_SEGMENTS + 4].copy_from_slice(&segments.to_ne_bytes());
        given[GSO_SIZE..GSO_SIZE + 4].copy_from_slice(&SEGMENT.to_ne_bytes());
    }
    let mut context = [0; CONTEXT];
    let mut data = vec![0; (frame.data.len() + 64).max(256)];
    let options = TestRunOptions {
        data_in: Some(&frame.data),
        data_out: Some(&mut data),
        ctx_in: Some(&given),
        ctx_out: Some(&mut context),
        ..TestRunOptions::new()
    };
    let length = program.test_run(options).ok()?.data_size_out;
    data.truncate(length as usize);
    let word = |at: usize| u32::from_ne_bytes(context[at..at + 4].try_into().expect("four bytes"));
    let verdict = Verdict::from_words([word(CONTROL_BLOCK), word(CONTROL_BLOCK + 4)]);
    Some(Outcome { verdict, data })
}

fn entry(owner: Owner) -> OwnerEntry {
    match owner {
        Owner::Slave(slot) => OwnerEntry::slave(slot, Origin::Device),
        Owner::Host => OwnerEntry::host(),
        Owner::Nobody => panic!("an address without an owner is in no table"),
    }
}

fn classifier(program: &Program) -> SchedClassifier {
    let named = |info: &ProgramInfo| info.id() == program.id;
    let info = loaded_programs().flatten().find(named).expect("find the program");
    SchedClassifier::from_program_info(info, "tried".into()).expect("use the program")
}

fn maps(slave_xmit: &Program, master_rx: &Program) -> BTreeMap<String, MapData> {
    let ids = [slave_xmit, master_rx].into_iter().flat_map(|p| bpf::prog_info(&p.fd).expect("describe").map_ids);
    let data = ids.map(|id| MapData::from_id(id).expect("open a map"));
    data.map(|data| (data.info().expect("describe a map").name_as_str().unwrap_or_default().to_owned(), data)).collect()
}

fn count(program: &SchedClassifier) -> Option<u32> {
    program.info().expect("ask for a program").verified_instruction_count()
}
