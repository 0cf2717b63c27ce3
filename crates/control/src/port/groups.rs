//! Which multicast groups do devices receive, and how does a master come to receive those of its slaves?
//!
//! Many network cards pass up only the groups that they were told to receive. A group that a slave joins, the master must
//! receive, as with the kernel's own driver. A group that the master received before stays when the slaves are gone.

use crate::error::{Error, Result, io_error};
use crate::kernel::multicast;
use crate::kernel::netlink::Netlink;
use crate::port::tables::PortMaps;
use ipvl_core::{IfIndex, Mac, Members, Slot};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// All multicast lists of a netns, with the entries of AF_PACKET and `ip maddr add`.
const LISTS: &str = "/proc/thread-self/net/dev_mcast";

/// What the devices of one netns receive.
#[derive(Debug, Default)]
pub struct Lists(BTreeMap<IfIndex, BTreeMap<Mac, bool>>);

impl Lists {
    /// Those of the calling thread's netns.
    pub fn read() -> Result<Self> {
        fs::read_to_string(LISTS).map(|text| Self::parse(&text)).map_err(io_error("read", LISTS))
    }

    fn parse(text: &str) -> Self {
        let mut lists = Self::default();
        for (ifindex, mac, permanent) in text.lines().filter_map(entry) {
            lists.0.entry(ifindex).or_default().insert(mac, permanent);
        }
        lists
    }

    /// What one device receives.
    pub fn of(&self, ifindex: IfIndex) -> BTreeSet<Mac> {
        self.0.get(&ifindex).map(|list| list.keys().copied().collect()).unwrap_or_default()
    }

    /// The device was told to receive a group, or no longer.
    fn set_permanent(&mut self, ifindex: IfIndex, mac: Mac, wanted: bool) {
        let list = self.0.entry(ifindex).or_default();
        if wanted {
            list.insert(mac, true)
        } else {
            list.remove(&mac)
        };
    }

    /// Whether the device receives a group until it is told otherwise, as `ip maddr add` does.
    fn is_permanent(&self, ifindex: IfIndex, mac: Mac) -> bool {
        self.0.get(&ifindex).and_then(|list| list.get(&mac)).copied().unwrap_or(false)
    }
}

/// Reads a line such as `2    eth0            1     0     01005e000001`: ifindex, name, users, whether the group is
/// permanent, group.
fn entry(line: &str) -> Option<(IfIndex, Mac, bool)> {
    let mut words = line.split_whitespace();
    let ifindex = IfIndex(words.next()?.parse().ok()?);
    let permanent = words.nth(2)? != "0";
    let digits = words.next()?.as_bytes();
    let byte = |at: usize| u8::from_str_radix(std::str::from_utf8(digits.get(at..at + 2)?).ok()?, 16).ok();
    let mut mac = Mac([0; 6]);
    for (place, value) in mac.0.iter_mut().enumerate() {
        *value = byte(place * 2)?;
    }
    (digits.len() == 12).then_some((ifindex, mac, permanent))
}

/// Takes slaves out of all groups. The caller has the lock.
pub fn remove_members(netlink: &Netlink, maps: &mut PortMaps, master: IfIndex, slots: &[Slot]) -> Result<()> {
    let mut master = Master::read(netlink, master)?;
    for (group, before) in maps.groups()? {
        let mut members = before;
        slots.iter().for_each(|slot| members.set(*slot, false));
        if members != before {
            master.set_members(maps, group.mac, members)?;
        }
    }
    Ok(())
}

/// Whether the master receives all groups with members. Others may have changed what it receives.
pub fn is_master_in_sync(maps: &PortMaps, master: IfIndex) -> Result<bool> {
    let groups = maps.groups()?;
    if groups.is_empty() {
        return Ok(true);
    }
    let lists = Lists::read()?;
    let received = |mac: Mac, members: &Members| !members.is_empty() && lists.is_permanent(master, mac);
    Ok(groups.iter().all(|(group, members)| received(group.mac, members)))
}

/// Has the master receive all groups with members, and no others for the slaves' sake. The caller has the lock.
pub fn sync_master(netlink: &Netlink, maps: &mut PortMaps, master: IfIndex) -> Result<()> {
    let mut master = Master::read(netlink, master)?;
    for (group, members) in maps.groups()? {
        master.set_members(maps, group.mac, members)?;
    }
    Ok(())
}

/// Takes all slaves out of all groups, so that the master receives none for their sake. The caller has the lock.
pub fn remove_all_members(netlink: &Netlink, maps: &mut PortMaps, master: IfIndex) -> Result<()> {
    let mut master = Master::read(netlink, master)?;
    for (group, members) in maps.groups()? {
        master.set_members(maps, group.mac, members.without_members())?;
    }
    Ok(())
}

