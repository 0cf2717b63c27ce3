//! Which slave has a given name, which port does it belong to, and how is its netns entered?

use crate::error::{Error, Result, refused};
use crate::kernel::finder::Finder;
use crate::kernel::netlink::{LinkInfo, Netlink};
use crate::kernel::netns;
use crate::place::NsId;
use crate::port::Port;
use crate::port::host_end::{HostEnd, place_of};
use crate::refusal::Refusal;
use crate::slave::module;
use crate::slave::peers::{Peers, peer_of};
use ipvl_core::{IfIndex, Slot};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

/// A slave, found.
pub struct Found {
    /// Its port.
    pub port: Port,
    /// Its number there.
    pub slot: Slot,
    /// Its host end.
    pub host_end: LinkInfo,
    /// Its name in its own netns.
    pub name: String,
}

/// The link of that name in this netns.
pub fn link(netlink: &Netlink, name: &str) -> std::result::Result<LinkInfo, Refusal> {
    netlink.link_by_name(name, None).ok().flatten().ok_or(Refusal::NoLink)
}

/// The slave of that name, or the slave behind the host end of that name: in this netns first, else in any other.
pub fn slave(netlink: &Netlink, name: &str) -> Result<Found> {
    let host_end = SlaveNames::default().host_end(netlink, name)?;
    let described = HostEnd::of(&host_end).ok_or_else(|| refused("find", name, Refusal::NoSlave))?;
    let port = Port::of_host_end(netlink, host_end.ifindex, described.master)?
        .ok_or_else(|| refused("find", name, Refusal::NoSlave))?;
    Ok(Found { port, slot: described.slot, host_end, name: name.to_owned() })
}

/// The other end of a pair, wherever it is.
pub fn peer(netlink: &Netlink, ifindex: IfIndex) -> Result<Option<LinkInfo>> {
    match netlink.link(ifindex, None)? {
        Some(link) => peer_of(netlink, &link),
        None => Ok(None),
    }
}

/// The name of the master of this link, if it is a slave.
pub fn master_of(netlink: &Netlink, link: &LinkInfo) -> Option<String> {
    let host_end = peer_of(netlink, link).ok().flatten()?;
    let master = HostEnd::of(&host_end)?.master;
    netlink.link(master, link.link_netnsid).ok().flatten().map(|master| master.name)
}

impl Found {
    /// What its host end's alias says.
    pub fn described(&self) -> HostEnd {
        HostEnd { master: self.port.master, slot: self.slot }
    }

    /// The master.
    pub fn master_link(&self, netlink: &Netlink) -> Result<LinkInfo> {
        let master = netlink.link(self.port.master, None)?;
        master.ok_or_else(|| refused("find the master of", &self.name, Refusal::NoLink))
    }

    /// Runs `work` on the slave's device, in its netns.
    pub fn in_its_netns<T: Send>(
        &self,
        netlink: &Netlink,
        work: impl FnOnce(&Netlink, IfIndex) -> Result<T> + Send,
    ) -> Result<T> {
        self.place(netlink)?.enter(netlink, work)
    }

    /// Where the slave's device is now.
    pub fn place(&self, netlink: &Netlink) -> Result<OpenPlace> {
        let gone = || refused("find", &self.name, Refusal::NoSlave);
        let host_end = netlink.link(self.host_end.ifindex, None)?.ok_or_else(gone)?;
        let place = place_of(&host_end).ok_or_else(gone)?;
        let into = |nsid| Finder::default().find(netlink, nsid)?.ok_or_else(|| unreachable_netns(nsid));
        Ok(OpenPlace { netns: place.netns.map(into).transpose()?, ifindex: place.ifindex })
    }
}

/// A device, and the netns that it is in, opened.
pub struct OpenPlace {
    netns: Option<OwnedFd>,
    ifindex: IfIndex,
}

impl OpenPlace {
    /// Runs `work` on the device, in its netns.
    pub fn enter<T: Send>(
        self,
        netlink: &Netlink,
        work: impl FnOnce(&Netlink, IfIndex) -> Result<T> + Send,
    ) -> Result<T> {
        match self.netns {
            None => work(netlink, self.ifindex),
            Some(netns) => netns::within(netns, || work(&Netlink::open()?, self.ifindex))?,
        }
    }
}

/// The host ends of slaves by the slaves' names. It reads them once for many names, and only if it has to.
#[derive(Default)]
pub struct SlaveNames(Option<BTreeMap<String, Vec<LinkInfo>>>);

impl SlaveNames {
    /// The host end of the slave of that name, or the host end that has the name itself. Other namespaces choose the names of
    /// their links freely, so links of this one, host ends among them, come first.
    pub fn host_end(&mut self, netlink: &Netlink, name: &str) -> Result<LinkInfo> {
        let here = netlink.link_by_name(name, None)?;
        if let Some(host_end) = here.clone().map(|link| host_end_here(netlink, link)).transpose()?.flatten() {
            return Ok(host_end);
        }
        match self.everywhere(netlink)?.get(name).map(Vec::as_slice) {
            Some([host_end]) => Ok(host_end.clone()),
            Some([_, _, ..]) => Err(refused("find", name, Refusal::Ambiguous)),
            Some([]) | None => {
                if let Some(refusal) = module::refusal(netlink, name, here.as_ref())? {
                    return Err(refused("use", name, refusal));
                }
                let master = here.and_then(|link| master_of(netlink, &link));
                Err(refused("find", name, master.map_or(Refusal::NoSlave, Refusal::MasterElsewhere)))
            }
        }
    }

    /// Whether a slave that is a pair has the name.
    pub(super) fn is_pair(&mut self, netlink: &Netlink, name: &str) -> Result<bool> {
        Ok(self.everywhere(netlink)?.contains_key(name))
    }

    /// All slaves, in any netns. One that cannot be read has no name.
    fn everywhere(&mut self, netlink: &Netlink) -> Result<&BTreeMap<String, Vec<LinkInfo>>> {
        if self.0.is_none() {
            let mut names: BTreeMap<String, Vec<LinkInfo>> = BTreeMap::new();
            let mut host_ends = netlink.links(None)?;
            host_ends.retain(|link| HostEnd::of(link).is_some());
            let peers = Peers::list(netlink, &host_ends);
            for link in host_ends {
                if let Some(slave) = peers.device(netlink, &link) {
                    names.entry(slave.name).or_default().push(link);
                }
            }
            self.0 = Some(names);
        }
        Ok(self.0.get_or_insert_default())
    }
}

/// The host end that this link is, or that it belongs to as a slave.
fn host_end_here(netlink: &Netlink, link: LinkInfo) -> Result<Option<LinkInfo>> {
    if HostEnd::of(&link).is_some() {
        return Ok(Some(link));
    }
    let peer = if link.link_netnsid.is_none() { peer_of(netlink, &link)? } else { None };
    Ok(peer.filter(|peer| HostEnd::of(peer).is_some()))
}

/// The error if no process, mount or descriptor leads to a netns.
pub(crate) fn unreachable_netns(nsid: NsId) -> Error {
    let source = std::io::Error::from_raw_os_error(libc::ENOENT);
    Error::Netns { op: "find a way into", object: format!("with id {nsid}"), source }
}
