//! Which masters are in another netns, and is a link that arrived one of them?

use crate::kernel::netlink::LinkInfo;
use crate::place::{NsId, Place};
use ipvl_core::IfIndex;
use std::collections::BTreeMap;

/// Masters that are in another netns, and links that may be one of them with another ifindex.
#[derive(Default)]
pub struct DepartedMasters {
    /// By the ifindex that they had here: the netns they went to, and their ifindex there, if that is known.
    gone: BTreeMap<IfIndex, Option<Place>>,
    /// By the ifindex that they will have here, as the kernel announced it: the ifindex that they had here.
    coming: BTreeMap<IfIndex, IfIndex>,
    /// Links that arrived since: the ifindex that they had here, if that is known.
    arrived: BTreeMap<IfIndex, Option<IfIndex>>,
}

impl DepartedMasters {
    /// This master is in another netns; it is not known which.
    pub fn add(&mut self, master: IfIndex) {
        self.gone.entry(master).or_default();
    }

    /// This master is here.
    pub fn remove(&mut self, master: IfIndex) {
        self.gone.remove(&master);
    }

    /// Whether this master is in another netns.
    pub fn contains(&self, master: IfIndex) -> bool {
        self.gone.contains_key(&master)
    }

    /// Notes an event about a master: it left this netns, or it is here.
    pub fn note_master(&mut self, link: &LinkInfo) {
        let master = link.ifindex;
        if link.moved {
            let ifindex = link.new_ifindex.unwrap_or(master);
            self.gone.insert(master, link.new_netnsid.map(|nsid| Place { netns: Some(nsid), ifindex }));
        } else {
            self.remove(master);
        }
    }

    /// Notes an event about a link of this netns that is no master: it may be one that returned.
    pub fn note_here(&mut self, link: &LinkInfo) {
        if !self.gone.is_empty() {
            self.arrived.insert(link.ifindex, self.coming.remove(&link.ifindex));
        }
    }

    /// Notes an event about a link of another netns. If a departed master leaves that netns, the kernel next reports a
    /// link with its new ifindex: here, or in a third netns.
    pub fn note_elsewhere(&mut self, nsid: NsId, link: &LinkInfo) {
        let place = Some(Place { netns: Some(nsid), ifindex: link.ifindex });
        let Some(master) = self.gone.iter().find(|(_, at)| **at == place).map(|(master, _)| *master) else { return };
        if let (true, Some(ifindex)) = (link.moved, link.new_ifindex) {
            self.gone.insert(master, None);
            self.coming.insert(ifindex, master);
        }
    }

    /// A link that arrived could not be looked at.
    pub fn put_back(&mut self, link: IfIndex, was: Option<IfIndex>) {
        self.arrived.insert(link, was);
    }

    /// The links that arrived since the last call, each with the ifindex that it had here, if that is known.
    pub fn take_arrived(&mut self) -> BTreeMap<IfIndex, Option<IfIndex>> {
        std::mem::take(&mut self.arrived)
    }
}