/// Has a master receive no group any more for the sake of a port of which only one program, with these maps, is left.
pub fn release_master(master: &str, map_ids: &[u32]) -> Result<()> {
    let groups = PortMaps::groups_by_ids(map_ids)?.into_iter();
    groups.filter(|(_, members)| members.on_master == 1).try_for_each(|(group, _)| receive(master, group.mac, false))
}

/// A master, and the groups that it receives, once they have been read.
pub struct Master {
    ifindex: IfIndex,
    /// None if it is not in this netns.
    name: Option<String>,
    lists: Option<Lists>,
}

impl Master {
    /// Reads its name. What it receives is read when that is needed, and once: for many slaves use one of these.
    pub fn read(netlink: &Netlink, ifindex: IfIndex) -> Result<Self> {
        let name = netlink.link(ifindex, None)?.map(|link| link.name);
        Ok(Self { ifindex, name, lists: None })
    }

    /// Writes that a slave, which is in the groups `joined`, has joined those in `now`. If that fails, `joined` says what
    /// the table has. The caller has the lock.
    pub fn set_joined(
        &mut self,
        maps: &mut PortMaps,
        slot: Slot,
        joined: &mut BTreeSet<Mac>,
        now: &BTreeSet<Mac>,
    ) -> Result<()> {
        let changed: Vec<Mac> = joined.symmetric_difference(now).copied().collect();
        for mac in changed {
            let mut members = maps.members(mac)?;
            members.set(slot, now.contains(&mac));
            let result = self.set_members(maps, mac, members);
            let is_member = if result.is_ok() { now.contains(&mac) } else { maps.members(mac)?.has(slot) };
            if is_member {
                joined.insert(mac)
            } else {
                joined.remove(&mac)
            };
            result?;
        }
        Ok(())
    }

    /// Writes a group's members, and has the device receive the group as long as there are some. `on_master`, which says
    /// that the device receives it for the slaves' sake, is set before the device is told and cleared after: a command
    /// that is killed in between leaves nothing that is never undone.
    fn set_members(&mut self, maps: &mut PortMaps, mac: Mac, mut members: Members) -> Result<()> {
        let wanted = !members.is_empty();
        let missing = wanted && self.name.is_some() && !self.receives(mac)?;
        if missing {
            members.on_master = 1;
        }
        if wanted && maps.members(mac)? != members {
            maps.set_members(mac, &members)?;
        }
        if let Some(name) = &self.name
            && (missing || !wanted && members.on_master == 1)
        {
            receive(name, mac, wanted)?;
            if let Some(lists) = &mut self.lists {
                lists.set_permanent(self.ifindex, mac, wanted);
            }
        }
        match &self.name {
            _ if wanted => Ok(()),
            Some(_) => maps.set_members(mac, &Members::NOBODY),
            // The master is in another netns and may return: what it receives is still to be undone.
            None => maps.set_members(mac, &members),
        }
    }

    fn receives(&mut self, mac: Mac) -> Result<bool> {
        if self.lists.is_none() {
            self.lists = Some(Lists::read()?);
        }
        Ok(self.lists.as_ref().is_some_and(|lists| lists.is_permanent(self.ifindex, mac)))
    }
}

/// As `ip maddr` does. A device without a filter refuses (EINVAL), and one that is gone has nothing to receive.
fn receive(device: &str, mac: Mac, wanted: bool) -> Result<()> {
    match multicast::receive_group(device, mac, wanted) {
        Err(error) if !matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENODEV | libc::ENOENT)) => {
            let op = if wanted { "receive a group at" } else { "stop receiving a group at" };
            Err(Error::Io { op, object: format!("{device}: {mac}"), source: error })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_netns_multicast_lists_are_read() {
        let lists = Lists::parse(
            "2    eth0            1     0     01005e000001\n\
             2    eth0            2     1     333300000001\n\
             7    tun0            1     0     00\n\
             9    ipvl0           1     0     3333ff000010\n",
        );
        let group = Mac([0x33, 0x33, 0, 0, 0, 1]);
        assert_eq!(lists.of(IfIndex(2)), BTreeSet::from([Mac([1, 0, 0x5e, 0, 0, 1]), group]));
        assert_eq!((lists.of(IfIndex(7)).len(), lists.of(IfIndex(9)).len()), (0, 1));
        assert!(
            lists.is_permanent(IfIndex(2), group)
                && !lists.is_permanent(IfIndex(9), Mac([0x33, 0x33, 0xff, 0, 0, 0x10]))
        );
    }
}
