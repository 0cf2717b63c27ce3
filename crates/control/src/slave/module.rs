//! How is a slave of our kernel module made, found, changed and removed? It is one device, and no agent looks after it.

use crate::error::{Error, Result, refused};
use crate::kernel::finder;
use crate::kernel::netlink::{
    Declaration, Declare, IpvlanChange, IpvlanInfo, LinkChange, LinkInfo, Netlink, NewIpvlan,
};
use crate::kernel::netns;
use crate::model::{Change, LinkSpec};
use crate::place::{NsId, Place};
use crate::refusal::Refusal;
use crate::slave::device_change::device_change;
use crate::slave::routes::{Prefix, covers};
use ipvl_core::{Addr, Dhcp, Flag, Guard, IfIndex, Mode, OPTIONS, OptionKey, Options, OptionsChange, Siblings};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

/// Our module's version begins with our name; the kernel's own driver has none.
const VERSION: &str = "/sys/module/ipvlan/version";

/// What a slave of which nothing is said to the module has: as the kernel's driver.
const DEFAULT: Options = Options { siblings: Siblings::Direct, dhcp: Dhcp::Off, ..Options::DEFAULT };

/// A slave of the module.
#[derive(Clone)]
pub struct ModuleSlave {
    /// Its device, as its own netns shows it.
    pub device: LinkInfo,
    /// The ifindex of its master.
    pub master: IfIndex,
    /// The id of its netns; none if that is its master's.
    pub netnsid: Option<NsId>,
    /// A connection to its netns, one for all slaves there.
    pub netlink: Rc<Netlink>,
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
    let mut found = slaves_in(&open_in(own.as_fd())?, None)?;
    for netns in finder::all() {
        // A namespace may go away, or be out of reach.
        if !netns::same(&own, &netns)? {
            found.extend(elsewhere(netlink, &own, &netns).unwrap_or_default());
        }
    }
    Ok(found)
}

/// The id of a netns; none of this one.
pub fn id_of(netlink: &Netlink, netns: BorrowedFd<'_>) -> Result<Option<NsId>> {
    if netns::same(netns::own()?, netns)? { Ok(None) } else { netlink.ensure_nsid(netns) }
}

/// The slave that has its device at this place.
pub fn at(netlink: &Netlink, place: Place) -> Result<Option<ModuleSlave>> {
    Ok(all(netlink)?.into_iter().find(|slave| slave.place() == place))
}

/// Why a command for pairs cannot use the device of this name, if `here` or a slave in another netns is of the driver or of
/// our module.
pub(super) fn refusal(netlink: &Netlink, name: &str, here: Option<&LinkInfo>) -> Result<Option<Refusal>> {
    let is_ours = match here.map(|link| link.ipvlan.as_ref().map(IpvlanInfo::is_of_our_module)) {
        Some(Some(false)) => return Ok(Some(Refusal::OfKernelDriver)),
        Some(None) => false,
        Some(Some(true)) => true,
        None => all(netlink)?.iter().any(|slave| slave.device.name == name),
    };
    Ok(is_ours.then_some(Refusal::OfModule))
}

/// The kernel numbers the devices of this pattern: the name of a slave that is given none.
const ANY_NAME: &str = "ipvl%d";

/// Makes a slave, in one step. Where its own netns has a device of that name, the kernel (before 6.13) would say that it exists:
/// then the slave is made by another name, and renamed in the other netns.
pub fn add(
    netlink: &Netlink,
    spec: &LinkSpec,
    master: &LinkInfo,
    netns: Option<BorrowedFd<'_>>,
) -> Result<ModuleSlave> {
    let with = IpvlanChange {
        mode: Some(spec.options.mode.in_ipvlan()),
        flags: Some(spec.options.flag.in_ipvlan()),
        ..in_netlink(&DEFAULT.change_to(spec.options))
    };
    let wanted = spec.name.as_deref().unwrap_or(ANY_NAME);
    let is_taken_here = netns.is_some() && wanted != ANY_NAME && netlink.link_by_name(wanted, None)?.is_some();
    let (name, mtu) = (if is_taken_here { ANY_NAME } else { wanted }, spec.mtu.unwrap_or(master.mtu));
    let made = netlink.add_ipvlan(&NewIpvlan { master: master.ifindex, name, mtu, with, netns }).map_err(or_a_pair)?;
    let own = netns::own()?;
    let there = netns.map_or(own.as_fd(), |netns| netns);
    let netlink_there = open_in(there)?;
    let device = match made {
        None if name == ANY_NAME => newest(&netlink_there)?,
        None => netlink_there.link_by_name(name, None)?,
        link => link,
    };
    let mut device = device.ok_or_else(|| refused("find again", name, Refusal::NoLink))?;
    if is_taken_here {
        rename(&netlink_there, &mut device, wanted)?;
    }
    let netnsid = id_of(netlink, there)?;
    Ok(ModuleSlave { device, master: master.ifindex, netnsid, netlink: netlink_there })
}

