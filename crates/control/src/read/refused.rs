//! Which addresses on slaves' devices found no room in the table?

use crate::kernel::netlink::AddressInfo;
use crate::kernel::single;
use crate::place::NsId;
use crate::port::Port;
use crate::quota;
use crate::slave::agent_client;
use ipvl_core::{Addr, OwnerEntry, Slot};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The valid addresses on the devices of one master's slaves.
pub struct Refused {
    most: usize,
    by_netns: BTreeMap<Option<NsId>, Vec<(Slot, Addr)>>,
}

impl Refused {
    /// None yet.
    pub fn new(port: &Port) -> Self {
        Self { most: port.maps.most_addresses(), by_netns: BTreeMap::new() }
    }

    /// Adds those of one slave.
    pub fn add(&mut self, slot: Slot, netns: Option<NsId>, addresses: &[AddressInfo]) {
        let valid = addresses.iter().filter(|info| info.is_valid() && !info.addr.is_link_local());
        let valid = valid.filter(|info| !info.addr.ip().is_loopback());
        self.by_netns.entry(netns).or_default().extend(valid.map(|info| (slot, info.addr)));
    }

    /// Those that are nobody's, where the table is full or the netns has all that it may have. Elsewhere the agent is about
    /// to enter them.
    pub fn found(self, owned: &[(Addr, u32, OwnerEntry)]) -> Vec<(Slot, Addr)> {
        let (is_full, quota) = (owned.len() >= self.most, quota_of_agent());
        if !is_full && self.by_netns.values().all(|there| there.len() <= quota) {
            return Vec::new();
        }
        let owners: BTreeSet<Addr> = owned.iter().map(|(addr, _, _)| *addr).collect();
        let nobodys = |there: &Vec<(Slot, Addr)>| -> Vec<_> {
            there.iter().filter(|(_, addr)| !owners.contains(addr)).copied().collect()
        };
        let crowded = self.by_netns.values().filter(|there| is_full || there.len() > quota);
        crowded.flat_map(nobodys).collect()
    }
}

/// The quota of the agent that runs.
fn quota_of_agent() -> usize {
    let Ok(Some(pid)) = single::running(agent_client::NAME) else { return quota::DEFAULT };
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mut texts = environment.split(|byte| *byte == 0).filter_map(|text| std::str::from_utf8(text).ok());
    let found = texts.find_map(|text| text.strip_prefix(quota::VARIABLE)?.strip_prefix('=')?.parse().ok());
    found.unwrap_or(quota::DEFAULT)
}
