//! Which slaves does a port have, which addresses are theirs, and what was counted?

use super::abi::{Abi, found, is_full, open_by_ids, removed, take, typed};
use super::caches::{AddrCache, SlotCache};
use super::groups::{Groups, Joins};
use crate::error::{Result, ebpf};
use crate::kernel::bpf_batch::Whole;
use crate::rate::Limit;
use aya::maps::lpm_trie::Key;
use aya::maps::{Array, HashMap, LpmTrie, Map, MapData, PerCpuArray, PerCpuHashMap};
use ipvl_core::maps::{Counters, DropKey};
use ipvl_core::{
    Addr, Group, IfIndex, MAX_SLAVES, Mac, Members, Origin, OwnerEntry, PortEntry, RateEntry, Reason, Router, Slave,
    Slot,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;

const FEW_SLOTS: u32 = 64;
/// The length of a single address, in bits of a 16-byte address.
pub const SINGLE: u32 = 128;
const BPF_NOEXIST: u64 = 1;

/// What became of an address that a slave was to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The slave has it now, or had it before.
    Held,
    /// Another slave or the host has it.
    Taken,
    /// The table is full.
    NoRoom,
}

/// The maps of one port.
pub struct PortMaps {
    port: Array<MapData, Abi<PortEntry>>,
    router: Array<MapData, Abi<Router>>,
    slaves: Array<MapData, Abi<Slave>>,
    all_slaves: Whole<u32, Slave>,
    slot_by_ifindex: HashMap<MapData, Abi<IfIndex>, Abi<Slot>>,
    all_slots: Whole<IfIndex, Slot>,
    slot_cache: SlotCache,
    addrs: HashMap<MapData, Abi<Addr>, Abi<OwnerEntry>>,
    all_addrs: Whole<Addr, OwnerEntry>,
    most_addresses: usize,
    addr_cache: AddrCache,
    prefixes: LpmTrie<MapData, Abi<Addr>, Abi<OwnerEntry>>,
    groups: Groups,
    /// The counts of joins; none with programs of an older build.
    pub joins: Option<Joins>,
    stats: PerCpuArray<MapData, Abi<Counters>>,
    drops: PerCpuHashMap<MapData, Abi<DropKey>, u64>,
    buckets: Array<MapData, u64>,
    rates: HashMap<MapData, Abi<Slot>, Abi<RateEntry>>,
}

impl PortMaps {
    /// The maps with these ids, which belong to the two programs of one port.
    pub fn by_ids(ids: &[u32]) -> Result<Self> {
        Self::from_named(open_by_ids(ids)?)
    }

    /// Only the port's own entry, from the maps of either program.
    pub fn port_by_ids(ids: &[u32]) -> Result<PortEntry> {
        let data = take(&mut open_by_ids(ids)?, "PORT")?;
        let port: Array<MapData, Abi<PortEntry>> = typed("PORT", Map::Array(data))?;
        port.get(&0, 0).map(|port| port.0).map_err(ebpf("read", "the map PORT"))
    }