/// Gives a new device its name; it does not stay without.
fn rename(netlink: &Netlink, device: &mut LinkInfo, name: &str) -> Result<()> {
    let change = LinkChange { name: Some(name), ..LinkChange::default() };
    if let Err(error) = netlink.set_link(device.ifindex, &change) {
        netlink.delete_link(device.ifindex)?;
        return Err(error.about(name));
    }
    name.clone_into(&mut device.name);
    Ok(())
}

impl ModuleSlave {
    /// Where its device is.
    pub fn place(&self) -> Place {
        Place { netns: self.netnsid, ifindex: self.device.ifindex }
    }

    /// Its options.
    pub fn options(&self) -> Options {
        let Some(info) = &self.device.ipvlan else { return Options::DEFAULT };
        let (value, _) = info.options.unwrap_or_default();
        let known = Options::of(value);
        Options {
            mode: Mode::of_ipvlan(info.mode).unwrap_or(known.mode),
            flag: Flag::of_ipvlan(info.flags).unwrap_or(known.flag),
            ..known
        }
    }

    /// The addresses and prefixes that are declared for it, with lengths in bits of their own family.
    pub fn declared(&self) -> &[Prefix] {
        self.device.ipvlan.as_ref().map_or(&[], |info| &info.declared)
    }

    /// Of these, the single addresses.
    pub fn declared_addresses(&self) -> impl Iterator<Item = Addr> {
        self.declared().iter().filter(|(addr, len)| *len == addr.full_len()).map(|(addr, _)| *addr)
    }

    /// And the prefixes of more.
    pub fn declared_prefixes(&self) -> impl Iterator<Item = Prefix> {
        self.declared().iter().filter(|(addr, len)| *len != addr.full_len()).copied()
    }

    /// Whether an address on its device is its own, if it is nobody's: with `guard declared` only if it is declared as well, or
    /// a link-local one.
    pub fn may_own(&self, addr: Addr) -> bool {
        let is_declared = || self.declared().iter().any(|one| covers(*one, addr));
        self.options().guard != Guard::Declared || addr.is_link_local() || is_declared()
    }

    /// Declares an address or a prefix for it, or withdraws it. Its length is in bits of its own family.
    pub fn declare(&self, verb: Declare, addr: Addr, prefix_len: u8) -> Result<()> {
        let done = self.netlink.declare(self.device.ifindex, &Declaration { verb, addr, prefix_len });
        done.map_err(|error| error.about(&self.device.name))
    }

    /// Reads again what the kernel says of it.
    pub fn read_again(&mut self) -> Result<()> {
        let found = self.netlink.link(self.device.ifindex, None)?;
        self.device = found.ok_or_else(|| refused("find again", &self.device.name, Refusal::NoLink))?;
        Ok(())
    }

    /// Changes it: first its options, which can be put back, then its device.
    pub fn set(&self, change: &Change, netns: Option<&OwnedFd>) -> Result<()> {
        let ifindex = self.device.ifindex;
        let wanted = in_netlink(&change.options);
        let named = |error: Error| error.about(&self.device.name);
        if wanted != IpvlanChange::default() {
            self.netlink.set_ipvlan(ifindex, &wanted).map_err(named).map_err(or_a_pair)?;
        }
        let device = device_change(change, netns.map(AsFd::as_fd));
        let done = device.map_or(Ok(()), |device| self.netlink.set_link(ifindex, &device));
        if done.is_err() && wanted != IpvlanChange::default() {
            self.netlink.set_ipvlan(ifindex, &self.as_it_was()).map_err(named)?;
        }
        done.map_err(named)
    }

