//! Which slaves of our kernel module were reported, with which addresses, and what is different now? No agent has them, and
//! their events come from many namespaces, also from some that have no id here yet: so they are read anew after each event.

use super::watched::differences;
use crate::error::Result;
use crate::kernel::netlink::{Event, IpvlanInfo, Netlink, What};
use crate::model::{AddressEntry, Link, MonitorEvent};
use crate::place::{NsId, Place};
use crate::read::inside::{self, Inside};
use ipvl_core::IfIndex;
use std::collections::{BTreeSet, HashMap};

/// What was reported.
#[derive(Default)]
pub struct ReportedModule {
    slaves: Vec<Link>,
    /// The module's slaves, and the host as they see it.
    addresses: Vec<AddressEntry>,
}

impl ReportedModule {
    /// What is there.
    pub fn new(slaves: Vec<Link>, addresses: Vec<AddressEntry>) -> Self {
        Self { slaves, addresses }
    }

    /// Reads what is there; `name_of` knows the names of namespaces. The host's addresses on `masters` are reported with pairs.
    pub fn read(
        netlink: &Netlink,
        masters: &[IfIndex],
        mut name_of: impl FnMut(NsId) -> Option<String>,
    ) -> Result<Self> {
        let inside = inside::read(netlink)?;
        let ids: BTreeSet<NsId> = inside.iter().filter_map(Inside::netnsid).collect();
        let names: HashMap<NsId, String> = ids.into_iter().filter_map(|id| Some((id, name_of(id)?))).collect();
        let addresses = inside::addresses(netlink, &inside, masters);
        Ok(Self::new(inside.iter().map(|slave| slave.link(&names)).collect(), addresses))
    }

    /// Whether an event may be about a slave of the module, so that they are to be read anew.
    pub fn may_change_by(&self, event: &Event) -> bool {
        let at = |ifindex| Place { netns: event.nsid, ifindex };
        match &event.what {
            What::NewLink(link) | What::DelLink(link) => {
                link.ipvlan.as_ref().is_some_and(IpvlanInfo::is_of_our_module) || self.has(at(link.ifindex))
            }
            What::NewAddress(address) | What::DelAddress(address) => self.has(at(address.ifindex)),
            _ => false,
        }
    }

    /// Whether a slave has its device at this place.
    fn has(&self, at: Place) -> bool {
        self.slaves.iter().any(|link| place(link) == at)
    }

    /// Takes over what was read, and returns what is to be reported.
    pub fn replace(&mut self, new: Self) -> Vec<MonitorEvent> {
        let mut reports = Vec::new();
        let mut unmatched: Vec<&Link> = new.slaves.iter().collect();
        for old in &self.slaves {
            match take_same(&mut unmatched, old, &self.slaves) {
                Some(now) => reports.extend(differences(old, now)),
                None => reports.push(MonitorEvent::LinkDeleted(Box::new(old.clone()))),
            }
        }
        let links = unmatched.into_iter().map(|link| MonitorEvent::LinkAdded(Box::new(link.clone())));
        reports.extend(links);
        let missing = |from: &[AddressEntry], other: &[AddressEntry]| -> Vec<AddressEntry> {
            from.iter().filter(|entry| !other.contains(entry)).cloned().collect()
        };
        reports.extend(missing(&self.addresses, &new.addresses).into_iter().map(MonitorEvent::AddressDeleted));
        reports.extend(missing(&new.addresses, &self.addresses).into_iter().map(MonitorEvent::AddressAdded));
        *self = new;
        reports
    }
}

fn place(link: &Link) -> Place {
    Place { netns: link.netnsid, ifindex: link.ifindex }
}

/// Takes the slave that `old` is now: the one at its place, or the one of its name that has moved to where none was `before`.
fn take_same<'a>(unmatched: &mut Vec<&'a Link>, old: &Link, before: &[Link]) -> Option<&'a Link> {
    let here = |link: &&Link| place(link) == place(old) && link.master == old.master;
    let is_new = |link: &Link| !before.iter().any(|other| place(other) == place(link));
    let moved = |link: &&Link| link.name == old.name && link.master == old.master && is_new(link);
    let found = unmatched.iter().position(here).or_else(|| unmatched.iter().position(moved))?;
    Some(unmatched.swap_remove(found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::netlink::LinkInfo;
    use crate::model::{AddressStatus, Property};
    use crate::read::shown::alone;
    use ipvl_core::Addr;

    fn slave(netns: i32, ifindex: u32, name: &str) -> Link {
        let device = LinkInfo { ifindex: IfIndex(ifindex), name: name.to_owned(), ..LinkInfo::default() };
        Link { netnsid: Some(NsId(netns)), ..alone(&device, (IfIndex(2), "eth0".to_owned())) }
    }

    #[test]
    fn a_slave_that_moves_is_the_same_and_another_of_its_name_is_not() {
        let mut reported = ReportedModule::new(vec![slave(0, 5, "a"), slave(1, 5, "a")], Vec::new());
        let reports = reported.replace(ReportedModule::new(vec![slave(1, 5, "a"), slave(2, 7, "a")], Vec::new()));
        let [MonitorEvent::LinkChanged { what, .. }] = &reports[..] else { panic!("{reports:?}") };
        assert_eq!(*what, Property::Netns);
        let reports = reported.replace(ReportedModule::new(vec![slave(1, 5, "a")], Vec::new()));
        assert!(matches!(&reports[..], [MonitorEvent::LinkDeleted(link)] if link.ifindex == IfIndex(7)), "{reports:?}");
        assert!(reported.has(Place { netns: Some(NsId(1)), ifindex: IfIndex(5) }));
    }

    #[test]
    fn addresses_come_and_go() {
        let entry = |last| AddressEntry {
            addr: Addr::v4([10, 0, 0, last]),
            prefix_len: 32,
            slave: Some("a".to_owned()),
            master: "eth0".to_owned(),
            status: AddressStatus::Device,
            owner: None,
        };
        let mut reported = ReportedModule::new(Vec::new(), vec![entry(1), entry(2)]);
        let reports = reported.replace(ReportedModule::new(Vec::new(), vec![entry(2), entry(3)]));
        assert_eq!(reports, [MonitorEvent::AddressDeleted(entry(1)), MonitorEvent::AddressAdded(entry(3))]);
    }
}
