//! What is a master's port: its programs and maps, found again by asking the kernel, or made?

pub(crate) mod groups;
pub mod hook;
pub(crate) mod host;
pub mod host_end;
pub mod object;
pub(crate) mod sysctl;
pub mod tables;

use crate::error::{Error, Result, refused};
use crate::kernel::netlink::{LinkChange, LinkInfo, Netlink};
use crate::kernel::sys::{self, AttachType};
use crate::model::Backend;
use crate::port::hook::Hook;
use crate::port::host::HostAddresses;
use crate::port::tables::{PortMaps, Reports};
use crate::refusal::Refusal;
use host_end::HostEnd;
use ipvl_core::maps::ABI_VERSION;
use ipvl_core::{Mac, Slot};
use object::{MASTER_RX, SLAVE_XMIT};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A device without link-layer header (tun, wireguard).
pub const ARPHRD_NONE: u16 = 0xfffe;

/// A master with its slaves. Mirrors `struct ipvl_port`.
pub struct Port {
    /// The master's ifindex.
    pub master: u32,
    /// How its programs are attached.
    pub hook: Hook,
    /// The tables.
    pub maps: PortMaps,
    /// None of a master that left this netns, and took it along.
    master_rx: Option<OwnedFd>,
    slave_xmit: OwnedFd,
    /// Where `slave_xmit` says whose groups may have changed, once somebody listens.
    reports: Option<Reports>,
}

/// What is found on a device that may be a master.
enum Seen {
    Nothing,
    Whole(Box<Port>),
    /// The last slave went while no agent ran, and its program with it: `master_rx` is left, and what the port was.
    Empty(Hook, OwnedFd, ipvl_core::PortEntry),
    /// Not our doing, or that of another version of us.
    Foreign(Error),
}

impl Port {
    /// The port of this master, if it is one. Changes nothing.
    pub fn find(netlink: &Netlink, master: u32) -> Result<Option<Self>> {
        match Self::look(netlink, master)? {
            Seen::Whole(port) => Ok(Some(*port)),
            Seen::Nothing | Seen::Empty(..) => Ok(None),
            Seen::Foreign(error) => Err(error),
        }
    }

    /// The port that a host end is in: its master's, or, when that left this netns, what its own program knows.
    pub fn of_host_end(netlink: &Netlink, host_end: u32, master: u32) -> Result<Option<Self>> {
        match Self::find(netlink, master)? {
            Some(port) => Ok(Some(port)),
            None => Self::departed(netlink, host_end),
        }
    }

    /// The port of this master, made if need be. One without slaves receives nothing and costs nothing. The caller has
    /// the lock.
    pub fn ensure(netlink: &Netlink, master: &LinkInfo) -> Result<Self> {
        match Self::look(netlink, master.ifindex)? {
            Seen::Whole(port) => Ok(*port),
            Seen::Empty(hook, old, was) => Self::renew(netlink, hook, master, old, was),
            Seen::Nothing => Self::make(netlink, master),
            Seen::Foreign(error) => Err(error),
        }
    }

    /// All ports with slaves whose host ends are in this netns, and those that have none yet. Changes nothing.
    pub fn all(netlink: &Netlink) -> Result<Vec<Self>> {
        Self::gather(netlink, &netlink.links(None)?, |_, _| Ok(None))
    }

    /// The same, and those that are empty, made whole so that they can be retired. The caller has the lock.
    pub fn all_mended(netlink: &Netlink) -> Result<Vec<Self>> {
        Self::gather(netlink, &netlink.links(None)?, |master, (hook, old, was)| {
            Self::renew(netlink, hook, master, old, was).map(Some)
        })
    }

