//! Which policies do a port's slaves have, what was counted by rule, and which connections are known?

use super::abi::{Abi, found, open_by_ids, removed, take, typed};
use crate::error::{Error, Result, ebpf};
use crate::policy_words::unless_unfit;
use crate::refusal::{PolicyRefusal, Refusal};
use aya::maps::{Array, HashMap, Map, MapData, PerCpuHashMap};
use ipvl_core::Slot;
use ipvl_core::policy::{Connection, CountKey, Flow, FragmentKey, LABEL_BYTES, LABELS, Policy, PolicyCount};
use std::collections::BTreeMap;

/// The maps of a port's policies. It has them once a slave of it had a policy or a label.
pub struct PolicyMaps {
    policies: HashMap<MapData, Abi<Slot>, Abi<Policy>>,
    counts: PerCpuHashMap<MapData, Abi<CountKey>, Abi<PolicyCount>>,
    connections: HashMap<MapData, Abi<Flow>, Abi<Connection>>,
    fragments: HashMap<MapData, Abi<FragmentKey>, u64>,
    labelled: Array<MapData, u64>,
    names: Array<MapData, Abi<[u8; LABEL_BYTES]>>,
}

impl PolicyMaps {
    /// Those among the maps with these ids; `None` if the port has none.
    pub fn by_ids(ids: &[u32]) -> Result<Option<Self>> {
        let mut named = open_by_ids(ids)?;
        if !named.contains_key("POLICIES") {
            return Ok(None);
        }
        let mut take = |name| take(&mut named, name);
        Ok(Some(Self {
            policies: typed("POLICIES", Map::HashMap(take("POLICIES")?))?,
            counts: typed("POLICY_COUNTS", Map::PerCpuHashMap(take("POLICY_COUNTS")?))?,
            connections: typed("CONNECTIONS", Map::LruHashMap(take("CONNECTIONS")?))?,
            fragments: typed("FRAGMENTS", Map::LruHashMap(take("FRAGMENTS")?))?,
            labelled: typed("LABELLED", Map::Array(take("LABELLED")?))?,
            names: typed("LABEL_NAMES", Map::Array(take("LABEL_NAMES")?))?,
        }))
    }

    /// The policy of a slave.
    pub fn policy(&self, slave: Slot) -> Result<Option<Policy>> {
        let policy = found(self.policies.get(&Abi(slave), 0)).map_err(ebpf("read", "the map POLICIES"))?;
        Ok(policy.map(|policy| policy.0))
    }

    /// All policies.
    pub fn policies(&self) -> Result<BTreeMap<Slot, Policy>> {
        let all: std::result::Result<BTreeMap<_, _>, _> =
            self.policies.iter().map(|entry| entry.map(|(slot, policy)| (slot.0, policy.0))).collect();
        all.map_err(ebpf("read", "the map POLICIES"))
    }

    /// Writes the policy of a slave, in one step: each packet meets the old rules or the new ones.
    pub fn set_policy(&mut self, slave: Slot, policy: &Policy) -> Result<()> {
        self.policies.insert(Abi(slave), Abi(*policy), 0).map_err(ebpf("write", "the map POLICIES"))
    }

    /// Removes it.
    pub fn remove_policy(&mut self, slave: Slot) -> Result<()> {
        removed(self.policies.remove(&Abi(slave))).map_err(ebpf("write", "the map POLICIES"))
    }

    /// What was counted for each slave, over all CPUs, by [`CountKey::number`].
    pub fn counts(&self) -> Result<BTreeMap<Slot, BTreeMap<u32, PolicyCount>>> {
        let mut counts: BTreeMap<Slot, BTreeMap<u32, PolicyCount>> = BTreeMap::new();
        for entry in self.counts.iter() {
            let (Abi(key), each) = entry.map_err(ebpf("read", "the map POLICY_COUNTS"))?;
            let sum = counts.entry(key.slave).or_default().entry(key.number).or_default();
            for Abi(cpu) in each.iter() {
                sum.packets += cpu.packets;
                sum.bytes += cpu.bytes;
            }
        }
        Ok(counts)
    }

    /// Forgets counts of a slave, except those with these numbers.
    pub fn forget_counts(&mut self, slave: Slot, except: &[u32]) -> Result<()> {
        let gone = self.counts()?.remove(&slave).unwrap_or_default();
        for number in gone.into_keys().filter(|number| !except.contains(number)) {
            removed(self.counts.remove(&Abi(CountKey { slave, number })))
                .map_err(ebpf("write", "the map POLICY_COUNTS"))?;
        }
        Ok(())
    }

    /// What is remembered of a connection.
    pub fn connection(&self, flow: &Flow) -> Result<Option<Connection>> {
        let entry = found(self.connections.get(&Abi(*flow), 0)).map_err(ebpf("read", "the map CONNECTIONS"))?;
        Ok(entry.map(|entry| entry.0))
    }

    /// When the first fragment of a packet passed.
    pub fn fragment(&self, key: &FragmentKey) -> Result<Option<u64>> {
        found(self.fragments.get(&Abi(*key), 0)).map_err(ebpf("read", "the map FRAGMENTS"))
    }

    /// The labels of a slave, a bit each.
    pub fn labels(&self, slave: Slot) -> Result<u64> {
        self.labelled.get(&slave.0, 0).map_err(ebpf("read", "the map LABELLED"))
    }

    /// Writes them.
    pub fn set_labels(&mut self, slave: Slot, labels: u64) -> Result<()> {
        self.labelled.set(slave.0, labels, 0).map_err(ebpf("write", "the map LABELLED"))
    }

    /// What each bit is called; empty where a bit stands for nothing yet.
    pub fn label_names(&self) -> Result<Vec<String>> {
        let name = |bytes: [u8; LABEL_BYTES]| {
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(LABEL_BYTES);
            String::from_utf8_lossy(&bytes[..end]).into_owned()
        };
        let read = |bit| self.names.get(&bit, 0).map(|bytes| name(bytes.0));
        (0..LABELS).map(read).collect::<std::result::Result<_, _>>().map_err(ebpf("read", "the map LABEL_NAMES"))
    }

    /// The bits of these labels; one that is new gets a bit.
    pub fn label_bits<'a>(
        &mut self,
        labels: impl IntoIterator<Item = &'a String>,
        refuse: impl Fn(Refusal) -> Error,
    ) -> Result<u64> {
        let mut names = self.label_names()?;
        let mut bits = 0;
        for label in labels {
            unless_unfit(label).map_err(|why| refuse(Refusal::Policy(why)))?;
            let known = names.iter().position(|name| name == label);
            let bit = known.or_else(|| names.iter().position(String::is_empty));
            let bit = bit.ok_or_else(|| refuse(Refusal::Policy(PolicyRefusal::TooManyLabels)))?;
            if known.is_none() {
                self.name_label(bit as u32, label)?;
                names[bit].clone_from(label);
            }
            bits |= 1 << bit;
        }
        Ok(bits)
    }

    /// Names a bit.
    fn name_label(&mut self, bit: u32, name: &str) -> Result<()> {
        let mut bytes = [0; LABEL_BYTES];
        bytes.iter_mut().zip(name.bytes()).for_each(|(to, byte)| *to = byte);
        self.names.set(bit, Abi(bytes), 0).map_err(ebpf("write", "the map LABEL_NAMES"))
    }
}
