//! What is a master's port: its programs and maps, found again by asking the kernel, or made?

pub(crate) mod groups;
pub mod hook;
pub(crate) mod host;
pub mod host_end;
pub mod object;
pub(crate) mod policy;
pub(crate) mod programs;
pub(crate) mod sysctl;
pub mod tables;
pub(crate) mod upgrade;
pub(crate) mod watch;

use crate::error::Result;
use crate::kernel::bpf::{self, AttachType};
use crate::kernel::netlink::{LinkChange, LinkInfo, Netlink};
use crate::model::Backend;
use groups::Master;
use hook::Hook;
use host::HostAddresses;
use host_end::{HostEnd, backend_of};
use ipvl_core::maps::ABI_VERSION;
use ipvl_core::{IfIndex, Mac, PortEntry, Slot};
use object::{Loaded, MASTER_RX, SLAVE_XMIT};
use programs::{MasterPrograms, Pair, Remnant};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tables::{PortMaps, Reports};

/// A device without link-layer header (tun, wireguard).
pub const ARPHRD_NONE: u16 = 0xfffe;

/// A master with its slaves. Mirrors `struct ipvl_port`.
pub struct Port {
    /// The master's ifindex.
    pub master: IfIndex,
    /// How its programs are attached.
    pub hook: Hook,
    /// The tables.
    pub maps: PortMaps,
    /// None if the master is in another netns, and the program with it.
    master_rx: Option<OwnedFd>,
    slave_xmit: OwnedFd,
    /// Slaves that sent a report of IGMP or MLD; none until [`Port::listen_to_reports`].
    reports: Option<Reports>,
}

impl Port {
    /// The port of this master, if it is one. Changes nothing.
    pub fn find(netlink: &Netlink, master: IfIndex) -> Result<Option<Self>> {
        match programs::of_master(netlink, master)? {
            MasterPrograms::Both(pair) => Self::open(master, pair).map(Some),
            MasterPrograms::None | MasterPrograms::MasterRxOnly(_) => Ok(None),
            MasterPrograms::Foreign(error) => Err(error),
        }
    }

    /// The port that a host end belongs to, found from its master, or from its own program if the master has left.
    pub fn of_host_end(netlink: &Netlink, host_end: IfIndex, master: IfIndex) -> Result<Option<Self>> {
        match Self::find(netlink, master)? {
            Some(port) => Ok(Some(port)),
            None => Self::departed(netlink, host_end),
        }
    }

    /// The port of this master, made with `programs` if there is none. A port without slaves receives no packets and costs
    /// nothing. The caller has the lock.
    pub fn find_or_create(
        netlink: &Netlink,
        master: &LinkInfo,
        programs: impl FnOnce() -> Result<Loaded>,
    ) -> Result<Self> {
        match programs::of_master(netlink, master.ifindex)? {
            MasterPrograms::Both(pair) => Self::open(master.ifindex, pair),
            MasterPrograms::MasterRxOnly(remnant) => Self::replace(netlink, master, remnant, programs()?),
            MasterPrograms::None => Self::new(Hook::choose(), master, programs()?)?.attach_master(netlink),
            MasterPrograms::Foreign(error) => Err(error),
        }
    }

    /// All ports of this netns: those with host ends here, and those without slaves. Changes nothing.
    pub fn all(netlink: &Netlink) -> Result<Vec<Self>> {
        Self::among(netlink, &netlink.links(None)?)
    }

    /// The same, if these are all links.
    pub fn among(netlink: &Netlink, links: &[LinkInfo]) -> Result<Vec<Self>> {
        Self::collect(netlink, links, |_, _| Ok(None))
    }

    /// The same, and those of which only one program is left, with new programs, so that they can be removed as any other.
    /// The caller has the lock.
    pub fn all_repaired(netlink: &Netlink) -> Result<Vec<Self>> {
        Self::collect(netlink, &netlink.links(None)?, |master, remnant| {
            Self::replace(netlink, master, remnant, object::load()?).map(Some)
        })
    }

