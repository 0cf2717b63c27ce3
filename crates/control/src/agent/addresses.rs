//! How does the address table agree with the slaves' devices and with the host's own addresses?

use super::contests::Pair;
use super::log::log_move;
use super::retries::Task;
use super::state::Agent;
use crate::error::{Result, refused};
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::port::Port;
use crate::port::host::{self, HostAddresses};
use crate::port::tables::Claim;
use crate::refusal::Refusal;
use crate::slave::find;
use crate::slave::routes::Prefix;
use ipvl_core::{Addr, IfIndex, MoveReason, Origin, OwnerEntry, Slot};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

impl Agent {
    /// Makes the table agree with the slave's device. An address that two slaves have belongs to the first.
    pub fn sync_addresses(
        &mut self,
        host_end: IfIndex,
        master: IfIndex,
        slot: Slot,
        addrs: &BTreeSet<Addr>,
    ) -> Result<()> {
        let present = self.registry.addresses(master, slot);
        let room = self.room_of(host_end);
        let most = if present.len() > room { present.iter().copied().take(room).collect() } else { present.clone() };
        let kept: BTreeSet<Addr> = most.intersection(addrs).copied().collect();
        let fresh: Vec<Addr> = addrs.difference(&present).copied().collect();
        if kept.len() == present.len() && fresh.is_empty() {
            self.registry.set_refused(host_end, BTreeSet::new());
            self.retries.done(Task::Room(host_end));
            return Ok(());
        }
        let _lock = Lock::acquire(LOCK_WAIT)?;
        let gone: BTreeSet<Addr> = present.difference(&kept).copied().collect();
        let released = self.release(master, slot, &gone);
        let claimed = self.claim(host_end, master, slot, (room.saturating_sub(kept.len()), fresh));
        self.registry.recount(host_end, present.len());
        released.and(claimed)
    }

    /// Whether another address of this slave could be entered, as far as the quota of its netns goes.
    pub fn has_room(&self, host_end: IfIndex) -> bool {
        self.room_of(host_end) > self.registry.held(host_end)
    }

    /// How many addresses this slave may have, beside the others in its netns.
    fn room_of(&self, host_end: IfIndex) -> usize {
        self.quota.saturating_sub(self.registry.held_beside(host_end))
    }

    /// Releases addresses that are no longer on the slave's device. Others may have them now.
    fn release(&mut self, master: IfIndex, slot: Slot, gone: &BTreeSet<Addr>) -> Result<()> {
        let Some(port) = self.ports.get_mut(&master) else { return Ok(()) };
        let own = |entry: OwnerEntry| (entry.slot, entry.origin()) == (slot, Origin::Device);
        let mut free = BTreeSet::new();
        let mut result = Ok(());
        for addr in gone {
            let released = port.maps.owner(*addr).and_then(|entry| match entry.is_some_and(own) {
                true => port.maps.release(*addr).map(|()| free.insert(*addr)),
                false => Ok(false),
            });
            match released {
                Ok(_) => self.registry.remove_address(master, slot, *addr),
                Err(error) => result = Err(error),
            }
        }
        self.offer(&free);
        if !free.is_empty() {
            self.dirty.host_ends.extend(self.registry.without_room(master));
        }
        result
    }

    /// Enters addresses of the slave's device, as many as its netns may have.
    fn claim(
        &mut self,
        host_end: IfIndex,
        master: IfIndex,
        slot: Slot,
        (room, fresh): (usize, Vec<Addr>),
    ) -> Result<()> {
        let entry = OwnerEntry::slave(slot, Origin::Device);
        let (mut refusals, mut held, mut full, mut result) = (BTreeSet::new(), 0, 0, Ok(()));
        for addr in fresh {
            let claim = if held < room { self.claim_one(host_end, master, addr, entry) } else { Ok(Claim::NoRoom) };
            match claim {
                Ok(Claim::Held) => {
                    held += 1;
                    self.registry.add_address(master, slot, addr);
                }
                Ok(claim) => {
                    full += usize::from(claim == Claim::NoRoom);
                    refusals.insert(addr);
                }
                Err(error) => result = Err(error),
            }
        }
        self.registry.set_refused(host_end, refusals);
        self.registry.set_without_room(host_end, full > 0);
        self.tell_of_room(host_end, full, held >= room);
        result
    }

    /// Enters one address. An owner yields it while its device is down; one that is up may have to answer for it.
    fn claim_one(&mut self, host_end: IfIndex, master: IfIndex, addr: Addr, entry: OwnerEntry) -> Result<Claim> {
        let Some(port) = self.ports.get_mut(&master) else { return Ok(Claim::Taken) };
        match port.maps.claim(addr, entry)? {
            Claim::Held => port.maps.confirm(addr, entry).map(|()| Claim::Held),
            Claim::Taken => self.claim_from_owner(host_end, master, addr, entry),
            Claim::NoRoom => Ok(Claim::NoRoom),
        }
    }

