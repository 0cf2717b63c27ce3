//! How is a slave of our kernel module made, found, changed and removed? It is one device, and no agent looks after it.

use crate::error::{Error, Result, refused};
use crate::kernel::finder;
use crate::kernel::netlink::{IpvlanChange, LinkChange, LinkInfo, Netlink, NewIpvlan};
use crate::kernel::netns;
use crate::model::{Change, LinkSpec};
use crate::place::NsId;
use crate::refusal::Refusal;
use ipvl_core::{Flag, HostAccess, IfIndex, Mode, OPTIONS, OptionKey, Options, OptionsChange};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Our module's version begins with our name; the kernel's own driver has none.
const VERSION: &str = "/sys/module/ipvlan/version";

/// A slave of the module.
pub struct ModuleSlave {
    /// Its device, as its own netns shows it.
    pub device: LinkInfo,
    /// The ifindex of its master.
    pub master: IfIndex,
    /// The id of its netns; none if that is its master's.
    pub netnsid: Option<NsId>,
    /// A connection to its netns.
    pub netlink: Netlink,
}

/// Whether `type ipvlan` is our module's.
pub fn is_loaded() -> bool {
    fs::read_to_string(VERSION).is_ok_and(|version| version.starts_with("ipvl"))
}

/// The slaves of the module with masters in this netns, this netns's own first.
pub fn all(netlink: &Netlink) -> Result<Vec<ModuleSlave>> {
    if !is_loaded() {
        return Ok(Vec::new());
    }
    let own = netns::own()?;
    let mut found = slaves_in(&own, None, None)?;
    for netns in finder::all() {
        // A namespace may go away, or be out of reach.
        if !netns::same(&own, &netns)? {
            found.extend(elsewhere(netlink, &own, &netns).unwrap_or_default());
        }
    }
    Ok(found)
}

/// Why a command for pairs cannot use the device of this name, if `here` or a slave in another netns is of the driver or of
/// our module.
pub(super) fn refusal(netlink: &Netlink, name: &str, here: Option<&LinkInfo>) -> Result<Option<Refusal>> {
    let is_ours = match here.map(|link| link.ipvlan.as_ref().map(|info| info.options.is_some())) {
        Some(Some(false)) => return Ok(Some(Refusal::OfKernelDriver)),
        Some(None) => false,
        Some(Some(true)) => true,
        None => all(netlink)?.iter().any(|slave| slave.device.name == name),
    };
    Ok(is_ours.then_some(Refusal::OfModule))
}

/// Makes a slave, in one step.
pub fn add(
    netlink: &Netlink,
    spec: &LinkSpec,
    master: &LinkInfo,
    netns: Option<BorrowedFd<'_>>,
) -> Result<ModuleSlave> {
    // The module's own default is another: as the kernel's driver, siblings direct.
    let siblings = Some(spec.options.siblings);
    let change = OptionsChange { siblings, ..Options::DEFAULT.change_to(spec.options) };
    let with = IpvlanChange {
        mode: Some(mode_number(spec.options.mode)),
        flags: Some(flag_number(spec.options.flag)),
        ..in_netlink(&change)
    };
    let (name, mtu) = (spec.name.as_deref().unwrap_or("ipvl%d"), spec.mtu.unwrap_or(master.mtu));
    let made = netlink.add_ipvlan(&NewIpvlan { master: master.ifindex, name, mtu, with, netns })?;
    let own = netns::own()?;
    let there = netns.map_or(own.as_fd(), |netns| netns);
    let netlink_there = open_in(there)?;
    let device = match (made, &spec.name) {
        (Some(link), _) => Some(link),
        (None, Some(name)) => netlink_there.link_by_name(name, None)?,
        (None, None) => newest(&netlink_there)?,
    };
    let device = device.ok_or_else(|| refused("find again", name, Refusal::NoLink))?;
    let netnsid = if netns::same(&own, there)? { None } else { netlink.ensure_nsid(there)? };
    Ok(ModuleSlave { device, master: master.ifindex, netnsid, netlink: netlink_there })
}

impl ModuleSlave {
    /// Its options.
    pub fn options(&self) -> Options {
        let info = self.device.ipvlan.as_ref();
        let (value, _) = info.and_then(|info| info.options).unwrap_or_default();
        let (mode, flags) = info.map_or((0, 0), |info| (info.mode, info.flags));
        let flag = [Flag::Bridge, Flag::Private, Flag::Vepa].into_iter().find(|flag| flag_number(*flag) == flags);
        let mode = [Mode::L2, Mode::L3, Mode::L3s].into_iter().find(|known| mode_number(*known) == mode);
        let options = Options::of(value);
        Options {
            mode: mode.unwrap_or(options.mode),
            flag: flag.unwrap_or(options.flag),
            host: if options.mode == Mode::L3s { HostAccess::On } else { options.host },
            ..options
        }
    }

