//! Who has joined which multicast group? What a slave's own kernel says, read again whenever something may have changed.
//!
//! Since Linux 6.14 the kernel tells of joins. Before that, our programs see reports of IGMP and MLD and pass on who sent
//! one. Neither tells of `ip maddr` or of packet sockets, so every slave is read again now and then as well.

use super::registry::Hearing;
use super::{Agent, complain, report};
use crate::error::Result;
use crate::kernel::lock::{LOCK_WAIT, Lock};
use crate::kernel::netlink::{Event, Events, LinkInfo, What};
use crate::kernel::netns;
use crate::port::groups::Lists;
use crate::slave::find::is_tap;
use ipvl_core::{Addr, Mac, Mode, Slave, Slot, State};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// More groups than this no slave takes from the table that all share: one that wants more gets everything.
const MOST_GROUPS: usize = 1024;
/// Set to `kernel` or `reports` to learn in that way alone.
const CHOICE: &str = "IPVL_GROUPS";
/// How long a join that nothing tells of may go unseen while there are few slaves.
const SWEEP: Duration = Duration::from_secs(2);
/// How many slaves are read again in one sweep.
const PER_SWEEP: usize = 256;
/// Whoever joins and leaves groups without end shall not keep us from everything else.
const EVENTS_A_TURN: usize = 1024;

/// How the agent learns that somebody may have joined or left.
pub(super) struct Ways {
    /// From the kernel.
    pub kernel: Option<Events>,
    /// From our programs.
    reports: bool,
    /// By looking.
    sweep: Option<Sweep>,
}

impl Ways {
    pub(super) fn choose() -> Result<Self> {
        let choice = std::env::var(CHOICE).ok();
        let kernel = if choice.as_deref() == Some("reports") { None } else { Events::open_groups()? };
        let reports = kernel.is_none() && choice.as_deref() != Some("kernel");
        let sweep = choice.is_none().then(|| Sweep::after(0));
        Ok(Self { kernel, reports, sweep })
    }
}

/// When slaves are read again that nothing tells of.
#[derive(Clone, Copy)]
struct Sweep {
    due: Instant,
    /// The last host end that was looked at.
    last: u32,
}

impl Sweep {
    fn after(last: u32) -> Self {
        Self { due: Instant::now() + SWEEP, last }
    }
}

/// What a slave gets by itself, whatever it has joined.
pub(super) fn hearing(slave: &LinkInfo, place: super::registry::Place, entry: Slave, declared: bool) -> Hearing {
    const BOTH: u32 = (libc::IFF_PROMISC | libc::IFF_ALLMULTI) as u32;
    let asks = slave.flags & BOTH != 0 || slave.detail.promiscuity > 0 || slave.detail.allmulti > 0;
    // Whoever has a declared address sits behind the slave, as a guest does behind its tap device: the slave's list need
    // not have his groups.
    let behind = declared || is_tap(slave);
    let (listens, answered_for) = (entry.up() && entry.mode() == Mode::L2, entry.is_answered_for());
    Hearing { place, listens, everything: asks || behind, answered_for }
}

impl Agent {
    /// Notes whose groups may have changed.
    pub(super) fn note_groups(&mut self) -> Result<()> {
        for _ in 0..EVENTS_A_TURN {
            let Some(news) = self.ways.kernel.as_mut() else { break };
            let Some(Event { nsid, what }) = news.next()? else { break };
            match what {
                What::Groups(ifindex) => self.dirty.groups.extend(self.registry.at((nsid, ifindex))),
                What::Overrun => self.dirty.groups.extend(self.registry.host_ends()),
                _ => {}
            }
        }
        for port in self.ports.values_mut() {
            for slot in port.reports() {
                self.dirty.groups.extend(self.registry.in_slot(port.master, slot));
            }
        }
        self.sweep();
        Ok(())
    }

    /// Has the programs of a port tell us what the kernel does not.
    pub(super) fn listen_to_reports(&mut self) {
        if !self.ways.reports {
            return;
        }
        for port in self.ports.values_mut() {
            if let Err(error) = port.listen_to_reports() {
                complain("reports of multicast groups", &error);
            }
        }
    }