    /// The port of a host end, after the master has left this netns: only the programs of its slaves still lead to it.
    pub fn departed(netlink: &Netlink, host_end: IfIndex) -> Result<Option<Self>> {
        let Some(found) = programs::of_host_end(netlink, host_end)? else { return Ok(None) };
        if !found.entry.has(PortEntry::MASTER_GONE) {
            return Ok(None);
        }
        let (master, maps) = (found.entry.master, PortMaps::by_ids(&found.map_ids)?);
        let (hook, slave_xmit) = (found.hook, found.slave_xmit);
        Ok(Some(Self { master, hook, maps, master_rx: None, slave_xmit, reports: None }))
    }

    /// Opens the reports of slaves that may have joined or left multicast groups. Earlier reports are kept.
    pub fn listen_to_reports(&mut self) -> Result<()> {
        if self.reports.is_none() {
            self.reports = Some(Reports::by_ids(&bpf::prog_info(&self.slave_xmit)?.map_ids)?);
        }
        Ok(())
    }

    /// Readable when there are reports.
    pub fn reports_fd(&self) -> Option<BorrowedFd<'_>> {
        self.reports.as_ref().map(AsFd::as_fd)
    }

    /// Takes the reports: slaves that may have joined or left multicast groups.
    pub fn take_reports(&mut self) -> BTreeSet<Slot> {
        self.reports.as_mut().map(Reports::take).unwrap_or_default()
    }

    /// The program at the host ends.
    pub fn slave_xmit(&self) -> BorrowedFd<'_> {
        self.slave_xmit.as_fd()
    }

    /// Whether its master is in another netns now.
    pub fn is_departed(&self) -> bool {
        self.master_rx.is_none()
    }

    /// Whether its master has come back under another ifindex, which [`Port::master_returned`] has not written yet.
    pub fn is_back(&self) -> Result<bool> {
        Ok(!self.is_departed() && self.maps.port()?.master != self.master)
    }

    /// Attaches the program to a new slave's host end. What netkit's hook lets pass goes on at the ingress.
    pub fn attach(&self, netlink: &Netlink, hook: Hook, host_end: &LinkInfo) -> Result<()> {
        hook.attach(netlink, host_end.ifindex, &self.slave_xmit, SLAVE_XMIT)?;
        match backend_of(host_end) {
            Some(Backend::Netkit) => bpf::prog_attach(host_end.ifindex, &self.slave_xmit, AttachType::NetkitPeer),
            Some(Backend::Veth | Backend::Kernel) | None => Ok(()),
        }
    }

    /// Takes slaves, by host end and slot, out of all tables. The caller has the lock.
    pub fn remove_slaves(&mut self, netlink: &Netlink, slaves: &[(IfIndex, Slot)]) -> Result<()> {
        if slaves.is_empty() {
            return Ok(());
        }
        self.maps.withdraw_slaves(slaves)?;
        let slots: Vec<Slot> = slaves.iter().map(|(_, slot)| *slot).collect();
        groups::remove_members(netlink, &mut self.maps, self.master, &slots)?;
        self.maps.vacate(slaves)
    }

    /// The same, for one slave of which the groups that it has joined are known. Can be done again if it fails.
    pub fn remove_slave(
        &mut self,
        netlink: &Netlink,
        host_end: IfIndex,
        slot: Slot,
        joined: &BTreeSet<Mac>,
    ) -> Result<()> {
        self.maps.withdraw_slaves(&[(host_end, slot)])?;
        let mut joined = joined.clone();
        Master::read(netlink, self.master)?.set_joined(&mut self.maps, slot, &mut joined, &BTreeSet::new())?;
        self.maps.vacate(&[(host_end, slot)])
    }

    /// Copies MTU and MAC address of the master into the tables. A master that is back from another netns may have lost its
    /// program there, and gets it again.
    pub fn update_master(&mut self, netlink: &Netlink, master: &LinkInfo) -> Result<()> {
        let was_gone = self.maps.port()?.has(PortEntry::MASTER_GONE);
        if was_gone && !self.reattach(netlink, master.ifindex, true)? {
            return Ok(());
        }
        if was_gone && self.needs_forwarding()? {
            sysctl::start_forwarding(&master.name, &mut self.maps, true)?;
        }
        self.maps.change_port(|port| {
            port.master = master.ifindex;
            port.mtu = master.mtu;
            port.mac = master.mac.unwrap_or(Mac([0; 6]));
            port.flags &= !PortEntry::MASTER_GONE;
        })
    }

    /// Takes `link` for this port's master, which had left and may have come back under another ifindex; whether it is. It
    /// is if it runs the port's program, or if the caller knows (`is_known`) and the program was lost in the other netns.
    /// If a step fails, all can be done again: the last one completes it.
    pub fn master_returned(&mut self, netlink: &Netlink, link: &LinkInfo, is_known: bool) -> Result<bool> {
        let gone = self.maps.port()?.has(PortEntry::MASTER_GONE);
        if !gone || !self.reattach(netlink, link.ifindex, is_known)? {
            return Ok(false);
        }
        for (host_end, slot) in self.maps.slots()? {
            let Some(old) = netlink.link(host_end, None)? else { continue };
            let described = HostEnd { master: link.ifindex, slot }.to_string();
            let alias = host_end::with_owner(described, host_end::owner_of(&old));
            netlink.set_link(host_end, &LinkChange { alias: Some(&alias), ..LinkChange::default() })?;
        }
        self.master = link.ifindex;
        self.update_master(netlink, link).map(|()| true)
    }

    /// Detaches the port from its master and undoes what was changed there, if it has no slave; whether it has none.
    pub fn detach_if_unused(&mut self, netlink: &Netlink) -> Result<bool> {
        self.stop_forwarding_if_unused(netlink)?;
        if !self.maps.is_empty() {
            return Ok(false);
        }
        groups::remove_all_members(netlink, &mut self.maps, self.master)?;
        if let Some(program) = &self.master_rx
            && netlink.link(self.master, None)?.is_some()
        {
            self.hook.detach(netlink, self.master, program)?;
        }
        Ok(true)
    }

    /// Undoes [`sysctl::start_forwarding`] at the master, if no slave needs it.
    pub fn stop_forwarding_if_unused(&mut self, netlink: &Netlink) -> Result<()> {
        let forwards = self.maps.port()?.has(PortEntry::FORWARDING_4 | PortEntry::FORWARDING_6);
        if !forwards || self.needs_forwarding()? {
            return Ok(());
        }
        match netlink.link(self.master, None)? {
            Some(master) => sysctl::stop_forwarding(&master.name, &mut self.maps),
            None => Ok(()),
        }
    }
}

