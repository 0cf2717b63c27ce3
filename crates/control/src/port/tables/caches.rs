//! Which slots and owners do the programs find in an array, without a look into a hash map?
//!
//! Two direct-mapped caches: of a host end's slot, and of an address's owner. An entry is written only if its line is free.
//! The hash maps are authoritative: the programs look up there what is missing here.

use super::abi::{Abi, typed};
use crate::error::{Result, ebpf};
use aya::maps::{Array, Map, MapData};
use ipvl_core::maps::{AddrCacheEntry, SLOT_CACHE_LEN, SlotCacheEntry};
use ipvl_core::{Addr, IfIndex, Owner, OwnerEntry, Slot, Words};

/// The map `SLOT_CACHE`.
pub struct SlotCache(Array<MapData, Abi<SlotCacheEntry>>);

impl SlotCache {
    /// From the map itself.
    pub fn from_data(data: MapData) -> Result<Self> {
        typed("SLOT_CACHE", Map::Array(data)).map(Self)
    }

    /// Writes a slave's line, if it is free. The slave is in `SLOT_BY_IFINDEX` already.
    pub fn insert(&mut self, host_end: IfIndex, slot: Slot) -> Result<()> {
        match self.at(host_end)? {
            SlotCacheEntry { host_end: IfIndex::NONE, .. } => self.write(host_end, SlotCacheEntry { host_end, slot }),
            _ => Ok(()),
        }
    }

    /// Clears a slave's line. The slave is in `SLOT_BY_IFINDEX` still.
    pub fn remove(&mut self, host_end: IfIndex) -> Result<()> {
        match self.at(host_end)?.host_end == host_end {
            true => self.write(host_end, SlotCacheEntry::default()),
            false => Ok(()),
        }
    }

    fn at(&self, host_end: IfIndex) -> Result<SlotCacheEntry> {
        self.0.get(&(host_end.0 % SLOT_CACHE_LEN), 0).map(|entry| entry.0).map_err(ebpf("read", "the map SLOT_CACHE"))
    }

    fn write(&mut self, host_end: IfIndex, entry: SlotCacheEntry) -> Result<()> {
        self.0.set(host_end.0 % SLOT_CACHE_LEN, Abi(entry), 0).map_err(ebpf("write", "the map SLOT_CACHE"))
    }
}

/// The map `ADDR_CACHE`. Writers hold the lock; the programs read at any time, see [`ipvl_core::maps::AddrCacheEntry`].
pub struct AddrCache(Array<MapData, Abi<AddrCacheEntry>>);

impl AddrCache {
    /// From the map itself.
    pub fn from_data(data: MapData) -> Result<Self> {
        typed("ADDR_CACHE", Map::Array(data)).map(Self)
    }

    /// Writes an address's line, if it is free. The address is in `ADDRS` already.
    pub fn insert(&mut self, addr: Addr, entry: OwnerEntry) -> Result<()> {
        if self.at(addr)?.owner != 0 {
            return Ok(());
        }
        self.write(AddrCacheEntry::new(addr, Owner::Nobody))?;
        self.write(AddrCacheEntry::new(addr, Owner::found(Some(&entry))))
    }

    /// Clears an address's line. The address is in `ADDRS` still.
    pub fn remove(&mut self, addr: Addr) -> Result<()> {
        match self.at(addr)? {
            here if here.addr == addr && here.owner != 0 => self.write(AddrCacheEntry::new(addr, Owner::Nobody)),
            _ => Ok(()),
        }
    }

    fn at(&self, addr: Addr) -> Result<AddrCacheEntry> {
        self.0.get(&Words::from(addr).cache_index(), 0).map(|entry| entry.0).map_err(ebpf("read", "the map ADDR_CACHE"))
    }

    fn write(&mut self, entry: AddrCacheEntry) -> Result<()> {
        self.0.set(Words::from(entry.addr).cache_index(), Abi(entry), 0).map_err(ebpf("write", "the map ADDR_CACHE"))
    }
}