    /// Enters an address that another owns, if that is a slave which yields it.
    fn claim_from_owner(&mut self, host_end: IfIndex, master: IfIndex, addr: Addr, entry: OwnerEntry) -> Result<Claim> {
        let Some(port) = self.ports.get(&master) else { return Ok(Claim::Taken) };
        let Some(before) = port.maps.owner(addr)? else { return Ok(Claim::Taken) };
        if before.slot == OwnerEntry::HOST || before.origin() != Origin::Device {
            return Ok(Claim::Taken);
        }
        let (claimant, owner) = (port.maps.slave(entry.slot)?, port.maps.slave(before.slot)?);
        let pair = Pair { claimant: host_end, owner: owner.host_end };
        if claimant.may_take_over_from(owner) && !owner.up() && self.is_only_the_claimant_up(pair) {
            self.hand_over(addr, master, pair, (before.slot, entry.slot), MoveReason::Down)?;
            return Ok(Claim::Held);
        }
        self.contests.note(pair, Instant::now());
        Ok(Claim::Taken)
    }

    /// Whether the owner's device is down and the claimant's is up. The devices themselves are asked: while the master has
    /// no carrier, all slaves are down in the table.
    fn is_only_the_claimant_up(&self, pair: Pair) -> bool {
        let is_up = |host_end| find::peer(&self.netlink, host_end).ok().flatten().map(|device| device.is_up());
        (is_up(pair.owner), is_up(pair.claimant)) == (Some(false), Some(true))
    }

    /// Gives an address of the owner, in slot `from`, to the claimant, in slot `to`. The caller has the lock.
    pub fn hand_over(
        &mut self,
        addr: Addr,
        master: IfIndex,
        pair: Pair,
        (from, to): (Slot, Slot),
        why: MoveReason,
    ) -> Result<()> {
        let Some(port) = self.ports.get_mut(&master) else { return Ok(()) };
        port.maps.assign(addr, OwnerEntry::slave(to, Origin::Device).moved(from, why))?;
        self.registry.remove_address(master, from, addr);
        self.dirty.host_ends.insert(pair.owner);
        // Among them the claimant; others contest it with another owner now.
        self.offer(&BTreeSet::from([addr]));
        log_move(addr, pair, why);
        Ok(())
    }

    /// Reports that addresses of a slave found no room, and tries again later: a command may make room, which no event says.
    fn tell_of_room(&mut self, host_end: IfIndex, full: usize, quota: bool) {
        if full == 0 {
            return self.retries.done(Task::Room(host_end));
        }
        let refusal = if quota { Refusal::Quota(self.quota) } else { Refusal::NoRoom };
        self.failed(Task::Room(host_end), &refused("enter", "all addresses of a slave in the table", refusal));
    }

    /// Makes the tables agree with the host's own addresses, which no slave can own.
    pub fn sync_host_addresses(&mut self) -> Result<()> {
        let _lock = Lock::acquire(LOCK_WAIT)?;
        let addresses = HostAddresses::read(&self.netlink)?;
        let mut result = Ok(());
        for port in self.ports.values_mut() {
            let mut evicted = Vec::new();
            let written = host::write_addresses(&mut port.maps, port.master, &addresses, &mut evicted);
            for (slot, addr) in evicted {
                self.registry.remove_address(port.master, slot, addr);
                self.dirty.host_ends.extend(self.registry.in_slot(port.master, slot));
            }
            result = result.and(written);
        }
        self.dirty.host_ends.extend(self.registry.in_conflict());
        result
    }

    /// Reads what is declared. No event reports it; the command that declares it asks the agent to sync the slave.
    pub fn read_declared(&mut self) -> Result<()> {
        for port in self.ports.values() {
            self.registry.set_declared(port.master, declared(port)?);
        }
        Ok(())
    }
}

impl Agent {
    /// Reads whether a command gave addresses of these slaves to others (`ipvl addr replace`).
    pub fn read_moved(&mut self, host_ends: &BTreeSet<IfIndex>) -> Result<()> {
        for host_end in host_ends {
            let Some((master, slot)) = self.registry.slave(*host_end).map(|slave| (slave.master, slave.slot)) else {
                continue;
            };
            let Some(port) = self.ports.get(&master) else { continue };
            let mut moved = self.registry.addresses(master, slot);
            for addr in moved.clone() {
                match port.maps.owner(addr)?.is_some_and(|owner| owner.slot != slot) {
                    true => self.registry.remove_address(master, slot, addr),
                    false => _ = moved.remove(&addr),
                }
            }
            self.offer(&moved);
        }
        Ok(())
    }
}

/// What is declared, by slot, with lengths in bits of the address's own family.
fn declared(port: &Port) -> Result<BTreeMap<Slot, BTreeSet<Prefix>>> {
    let mut by_slot: BTreeMap<Slot, BTreeSet<Prefix>> = BTreeMap::new();
    for (addr, bits, entry) in port.maps.owned()?.into_iter().filter(|(_, _, entry)| entry.origin() == Origin::Declared)
    {
        by_slot.entry(entry.slot).or_default().insert((addr, addr.len_of(bits)));
    }
    Ok(by_slot)
}