impl Port {
    fn open(master: IfIndex, Pair { hook, master_rx, slave_xmit, map_ids }: Pair) -> Result<Self> {
        let maps = PortMaps::by_ids(&map_ids)?;
        Ok(Self { master, hook, maps, master_rx: Some(master_rx), slave_xmit, reports: None })
    }

    fn new(hook: Hook, master: &LinkInfo, mut loaded: Loaded) -> Result<Self> {
        loaded.maps.set_port(PortEntry {
            abi: ABI_VERSION,
            master: master.ifindex,
            mtu: master.mtu,
            flags: if master.arp_type == ARPHRD_NONE { PortEntry::IP_ONLY } else { 0 },
            slave_xmit: loaded.slave_xmit.id,
            mac: master.mac.unwrap_or(Mac([0; 6])),
            ..PortEntry::default()
        })?;
        let (master_rx, slave_xmit) = (Some(loaded.master_rx.fd), loaded.slave_xmit.fd);
        Ok(Self { master: master.ifindex, hook, maps: loaded.maps, master_rx, slave_xmit, reports: None })
    }

    /// Puts new programs in the place of what is left of a port. What was changed at the master is still to be undone.
    fn replace(netlink: &Netlink, master: &LinkInfo, old: Remnant, programs: Loaded) -> Result<Self> {
        const KEPT: u32 = PortEntry::FORWARDING_4 | PortEntry::FORWARDING_6;
        groups::release_master(&master.name, &bpf::prog_info(&old.master_rx)?.map_ids)?;
        let mut port = Self::new(old.hook, master, programs)?;
        port.maps.change_port(|port| {
            port.flags |= old.entry.flags & KEPT;
            port.cursor = old.entry.cursor;
        })?;
        old.hook.detach(netlink, master.ifindex, old.master_rx)?;
        port.attach_master(netlink)
    }

