//! Who has joined which multicast group, as the programs know it?

use super::{Abi, PortMaps, found, gone, missing, named, typed};
use crate::error::{Result, ebpf};
use aya::maps::{HashMap, Map, MapData, RingBuf};
use ipvl_core::{Group, Mac, Members, Slot};
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};

/// The map itself.
pub(super) type Groups = HashMap<MapData, Abi<Group>, Abi<Members>>;

const READ: (&str, &str) = ("read", "the map GROUPS");
const WRITE: (&str, &str) = ("write", "the map GROUPS");

impl PortMaps {
    /// All groups with their members.
    pub fn groups(&self) -> Result<Vec<(Group, Members)>> {
        all(&self.groups)
    }

    /// The groups of a port of which nothing is left but one program, from the ids of its maps.
    pub fn groups_by_ids(ids: &[u32]) -> Result<Vec<(Group, Members)>> {
        let data = named(ids)?.remove("GROUPS").ok_or_else(|| missing("GROUPS"))?;
        all(&typed("GROUPS", Map::HashMap(data))?)
    }

    /// Who has joined a group.
    pub fn members(&self, mac: Mac) -> Result<Members> {
        let entry = found(self.groups.get(&Abi(mac.into()), 0)).map_err(ebpf(READ.0, READ.1))?;
        Ok(entry.map_or(Members::NOBODY, |members| members.0))
    }

    /// Writes it. A group without members, that the master does not receive for our sake, has no entry.
    pub fn set_members(&mut self, mac: Mac, members: &Members) -> Result<()> {
        let key = Abi(mac.into());
        let done = match members.is_empty() && members.on_master == 0 {
            true => gone(self.groups.remove(&key)),
            false => self.groups.insert(key, Abi(*members), 0),
        };
        done.map_err(ebpf(WRITE.0, WRITE.1))
    }
}

/// Who said what groups it is in, in the order in which they did. There is one reader.
pub struct Reports(RingBuf<MapData>);

impl Reports {
    /// From the maps of `slave_xmit`.
    pub fn by_ids(ids: &[u32]) -> Result<Self> {
        let data = named(ids)?.remove("REPORTS").ok_or_else(|| missing("REPORTS"))?;
        typed("REPORTS", Map::RingBuf(data)).map(Self)
    }

    /// All that there are.
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

fn all(map: &Groups) -> Result<Vec<(Group, Members)>> {
    let entries: std::result::Result<Vec<_>, _> = map.iter().collect();
    let entries = entries.map_err(ebpf(READ.0, READ.1))?;
    Ok(entries.into_iter().map(|(group, members)| (group.0, members.0)).collect())
}