    /// What only the programs of its slaves know of: a port whose master has left this netns.
    pub fn departed(netlink: &Netlink, host_end: u32) -> Result<Option<Self>> {
        let Some((hook, slave_xmit)) = Hook::find(netlink, host_end, SLAVE_XMIT)? else { return Ok(None) };
        let map_ids = sys::prog_info(&slave_xmit)?.map_ids;
        let port = own_version(&map_ids, host_end)?;
        if !port.has(ipvl_core::PortEntry::MASTER_GONE) {
            return Ok(None);
        }
        let maps = PortMaps::by_ids(&map_ids)?;
        Ok(Some(Self { master: port.master, hook, maps, master_rx: None, slave_xmit, reports: None }))
    }

    /// Listens to what `slave_xmit` tells of multicast groups. What it said before is kept.
    pub fn listen_to_reports(&mut self) -> Result<()> {
        if self.reports.is_none() {
            self.reports = Some(Reports::by_ids(&sys::prog_info(&self.slave_xmit)?.map_ids)?);
        }
        Ok(())
    }

    /// What to wait for.
    pub fn reports_fd(&self) -> Option<BorrowedFd<'_>> {
        self.reports.as_ref().map(AsFd::as_fd)
    }

    /// Whose groups may have changed since.
    pub fn reports(&mut self) -> BTreeSet<Slot> {
        self.reports.as_mut().map(Reports::take).unwrap_or_default()
    }

    /// Whether its master is in another netns now.
    pub fn is_departed(&self) -> bool {
        self.master_rx.is_none()
    }

    /// Puts the program on a new slave's host end. What netkit's hook lets pass goes on at the ingress.
    pub fn attach(&self, netlink: &Netlink, hook: Hook, host_end: &LinkInfo) -> Result<()> {
        hook.attach(netlink, host_end.ifindex, &self.slave_xmit, SLAVE_XMIT)?;
        match Backend::of(host_end) {
            Some(Backend::Netkit) => sys::prog_attach(host_end.ifindex, &self.slave_xmit, AttachType::NetkitPeer),
            Some(Backend::Veth) | None => Ok(()),
        }
    }

    /// Takes over what the master is like now. One that comes back from another netns may have lost its program there.
    pub fn follow(&mut self, netlink: &Netlink, master: &LinkInfo) -> Result<()> {
        let was_cut = self.maps.port()?.has(ipvl_core::PortEntry::MASTER_GONE);
        if was_cut && !self.reunite(netlink, master.ifindex, true)? {
            return Ok(());
        }
        if was_cut && self.needs_forwarding()? {
            sysctl::start_forwarding(&master.name, &mut self.maps, true)?;
        }
        self.maps.change_port(|port| {
            port.master = master.ifindex;
            port.mtu = master.mtu;
            port.mac = master.mac.unwrap_or(Mac([0; 6]));
            port.flags &= !ipvl_core::PortEntry::MASTER_GONE;
        })
    }

    /// Takes a link for the master that had left, and is back under another number; whether it is. It is if it has the
    /// program, or lost that elsewhere and the caller was `told` so. Until the last step, all can be done again.
    pub fn welcome(&mut self, netlink: &Netlink, link: &LinkInfo, told: bool) -> Result<bool> {
        if !self.maps.port()?.has(ipvl_core::PortEntry::MASTER_GONE) || !self.reunite(netlink, link.ifindex, told)? {
            return Ok(false);
        }
        for (host_end, slot) in self.maps.slots()? {
            let Some(known) = netlink.link(host_end, None)? else { continue };
            let described = HostEnd { master: link.ifindex, slot }.to_string();
            let alias = host_end::with_owner(described, host_end::owner_of(&known));
            netlink.set_link(host_end, &LinkChange { alias: Some(&alias), ..LinkChange::default() })?;
        }
        self.master = link.ifindex;
        self.follow(netlink, link).map(|()| true)
    }

    /// Has the master that came back run its program again; whether it does.
    fn reunite(&mut self, netlink: &Netlink, master: u32, told: bool) -> Result<bool> {
        let found = Hook::find(netlink, master, MASTER_RX)?;
        match (found, &self.master_rx) {
            (None, Some(program)) if told => self.hook.attach(netlink, master, program, MASTER_RX).map(|()| true),
            (None, _) => Ok(false),
            (Some((hook, program)), _) => {
                let theirs = own_version(&sys::prog_info(&program)?.map_ids, master)?;
                let same = theirs.slave_xmit == self.maps.port()?.slave_xmit;
                if same {
                    (self.hook, self.master_rx) = (hook, Some(program));
                }
                Ok(same)
            }
        }
    }

    /// Leaves the master as it was, if no slave needs it any more; whether that is so.
    pub fn retire(&mut self, netlink: &Netlink) -> Result<bool> {
        self.relax(netlink)?;
        if !self.maps.is_empty() {
            return Ok(false);
        }
        self.leave_groups(netlink)?;
        if let Some(program) = &self.master_rx
            && netlink.link(self.master, None)?.is_some()
        {
            self.hook.detach(netlink, self.master, program)?;
        }
        Ok(true)
    }

    /// Has the master forward no longer than some slave needs it.
    pub fn relax(&mut self, netlink: &Netlink) -> Result<()> {
        let forwards = self.maps.port()?.has(ipvl_core::PortEntry::FORWARDING_4 | ipvl_core::PortEntry::FORWARDING_6);
        if !forwards || self.needs_forwarding()? {
            return Ok(());
        }
        match netlink.link(self.master, None)? {
            Some(master) => sysctl::stop_forwarding(&master.name, &mut self.maps),
            None => Ok(()),
        }
    }

    fn needs_forwarding(&self) -> Result<bool> {
        for (_, slot) in self.maps.slots()? {
            if self.maps.slave(slot)?.host() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether its master has come back under another number, and nobody has taken it in yet.
    pub fn is_back(&self) -> Result<bool> {
        Ok(!self.is_departed() && self.maps.port()?.master != self.master)
    }

    fn load(hook: Hook, master: &LinkInfo) -> Result<Self> {
        let mut loaded = object::load()?;
        loaded.maps.set_port(ipvl_core::PortEntry {
            abi: ABI_VERSION,
            master: master.ifindex,
            mtu: master.mtu,
            flags: if master.arp_type == ARPHRD_NONE { ipvl_core::PortEntry::IP_ONLY } else { 0 },
            slave_xmit: loaded.slave_xmit.id,
            mac: master.mac.unwrap_or(Mac([0; 6])),
            ..ipvl_core::PortEntry::default()
        })?;
        let (master_rx, slave_xmit) = (Some(loaded.master_rx.fd), loaded.slave_xmit.fd);
        Ok(Self { master: master.ifindex, hook, maps: loaded.maps, master_rx, slave_xmit, reports: None })
    }

    fn make(netlink: &Netlink, master: &LinkInfo) -> Result<Self> {
        let port = Self::load(Hook::choose(), master)?;
        port.put_on(netlink)
    }

    /// Puts new programs in the place of an empty port's. What we changed at the master is still ours to undo.
    fn renew(
        netlink: &Netlink,
        hook: Hook,
        master: &LinkInfo,
        old: OwnedFd,
        was: ipvl_core::PortEntry,
    ) -> Result<Self> {
        const KEPT: u32 = ipvl_core::PortEntry::FORWARDING_4 | ipvl_core::PortEntry::FORWARDING_6;
        groups::leave_groups_of(&master.name, &sys::prog_info(&old)?.map_ids)?;
        let mut port = Self::load(hook, master)?;
        port.maps.change_port(|port| {
            port.flags |= was.flags & KEPT;
            port.cursor = was.cursor;
        })?;
        hook.detach(netlink, master.ifindex, old)?;
        port.put_on(netlink)
    }

    fn put_on(mut self, netlink: &Netlink) -> Result<Self> {
        if let Some(program) = &self.master_rx {
            self.hook.attach(netlink, self.master, program, MASTER_RX)?;
        }
        self.adopt_host_addresses(&HostAddresses::read(netlink)?)?;
        Ok(self)
    }

    fn look(netlink: &Netlink, master: u32) -> Result<Seen> {
        let Some((hook, master_rx)) = Hook::find(netlink, master, MASTER_RX)? else { return Ok(Seen::Nothing) };
        let mut map_ids = sys::prog_info(&master_rx)?.map_ids;
        let port = match own_version(&map_ids, master) {
            Ok(port) => port,
            Err(error @ Error::Refused { .. }) => return Ok(Seen::Foreign(error)),
            Err(error) => return Err(error),
        };
        let Some((slave_xmit, its_maps)) = slave_xmit(port.slave_xmit) else {
            return Ok(Seen::Empty(hook, master_rx, port));
        };
        map_ids.extend(its_maps);
        let maps = PortMaps::by_ids(&map_ids)?;
        let port = Self { master, hook, maps, master_rx: Some(master_rx), slave_xmit, reports: None };
        Ok(Seen::Whole(Box::new(port)))
    }

    fn gather(
        netlink: &Netlink,
        links: &[LinkInfo],
        mend: impl Fn(&LinkInfo, (Hook, OwnedFd, ipvl_core::PortEntry)) -> Result<Option<Self>>,
    ) -> Result<Vec<Self>> {
        let mut ports = BTreeMap::new();
        let host_ends: Vec<(u32, HostEnd)> =
            links.iter().filter_map(|link| Some((link.ifindex, HostEnd::of(link)?))).collect();
        for link in links.iter().filter(|link| HostEnd::of(link).is_none()) {
            let port = match Self::look(netlink, link.ifindex)? {
                Seen::Whole(port) => Some(*port),
                Seen::Empty(hook, old, was) => mend(link, (hook, old, was))?,
                Seen::Nothing | Seen::Foreign(_) => None,
            };
            if let Some(port) = port.filter(|port| port.is_at_home(&host_ends)) {
                ports.insert(link.ifindex, port);
            }
        }
        for (ifindex, described) in host_ends {
            if ports.contains_key(&described.master) {
                continue;
            }
            if let Ok(Some(port)) = Self::departed(netlink, ifindex)
                && !ports.values().any(|other| other.is_same(&port))
            {
                ports.insert(port.master, port);
            }
        }
        Ok(ports.into_values().collect())
    }
}

impl Port {
    /// Whether its slaves are here: not if a master from another netns is only visiting.
    fn is_at_home(&self, host_ends: &[(u32, HostEnd)]) -> bool {
        let (Ok(port), Ok(slots)) = (self.maps.port(), self.maps.slots()) else { return true };
        let known = |(host_end, slot)| {
            let named = |master| host_ends.contains(&(host_end, HostEnd { master, slot }));
            named(port.master) || named(self.master)
        };
        !port.has(ipvl_core::PortEntry::MASTER_GONE) || slots.is_empty() || slots.into_iter().any(known)
    }

    /// Whether both are one, found in two ways.
    fn is_same(&self, other: &Self) -> bool {
        let id = |port: &Self| port.maps.port().map(|port| port.slave_xmit).ok();
        id(self) == id(other)
    }
}

/// The port's own entry, if the programs with these maps are of this version of us.
fn own_version(map_ids: &[u32], ifindex: u32) -> Result<ipvl_core::PortEntry> {
    let foreign = |refusal| refused("use", format!("the programs on link {ifindex}"), refusal);
    match PortMaps::port_by_ids(map_ids) {
        Ok(port) if port.abi == ABI_VERSION => Ok(port),
        Ok(port) => Err(foreign(Refusal::OtherVersion { theirs: port.abi, ours: ABI_VERSION })),
        // No map of that name, or not of that size.
        Err(Error::Ebpf { .. }) => Err(foreign(Refusal::ForeignProgram)),
        Err(error) => Err(error),
    }
}

/// The program with this id and its maps, if it is what we think.
fn slave_xmit(id: u32) -> Option<(OwnedFd, Vec<u32>)> {
    let program = sys::prog_fd_by_id(id).ok()?;
    let info = sys::prog_info(&program).ok()?;
    (info.name == SLAVE_XMIT).then_some((program, info.map_ids))
}
