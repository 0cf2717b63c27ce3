//! Does an owner that is up lose an address to a sibling that has it as well?
//!
//! Only while both are up, in l2, and the sibling may take over from it ([`Slave::may_take_over_from`]); and once the
//! sibling has sent something from an address that is not its own: the programs count that as `spoofed-slave`,
//! announcements included. Then the owner is asked, and keeps what it answers for.

use super::contests::Pair;
use super::inquiry::{Inquiry, Station};
use super::log::log_link_error;
use super::state::Agent;
use crate::error::Result;
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::port::host_end::{is_tap, place_of};
use crate::port::tables::PortMaps;
use ipvl_core::{Addr, Guard, IfIndex, Mode, MoveReason, Origin, Reason, Slave, Slot, link_local};
use std::collections::BTreeSet;
use std::time::Instant;

/// How many addresses are asked for at once.
const MOST_ADDRESSES: usize = 64;

/// Two slaves of which one has addresses of the other on its device, as the tables have them now.
struct Parties {
    master: IfIndex,
    claimant: (Slot, Slave),
    owner: (Slot, Slave),
}

impl Parties {
    /// Whether the owner may lose addresses by not answering.
    fn are_open(&self) -> bool {
        let answers = |slave: Slave| slave.up() && slave.mode() == Mode::L2;
        let (claimant, owner) = (self.claimant.1, self.owner.1);
        answers(claimant) && answers(owner) && claimant.may_take_over_from(owner)
    }

    /// How many packets from addresses of others the claimant has sent. Without a guard none is counted: then it is taken to
    /// have sent one more each time.
    fn spoofed(&self, maps: &PortMaps, before: u64) -> Result<u64> {
        match self.claimant.1.guard() {
            Guard::Off => Ok(before + 1),
            _ => maps.drops_of(self.claimant.0, Reason::SpoofedSlave),
        }
    }
}

impl Agent {
    /// Has owners yield that were silent, and begins to ask those that it is time to ask.
    pub fn judge_contests(&mut self) {
        for (pair, inquiry) in self.contests.take_done() {
            if let Err(error) = self.judge(pair, inquiry.result()) {
                log_link_error(pair.owner, &error);
            }
        }
        for pair in self.contests.take_due(Instant::now()) {
            if let Err(error) = self.look(pair) {
                log_link_error(pair.owner, &error);
            }
        }
    }

    /// Asks the owner if it is time to. A slave may have thousands of addresses of others: they are looked at last.
    fn look(&mut self, pair: Pair) -> Result<()> {
        let Some(parties) = self.parties(pair)? else {
            self.contests.remove(pair);
            return Ok(());
        };
        if !parties.are_open() || !self.has_announced(pair, &parties)? || !self.contests.has_room(pair.claimant) {
            return Ok(());
        }
        let addrs = self.contested(pair, &parties)?;
        if addrs.is_empty() {
            self.contests.remove(pair);
        } else if let Some(inquiry) = self.inquire(pair, &parties, addrs)? {
            self.contests.begin(pair, inquiry);
        }
        Ok(())
    }

    /// Gives the claimant the addresses for which the owner was silent.
    fn judge(&mut self, pair: Pair, silent: Result<BTreeSet<Addr>>) -> Result<()> {
        let _lock = Lock::acquire(LOCK_WAIT)?;
        let Some(parties) = self.parties(pair)? else { return Ok(()) };
        let spoofed = parties.spoofed(&self.ports[&parties.master].maps, self.contests.spoofed(pair))?;
        self.contests.settle(pair, spoofed, Instant::now());
        let (silent, contested) = (silent?, self.contested(pair, &parties)?);
        let slots = (parties.owner.0, parties.claimant.0);
        for addr in silent.intersection(&contested).filter(|_| parties.are_open()) {
            self.hand_over(*addr, parties.master, pair, slots, MoveReason::Silent)?;
        }
        Ok(())
    }

    /// None if one of them is gone, or the claimant has no address of others any more.
    fn parties(&self, Pair { claimant, owner }: Pair) -> Result<Option<Parties>> {
        let (Some(claimant), Some(owner)) = (self.registry.slave(claimant), self.registry.slave(owner)) else {
            return Ok(None);
        };
        let contest = claimant.master == owner.master && !claimant.refused.is_empty();
        let Some(port) = self.ports.get(&owner.master).filter(|_| contest) else { return Ok(None) };
        let slave = |slot| port.maps.slave(slot).map(|slave| (slot, slave));
        let (claimant, owner) = (slave(claimant.slot)?, slave(owner.slot)?);
        Ok(Some(Parties { master: port.master, claimant, owner }))
    }

    /// Addresses on the claimant's device that the owner has because they are on its own; not all, if there are many.
    fn contested(&self, pair: Pair, parties: &Parties) -> Result<BTreeSet<Addr>> {
        let (maps, wanted) = (&self.ports[&parties.master].maps, (parties.owner.0, Origin::Device));
        let mut addrs = BTreeSet::new();
        for addr in self.registry.slave(pair.claimant).into_iter().flat_map(|slave| &slave.refused) {
            if maps.owner(*addr)?.is_some_and(|entry| (entry.slot, entry.origin()) == wanted) {
                addrs.insert(*addr);
            }
            if addrs.len() == MOST_ADDRESSES {
                break;
            }
        }
        Ok(addrs)
    }

    /// Whether the claimant has sent something from an address of others since the owner was last asked.
    fn has_announced(&self, pair: Pair, parties: &Parties) -> Result<bool> {
        let before = self.contests.spoofed(pair);
        Ok(parties.spoofed(&self.ports[&parties.master].maps, before)? > before)
    }

    /// Begins to ask both; none if one of them is gone or its netns cannot be entered.
    fn inquire(&mut self, pair: Pair, parties: &Parties, addrs: BTreeSet<Addr>) -> Result<Option<Inquiry>> {
        let mac = self.ports[&parties.master].maps.port()?.mac;
        let owner = self.station(pair.owner, link_local(mac, parties.owner.0))?;
        let claimant = self.station(pair.claimant, link_local(mac, parties.claimant.0))?;
        let (Some(owner), Some(claimant)) = (owner, claimant) else { return Ok(None) };
        Inquiry::start(owner, claimant, addrs, mac).map(Some)
    }

    fn station(&mut self, host_end: IfIndex, link_local: Addr) -> Result<Option<Station>> {
        let Some(link) = self.netlink.link(host_end, None)? else { return Ok(None) };
        let Some(place) = place_of(&link) else { return Ok(None) };
        let netns = place.netns.map(|nsid| self.finder.find(&self.netlink, nsid)).transpose()?;
        let unreachable = netns.as_ref().is_some_and(Option::is_none);
        let station =
            || Station { host_end, device: place.ifindex, netns: netns.flatten(), tap: is_tap(&link), link_local };
        Ok((!unreachable).then(station))
    }
}