    /// The maps under their names in the eBPF programs.
    pub fn from_named(mut named: BTreeMap<String, MapData>) -> Result<Self> {
        let joins = named.remove("JOINS").map(Joins::from_data).transpose()?;
        let mut take = |name| take(&mut named, name);
        let (addrs, slaves, slots) = (take("ADDRS")?, take("SLAVES")?, take("SLOT_BY_IFINDEX")?);
        let most_addresses = addrs.info().map_err(ebpf("describe", "the map ADDRS"))?.max_entries() as usize;
        Ok(Self {
            port: typed("PORT", Map::Array(take("PORT")?))?,
            router: typed("ROUTER", Map::Array(take("ROUTER")?))?,
            all_slaves: Whole::of("SLAVES", slaves.fd())?,
            slaves: typed("SLAVES", Map::Array(slaves))?,
            all_slots: Whole::of("SLOT_BY_IFINDEX", slots.fd())?,
            slot_by_ifindex: typed("SLOT_BY_IFINDEX", Map::HashMap(slots))?,
            slot_cache: SlotCache::from_data(take("SLOT_CACHE")?)?,
            all_addrs: Whole::of("ADDRS", addrs.fd())?,
            addrs: typed("ADDRS", Map::HashMap(addrs))?,
            most_addresses,
            addr_cache: AddrCache::from_data(take("ADDR_CACHE")?)?,
            prefixes: typed("PREFIXES", Map::LpmTrie(take("PREFIXES")?))?,
            groups: Groups::from_data(take("GROUPS")?)?,
            joins,
            stats: typed("STATS", Map::PerCpuArray(take("STATS")?))?,
            drops: typed("DROPS", Map::PerCpuHashMap(take("DROPS")?))?,
            buckets: typed("BUCKETS", Map::Array(take("BUCKETS")?))?,
            rates: typed("RATES", Map::HashMap(take("RATES")?))?,
        })
    }

    /// The entry of the map `PORT`: the master, and what all slaves share.
    pub fn port(&self) -> Result<PortEntry> {
        self.port.get(&0, 0).map(|port| port.0).map_err(ebpf("read", "the map PORT"))
    }

    /// Writes it.
    pub fn set_port(&mut self, port: PortEntry) -> Result<()> {
        self.port.set(0, Abi(port), 0).map_err(ebpf("write", "the map PORT"))
    }

    /// Changes it.
    pub fn change_port(&mut self, change: impl FnOnce(&mut PortEntry)) -> Result<()> {
        let mut port = self.port()?;
        let before = port;
        change(&mut port);
        if port == before { Ok(()) } else { self.set_port(port) }
    }

    /// Writes the source addresses of ICMP errors to slaves.
    pub fn set_router(&mut self, router: Router) -> Result<()> {
        self.router.set(0, Abi(router), 0).map_err(ebpf("write", "the map ROUTER"))
    }

    /// The slave in `slot`, or [`Slave::VACANT`].
    pub fn slave(&self, slot: Slot) -> Result<Slave> {
        self.slaves.get(&slot.0, 0).map(|slave| slave.0).map_err(ebpf("read", "the map SLAVES"))
    }

    /// Writes it: one word, which no packet sees half of.
    pub fn set_slave(&mut self, slot: Slot, slave: Slave) -> Result<()> {
        self.slaves.set(slot.0, Abi(slave), 0).map_err(ebpf("write", "the map SLAVES"))
    }

    /// The limit of what the slave in `slot` sends, if it has one.
    pub fn rate(&self, slot: Slot) -> Result<Option<Limit>> {
        let entry = found(self.rates.get(&Abi(slot), 0)).map_err(ebpf("read", "the map RATES"))?;
        Ok(entry.map(|Abi(entry)| Limit::new(entry.rate, entry.burst)))
    }

    /// Writes it. The slave's word says whether to look for it: so there is a limit wherever that says so.
    pub fn set_rate(&mut self, slot: Slot, limit: Option<Limit>) -> Result<()> {
        if let Some(Limit { rate, burst }) = limit {
            let entry = RateEntry { rate, burst: burst.into(), full_at: 0 };
            self.rates.insert(Abi(slot), Abi(entry), 0).map_err(ebpf("write", "the map RATES"))?;
        }
        self.set_slave(slot, self.slave(slot)?.with_limit(limit.is_some()))?;
        if limit.is_none() { self.forget_rate(slot) } else { Ok(()) }
    }

    fn forget_rate(&mut self, slot: Slot) -> Result<()> {
        removed(self.rates.remove(&Abi(slot))).map_err(ebpf("write", "the map RATES"))
    }

