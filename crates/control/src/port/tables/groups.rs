//! Which slaves have joined which multicast group, as the programs see it?

use super::abi::{Abi, found, open_by_ids, removed, take, typed};
use crate::error::{Result, ebpf};
use crate::kernel::bpf_batch::Whole;
use aya::maps::{Array, HashMap, Map, MapData, RingBuf};
use ipvl_core::maps::{JOINED, SEEN};
use ipvl_core::{Group, Mac, Members, Slot};
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The map `GROUPS`.
pub(super) struct Groups {
    all: Whole<Group, Members>,
    most: usize,
    map: HashMap<MapData, Abi<Group>, Abi<Members>>,
}

impl Groups {
    /// From the map itself.
    pub fn from_data(data: MapData) -> Result<Self> {
        let most = data.info().map_err(ebpf("describe", "the map GROUPS"))?.max_entries() as usize;
        Ok(Self { all: Whole::of("GROUPS", data.fd())?, most, map: typed("GROUPS", Map::HashMap(data))? })
    }

    /// All groups with their members.
    pub fn all(&self) -> Result<Vec<(Group, Members)>> {
        self.all.entries(self.most)
    }

    /// The slaves that have joined a group.
    pub fn members(&self, mac: Mac) -> Result<Members> {
        let entry = found(self.map.get(&Abi(mac.into()), 0)).map_err(ebpf("read", "the map GROUPS"))?;
        Ok(entry.map_or(Members::NOBODY, |members| members.0))
    }

    /// Writes them. A group without members that the master does not receive for the slaves' sake has no entry.
    pub fn set_members(&mut self, mac: Mac, members: &Members) -> Result<()> {
        let key = Abi(mac.into());
        let done = match members.is_empty() && members.on_master == 0 {
            true => removed(self.map.remove(&key)),
            false => self.map.insert(key, Abi(*members), 0),
        };
        done.map_err(ebpf("write", "the map GROUPS"))
    }
}

/// The map `JOINS`, see [`ipvl_core::maps::JOINED`].
pub struct Joins {
    counts: Array<MapData, u64>,
    fd: OwnedFd,
    /// The map's id.
    pub id: u32,
}

impl Joins {
    /// From the map itself.
    pub(super) fn from_data(data: MapData) -> Result<Self> {
        let fd = data.fd().as_fd().try_clone_to_owned().map_err(ebpf("keep", "the map JOINS"))?;
        let id = data.info().map_err(ebpf("describe", "the map JOINS"))?.id();
        Ok(Self { counts: typed("JOINS", Map::Array(data))?, fd, id })
    }

    /// How many joins there were.
    pub fn joined(&self) -> Result<u64> {
        self.count(JOINED)
    }

    /// Whether there were some since the groups of all slaves were read.
    pub fn are_unseen(&self) -> Result<bool> {
        Ok(self.joined()? != self.count(SEEN)?)
    }

    /// The groups of all slaves are in the table, except those that were joined since `joined` was read. The agent alone
    /// writes this, and needs no lock for it.
    pub fn set_seen(&mut self, joined: u64) -> Result<()> {
        self.counts.set(SEEN, joined, 0).map_err(ebpf("write", "the map JOINS"))
    }

    fn count(&self, at: u32) -> Result<u64> {
        self.counts.get(&at, 0).map_err(ebpf("read", "the map JOINS"))
    }
}

impl AsFd for Joins {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The map `REPORTS`: slaves that sent a report of IGMP or MLD, in order. It must have one reader only.
pub struct Reports(RingBuf<MapData>);

impl Reports {
    /// From the maps of `slave_xmit`.
    pub fn by_ids(ids: &[u32]) -> Result<Self> {
        let data = take(&mut open_by_ids(ids)?, "REPORTS")?;
        typed("REPORTS", Map::RingBuf(data)).map(Self)
    }

    /// Takes all reports: the slots of the slaves that sent them.
    pub fn take(&mut self) -> BTreeSet<Slot> {
        let mut slots = BTreeSet::new();
        while let Some(report) = self.0.next() {
            let slot = report.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes));
            slots.extend(slot.and_then(|slot| u32::try_from(slot).ok()).map(Slot));
        }
        slots
    }
}

impl AsFd for Reports {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
