//! Which multicast groups do devices receive, and how does a master come to receive those of its slaves?
//!
//! Many network cards pass up only the groups that they were told. What slaves join, the master must receive, as with the
//! kernel's own driver; what somebody else had it receive before, stays when the slaves are gone.

use crate::error::{Error, Result, io_error};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::multicast;
use crate::kernel::netlink::Netlink;
use crate::port::Port;
use crate::port::tables::PortMaps;
use ipvl_core::{Mac, Members, Slot};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// All multicast lists of a netns, AF_PACKET's and `ip maddr add`'s entries among them.
const LISTS: &str = "/proc/thread-self/net/dev_mcast";

/// What the devices of one netns receive.
#[derive(Debug, Default)]
pub struct Lists(BTreeMap<u32, BTreeMap<Mac, bool>>);

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
    pub fn of(&self, ifindex: u32) -> BTreeSet<Mac> {
        self.0.get(&ifindex).map(|list| list.keys().copied().collect()).unwrap_or_default()
    }

    /// Whether somebody has the device receive a group until it is told otherwise, as `ip maddr add` does.
    fn is_permanent(&self, ifindex: u32, mac: Mac) -> bool {
        self.0.get(&ifindex).and_then(|list| list.get(&mac)).copied().unwrap_or(false)
    }
}

/// A line such as `2    eth0            1     0     01005e000001`: how many want the group, and whether one of them for
/// good.
fn entry(line: &str) -> Option<(u32, Mac, bool)> {
    let mut words = line.split_whitespace();
    let ifindex = words.next()?.parse().ok()?;
    let permanent = words.nth(2)? != "0";
    let digits = words.next()?.as_bytes();
    let byte = |at: usize| u8::from_str_radix(std::str::from_utf8(digits.get(at..at + 2)?).ok()?, 16).ok();
    let mut mac = Mac([0; 6]);
    for (place, value) in mac.0.iter_mut().enumerate() {
        *value = byte(place * 2)?;
    }
    (digits.len() == 12).then_some((ifindex, mac, permanent))
}

impl Port {
    /// Makes the table say that a slave, which had joined the groups `was`, has joined those in `now`. The caller has the
    /// lock.
    pub fn settle_groups(
        &mut self,
        netlink: &Netlink,
        slot: Slot,
        was: &BTreeSet<Mac>,
        now: &BTreeSet<Mac>,
    ) -> Result<()> {
        let mut master = Master::of(self, netlink)?;
        for (mac, joined) in
            was.difference(now).map(|mac| (mac, false)).chain(now.difference(was).map(|mac| (mac, true)))
        {
            let mut members = self.maps.members(*mac)?;
            members.set(slot, joined);
            master.settle(&mut self.maps, *mac, members)?;
        }
        Ok(())
    }

    /// Takes slaves, by host end and slot, out of all tables. The caller has the lock.
    pub fn vacate(&mut self, netlink: &Netlink, slaves: &[(u32, Slot)]) -> Result<()> {
        if slaves.is_empty() {
            return Ok(());
        }
        self.maps.vacate(slaves)?;
        let mut master = Master::of(self, netlink)?;
        for (group, before) in self.maps.groups()? {
            let mut members = before;
            slaves.iter().for_each(|(_, slot)| members.set(*slot, false));
            if members != before {
                master.settle(&mut self.maps, group.mac, members)?;
            }
        }
        Ok(())
    }

    /// The same, for one of which it is known what it has joined.
    pub fn vacate_joined(
        &mut self,
        netlink: &Netlink,
        host_end: u32,
        slot: Slot,
        joined: &BTreeSet<Mac>,
    ) -> Result<()> {
        self.maps.vacate(&[(host_end, slot)])?;
        self.settle_groups(netlink, slot, joined, &BTreeSet::new())
    }

    /// Compares what the master receives with what it should, after whatever others did to it. The caller has the lock.
    pub fn mend_groups(&mut self, netlink: &Netlink) -> Result<()> {
        let mut master = Master::of(self, netlink)?;
        for (group, members) in self.maps.groups()? {
            master.settle(&mut self.maps, group.mac, members)?;
        }
        Ok(())
    }

    /// The same, with the lock taken only if there is something to do.
    pub fn check_groups(&mut self, netlink: &Netlink) -> Result<()> {
        let groups = self.maps.groups()?;
        if groups.is_empty() || self.is_departed() {
            return Ok(());
        }
        let lists = Lists::read()?;
        let good = |mac: Mac, members: &Members| !members.is_empty() && lists.is_permanent(self.master, mac);
        if groups.iter().all(|(group, members)| good(group.mac, members)) {
            return Ok(());
        }
        let _lock = Lock::acquire(LOCK_WAIT)?;
        self.mend_groups(netlink)
    }

    /// Has the master receive nothing for slaves any more. The caller has the lock.
    pub fn leave_groups(&mut self, netlink: &Netlink) -> Result<()> {
        let mut master = Master::of(self, netlink)?;
        for (group, members) in self.maps.groups()? {
            master.settle(&mut self.maps, group.mac, members.deserted())?;
        }
        Ok(())
    }
}

/// Has a master receive nothing any more for a port of which one program is left.
pub fn leave_groups_of(master: &str, map_ids: &[u32]) -> Result<()> {
    let groups = PortMaps::groups_by_ids(map_ids)?.into_iter();
    groups.filter(|(_, members)| members.on_master == 1).try_for_each(|(group, _)| receive(master, group.mac, false))
}

/// A master, and what it receives as far as somebody has looked.
struct Master {
    ifindex: u32,
    /// None of one that is not here.
    name: Option<String>,
    lists: Option<Lists>,
}

impl Master {
    fn of(port: &Port, netlink: &Netlink) -> Result<Self> {
        let name = netlink.link(port.master, None)?.map(|link| link.name);
        Ok(Self { ifindex: port.master, name, lists: None })
    }

    /// Writes down a group's members, and has the device receive it as long as there are some. That it is our doing is
    /// written down before it is done, and forgotten after it is undone.
    fn settle(&mut self, maps: &mut PortMaps, mac: Mac, mut members: Members) -> Result<()> {
        let wanted = !members.is_empty();
        let missing = wanted && self.name.is_some() && !self.has_for_good(mac)?;
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
        }
        match &self.name {
            _ if wanted => Ok(()),
            Some(_) => maps.set_members(mac, &Members::NOBODY),
            // Wherever the master is, it may return.
            None => maps.set_members(mac, &members),
        }
    }

    fn has_for_good(&mut self, mac: Mac) -> Result<bool> {
        if self.lists.is_none() {
            self.lists = Some(Lists::read()?);
        }
        Ok(self.lists.as_ref().is_some_and(|lists| lists.is_permanent(self.ifindex, mac)))
    }
}

/// As `ip maddr`. A device that filters nothing cannot be told what to let pass, and one that is gone needs not.
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
        assert_eq!(lists.of(2), BTreeSet::from([Mac([1, 0, 0x5e, 0, 0, 1]), group]));
        assert_eq!((lists.of(7).len(), lists.of(9).len()), (0, 1));
        assert!(lists.is_permanent(2, group) && !lists.is_permanent(9, Mac([0x33, 0x33, 0xff, 0, 0, 0x10])));
    }
}