    /// The slot of the slave behind a host end.
    pub fn slot_of(&self, host_end: IfIndex) -> Result<Option<Slot>> {
        found(self.slot_by_ifindex.get(&Abi(host_end), 0))
            .map(|slot| slot.map(|slot| slot.0))
            .map_err(ebpf("read", "the map SLOT_BY_IFINDEX"))
    }

    /// All slaves: host end and slot.
    pub fn slots(&self) -> Result<Vec<(IfIndex, Slot)>> {
        let mut entries = self.all_slots.entries(MAX_SLAVES as usize)?;
        entries.sort_by_key(|(_, slot)| slot.0);
        Ok(entries)
    }

    /// The slaves in the slots up to the highest that is in use.
    pub fn slaves(&self) -> Result<Vec<Slave>> {
        let entries = self.all_slaves.entries(self.port()?.slots as usize)?;
        Ok(entries.into_iter().map(|(_, slave)| slave).collect())
    }

    /// Whether there is no slave.
    pub fn is_empty(&self) -> bool {
        self.slot_by_ifindex.keys().next().is_none()
    }

    /// A slot that no slave has.
    pub fn free_slot(&self) -> Result<Option<Slot>> {
        // A slot is not reused at once. Nor do slots grow without need: a flood looks at all slots up to the highest.
        let port = self.port()?;
        let end = (port.slots * 2).clamp(FEW_SLOTS, MAX_SLAVES);
        let cursor = port.cursor % end;
        for number in (cursor..end).chain(0..cursor).chain(end..MAX_SLAVES) {
            if self.slave(Slot(number))?.is_vacant() {
                return Ok(Some(Slot(number)));
            }
        }
        Ok(None)
    }

    /// Writes a new slave into its slot, with counters at zero. The programs find it from now on.
    pub fn insert_slave(&mut self, slot: Slot, slave: Slave) -> Result<()> {
        self.reset_counters(slot)?;
        self.set_slave(slot, slave)?;
        self.slot_by_ifindex
            .insert(Abi(slave.host_end), Abi(slot), 0)
            .map_err(ebpf("write", "the map SLOT_BY_IFINDEX"))?;
        self.slot_cache.insert(slave.host_end, slot)?;
        self.change_port(|port| {
            port.slots = port.slots.max(slot.0 + 1);
            port.cursor = (slot.0 + 1) % MAX_SLAVES;
        })
    }

    /// Takes the addresses of slaves out of the tables: the first step of removing them. All steps can be done again.
    pub(crate) fn withdraw_slaves(&mut self, slaves: &[(IfIndex, Slot)]) -> Result<()> {
        slaves.iter().try_for_each(|(host_end, _)| self.slot_cache.remove(*host_end))?;
        self.release_all(&slaves.iter().map(|(_, slot)| *slot).collect())
    }

    /// Leaves the slots of withdrawn slaves vacant: the last step, after [`crate::port::groups`] took them out of their
    /// groups. A slot that still names its host end is not used again.
    pub(crate) fn vacate(&mut self, slaves: &[(IfIndex, Slot)]) -> Result<()> {
        for &(host_end, slot) in slaves {
            removed(self.slot_by_ifindex.remove(&Abi(host_end))).map_err(ebpf("write", "the map SLOT_BY_IFINDEX"))?;
            self.set_slave(slot, Slave::VACANT)?;
            self.forget_rate(slot)?;
        }
        let end = self.slots()?.last().map_or(0, |(_, slot)| slot.0 + 1);
        self.change_port(|port| port.slots = end)
    }

    /// Releases all addresses and prefixes of these slots.
    fn release_all(&mut self, slots: &BTreeSet<Slot>) -> Result<()> {
        for (addr, entry) in self.owners()? {
            if slots.contains(&entry.slot) {
                self.release(addr)?;
            }
        }
        for (addr, len, entry) in self.prefixes()? {
            if slots.contains(&entry.slot) {
                self.withdraw_prefix(addr, len)?;
            }
        }
        Ok(())
    }

