//! What are the slaves and labels called that rules are about?

use crate::error::Result;
use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::policy_words::{GONE, PolicyPeer, PolicyRule};
use crate::port::Port;
use crate::port::programs::host_ends_of;
use crate::port::tables::PolicyMaps;
use crate::slave::peers::Peers;
use ipvl_core::policy::{PeerKind, Rule};
use ipvl_core::{IfIndex, Slot};
use std::collections::BTreeMap;

/// What is asked about a policy when a frame is explained.
pub struct Names {
    /// The names of slaves.
    pub slaves: BTreeMap<Slot, String>,
    /// The names of labels, by bit.
    pub labels: Vec<String>,
}

impl Names {
    /// Reads them.
    pub fn read(netlink: &Netlink, port: &Port, maps: &PolicyMaps) -> Result<Self> {
        let mut slaves = BTreeMap::new();
        let host_ends = host_ends_of(netlink, port.master)?.into_iter();
        let host_ends: BTreeMap<IfIndex, LinkInfo> = host_ends.map(|link| (link.ifindex, link)).collect();
        let peers = Peers::list(netlink, host_ends.values());
        let mut host_end_names = BTreeMap::new();
        for (host_end, slot) in port.maps.slots()? {
            let link = host_ends.get(&host_end);
            let device = link.and_then(|link| peers.device(netlink, link));
            slaves.insert(slot, device.map_or_else(|| GONE.to_owned(), |device| device.name));
            link.into_iter().for_each(|link| _ = host_end_names.insert(slot, link.name.clone()));
        }
        Ok(Self { slaves: told_apart(slaves, &host_end_names), labels: maps.label_names()? })
    }

    /// A rule in words.
    pub fn in_words(&self, rule: &Rule) -> PolicyRule {
        let peer = match rule.peer() {
            PeerKind::Any => PolicyPeer::Any,
            PeerKind::Network(addr, len) => PolicyPeer::Network(addr, len),
            PeerKind::Host => PolicyPeer::Host,
            PeerKind::Slave(slot) => {
                PolicyPeer::Slave(self.slaves.get(&slot).cloned().unwrap_or_else(|| GONE.to_owned()))
            }
            PeerKind::Labelled(0) => PolicyPeer::Slaves,
            PeerKind::Labelled(bits) => {
                let mut labels = self.labels_of(bits);
                labels.sort();
                PolicyPeer::Labelled(labels)
            }
        };
        PolicyRule::of(rule, peer)
    }

    /// The labels of these bits.
    pub fn labels_of(&self, bits: u64) -> Vec<String> {
        let has = |bit: &usize| bits >> bit & 1 == 1;
        (0..self.labels.len()).filter(has).map(|bit| self.labels[bit].clone()).collect()
    }
}

/// Of slaves that have one name, in different namespaces, the names of the host ends: commands understand these.
fn told_apart(slaves: BTreeMap<Slot, String>, host_ends: &BTreeMap<Slot, String>) -> BTreeMap<Slot, String> {
    let mut times: BTreeMap<&String, usize> = BTreeMap::new();
    slaves.values().for_each(|name| *times.entry(name).or_default() += 1);
    let name = |(slot, name): (&Slot, &String)| match (times[name], host_ends.get(slot)) {
        (2.., Some(host_end)) => (*slot, host_end.clone()),
        _ => (*slot, name.clone()),
    };
    slaves.iter().map(name).collect()
}