    /// Removes it. It may be gone already.
    pub fn delete(&self) -> Result<()> {
        self.netlink.delete_link(self.device.ifindex).map(drop).map_err(|error| error.about(&self.device.name))
    }

    fn as_it_was(&self) -> IpvlanChange {
        let info = self.device.ipvlan.clone().unwrap_or_default();
        IpvlanChange { mode: Some(info.mode), flags: Some(info.flags), options: info.options }
    }
}

/// What the module does not carry out, a pair does.
fn or_a_pair(error: Error) -> Error {
    match error.errno() {
        Some(libc::EOPNOTSUPP) => error.advising("a slave that is made with backend veth can do that"),
        _ => error,
    }
}

/// The slaves in another netns with masters in this one.
fn elsewhere(netlink: &Netlink, own: &OwnedFd, netns: &OwnedFd) -> Result<Vec<ModuleSlave>> {
    let there = open_in(netns.as_fd())?;
    let Some(us) = there.nsid_of_fd(own)? else { return Ok(Vec::new()) };
    let mut found = slaves_in(&there, Some(us))?;
    if !found.is_empty() {
        let id = netlink.ensure_nsid(netns)?;
        found.iter_mut().for_each(|slave| slave.netnsid = id);
    }
    Ok(found)
}

/// The slaves in the netns of `there` of which the master is in the netns that has the id `us` there.
fn slaves_in(there: &Rc<Netlink>, us: Option<NsId>) -> Result<Vec<ModuleSlave>> {
    let mut found = Vec::new();
    for device in there.links(None)? {
        let is_ours = device.ipvlan.as_ref().is_some_and(IpvlanInfo::is_of_our_module);
        if let (true, Some(master)) = (is_ours && device.link_netnsid == us, device.link) {
            found.push(ModuleSlave { device, master, netnsid: None, netlink: Rc::clone(there) });
        }
    }
    Ok(found)
}

fn newest(netlink: &Netlink) -> Result<Option<LinkInfo>> {
    let ours = netlink.links(None)?.into_iter().filter(|link| link.ipvlan.is_some());
    Ok(ours.max_by_key(|link| link.ifindex))
}

fn open_in(netns: BorrowedFd<'_>) -> Result<Rc<Netlink>> {
    netns::within(netns, Netlink::open)?.map(Rc::new)
}

/// A change in the words of netlink: mode and flag have attributes of their own.
fn in_netlink(change: &OptionsChange) -> IpvlanChange {
    let given = OPTIONS.iter().filter(|entry| change.word(entry.key).is_some());
    let ours = given.filter(|entry| !matches!(entry.key, OptionKey::Mode | OptionKey::Flag));
    let selector = ours.fold(0, |all, entry| all | entry.mask);
    let value = Options::DEFAULT.changed(*change).bits() & selector;
    IpvlanChange {
        mode: change.mode.map(Mode::in_ipvlan),
        flags: change.flag.map(Flag::in_ipvlan),
        options: (selector != 0).then_some((value, selector)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipvl_core::{Guard, NeighProxy};

    #[test]
    fn a_slave_of_the_command_has_the_commands_defaults() {
        let change = DEFAULT.change_to(LinkSpec::of("eth0").options);
        let wanted = OptionsChange { siblings: Some(Siblings::Host), dhcp: Some(Dhcp::On), ..OptionsChange::NONE };
        assert_eq!(change, wanted);
        assert_eq!(in_netlink(&change).options, Some((0, 1 << 31 | 1 << 29)));
    }

    #[test]
    fn only_what_is_given_is_selected() {
        let change = OptionsChange { mode: Some(Mode::L3s), flag: Some(Flag::Private), ..OptionsChange::NONE };
        assert_eq!(in_netlink(&change), IpvlanChange { mode: Some(2), flags: Some(1), options: None });
        let change = OptionsChange { guard: Some(Guard::Owned), neigh: Some(NeighProxy::Proxy), ..OptionsChange::NONE };
        let options = Some((1 << 10, 7 << 12 | 1 << 10));
        assert_eq!(in_netlink(&change), IpvlanChange { mode: None, flags: None, options });
    }
}