    /// Changes it: first its options, which can be put back, then its device.
    pub fn set(&self, change: &Change, netns: Option<&OwnedFd>) -> Result<()> {
        let ifindex = self.device.ifindex;
        let wanted = in_netlink(&change.options);
        let named = |error: Error| error.about(&self.device.name);
        if wanted != IpvlanChange::default() {
            self.netlink.set_ipvlan(ifindex, &wanted).map_err(named)?;
        }
        let netns = netns.map(|fd| fd.as_fd());
        let device =
            LinkChange { up: change.up, name: change.name.as_deref(), mtu: change.mtu, netns, ..LinkChange::default() };
        let done = self.change_device(change, &device);
        if done.is_err() && wanted != IpvlanChange::default() {
            self.netlink.set_ipvlan(ifindex, &self.as_it_was()).map_err(named)?;
        }
        done.map_err(named)
    }

    /// Removes it. It may be gone already.
    pub fn delete(&self) -> Result<()> {
        self.netlink.delete_link(self.device.ifindex).map(drop).map_err(|error| error.about(&self.device.name))
    }

    fn change_device(&self, change: &Change, device: &LinkChange<'_>) -> Result<()> {
        if (change.up, &change.name, change.mtu, &change.netns) == (None, &None, None, &None) {
            return Ok(());
        }
        self.netlink.set_link(self.device.ifindex, device)
    }

    fn as_it_was(&self) -> IpvlanChange {
        let info = self.device.ipvlan.clone().unwrap_or_default();
        IpvlanChange { mode: Some(info.mode), flags: Some(info.flags), options: info.options }
    }
}

/// The slaves in another netns with masters in this one.
fn elsewhere(netlink: &Netlink, own: &OwnedFd, netns: &OwnedFd) -> Result<Vec<ModuleSlave>> {
    let Some(us) = open_in(netns.as_fd())?.nsid_of_fd(own)? else { return Ok(Vec::new()) };
    let mut found = slaves_in(netns, Some(us), None)?;
    if !found.is_empty() {
        let id = netlink.ensure_nsid(netns)?;
        found.iter_mut().for_each(|slave| slave.netnsid = id);
    }
    Ok(found)
}

/// The slaves in a netns of which the master is in the netns that has the id `us` there.
fn slaves_in(netns: &OwnedFd, us: Option<NsId>, netnsid: Option<NsId>) -> Result<Vec<ModuleSlave>> {
    let mut found = Vec::new();
    for device in open_in(netns.as_fd())?.links(None)? {
        let is_ours = device.ipvlan.as_ref().is_some_and(|info| info.options.is_some());
        if let (true, Some(master)) = (is_ours && device.link_netnsid == us, device.link) {
            found.push(ModuleSlave { device, master, netnsid, netlink: open_in(netns.as_fd())? });
        }
    }
    Ok(found)
}

fn newest(netlink: &Netlink) -> Result<Option<LinkInfo>> {
    let ours = netlink.links(None)?.into_iter().filter(|link| link.ipvlan.is_some());
    Ok(ours.max_by_key(|link| link.ifindex))
}

fn open_in(netns: BorrowedFd<'_>) -> Result<Netlink> {
    netns::within(netns, Netlink::open)?
}

/// A change in the words of netlink: mode and flag have attributes of their own.
fn in_netlink(change: &OptionsChange) -> IpvlanChange {
    let given = OPTIONS.iter().filter(|entry| change.word(entry.key).is_some());
    let ours = given.filter(|entry| !matches!(entry.key, OptionKey::Mode | OptionKey::Flag));
    let selector = ours.fold(0, |all, entry| all | entry.mask);
    let value = Options::DEFAULT.changed(*change).bits() & selector;
    IpvlanChange {
        mode: change.mode.map(mode_number),
        flags: change.flag.map(flag_number),
        options: (selector != 0).then_some((value, selector)),
    }
}

/// `IPVLAN_MODE_*`, which has the order of ours.
fn mode_number(mode: Mode) -> u16 {
    mode as u16
}

/// `IPVLAN_F_*`.
fn flag_number(flag: Flag) -> u16 {
    match flag {
        Flag::Bridge => 0,
        Flag::Private => 1,
        Flag::Vepa => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipvl_core::{Guard, NeighProxy};

    #[test]
    fn only_what_is_given_is_selected() {
        let change = OptionsChange { mode: Some(Mode::L3s), flag: Some(Flag::Private), ..OptionsChange::NONE };
        assert_eq!(in_netlink(&change), IpvlanChange { mode: Some(2), flags: Some(1), options: None });
        let change = OptionsChange { guard: Some(Guard::Owned), neigh: Some(NeighProxy::Proxy), ..OptionsChange::NONE };
        let options = Some((1 << 10, 7 << 12 | 1 << 10));
        assert_eq!(in_netlink(&change), IpvlanChange { mode: None, flags: None, options });
    }
}