    /// The entry of one address.
    pub fn owner(&self, addr: Addr) -> Result<Option<OwnerEntry>> {
        let entry = found(self.addrs.get(&Abi(addr), 0)).map_err(ebpf("read", "the map ADDRS"))?;
        Ok(entry.map(|entry| entry.0))
    }

    /// All single addresses.
    pub fn owners(&self) -> Result<Vec<(Addr, OwnerEntry)>> {
        self.all_addrs.entries(self.most_addresses)
    }

    /// Writes the owner of an address, if it has none.
    pub fn claim(&mut self, addr: Addr, entry: OwnerEntry) -> Result<Claim> {
        match self.addrs.insert(Abi(addr), Abi(entry), BPF_NOEXIST) {
            Ok(()) => self.addr_cache.insert(addr, entry).map(|()| Claim::Held),
            Err(error) => match self.owner(addr)? {
                Some(owner) if owner.slot == entry.slot => Ok(Claim::Held),
                Some(_) => Ok(Claim::Taken),
                None if is_full(&error) => Ok(Claim::NoRoom),
                None => Err(ebpf("write", "the map ADDRS")(error)),
            },
        }
    }

    /// How many single addresses there can be.
    pub fn most_addresses(&self) -> usize {
        self.most_addresses
    }

    /// An address that was expected on the slave's device is there now.
    pub fn confirm(&mut self, addr: Addr, entry: OwnerEntry) -> Result<()> {
        match self.owner(addr)? {
            Some(before) if before.origin() == Origin::Expected => self.assign(addr, entry),
            _ => Ok(()),
        }
    }

    /// Writes the owner of an address, whatever owner it had before.
    pub fn assign(&mut self, addr: Addr, entry: OwnerEntry) -> Result<()> {
        self.addr_cache.remove(addr)?;
        self.addrs.insert(Abi(addr), Abi(entry), 0).map_err(ebpf("write", "the map ADDRS"))?;
        self.addr_cache.insert(addr, entry)
    }

    /// The same; false if it had none and the table is full.
    pub fn assign_if_room(&mut self, addr: Addr, entry: OwnerEntry) -> Result<bool> {
        match self.claim(addr, entry)? {
            Claim::NoRoom => Ok(false),
            Claim::Held | Claim::Taken => self.assign(addr, entry).map(|()| true),
        }
    }

    /// Leaves an address without an owner.
    pub fn release(&mut self, addr: Addr) -> Result<()> {
        self.addr_cache.remove(addr)?;
        removed(self.addrs.remove(&Abi(addr))).map_err(ebpf("write", "the map ADDRS"))
    }

    /// All prefixes, with their lengths in bits of a 16-byte address.
    pub fn prefixes(&self) -> Result<Vec<(Addr, u32, OwnerEntry)>> {
        let entries: std::result::Result<Vec<_>, _> = self.prefixes.iter().collect();
        let entries = entries.map_err(ebpf("read", "the map PREFIXES"))?;
        Ok(entries.into_iter().map(|(key, entry)| (key.data().0, key.prefix_len(), entry.0)).collect())
    }

    /// All single addresses and all prefixes, with their lengths in bits of a 16-byte address.
    pub fn owned(&self) -> Result<Vec<(Addr, u32, OwnerEntry)>> {
        let mut owned: Vec<_> = self.owners()?.into_iter().map(|(addr, entry)| (addr, SINGLE, entry)).collect();
        owned.extend(self.prefixes()?);
        Ok(owned)
    }

    /// Gives a prefix of `len` bits of a 16-byte address to a slave.
    pub fn declare_prefix(&mut self, addr: Addr, len: u32, entry: OwnerEntry) -> Result<()> {
        self.prefixes.insert(&Key::new(len, Abi(addr)), Abi(entry), 0).map_err(ebpf("write", "the map PREFIXES"))?;
        self.change_port(|port| port.flags |= PortEntry::PREFIXES)
    }

