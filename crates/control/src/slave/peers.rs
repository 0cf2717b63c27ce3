//! What are the devices of many slaves? A netns in which there are many is listed once, instead of asked for each.

use crate::error::Result;
use crate::kernel::netlink::{AddressInfo, LinkInfo, Netlink};
use crate::place::NsId;
use crate::port::host_end::{backend_of, is_tap};
use ipvl_core::IfIndex;
use std::collections::{BTreeMap, HashMap};

/// As many requests cost as much as a list of a netns with a few more devices than slaves.
const FEW: usize = 8;

/// What was listed: of each netns, by the ifindex of a device.
struct Listed<T>(HashMap<Option<NsId>, HashMap<IfIndex, T>>);

/// The devices of slaves.
pub struct Peers(Listed<LinkInfo>);

impl Peers {
    /// Lists the namespaces that hold many of the slaves with these host ends.
    pub fn list<'a>(netlink: &Netlink, host_ends: impl IntoIterator<Item = &'a LinkInfo>) -> Self {
        let places = host_ends.into_iter().filter(|link| !is_tap(link)).map(|link| link.link_netnsid);
        let list = |netns| netlink.uncounted_links(netns).ok();
        Self(Listed::of(places, |netns| Some(list(netns)?.into_iter().map(|link| (link.ifindex, link)).collect())))
    }

    /// A slave's device, without its counters; none if it cannot be read: one unreadable slave must not hide the others.
    pub fn device(&self, netlink: &Netlink, host_end: &LinkInfo) -> Option<LinkInfo> {
        let listed = host_end.link.and_then(|peer| self.0.get(host_end.link_netnsid, peer)).cloned();
        listed.filter(|_| !is_tap(host_end)).or_else(|| peer_of(netlink, host_end).ok().flatten())
    }
}

/// The addresses on the devices of slaves.
pub struct PeerAddresses(Listed<Vec<AddressInfo>>);

impl PeerAddresses {
    /// Lists the addresses of the namespaces that hold many of the slaves with these host ends.
    pub fn list<'a>(netlink: &Netlink, host_ends: impl IntoIterator<Item = &'a LinkInfo>) -> Self {
        let places = host_ends.into_iter().map(|link| link.link_netnsid);
        Self(Listed::of(places, |netns| {
            let mut by_device = HashMap::<_, Vec<_>>::new();
            for info in netlink.addresses(None, netns).ok()? {
                by_device.entry(info.ifindex).or_default().push(info);
            }
            Some(by_device)
        }))
    }

    /// The addresses on a slave's device; none if it cannot be read.
    pub fn on(&self, netlink: &Netlink, device: IfIndex, host_end: &LinkInfo) -> Vec<AddressInfo> {
        match device {
            IfIndex::NONE => Vec::new(),
            _ if self.0.has(host_end.link_netnsid) => {
                self.0.get(host_end.link_netnsid, device).cloned().unwrap_or_default()
            }
            _ => addresses_on(netlink, device, host_end),
        }
    }
}

/// The addresses on one slave's device; none if it cannot be read.
pub fn addresses_on(netlink: &Netlink, device: IfIndex, host_end: &LinkInfo) -> Vec<AddressInfo> {
    if device == IfIndex::NONE {
        return Vec::new();
    }
    netlink.addresses(Some(device), host_end.link_netnsid).unwrap_or_default()
}

/// The other end of a pair, wherever it is, without its counters. A tap device is its own other end.
pub fn peer_of(netlink: &Netlink, link: &LinkInfo) -> Result<Option<LinkInfo>> {
    match link.link {
        _ if is_tap(link) => Ok(Some(link.clone())),
        Some(peer) if backend_of(link).is_some() => netlink.uncounted_link(peer, link.link_netnsid),
        _ => Ok(None),
    }
}

impl<T> Listed<T> {
    /// Lists each place that is named more often than a few times. What cannot be listed is left out.
    fn of(
        places: impl Iterator<Item = Option<NsId>>,
        list: impl Fn(Option<NsId>) -> Option<HashMap<IfIndex, T>>,
    ) -> Self {
        let mut counts = BTreeMap::<_, usize>::new();
        places.for_each(|place| *counts.entry(place).or_default() += 1);
        let crowded = counts.into_iter().filter(|(_, count)| *count > FEW);
        Self(crowded.filter_map(|(place, _)| Some((place, list(place)?))).collect())
    }

    fn has(&self, netns: Option<NsId>) -> bool {
        self.0.contains_key(&netns)
    }

    fn get(&self, netns: Option<NsId>, device: IfIndex) -> Option<&T> {
        self.0.get(&netns)?.get(&device)
    }
}