    fn sweep(&mut self) {
        let Some(Sweep { last, .. }) = self.ways.sweep.filter(|sweep| sweep.due <= Instant::now()) else { return };
        let host_ends = self.registry.host_ends();
        let after: Vec<u32> = host_ends.iter().copied().filter(|host_end| *host_end > last).collect();
        let mut next = if after.is_empty() { host_ends } else { after };
        next.truncate(PER_SWEEP);
        self.ways.sweep = Some(Sweep::after(next.last().copied().unwrap_or(0)));
        self.dirty.groups.extend(next);
        for port in self.ports.values_mut() {
            if let Err(error) = port.check_groups(&self.netlink) {
                report(port.master, &error);
            }
        }
    }

    /// Reads what slaves have joined, in one visit to each netns, and writes what differs.
    pub(super) fn sync_groups(&mut self, host_ends: BTreeSet<u32>) {
        let mut by_netns: BTreeMap<Option<i32>, Vec<(u32, Hearing)>> = BTreeMap::new();
        for host_end in host_ends {
            if let Some(hearing) = self.registry.slave(host_end).and_then(|known| known.hearing) {
                by_netns.entry(hearing.place.0).or_default().push((host_end, hearing));
            }
        }
        for (nsid, slaves) in by_netns {
            let listens = slaves.iter().any(|(_, hearing)| hearing.listens);
            let lists = if listens { self.lists_in(nsid) } else { None };
            for (host_end, hearing) in slaves {
                if let Err(error) = self.settle_groups(host_end, hearing, lists.as_ref()) {
                    report(host_end, &error);
                }
            }
        }
    }

    /// The lists of a netns; none if we cannot enter it.
    fn lists_in(&mut self, nsid: Option<i32>) -> Option<Lists> {
        let Some(nsid) = nsid else { return Lists::read().ok() };
        let netns = self.finder.find(&self.netlink, nsid).ok()??;
        netns::within(netns, Lists::read).ok()?.ok()
    }

    fn settle_groups(&mut self, host_end: u32, hearing: Hearing, lists: Option<&Lists>) -> Result<()> {
        let Some((master, slot)) = self.registry.slave(host_end).map(|known| (known.master, known.slot)) else {
            return Ok(());
        };
        let was = self.registry.groups(master, slot);
        let listed = lists.map(|lists| lists.of(hearing.place.1)).filter(|groups| groups.len() <= MOST_GROUPS);
        let mut everything = hearing.everything || listed.is_none();
        let groups = match listed {
            _ if hearing.answered_for => {
                self.registry.claims(master, slot).into_iter().filter_map(solicited_node).collect()
            }
            _ if !hearing.listens => BTreeSet::new(),
            Some(groups) => groups,
            None => was.clone(),
        };
        if groups != was {
            everything |= self.write_groups(host_end, master, slot, &was, &groups).is_err();
        }
        if hearing.listens { self.write_all_groups(master, slot, host_end, everything) } else { Ok(()) }
    }

    /// If the table has no room, the slave gets everything instead.
    fn write_groups(
        &mut self,
        host_end: u32,
        master: u32,
        slot: Slot,
        was: &BTreeSet<Mac>,
        now: &BTreeSet<Mac>,
    ) -> Result<()> {
        let Some(port) = self.ports.get_mut(&master) else { return Ok(()) };
        let _lock = Lock::acquire(LOCK_WAIT)?;
        if port.maps.slot_of(host_end)? == Some(slot) {
            port.settle_groups(&self.netlink, slot, was, now)?;
        }
        self.registry.set_groups(master, slot, now.clone());
        Ok(())
    }

    fn write_all_groups(&mut self, master: u32, slot: Slot, host_end: u32, all_groups: bool) -> Result<()> {
        let Some(port) = self.ports.get_mut(&master) else { return Ok(()) };
        if port.maps.slave(slot)?.state().all_groups == all_groups {
            return Ok(());
        }
        let _lock = Lock::acquire(LOCK_WAIT)?;
        let now = port.maps.slave(slot)?;
        if now.host_end != host_end {
            return Ok(());
        }
        port.maps.set_slave(slot, now.with_state(State { all_groups, ..now.state() }))
    }
}

/// The group that is asked for an IPv6 address (RFC 4291, 2.7.1).
fn solicited_node(addr: Addr) -> Option<Mac> {
    let Addr([.., a, b, c]) = addr;
    addr.as_v4().is_none().then_some(Mac([0x33, 0x33, 0xff, a, b, c]))
}