    /// Removes a prefix.
    pub fn withdraw_prefix(&mut self, addr: Addr, len: u32) -> Result<()> {
        removed(self.prefixes.remove(&Key::new(len, Abi(addr)))).map_err(ebpf("write", "the map PREFIXES"))?;
        let left = !self.prefixes()?.is_empty();
        self.change_port(|port| {
            if !left {
                port.flags &= !PortEntry::PREFIXES
            }
        })
    }

    /// All multicast groups with their members.
    pub fn groups(&self) -> Result<Vec<(Group, Members)>> {
        self.groups.all()
    }

    /// The slaves that have joined a group.
    pub fn members(&self, mac: Mac) -> Result<Members> {
        self.groups.members(mac)
    }

    /// Writes them. A group without members that the master does not receive for the slaves' sake has no entry.
    pub fn set_members(&mut self, mac: Mac, members: &Members) -> Result<()> {
        self.groups.set_members(mac, members)
    }

    /// Whether slaves may have joined groups that are not in the table yet.
    pub fn are_joins_unseen(&self) -> Result<bool> {
        self.joins.as_ref().map_or(Ok(false), Joins::are_unseen)
    }

    /// The groups of a port of which only one program is left, from the ids of its maps.
    pub fn groups_by_ids(ids: &[u32]) -> Result<Vec<(Group, Members)>> {
        Groups::from_data(take(&mut open_by_ids(ids)?, "GROUPS")?)?.all()
    }

    /// The packets of a slave, over all CPUs.
    pub fn counters(&self, slot: Slot) -> Result<Counters> {
        let each = self.stats.get(&slot.0, 0).map_err(ebpf("read", "the map STATS"))?;
        let mut sum = Counters::default();
        for Abi(cpu) in each.iter() {
            sum.tx_packets.add_assign(cpu.tx_packets);
            sum.tx_bytes.add_assign(cpu.tx_bytes);
            sum.rx_packets.add_assign(cpu.rx_packets);
            sum.rx_bytes.add_assign(cpu.rx_bytes);
        }
        Ok(sum)
    }

    /// Dropped packets by source and reason, over all CPUs.
    pub fn drops(&self) -> Result<BTreeMap<Slot, Vec<(Reason, u64)>>> {
        let mut sums: BTreeMap<Slot, Vec<(Reason, u64)>> = BTreeMap::new();
        for entry in self.drops.iter() {
            let (Abi(key), each) = entry.map_err(ebpf("read", "the map DROPS"))?;
            let count = each.iter().sum::<u64>();
            if count > 0 {
                sums.entry(key.slot).or_default().push((Reason::from_number(key.reason), count));
            }
        }
        sums.values_mut().for_each(|reasons| reasons.sort());
        Ok(sums)
    }

    /// How many packets of a slave were dropped for one reason, over all CPUs.
    pub fn drops_of(&self, slot: Slot, reason: Reason) -> Result<u64> {
        let each = found(self.drops.get(&Abi(DropKey { slot, reason: reason as u32 }), 0));
        Ok(each.map_err(ebpf("read", "the map DROPS"))?.map_or(0, |each| each.iter().sum()))
    }

    fn reset_counters(&mut self, slot: Slot) -> Result<()> {
        let cpus = aya::util::nr_cpus().map_err(|(_, error)| ebpf("count", "the CPUs")(error))?;
        let zero = vec![Abi(Counters::default()); cpus].try_into().map_err(ebpf("reset", "the counters"))?;
        self.stats.set(slot.0, zero, 0).map_err(ebpf("write", "the map STATS"))?;
        self.buckets.set(slot.0, 0, 0).map_err(ebpf("write", "the map BUCKETS"))?;
        self.forget_rate(slot)?;
        for reason in Reason::ALL {
            let key = Abi(DropKey { slot, reason: *reason as u32 });
            removed(self.drops.remove(&key)).map_err(ebpf("write", "the map DROPS"))?;
        }
        Ok(())
    }
}