    fn attach_master(mut self, netlink: &Netlink) -> Result<Self> {
        if let Some(program) = &self.master_rx {
            self.hook.attach(netlink, self.master, program, MASTER_RX)?;
        }
        let addresses = HostAddresses::read(netlink);
        let written = addresses
            .and_then(|addresses| host::write_addresses(&mut self.maps, self.master, &addresses, &mut Vec::new()));
        if let (Err(_), Some(program)) = (&written, &self.master_rx) {
            let _ = self.hook.detach(netlink, self.master, program);
        }
        written.map(|_| self)
    }

    /// Finds the program on a master that is back, or attaches it again if `is_known`; whether the master runs it now.
    fn reattach(&mut self, netlink: &Netlink, master: IfIndex, is_known: bool) -> Result<bool> {
        let found = Hook::find(netlink, master, MASTER_RX)?;
        match (found, &self.master_rx) {
            (None, Some(program)) if is_known => self.hook.attach(netlink, master, program, MASTER_RX).map(|()| true),
            (None, _) => Ok(false),
            (Some((hook, program)), _) => {
                let theirs = programs::own_version(&bpf::prog_info(&program)?.map_ids, master)?;
                let same = theirs.slave_xmit == self.maps.port()?.slave_xmit;
                if same {
                    (self.hook, self.master_rx) = (hook, Some(program));
                }
                Ok(same)
            }
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

    fn collect(
        netlink: &Netlink,
        links: &[LinkInfo],
        repair: impl Fn(&LinkInfo, Remnant) -> Result<Option<Self>>,
    ) -> Result<Vec<Self>> {
        let host_ends: Vec<(IfIndex, HostEnd)> =
            links.iter().filter_map(|link| Some((link.ifindex, HostEnd::of(link)?))).collect();
        let mut ports = BTreeMap::new();
        for link in links.iter().filter(|link| HostEnd::of(link).is_none()) {
            let port = match programs::of_master(netlink, link.ifindex)? {
                MasterPrograms::Both(pair) => Some(Self::open(link.ifindex, pair)?),
                MasterPrograms::MasterRxOnly(remnant) => repair(link, remnant)?,
                MasterPrograms::None | MasterPrograms::Foreign(_) => None,
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

    /// Whether its host ends are in this netns. They are not if the master has come here from the netns of its slaves.
    fn is_at_home(&self, host_ends: &[(IfIndex, HostEnd)]) -> bool {
        let (Ok(port), Ok(slots)) = (self.maps.port(), self.maps.slots()) else { return true };
        let is_here = |(host_end, slot)| {
            let named = |master| host_ends.contains(&(host_end, HostEnd { master, slot }));
            named(port.master) || named(self.master)
        };
        !port.has(PortEntry::MASTER_GONE) || slots.is_empty() || slots.into_iter().any(is_here)
    }

    /// Whether both are the same port, found in two ways.
    fn is_same(&self, other: &Self) -> bool {
        let id = |port: &Self| port.maps.port().map(|port| port.slave_xmit).ok();
        id(self) == id(other)
    }
}
